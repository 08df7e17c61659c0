#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a process finds when it starts: its terminal's size, its directory, itself.
load helpers

sized() { berth_tty 33 77 "$@"; assert_equal "${lines[-1]}" "33 77"; }

@test "a terminal has its size when the process starts" {
    sized run --rm -t "$IMAGE" stty size
    sized run --rm -it "$IMAGE" stty size
    sized run --rm -it --runtime runc "$IMAGE" stty size
    berth_tty 33 77 create -it --name "$name" "$IMAGE" stty size
    sized start -a "$name"
    berth_tty 20 50 start -ai "$name"
    assert_equal "${lines[-1]}" "20 50"
    berth_tty 33 77 run -dt --name "$name-2" "$IMAGE" sh -c 'stty size; sleep 100'
    # crun lets the process of an exec go before it sets the size (1.8): a first look may come too early. busybox's stty ends well then.
    local soon='for _ in $(seq 100); do [ -n "$(stty size 2>/dev/null)" ] && stty size && exit; sleep 0.1; done'
    sized exec -t "$name-2" sh -c "$soon"
    sized exec -it "$name-2" sh -c "$soon"
    berth run -d --runtime runc --name "$name-3" "$IMAGE" sleep 100
    sized exec -t "$name-3" stty size
    sized exec -it "$name-3" stty size
    size_logged() { [[ $("$ENGINE" logs "$name-2" 2>&1 3>&- | tr -d '\r') == "33 77" ]]; }
    wait_for 10 size_logged
}

@test "a terminal that the caller has none for has no size, and the command runs" {
    berth run --rm -t "$IMAGE" tty
    assert_contains "$output" /dev/pts/0
    berth run -dt --name "$name" "$IMAGE" sleep 100
    berth exec -t "$name" tty
    assert_contains "$output" /dev/pts/
}

# What cannot be executed, made in the directory $1.
unfit() {
    mkdir "$1"
    printf '#!/no/such/interpreter\n' >"$1/bad"
    printf garbage >"$1/garbage"
    : >"$1/empty"
    printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\377\376' >"$1/foreign"
    chmod 755 "$1"/*
    echo '#!/bin/sh' >"$1/plain"
    mkdir "$1/directory"
}

# COMMAND CODE TEXT
UNFIT='nope 127 not found
/nope 127 not found
/x/nope 127 not found
/x/directory 126 cannot be executed
/x/plain 126 cannot be executed
/x/bad 126 o such file or directory
/x/garbage 126 xec format error
/x/empty 126 xec format error
/x/foreign 126 xec format error'

said() { # TEXT: in plain words, once
    assert_contains "$output" "$1"
    [[ $output != *'{"'* && $output != *level=* ]]
}

@test "what cannot be executed: codes and words of run, start and exec" {
    unfit "$FILE_DIR/x"
    local runtime command code text
    for runtime in crun runc; do
        berth run -d --name "$name-$runtime" --runtime "$runtime" -v "$FILE_DIR/x:/x" "$IMAGE" sleep 1000
        while read -r command code text <&4; do
            berth "$code" run --rm --runtime "$runtime" -v "$FILE_DIR/x:/x" "$IMAGE" "$command"
            said "$text"
            berth "$code" exec "$name-$runtime" "$command"
            said "$text"
        done 4<<<"$UNFIT"
        berth rm -f -t 0 "$name-$runtime"
    done
    berth create --name "$name" "$IMAGE" nope
    berth 125 start "$name"
    berth 125 start -a "$name"
    said "not found"
    berth create --name "$name-bad" -v "$FILE_DIR/x:/x" "$IMAGE" /x/bad
    berth start "$name-bad" # the runtime has started it
    berth wait "$name-bad"
    assert_equal "$output" 126
    berth inspect -f '{{.State.Error}}' "$name-bad"
    assert_contains "$output" "cannot be executed"
    berth logs "$name-bad"
    said "o such file or directory"
    berth run --name "$name-own" "$IMAGE" sh -c 'exit 1' && false
    assert_equal "$status" 1
}

@test "a working directory that is not there is refused; the image's own is made" {
    mkdir -p "$FILE_DIR/host/there"
    touch "$FILE_DIR/host/file"
    printf 'FROM %s\nWORKDIR /made/by/image\n' "$IMAGE" >"$FILE_DIR/Containerfile"
    local runtime
    for runtime in crun runc; do
        local run=(run --rm --runtime "$runtime" -v "$FILE_DIR/host:/host")
        berth 126 "${run[@]}" -w /missing "$IMAGE" pwd
        assert_contains "$output" 'workdir "/missing" does not exist on container '
        berth 126 "${run[@]}" -w /host/missing "$IMAGE" pwd
        assert_contains "$output" 'workdir "/host/missing" does not exist on container '
        berth 126 "${run[@]}" -w /host/file "$IMAGE" pwd
        berth 126 "${run[@]}" -w /etc/passwd "$IMAGE" pwd
        local dir
        for dir in /host /host/there /proc /dev /tmp /sys; do
            berth "${run[@]}" -w "$dir" "$IMAGE" pwd
            assert_equal "$output" "$dir"
        done
        berth create --runtime "$runtime" --name "$name-$runtime" -w /missing "$IMAGE" pwd
        berth 125 start "$name-$runtime"
        assert_contains "$output" 'workdir "/missing" does not exist on container '
        berth 125 start -a "$name-$runtime"
        berth run -d --runtime "$runtime" --name "$name-run-$runtime" "$IMAGE" sleep 1000
        berth 127 exec -w /missing "$name-run-$runtime" pwd
        assert_equal "$(grep -o 'missing' <<<"$output" | wc -l)" 1
        berth 126 exec -w /etc/passwd "$name-run-$runtime" pwd
        berth exec -w /tmp "$name-run-$runtime" pwd
        assert_equal "$output" /tmp
        berth exec "$name-run-$runtime" test ! -e /missing
    done
    berth build -q -t "localhost/$name" -f "$FILE_DIR/Containerfile" "$FILE_DIR/host"
    berth run --rm "localhost/$name" pwd
    assert_equal "$output" /made/by/image
}
