#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# Many containers live at once: a bounded run of test/soak/lifecycles, which `make soak` runs for hours.
load ../helpers

setup_file() { :; }
teardown_file() { :; }
setup() { :; }
teardown() { :; }

@test "two lives a second, 15 at a time: nothing is lost" {
    run env LIVES=30 SOAK_SECONDS=120 timeout -k 5 300 "$HELPERS_DIR/soak/lifecycles" 3>&-
    echo "$output"
    [[ $status -eq 0 ]]
    assert_contains "$output" "30 lives in "
}
