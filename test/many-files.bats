#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# Layers of many files cost time in proportion, little memory, and end when they are told to. BERTH_TEST_FILES says how many
# (test/soak/many-files takes a million).

load helpers
load evil

FILES=${BERTH_TEST_FILES:-25000}
# What is done to all files may take that many seconds; what is interrupted, 15.
BERTH_TIMEOUT=$((60 + FILES / 500))

setup_file() {
    local layer
    store_setup
    layer=$FILE_DIR/layer.tar
    berth save -q -o "$FILE_DIR/busybox.tar" "$IMAGE"
    tar -xOf "$FILE_DIR/busybox.tar" --wildcards '*.tar' >"$layer"
    many "$FILES" empty "$layer"
    "$HELPERS_DIR/tools/docker-archive" "$layer" localhost/many:latest '{"Cmd":["sh"]}' "$FILE_DIR/many.tar"
    rm "$FILE_DIR/busybox.tar"
}

# little ARG...: as berth, in 512 MiB of memory for each process.
little() {
    local ENGINE=$FILE_DIR/little
    printf '#!/bin/sh\nulimit -d 524288\nexec %q "$@"\n' "$HELPERS_DIR/../bin/berth" >"$ENGINE"
    chmod +x "$ENGINE"
    berth "$@"
}

# interrupted SIGNAL ARG...: the command ends within 15 s of a signal, which it gets soon, or as soon as there is a file that
# it makes, and has left nothing but what other commands remove.
interrupted() {
    local signal=$1 pid
    shift
    "$ENGINE" "$@" >"$FILE_DIR/out" 2>&1 3>&- &
    pid=$!
    if [[ $1 = load || $1 = pull || $1 = import ]]; then wait_for "$BERTH_TIMEOUT" at_work; else sleep 0.2; fi
    kill "-$signal" "$pid"
    wait_for 15 gone "$pid"
    echo "$signal to $*: $(cat "$FILE_DIR/out")"
    run find "$TMPDIR" -mindepth 1 -name 'berth-image-*'
    assert_equal "$output" ""
    berth system check
}

# at_work: some of the files are there; not those of an image that is there as a whole.
at_work() { compgen -G "$GRAPHROOT/overlay/tempdirs/*/*/many/00001" >/dev/null; }
left() { compgen -G "$GRAPHROOT/overlay/tempdirs/*/*/many" || compgen -G "$GRAPHROOT/overlay/*/diff/many"; }
gone() { ! kill -0 "$1" 2>/dev/null || [[ $(ps -o stat= -p "$1") == Z* ]]; }

@test "load, list, run, check, save, push, pull and remove" {
    little load -q -i "$FILE_DIR/many.tar"
    little images
    little image inspect localhost/many
    little run --rm --network none localhost/many sh -c 'find /many -type f | wc -l'
    assert_equal "$output" "$FILES"
    berth run --name "$name" --network none localhost/many sh -c 'rm -rf /many/00000; ls /many | wc -l'
    little ps -a --size
    little rm "$name"
    little system df
    little system check
    little save -q -o "$FILE_DIR/saved" localhost/many
    cmp <(tar -xOf "$FILE_DIR/saved" --wildcards '*.tar') "$FILE_DIR/layer.tar"
    rm "$FILE_DIR/saved"
    little push -q localhost/many "dir:$FILE_DIR/pushed"
    little rmi localhost/many
}

@test "a signal ends load, pull and import in the middle, and nothing is left of it" {
    interrupted TERM load -q -i "$FILE_DIR/many.tar"
    interrupted INT pull -q "docker-archive:$FILE_DIR/many.tar"
    interrupted TERM import -q "$FILE_DIR/layer.tar" localhost/many
    berth 1 image exists localhost/many
}

@test "a signal ends save, push, check and rmi in the middle" {
    local id
    berth pull -q "docker-archive:$FILE_DIR/many.tar"
    id=$output
    interrupted TERM save -q -o "$FILE_DIR/saved" "$id"
    [[ ! -e $FILE_DIR/saved ]]
    interrupted TERM push -q "$id" "dir:$FILE_DIR/pushed-again"
    interrupted TERM system check
    interrupted TERM system df
    interrupted TERM rmi "$id"
    "$ENGINE" rmi "$id" 3>&- || berth 1 image exists "$id"
}

@test "kill -9 in the middle of load: the next commands clean up" {
    local pid
    "$ENGINE" load -q -i "$FILE_DIR/many.tar" >/dev/null 2>&1 3>&- &
    pid=$!
    wait_for "$BERTH_TIMEOUT" at_work
    kill -KILL "$pid"
    berth system check --repair
    berth system check
    not left
    run find "$TMPDIR" -mindepth 1 -name 'berth-image-*'
    assert_equal "$output" ""
}

# refused TEXT ARG...
refused() {
    berth 125 "${@:2}"
    assert_contains "$output" "$1"
    assert_contains "$output" BERTH_UNPACK_FILES
    berth 1 image exists localhost/many
    berth system check
}

@test "more files than are taken: load, pull, import, FROM and ADD" {
    export BERTH_UNPACK_FILES=5000
    refused "more than 5000 files" load -q -i "$FILE_DIR/many.tar"
    refused "more than 5000 files" pull -q "docker-archive:$FILE_DIR/many.tar"
    refused "more than 5000 files" import -q "$FILE_DIR/layer.tar" localhost/many
    mkdir -p "$FILE_DIR/ctx"
    ln -f "$FILE_DIR/many.tar" "$FILE_DIR/layer.tar" "$FILE_DIR/ctx"
    echo "FROM docker-archive:many.tar" >"$FILE_DIR/ctx/Containerfile"
    refused "more than 5000 files" build -q -t localhost/many "$FILE_DIR/ctx"
    printf 'FROM scratch\nADD layer.tar /\n' >"$FILE_DIR/ctx/Containerfile"
    refused "more than 5000 files" build -q -t localhost/many "$FILE_DIR/ctx"
    # The layers of an image count together: two of 4000 are too many, of two images they are not.
    local i
    for i in 1 2; do
        rm -f "$FILE_DIR/few.tar"
        many 4000 link "$FILE_DIR/few.tar"
        [[ $i = 1 ]] || tar -C "$FILE_DIR/ctx" -rf "$FILE_DIR/few.tar" Containerfile
        berth import -q "$FILE_DIR/few.tar" "localhost/few$i"
    done
    printf 'FROM localhost/few1\nCOPY --from=localhost/few2 / /other/\n' >"$FILE_DIR/ctx/Containerfile"
    BERTH_UNPACK_FILES='' berth build -q -t localhost/both "$FILE_DIR/ctx"
    berth save -q -o "$FILE_DIR/both.tar" localhost/both
    berth rmi localhost/both localhost/few1 localhost/few2
    refused "more than 5000 files in it, with 400" load -q -i "$FILE_DIR/both.tar"
}
