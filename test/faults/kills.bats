#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# A bounded run of what `make soak` does for hours: kills at random points. The seed is in the output.
load ../helpers

# The run has a store of its own.
setup_file() { :; }
teardown_file() { :; }
teardown() { :; }

@test "kills at random points of run, run -d, rm, load, pull, build, commit, rmi, prune: the store holds what its records name" {
    VERBS="run run-rm run-d rm rm-f load pull build commit rmi prune crowd" KILLS=${BERTH_TEST_KILLS:-12} timeout 600 "$HELPERS_DIR/soak/kills" 3>&-
}

@test "kills at random points of update, rename, secret, volume, system boot, prune and reset: given again, the command does its work" {
    VERBS="update rename secret secret-rm volume volume-rm volume-rename boot system-prune reset" KILLS=${BERTH_TEST_KILLS:-10} timeout 600 "$HELPERS_DIR/soak/kills" 3>&-
}
