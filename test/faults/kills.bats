#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A bounded run of what `make soak` does for hours: kills at random points. The seed is in the output.
load ../helpers

# The run has a store of its own.
setup_file() { :; }
teardown_file() { :; }
teardown() { :; }

@test "kills at random points of run, run -d, rm, load, pull, build, commit, rmi, prune: the store holds what its records name" {
    KILLS=${BERTH_TEST_KILLS:-24} timeout 600 "$HELPERS_DIR/soak/kills" 3>&-
}
