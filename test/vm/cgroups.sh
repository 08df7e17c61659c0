#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest, as root and then as tester: what cgroup v2 keeps a container from, and limits.
# shellcheck disable=SC2016 # what is in quotes is for the container's shell
. "$(dirname "$0")/tap.bash"

berth load -q -i /opt/berth/busybox.tar || exit 1
trap 'berth rm -fa -t 0 >/dev/null' EXIT
root() { [ "$(id -u)" = 0 ]; }
run() { timeout -k 5 120 berth run --rm --network none "$@" 2>&1; }

cgroup_of() { # cgroup_of CONTAINER: the directory of its init's cgroup
    local pid
    pid=$(berth inspect --format '{{.State.Pid}}' "$1") || return
    echo "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$pid/cgroup")"
}
# Prints the cgroup that it is in, what it sees of others, and what of all this it could do.
attack='cd /sys/fs/cgroup; cat /proc/self/cgroup; ls -d *.slice *.scope *.service ../*.slice 2>/dev/null
mkdir own 2>/dev/null && echo made
for f in cgroup.freeze cgroup.kill cgroup.procs memory.max pids.max cgroup.subtree_control; do
    [ ! -e $f ] || ! echo 1 >$f || echo "wrote $f"
done 2>/dev/null
rmdir /sys/fs/cgroup 2>/dev/null && echo removed
mount -o remount,rw /sys/fs/cgroup 2>/dev/null && echo remounted
grep " /sys/fs/cgroup " /proc/self/mounts | cut -d " " -f 4 | cut -d , -f 1'
nothing=$'0::/\nro'

ok "a container sees its own cgroup alone, read-only" is "$(run "$IMAGE" sh -c "$attack")" "$nothing"
ok "so does another user" is "$(run -u 1 "$IMAGE" sh -c "$attack")" "$nothing"
berth run -d --name victim --network none "$IMAGE" sleep 3600 >/dev/null
cg=$(cgroup_of victim)
ok "so does exec" is "$(berth exec victim sh -c "$attack")" "$nothing"
ok "and what exec starts is in the container's cgroup" is "$(berth exec -d victim sleep 3601; retry 20 grep -qs sleep "/proc/$(pgrep -f 'sleep 3601' | head -n 1)/cmdline"; sed -n 's/^0:://p' "/proc/$(pgrep -x -f 'sleep 3601')/cgroup")" "${cg#/sys/fs/cgroup}"
said=$(run --cgroupns host "$IMAGE" sh -c 'cd /sys/fs/cgroup; ls -d *.slice >/dev/null || echo unseen
    for f in $(find . -name cgroup.freeze -o -name cgroup.kill -o -name cgroup.procs); do echo 1 >$f && echo "wrote $f"; done 2>/dev/null; echo tried')
ok "with the host's cgroup namespace it can write none of them" like "$said" "*tried"
ok "(nothing)" is "$(grep wrote <<<"$said")" ""
# A privileged container may do to its own cgroup what it likes, and to no other.
said=$(run --privileged "$IMAGE" sh -c 'cd /sys/fs/cgroup; cat /proc/self/cgroup; ls -d *.slice *.scope *.service 2>/dev/null
    echo 0 >../cgroup.procs; mkdir /tmp/c && mount -t cgroup2 none /tmp/c && ls -d /tmp/c/*.slice; rmdir /sys/fs/cgroup && echo removed; cat /proc/self/cgroup' 2>/dev/null)
ok "a privileged one cannot leave its cgroup, nor remove it" is "$(grep -v 'mount\|rmdir\|sh:\|ls:' <<<"$said")" $'0::/\n0::/'
ok "the other one is there still, neither frozen nor killed" is "$(berth exec victim echo here; grep frozen "$cg/cgroup.events")" $'here\nfrozen 0'
berth rm -f -t 0 victim >/dev/null

frozen() { grep -qsx 'frozen 1' "$1/cgroup.events"; }
berth run -d --name cold --network none --privileged "$IMAGE" sh -c 'echo 1 >/sys/fs/cgroup/cgroup.freeze; exec sleep 3600' >/dev/null
cg=$(cgroup_of cold)
if root || retry 5 frozen "$cg"; then
    ok "one that freezes itself" retry 20 frozen "$cg"
    ok "is stopped and removed all the same" timeout 100 berth rm -f -t 1 cold
    ok "nothing is left of its cgroup" test ! -e "$cg"
fi
berth rm -f -t 0 cold >/dev/null 2>&1
# Its first process is safe from signals of its own PID namespace (pid_namespaces(7)).
ok "one that kills all in its cgroup kills what is its own" is "$(run --privileged "$IMAGE" sh -c 'sleep 3600 & echo 1 >/sys/fs/cgroup/cgroup.kill; wait; echo ended')" ended
# It moves into a cgroup below its own and hands controllers down: its own may then hold no processes.
berth run -d --name deep --network none --privileged "$IMAGE" sh -c 'mkdir /sys/fs/cgroup/deep && echo 0 >/sys/fs/cgroup/deep/cgroup.procs
    echo +pids >/sys/fs/cgroup/cgroup.subtree_control; exec sleep 3600' >/dev/null
cg=$(cgroup_of deep)
ok "one that makes cgroups below its own: exec works" retry 20 berth exec deep true
ok "rm works" timeout 100 berth rm -f -t 0 deep
ok "nothing is left of them" eval '! ls -d /sys/fs/cgroup/*/*"${cg##*/}"* "$cg" 2>/dev/null'

# --- limits hold ---------------------------------------------------------------------

bomb='bomb() { bomb | bomb & }; bomb; sleep 3600'
ok "a fork bomb" berth run -d --name bomb --network none --pids-limit 40 --memory 256m "$IMAGE" sh -c "$bomb"
cg=$(cgroup_of bomb)
hit() { [ "$(awk '$1 == "max" { print $2 }' "$cg/pids.events")" -gt 0 ]; }
ok "meets the limit of processes" retry 60 hit
ok "and stays below it" test "$(cat "$cg/pids.peak" 2>/dev/null || cat "$cg/pids.current")" -le 40
ok "the machine is at work still" run "$IMAGE" true
ok "it is stopped and removed" timeout 200 berth rm -f -t 0 bomb
ok "nothing is left of its cgroup" test ! -e "$cg"
ok "without a flag the limit is 2048" is "$(run "$IMAGE" cat /sys/fs/cgroup/pids.max)" 2048
the_end
