# SPDX-License-Identifier: Apache-2.0
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

# serve DIR: serves a directory on loopback, and the repositories in it; sets $port. end_servers ends that.
serve() {
    port=$(free_port)
    "$HELPERS_DIR/tools/git-http" "$port" "$1" >/dev/null 2>&1 3>&- &
    echo $! >>"$FILE_DIR/servers-$name"
    gitport=$port
    port=$(free_port)
    python3 -m http.server -b 127.0.0.1 -d "$1" "$port" >/dev/null 2>&1 3>&- &
    echo $! >>"$FILE_DIR/servers-$name"
    wait_for 10 curl -sf -o /dev/null "http://127.0.0.1:$port/"
}

end_servers() { [[ ! -s $FILE_DIR/servers-$name ]] || xargs kill <"$FILE_DIR/servers-$name" 2>/dev/null || true; }
