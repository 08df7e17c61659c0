#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# only: root
# A disk that is full or read-only. It takes root to mount one.
load ../helpers

teardown() {
    test_teardown
    for d in small ro; do
        [[ ! -d $FILE_DIR/$d ]] || { umount -l "$FILE_DIR/$d" 2>/dev/null; rmdir "$FILE_DIR/$d"; } || true
    done
}

@test "a disk that is full during pull: an error that says so, no image, and room again" {
    start_registry
    push_fixture nginx team/nginx:1
    mkdir "$FILE_DIR/small"
    mount -t tmpfs -o size=20m small "$FILE_DIR/small"
    berth 125 --root "$FILE_DIR/small/store" --runroot "$FILE_DIR/small/run" pull -q "$REGISTRY/team/nginx:1"
    assert_contains "$output" "no space left"
    used=$(df -k --output=used "$FILE_DIR/small" | tail -n 1)
    [[ $used -lt 2000 ]] || { echo "$used KiB still used"; find "$FILE_DIR/small" -size +100k; false; }
    berth --root "$FILE_DIR/small/store" --runroot "$FILE_DIR/small/run" images -q
    assert_equal "$output" ""
    berth --root "$FILE_DIR/small/store" --runroot "$FILE_DIR/small/run" system check
    stop_registry
}

@test "standard input that is larger than the disk for temporary files: load and import stop before it is full" {
    mkdir "$FILE_DIR/small"
    mount -t tmpfs -o size=20m small "$FILE_DIR/small"
    head -c 100000 /dev/urandom >"$FILE_DIR/file"
    tar -C "$FILE_DIR" -cf "$FILE_DIR/endless.tar" file
    for verb in "load -q" "import -q - localhost/$name"; do
        # shellcheck disable=SC2086 # words
        TMPDIR=$FILE_DIR/small BERTH_TIMEOUT=60 berth 125 $verb < <(while head -c 100864 "$FILE_DIR/endless.tar"; do :; done)
        assert_contains "$output" "is almost full after"
        assert_contains "$output" "Hint: the disk is full: see df -h $FILE_DIR/small"
        assert_equal "$(ls -A "$FILE_DIR/small")" ""
    done
    rm "$FILE_DIR/file" "$FILE_DIR/endless.tar"
}

@test "a container that fills the disk ends with its own error, and can be removed" {
    mkdir "$FILE_DIR/small"
    mount -t tmpfs -o size=20m small "$FILE_DIR/small"
    berth --root "$FILE_DIR/small/store" --runroot "$FILE_DIR/small/run" load -q -i "$FIXTURES/busybox.tar"
    berth 1 --root "$FILE_DIR/small/store" --runroot "$FILE_DIR/small/run" run --name "$name" "$IMAGE" dd if=/dev/zero of=/fill bs=1M count=30
    assert_contains "$output" "No space left"
    berth --root "$FILE_DIR/small/store" --runroot "$FILE_DIR/small/run" rm "$name"
    berth --root "$FILE_DIR/small/store" --runroot "$FILE_DIR/small/run" system check
}

@test "a container that cannot be put on the disk: an error, and nothing of it is left, also not its --cidfile" {
    berth create --name "$name-first" "$IMAGE" true
    for verb in create "run -d"; do
        # shellcheck disable=SC2086 # words
        run timeout 100 strace -f -qq -o /dev/null -e trace=fsync -e inject=fsync:error=EIO "$ENGINE" $verb --name "$name" --cidfile "$FILE_DIR/cid" "$IMAGE" sleep 300 3>&-
        echo "$output"
        assert_equal "$status" 125
        assert_contains "$output" "input/output error"
        not test -e "$FILE_DIR/cid"
        berth ps -aq --filter name="^$name\$"
        assert_equal "$output" ""
        berth system check
    done
    berth rm "$name-first"
}

@test "a store on a read-only disk: what reads works, what writes says what is wrong" {
    mkdir "$FILE_DIR/ro"
    mount -t tmpfs -o size=50m ro "$FILE_DIR/ro"
    berth --root "$FILE_DIR/ro/store" load -q -i "$FIXTURES/busybox.tar"
    mount -o remount,ro "$FILE_DIR/ro"
    berth --root "$FILE_DIR/ro/store" images -q
    assert_equal "${#lines[@]}" 1
    berth 125 --root "$FILE_DIR/ro/store" run --name "$name" "$IMAGE" true
    assert_contains "$output" "read-only"
    berth 125 --root "$FILE_DIR/ro/store" load -q -i "$FIXTURES/nginx.tar"
    assert_contains "$output" "read-only"
}
