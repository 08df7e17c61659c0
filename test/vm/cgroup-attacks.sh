#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest, as tester and as root, with cgroups v2: containers that may write to their cgroup change it; the commands work
# afterwards, and nothing is left. test/cgroup-attacks.bats does it with version 1.
. "$(dirname "$0")/tap.bash"

berth load -q -i /opt/berth/busybox.tar || exit 1
work=$(mktemp -d)
trap 'berth rm -fa -t 0 >/dev/null; rm -rf "$work"' EXIT

cgroup_of() { # cgroup_of CONTAINER: the directory of its cgroup
    local cg
    cg=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$(berth inspect --format '{{.State.Pid}}' "$1")/cgroup")
    echo "${cg%%.scope*}.scope"
}
says() { berth logs "$1" 2>&1 | grep -qx "$2"; }
survives() { # survives WHAT: the container `evil` can be stopped and removed, and is gone
    ok "$1: ps" berth ps -a
    ok "$1: stop" timeout 120 berth stop -t 1 evil
    ok "$1: rm" timeout 120 berth rm -f -t 0 evil
    ok "$1: system check finds nothing" berth system check
    ok "$1: nothing of its cgroup is left" retry 20 test ! -e "$cg"
    ok "$1: another one runs" berth run --rm --network none "$IMAGE" true
}

said=$(berth run --rm --network none "$IMAGE" sh -c 'cd /sys/fs/cgroup; mkdir in; echo $$ >cgroup.procs; echo 1 >cgroup.freeze; echo max >pids.max; ls -d in' 2>&1)
ok "without privileges nothing of the cgroup can be changed" like "$said" "*ead-only*ead-only*ead-only*ead-only*No such file*"
printf 'FROM %s\nRUN cd /sys/fs/cgroup; cat pids.max; mkdir in; echo $$ >cgroup.procs; echo max >pids.max; ls -d in; find . -name "*.slice" -o -name "*.service"; cat /proc/self/cgroup; true\n' "$IMAGE" >"$work/Containerfile"
said=$(berth build --no-cache --network none --cap-add ALL "$work" 2>&1)
ok "RUN cannot change its cgroup, has the limit of processes, and sees no other" like "$said" $'*\n2048\n*ead-only*ead-only*ead-only*No such file*0::/\n*'
ok "the cgroup of RUN is gone" is "$(find /sys/fs/cgroup -name 'berth-build*')" ""
said=$(berth build --no-cache --network host --cap-add ALL "$work" 2>&1)
ok "nor with the host's network" like "$said" '*ead-only*ead-only*ead-only*'

berth run -d --name evil --network none --privileged "$IMAGE" sh -c 'cd /sys/fs/cgroup; mkdir -p in/deep; echo $$ >in/deep/cgroup.procs; echo "+pids" >cgroup.subtree_control; echo 100 >in/pids.max; rmdir in; echo done; sleep 1000' >/dev/null
ok "it has changed its cgroup" retry 60 says evil 'done'
cg=$(cgroup_of evil)
survives "cgroups below its own"
berth run -d --name evil --network none --privileged "$IMAGE" sh -c 'echo 1 >/sys/fs/cgroup/cgroup.freeze; sleep 1000' >/dev/null
cg=$(cgroup_of evil)
retry 60 grep -qx 'frozen 1' "$cg/cgroup.events"
survives "a container that freezes itself"
berth run -d --name evil --network none --privileged --cgroupns host -v /sys/fs/cgroup:/host "$IMAGE" sh -c \
    'me=/host$(sed -n "s/^0:://p" /proc/self/cgroup); up=$(dirname $me); mkdir $up/escaped; echo $$ >$up/escaped/cgroup.procs; rmdir $me; echo done; sleep 1000' >/dev/null
pid=$(berth inspect --format '{{.State.Pid}}' evil)
ok "it has left its cgroup" retry 60 says evil 'done'
cg=/none
survives "a container that leaves its cgroup and deletes it"
ok "its process is gone" test ! -e "/proc/$pid"
find /sys/fs/cgroup -depth -name escaped -type d -exec rmdir {} + 2>/dev/null
the_end
