#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# What a registry that does wrong gets: an error that says what, a hint, and nothing left behind.
# bin/badregistry (package test/badregistry) has one fault in each repository.

load helpers

setup_file() {
    store_setup
    start_badregistry
}

# nothing_kept: no image but $IMAGE, no temporary file, and a clean store.
nothing_kept() {
    berth images -aq
    assert_equal "${#lines[@]}" 1
    run find "$TMPDIR" -mindepth 1 -name '*image*'
    assert_equal "$output" ""
    berth system check
}

# fails REPOSITORY TEXT HINT: pull and run fail with 125, saying so.
fails() {
    local cmd
    for cmd in "pull -q --retry 0" "run --rm --retry 0"; do
        # shellcheck disable=SC2086
        berth 125 $cmd "$BAD/$1"
        assert_contains "$output" "$BAD/$1"
        assert_contains "$output" "$2"
        assert_contains "$output" "Hint: "
        assert_contains "$output" "$3"
    done
    nothing_kept
}

@test "401: log in" { fails unauthorized unauthorized "berth login $BAD"; }
@test "404: check the spelling" { fails missing "manifest unknown" spelling; }
@test "404 without the specification's words" { fails html404 404 spelling; }
@test "a blob that breaks off" { fails truncated "unexpected EOF" "broke off"; }
@test "a layer that is not what the manifest promises" { fails wrongdigest "did not match" promises; }
@test "a config that is not what the manifest promises" { fails wrongconfig "does not match" promises; }

@test "a layer that is no archive" {
    berth 125 pull -q "$BAD/badlayer"
    nothing_kept
}

@test "failures that pass are tried again" {
    berth pull -q --retry-delay 10ms "$BAD/flaky"
    berth rmi "$BAD/flaky"
    nothing_kept
}

@test "Ctrl-C in the middle of a layer: 1, and nothing is kept" {
    "$HELPERS_DIR/../bin/berth" pull -q "$BAD/slow" >"$FILE_DIR/$name" 2>&1 3>&- &
    local pid=$! rc=0
    wait_for 10 partial
    kill -INT "$pid"
    wait "$pid" || rc=$?
    cat "$FILE_DIR/$name"
    assert_equal "$rc" 1
    assert_contains "$(cat "$FILE_DIR/$name")" interrupted
    nothing_kept
}

# partial: a layer of the slow repository has begun to arrive.
partial() { [[ -n $(find "$TMPDIR" -path '*berth-image-*' -type f -size +64k 2>/dev/null) ]]; }

@test "kill -9 in the middle of a layer: the next pull succeeds and sweeps" {
    "$HELPERS_DIR/../bin/berth" pull -q "$BAD/slow" >/dev/null 2>&1 3>&- &
    local pid=$!
    wait_for 10 partial
    kill -KILL "$pid"
    wait "$pid" || true
    # What is swept must be some seconds old: its owner may be about to lock it.
    find "$TMPDIR" -maxdepth 1 -name 'berth-image-*' -exec touch -d '1 minute ago' {} +
    berth pull -q "$BAD/ok"
    berth rmi "$BAD/ok"
    nothing_kept
}
