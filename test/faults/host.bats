#!/usr/bin/env bats
# What a host gets that lacks something: an error that says what, and how to mend it.
load ../helpers

# without PROGRAM... -- ARG...: the engine, with a PATH that has everything but these programs.
without() {
    local dir p
    dir=$(mktemp -d "$FILE_DIR/path-XXXXXX")
    for p in /usr/local/bin/* /usr/bin/* /bin/* /usr/sbin/* /sbin/*; do ln -sfn "$p" "$dir/${p##*/}"; done
    while [[ $1 != -- ]]; do rm -f "$dir/$1"; shift; done
    shift
    status=0
    output=$(PATH=$dir timeout 60 "$ENGINE" "$@" 2>&1 3>&-) || status=$?
    echo "$ $ENGINE $*"; echo "$output"; echo "exit code $status"
}

@test "no OCI runtime of that name: 125, the name and a hint" {
    berth 125 --runtime no-such-runtime run --rm "$IMAGE" true
    assert_contains "$output" no-such-runtime
    assert_contains "$output" "Hint:"
    berth system check
}

@test "runc serves as well as crun" {
    berth --runtime runc run --rm "$IMAGE" cat /etc/berth-image
    assert_equal "$output" busybox
}

@test "an unknown storage driver: 125, and its name" {
    berth 125 --storage-driver floppy run --rm "$IMAGE" true
    assert_contains "$output" floppy
}

@test "a store that cannot be made: 125, and where" {
    : >"$FILE_DIR/a-file"
    berth 125 --root "$FILE_DIR/a-file/store" run --rm "$IMAGE" true
    assert_contains "$output" "$FILE_DIR/a-file"
}

@test "no program for the network: none works, the default says what to install" {
    is_rootless || return 0 # root's default network is not pasta's
    without pasta slirp4netns -- run --rm --network none "$IMAGE" true
    assert_equal "$status" 0
    without pasta slirp4netns -- run --rm --network pasta "$IMAGE" true
    assert_equal "$status" 125
    assert_contains "$output" pasta
    assert_contains "$output" "Hint:"
    berth system check
}
