#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest, as tester and as root: limits are set and take effect, OOM kills are told.
. "$(dirname "$0")/tap.bash"

berth load -q -i /opt/berth/busybox.tar || exit 1
trap 'berth rm -fa -t 0 >/dev/null' EXIT

cgroup_of() { # cgroup_of CONTAINER: the directory of its init's cgroup
    local pid
    pid=$(berth inspect --format '{{.State.Pid}}' "$1") || return
    echo "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$pid/cgroup")"
}

ok "info tells of cgroup v2" is "$(berth info --format '{{.Host.CgroupsVersion}}')" v2
ok "info tells of the systemd cgroup manager" is "$(berth info --format '{{.Host.CgroupManager}}')" systemd

ok "a container starts with limits" berth run -d --name limits --network none \
    --memory 64m --cpus 0.25 --pids-limit 20 "$IMAGE" sh -c 'trap "exit 0" TERM; while :; do :; done'
cg=$(cgroup_of limits)
ok "its cgroup lies in the user's delegated tree" like "$cg" \
    "$([ "$(id -u)" = 0 ] && echo '/sys/fs/cgroup/machine.slice/*' || echo '/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/*')"
ok "memory.max" is "$(cat "$cg/memory.max")" 67108864
ok "cpu.max" is "$(cat "$cg/cpu.max")" "25000 100000"
ok "pids.max" is "$(cat "$cg/pids.max")" 20
ok "exec joins its cgroup" like "$(berth exec limits cat /proc/self/cgroup 2>&1)" '0::/*'
throttled() { [ "$(awk '$1 == "nr_throttled" { print $2 }' "$cg/cpu.stat")" -gt 0 ]; }
ok "--cpus: a busy loop is throttled" retry 20 throttled
ok "pause" berth pause limits
ok "a paused container's cgroup is frozen" grep -qx 'frozen 1' "$cg/cgroup.events"
ok "ps tells that it is paused" like "$(berth ps --format '{{.Names}} {{.Status}}')" 'limits *aused*'
ok "unpause" berth unpause limits
ok "rm" berth rm -f -t 0 limits
ok "nothing of its cgroup is left" test ! -e "$cg"

said=$(berth run --rm --network none --pids-limit 12 "$IMAGE" sh -c 'for i in $(seq 30); do sleep 3 & done; wait' 2>&1)
ok "--pids-limit: no more processes than that" like "$said" "*an't fork*"

ok "--memory: what fits runs" berth run --rm --network none --memory 48m --memory-swap 48m "$IMAGE" dd if=/dev/zero of=/dev/null bs=8M count=1
ok "--memory: what does not is killed with exit code 137" exits 137 \
    berth run --name oom --network none --memory 48m --memory-swap 48m "$IMAGE" dd if=/dev/zero of=/dev/null bs=400M count=1
ok "inspect tells of the OOM kill" is "$(berth inspect --format '{{.State.OOMKilled}} {{.State.ExitCode}} {{.State.Status}}' oom)" "true 137 exited"
berth run --name killed --network none "$IMAGE" sh -c 'kill -9 $$; sleep 9' >/dev/null 2>&1
ok "another SIGKILL is no OOM kill" is "$(berth inspect --format '{{.State.OOMKilled}}' killed)" false

# Before Linux 6.6 an ordinary user's layer in memory is fuse-overlayfs's.
berth run -d --name mem --network none --storage memory "$IMAGE" sh -c 'rm -r /home; mkdir /home; echo new >/new; sleep 3600' >/dev/null
retry 30 berth exec mem test -s /new
ok "--storage memory: commit has what was written" berth commit -q mem localhost/mem
ok "and what was deleted" is "$(berth run --rm --network none localhost/mem sh -c 'cat /new; ls -A /home')" new
berth rm -f -t 0 mem >/dev/null
berth rmi localhost/mem >/dev/null
the_end
