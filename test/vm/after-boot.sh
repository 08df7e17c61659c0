#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest, as tester, after before-boot.sh and a reboot or a power cut: what should run runs. With the argument last it clears away.
. "$(dirname "$0")/tap.bash"
up() { berth ps --format '{{.Names}}' | sort | paste -sd' '; }
booted() { [ "$(up)" = "always failure shares unless" ]; }
ok "the unit has done its work" retry 200 systemctl --user is-active -q berth-boot
ok "the containers that should run do, and no others" retry 60 booted
is "$(up)" "always failure shares unless"
ok "each can be used" berth exec always true
ok "the one that shares its network, too" berth exec shares true
ok "the stopped one is stopped still" is "$(berth inspect -f '{{.State.Status}}' stopped)" exited
ok "boot again starts nothing" is "$(berth system boot)" ""
ok "system check finds nothing, or repairs it" clean_or_repaired
if [ "${1:-}" = last ]; then
    berth rm -fa -t 0 >/dev/null
    systemctl --user disable -q berth-boot
fi
the_end
