#!/usr/bin/env bats
# What a host gets that lacks something: an error that says what, and how to mend it.
load ../helpers

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
