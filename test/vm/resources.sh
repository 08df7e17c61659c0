#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest, as tester and as root, with cgroup v2 and systemd: limits hold, `stats` agrees with the kernel's files, `update` is live.
# shellcheck disable=SC2016 # what is in quotes is for the container's shell
. "$(dirname "$0")/tap.bash"

berth load -q -i /opt/berth/busybox.tar || exit 1
trap 'berth rm -fa -t 0 >/dev/null' EXIT

cgroup_of() { # cgroup_of CONTAINER: the directory of its init's cgroup, or of the scope above it
    local pid
    pid=$(berth inspect --format '{{.State.Pid}}' "$1") || return
    echo "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$pid/cgroup")"
}
figure() { berth stats --no-stream --format "{{.$1}}" "$2"; }
# near A B PERCENT: the two differ by no more than that.
near() { awk -v a="$1" -v b="$2" -v p="$3" 'BEGIN { d = a - b; if (d < 0) d = -d; exit !(d <= b * p / 100) }' || { echo "got $1, want $2 within $3 %"; return 1; }; }

# A memory hog. It waits a moment: systemd removes the cgroup with the last process, and one that ends before the monitor watches leaves no trace.
rc=0
berth run --name hog --network none --memory 48m --memory-swap 48m "$IMAGE" sh -c 'sleep 3; dd if=/dev/zero of=/dev/null bs=400M count=1' >/dev/null 2>&1 || rc=$?
ok "a memory hog is killed with exit code 137" is "$rc" 137
ok "inspect reports it" is "$(berth inspect --format '{{.State.OOMKilled}}' hog)" true
said=$(berth events --stream=false --since 10m --filter container=hog --format '{{.Status}} {{.Attributes}}')
ok "an event tells of the OOM kill" like "$said" "*oom *"
ok "the event died has its mark" like "$said" "*died *OOMKilled:true*"
berth run -d --name child --network none --memory 48m --memory-swap 48m "$IMAGE" sh -c 'trap "exit 0" TERM; dd if=/dev/zero of=/dev/null bs=400M count=1; sleep 3600 & wait' >/dev/null
events_of() { berth events --stream=false --since 10m --filter container="$1" --format '{{.Status}}' | grep -qx "$2"; }
ok "an OOM kill in a container that goes on is an event at once" retry 60 events_of child oom
ok "and it goes on" is "$(berth inspect --format '{{.State.Status}}' child)" running
berth rm -f -t 0 hog child >/dev/null
berth run -d --name filler --network none --memory 48m --memory-swap 48m --tmpfs /t "$IMAGE" sh -c 'while :; do dd if=/dev/zero of=/x bs=1M count=80; sleep 1; done' >/dev/null 2>&1
ok "an event tells that the limit is near" retry 90 events_of filler near_limit
berth rm -f -t 0 filler >/dev/null

# CPU.
berth run -d --name busy --network none --cpus 0.5 "$IMAGE" sh -c 'while :; do :; done' >/dev/null
cg=$(cgroup_of busy)
used() { awk '$1 == "usage_usec" { print $2 }' "$cg/cpu.stat"; }
sleep 3
before=$(used) from=$(date +%s%N)
sleep 12
after=$(used) to=$(date +%s%N)
ok "--cpus 0.5: half a CPU, within 10 %" near $(((after - before) * 1000 * 1000 / ((to - from) / 1000))) 500000 10

# stats and the kernel's files.
ok "stats: CPU time" near "$(figure CPUNano busy)" "$(($(used) * 1000))" 20
ok "stats: memory" near "$(figure ContainerStats.MemUsage busy)" "$(cat "$cg/memory.current")" 15
ok "stats: processes" is "$(figure PIDs busy)" "$(cat "$cg/pids.current")"
ok "stats: pressure" like "$(figure CPUPressure busy)" "*% / *%"
ok "stats: CPU %" near "$(figure CPU busy)" 50 20

# update, live.
ok "update" berth update --cpus 0.25 --memory 64m --pids-limit 33 busy
ok "cpu.max" is "$(cat "$cg/cpu.max")" "25000 100000"
ok "memory.max" is "$(cat "$cg/memory.max")" 67108864
ok "pids.max" is "$(cat "$cg/pids.max")" 33
ok "stats has the new limit" is "$(figure MemLimit busy)" 67108864
ok "rollback" berth container rollback busy
ok "cpu.max is as it was" is "$(cat "$cg/cpu.max")" "50000 100000"
ok "memory.max is as it was" is "$(cat "$cg/memory.max")" max
ok "the update is recorded" like "$(berth container history busy)" "*memory=64MiB*"

# pause.
ok "pause" berth pause busy
ok "it is frozen" grep -qx 'frozen 1' "$cg/cgroup.events"
one=$(used); sleep 2
ok "and uses no CPU" is "$(used)" "$one"
ok "unpause" berth unpause busy
goes_on() { [ "$(used)" -gt "$one" ]; }
ok "it goes on" retry 20 goes_on
berth rm -f -t 0 busy >/dev/null

# Where the cgroup is, and its files.
if [ "$(id -u)" = 0 ]; then slice=testing.slice; else slice=user.slice; fi
ok "--cgroup-parent" berth run -d --name there --network none --cgroup-parent "$slice" --cgroup-conf memory.high=40000000 "$IMAGE" sleep 3600
cg=$(cgroup_of there)
ok "is where the cgroup is" like "$cg" "*/$slice/*"
ok "--cgroup-conf is in the file" is "$(cat "$cg/memory.high")" $((40000000 / 4096 * 4096))
berth rm -f -t 0 there >/dev/null
ok "a parent that is no slice is refused" exits 125 berth run --rm --cgroup-parent /foo "$IMAGE" true
ok "--memory-swappiness is refused" exits 125 berth run --rm --memory-swappiness 3 "$IMAGE" true
ok "--cpu-rt-period is dropped, with podman's words" like "$(berth run --rm --network none --cpu-rt-period 1000 "$IMAGE" echo ran 2>&1)" "*Realtime period not supported on cgroups V2 systems*ran"
delegated=(systemd-run --quiet --pipe --wait --property=Delegate=yes)
[ "$(id -u)" = 0 ] || delegated+=(--user)
said=$("${delegated[@]}" /opt/berth/bin/berth run --rm --network none --memory 64m --cgroups split --cgroupns host "$IMAGE" cat /proc/self/cgroup 2>&1)
ok "--cgroups split: below the unit's own" like "$said" "*.service/berth-payload-*"
ok "nothing is left of it" retry 60 berth system check
the_end
