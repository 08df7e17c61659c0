#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Package libctr as other programs use it: test/tools/embed imports nothing of cmd/.
load helpers

embed() { run timeout --foreground -k 5 60 embed "$ENGINE" "$FIXTURES/busybox.tar" "$@" 3>&-; }

@test "a program that uses the library loads an image, runs a container, follows its events and removes it" {
    is_berth || skip "of Berth's library"
    embed sh -c 'echo out; id -u; exit 3'
    assert_equal "$status" 0
    assert_equal "$(head -n 3 <<<"$output")" $'out\n0\nexit code 3'
    assert_equal "$(sed -n 's/^event //p' <<<"$output" | sort | paste -sd' ')" "create died init remove start"
    berth ps -aq
    assert_equal "$output" ""
}

@test "a command that is not there is its error, and nothing is left" {
    is_berth || skip "of Berth's library"
    embed /no/such/program
    assert_equal "$status" 1
    assert_contains "$output" "/no/such/program"
    berth rm -fa
    berth system check
}
