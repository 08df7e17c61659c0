#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# only: root
# A build on a disk that is full. It takes root to mount one.
load ../helpers

teardown() {
    test_teardown
    [[ ! -d $FILE_DIR/small ]] || { umount -l "$FILE_DIR/small" 2>/dev/null; rmdir "$FILE_DIR/small"; }
}

# small ARG...: the engine with a store on a disk of 24 MiB.
small() {
    local want=()
    if [[ $1 =~ ^[0-9]+$ ]]; then want=("$1"); shift; fi
    berth "${want[@]}" --root "$FILE_DIR/small/store" --runroot "$FILE_DIR/small-run" "$@"
}

used() { df -k --output=used "$FILE_DIR/small" | tail -n 1; }

@test "a disk that fills up in RUN, COPY, ADD of a URL and the commit: an error that says so, and room again" {
    local ctx=$FILE_DIR/ctx before port
    mkdir -p "$FILE_DIR/small" "$ctx"
    mount -t tmpfs -o size=24m small "$FILE_DIR/small"
    small load -q -i "$FIXTURES/busybox.tar"
    head -c 30000000 /dev/urandom >"$ctx/big"
    tar -C "$ctx" -czf "$ctx/big.tar.gz" big
    head -c 9000000 /dev/urandom >"$ctx/half"
    before=$(used)
    for step in "RUN dd if=/dev/zero of=/fill bs=1M count=40" "COPY big /big" "ADD big.tar.gz /" "COPY half /1
RUN cp /1 /2" "RUN --mount=type=bind,target=/m,rw dd if=/dev/zero of=/m/fill bs=1M count=40"; do
        printf 'FROM %s\n%s\n' "$IMAGE" "$step" >"$ctx/Containerfile"
        local rc=0
        small 125 build --network none "$ctx" || rc=$status
        [[ $rc -eq 0 || $rc -eq 1 ]] # dd and cp end with 1
        assert_contains "${output,,}" "no space left"
        [[ $output != *panic* ]]
        small system check
        assert_equal "$output" ""
        small builder prune --force
        [[ $(used) -lt $((before + 1000)) ]] || { echo "$(used) KiB used, before $before"; find "$FILE_DIR/small" -size +100k; false; }
    done
    printf 'FROM %s\nRUN echo small > /f\n' "$IMAGE" >"$ctx/Containerfile"
    small build --network none "$ctx"
}
