#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# Packages libctr and build as other programs use them: test/tools/embed and test/tools/server import nothing of cmd/.
load helpers

setup() {
    test_setup
    CTX=$(mktemp -d -p "$BATS_TEST_TMPDIR")
    mkdir -p "$CTX/parts/note"
    cat >"$CTX/parts/note/Containerfile" <<'PART'
# /// partial
# name: test/note
# version: 1.0.0
# summary: A file.
# ///
ARG BASE
FROM ${BASE} AS base
FROM base AS install
RUN echo of a part >/note
PART
    echo "A file." >"$CTX/parts/note/README.md"
    printf 'FROM %s\n#: use ./parts/note\nRUN echo "limit $(ulimit -n) site $SITE"; grep CapBnd /proc/self/status\n' "$IMAGE" >"$CTX/Containerfile"
    chmod -R a+rX "$BATS_TEST_TMPDIR"
}

embed() { run timeout --foreground -k 5 120 embed "$ENGINE" "$FIXTURES/busybox.tar" "$CTX" "$@" 3>&-; }

@test "a program that uses the library loads, builds, composes, verifies, runs, follows events and removes" {
    is_berth || skip "of Berth's library"
    embed sh -c 'echo out; id -u; cat /note; exit 3'
    echo "$output"; assert_equal "$status" 0
    assert_contains "$output" "STEP 1/"
    assert_contains "$output" "parts [test/note]"
    assert_equal "$(grep -A3 '^out' <<<"$output")" $'out\n0\nof a part\nexit code 3'
    assert_equal "$(sed -n 's/^event //p' <<<"$output" | sort | paste -sd' ')" "create died init remove start"
    [ -f "$CTX/Containerfile.lock" ]
    berth ps -aq
    assert_equal "$output" ""
    berth rmi localhost/embed
}

@test "a site's containers.conf is in force for what the library builds and runs" {
    is_berth || skip "of Berth's library"
    cp "$CONTAINERS_CONF" "$BATS_TEST_TMPDIR/before"
    cat >>"$CONTAINERS_CONF" <<'CONF'

[containers]
env = ["SITE=ours"]
default_ulimits = ["nofile=123:456"]
default_capabilities = ["CHOWN", "SETUID"]
CONF
    embed sh -c 'echo "limit $(ulimit -n) site $SITE"; grep CapBnd /proc/self/status'
    cp "$BATS_TEST_TMPDIR/before" "$CONTAINERS_CONF"
    echo "$output"
    assert_equal "$status" 0
    [ "$(grep -c '^limit 123' <<<"$output")" = 2 ] # of RUN and of the container
    assert_contains "$output" "limit 123 site ours"
    [ "$(grep -c 'CapBnd:.0000000000000081' <<<"$output")" = 2 ]
    berth rmi localhost/embed
}

@test "a command that is not there is its error, and nothing is left" {
    is_berth || skip "of Berth's library"
    embed /no/such/program
    assert_equal "$status" 1
    assert_contains "$output" "/no/such/program"
    berth rm -fa
    berth rmi -f localhost/embed
    berth system check
}

@test "a build that fails is its error, and nothing is left" {
    is_berth || skip "of Berth's library"
    echo 'RUN echo last words; exit 7' >>"$CTX/Containerfile"
    embed true
    assert_equal "$status" 1
    assert_contains "$output" "last words"
    assert_contains "$output" "RUN echo last words; exit 7: exit code 7"
    berth system check
}

@test "builds at once in one process, one cancelled and one failing, leak nothing; the engine sees what other processes do" {
    is_berth || skip "of Berth's library"
    run timeout --foreground -k 5 200 server "$ENGINE" "$BATS_TEST_TMPDIR" 3>&-
    echo "$output"
    assert_equal "$status" 0
    berth rmi -f localhost/committed localhost/also localhost/first
    berth system check
}

@test "a build ends with the program that has it built, however that ends" {
    is_berth || skip "of Berth's library"
    echo 'RUN echo at work; sleep 987' >>"$CTX/Containerfile"
    embed="$HELPERS_DIR/../bin/embed"
    for signal in TERM KILL; do
        "$embed" "$ENGINE" "$FIXTURES/busybox.tar" "$CTX" true >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
        pid=$!
        wait_for 90 grep -q "^at work" "$BATS_TEST_TMPDIR/out"
        kill -"$signal" "$pid"
        wait "$pid" || true
        wait_for 20 not pgrep -u "$EUID" -f "sleep 987"
        wait_for 20 no_sessions
        berth system check
    done
}

no_sessions() { [ -z "$(ls "$RUNROOT/berth/builds" 2>/dev/null)" ] && [ -z "$(leaked_processes)" ]; }
