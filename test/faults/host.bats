#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a host gets that lacks something: an error that says what, and how to fix it.
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

@test "two stores with one runroot: neither sees or removes the other's containers" {
    berth run -d --rm --name "$name" "$IMAGE" sleep 100
    berth create --name "$name-2" "$IMAGE" true
    berth --root "$FILE_DIR/other" ps -a -q
    assert_equal "$output" ""
    berth --root "$FILE_DIR/other" load -q -i "$FIXTURES/busybox.tar"
    berth --root "$FILE_DIR/other" run --name "$name" "$IMAGE" true
    berth --root "$FILE_DIR/other" system check --repair
    assert_equal "$output" ""
    berth --root "$FILE_DIR/other" rm "$name"
    berth exec "$name" true
    berth system check
    assert_equal "$output" ""
    berth rm -f -t 0 "$name" "$name-2"
}

@test "without berth-full: what needs it says so, and the rest works" {
    mkdir "$FILE_DIR/part"
    cp "$(dirname "$ENGINE")"/berth{,-monitor} "$FILE_DIR/part/"
    ENGINE=$FILE_DIR/part/berth
    berth run --rm "$IMAGE" cat /etc/berth-image
    assert_equal "$output" busybox
    for args in "pull localhost/nothing" "build ." "run --rm localhost/not-here true" "no-such-command"; do
        # shellcheck disable=SC2086
        berth 125 $args
        assert_contains "$output" "find berth-full"
        assert_contains "$output" "Hint:"
    done
    berth ps -a --format '{{.Names}}'
    assert_equal "$output" ""
    ln -s "$HELPERS_DIR/../bin/berth" "$FILE_DIR/docker"
    ENGINE=$FILE_DIR/docker
    berth tag "$IMAGE" "localhost/$name:1"
    berth rmi "localhost/$name:1"
}
