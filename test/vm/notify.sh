#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest, as tester and as root, with systemd: units with Type=notify, and what they are told of a container.
. "$(dirname "$0")/tap.bash"

berth load -q -i /opt/berth/busybox.tar || exit 1
manager=(systemctl) run=(systemd-run)
[ "$(id -u)" = 0 ] || { manager+=(--user) run+=(--user); }
unit() { "${run[@]}" --quiet --unit "$1" --service-type=notify --setenv=PATH="$PATH" --setenv=HOME="$HOME" "${@:2}"; }
property() { "${manager[@]}" show --value --property "$2" "$1.service"; }
trap 'berth rm -fa -t 0 >/dev/null; "${manager[@]}" stop bt-conmon bt-healthy 2>/dev/null' EXIT

# systemd-run waits until the unit is ready, or has failed.
ok "a unit with --sdnotify=conmon gets ready" unit bt-conmon "$(type -P berth)" run -d --name conmon --network none --sdnotify conmon "$IMAGE" sleep 3600
ok "its main process is the monitor" is "$(property bt-conmon MainPID)" "$(berth inspect --format '{{.State.ConmonPid}}' conmon)"
ok "it is active" is "$(property bt-conmon ActiveState)" active
ok "a unit with --sdnotify=healthy gets ready" unit bt-healthy "$(type -P berth)" run -d --name healthy --network none --sdnotify healthy \
    --health-cmd 'test -e /ok' --health-interval 1s --health-retries 1000 "$IMAGE" sh -c 'sleep 3; touch /ok; exec sleep 3600'
ok "the container is healthy then" is "$(berth inspect --format '{{.State.Health.Status}}' healthy)" healthy
berth stop -t 0 conmon >/dev/null
inactive() { is "$(property bt-conmon ActiveState)" inactive; }
ok "the unit ends with the container" retry 30 inactive
the_end
