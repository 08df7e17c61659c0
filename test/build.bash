# shellcheck shell=bash
# What the tests of build share.

# context: makes $CTX with a Containerfile from standard input.
context() {
    CTX=$FILE_DIR/ctx-$name
    mkdir -p "$CTX"
    cat >"$CTX/Containerfile"
}

# build [CODE] ARG...: builds $CTX as localhost/$name, without a network.
build() {
    local want=0
    if [[ $1 =~ ^[0-9]+$ ]]; then want=$1; shift; fi
    berth "$want" build --network none -t "localhost/$name" "$@" "$CTX"
}

# in_image ARG...: runs a command in what was built.
in_image() { berth run --rm --network none "localhost/$name" "$@"; }
