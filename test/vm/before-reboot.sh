#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest, as tester: containers in every state, left for after-reboot.sh.
. "$(dirname "$0")/tap.bash"
berth load -q -i /opt/berth/busybox.tar || exit 1
ok "a container is created" berth create --name created "$IMAGE" true
ok "a container has exited" exits 7 berth run --name exited "$IMAGE" sh -c 'echo last words; exit 7'
ok "a container runs" berth run -d --name running "$IMAGE" sleep 3600
ok "a container with --rm runs" berth run -d --rm --name gone "$IMAGE" sleep 3600
ok "a container is paused" berth run -d --name paused "$IMAGE" sleep 3600
ok "pause" berth pause paused
sync
the_end
