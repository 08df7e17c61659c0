#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest, as tester, after before-reboot.sh and a reboot: the state is right.
. "$(dirname "$0")/tap.bash"
state() { berth inspect --format '{{.State.Status}} {{.State.Running}}' "$1"; }
trap 'berth rm -fa -t 0 >/dev/null' EXIT
ok "ps lists no container as running" is "$(berth ps -q)" ""
ok "the created one is created still" is "$(state created)" "created false"
ok "the exited one kept its exit code" is "$(berth inspect --format '{{.State.Status}} {{.State.ExitCode}}' exited)" "exited 7"
ok "the exited one kept its log" is "$(berth logs exited)" "last words"
ok "the running one is running no more" is "$(state running)" "exited false"
ok "the paused one is running no more" is "$(state paused)" "exited false"
ok "the one with --rm is gone" exits 1 berth container exists gone
ok "system check finds nothing, or repairs it" clean_or_repaired
ok "its name is free" berth create --name gone "$IMAGE" true
ok "the running one starts again" berth start running
ok "and runs" berth exec running true
ok "the paused one starts again" berth start paused
ok "and is not paused" berth exec paused true
ok "the created one runs for the first time" berth start --attach created
the_end
