#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A container that may write to its cgroups deletes, renames, freezes or leaves them: the engine's commands work afterwards, in bounded
# time, and nothing is left. Cgroups v1 here; test/vm/cgroup-attacks.sh does it with version 2.
load helpers

export BERTH_TIMEOUT=100

setup() {
    test_setup
    is_rootless && skip "on cgroups v1 a user has no cgroups"
    [[ ! -e /sys/fs/cgroup/cgroup.controllers ]] || skip "this is cgroups v2"
}

# started FLAG... -- SCRIPT: a privileged container whose script has done its work, and then sleeps.
started() {
    local flags=()
    while [[ $1 != -- ]]; do flags+=("$1"); shift; done
    berth run -d --name "$name" --network none --privileged "${flags[@]}" $IMAGE sh -c "$2; touch /done; sleep 1000"
    wait_for 60 done_or_gone
    ID=$(timeout 60 "$ENGINE" inspect --format '{{.Id}}' "$name" 3>&-)
    PID=$(timeout 60 "$ENGINE" inspect --format '{{.State.Pid}}' "$name" 3>&-)
}
done_or_gone() { [[ -e /proc/$(timeout 60 "$ENGINE" inspect --format '{{.State.Pid}}' "$name" 3>&-)/root/done ]]; }

# survived: the commands work, the container can be removed, and neither processes nor cgroups are left.
survived() {
    berth ps -a
    berth inspect "$name"
    berth top "$name" || true
    timeout 30 "$ENGINE" exec "$name" true 3>&- || true
    berth stop -t 1 "$name"
    berth rm -f -t 0 "$name"
    [[ ! -d /proc/$PID ]]
    berth system check
    [[ -z $(find /sys/fs/cgroup -type d -path "*$ID*" 2>/dev/null) ]] || { find /sys/fs/cgroup -type d -path "*$ID*"; return 1; }
    berth run --rm --network none $IMAGE true
}

@test "a container makes cgroups below its own, moves into them and freezes itself" {
    started -- 'for d in /sys/fs/cgroup/*/; do mkdir -p $d/in/deep; echo $$ >$d/in/cgroup.procs; done 2>/dev/null'
    survived
    # Who freezes itself does not get to the end; that is seen from outside.
    berth run -d --name "$name" --network none --privileged $IMAGE sh -c \
        'touch /done; mkdir /sys/fs/cgroup/freezer/in; echo $$ >/sys/fs/cgroup/freezer/in/cgroup.procs; echo FROZEN >/sys/fs/cgroup/freezer/in/freezer.state; sleep 1000'
    ID=$(timeout 60 "$ENGINE" inspect --format '{{.Id}}' "$name" 3>&-)
    PID=$(timeout 60 "$ENGINE" inspect --format '{{.State.Pid}}' "$name" 3>&-)
    wait_for 60 grep -qs FROZEN "/sys/fs/cgroup/freezer/berth/$ID/in/freezer.state"
    berth rm -f -t 0 "$name"
    [[ ! -d /proc/$PID ]]
    berth system check
    [[ -z $(find /sys/fs/cgroup -type d -path "*$ID*" 2>/dev/null) ]]
}

@test "a container leaves its cgroups and deletes them" {
    started --cgroupns host -v /sys/fs/cgroup:/host -- \
        'for d in /host/*/berth/*/; do case $d in *$(cat /proc/1/cgroup | sed -n "s,.*/berth/,,p" | head -1)*) up=${d%berth/*}; echo $$ >$up/cgroup.procs; rmdir $d;; esac; done 2>/dev/null'
    [[ -z $(find /sys/fs/cgroup/pids/berth -name "$ID" 2>/dev/null) ]]
    survived
}

@test "a container renames its cgroups" {
    started -v /sys/fs/cgroup:/host -- \
        'me=$(sed -n "s,.*/berth/,,p" /proc/1/cgroup | head -1); for d in /host/*/berth/$me; do mv $d ${d%/*}/else-$me; done 2>/dev/null'
    berth ps -a
    berth stop -t 1 "$name"
    berth rm -f -t 0 "$name"
    [[ ! -d /proc/$PID ]]
    berth system check
    # What a container with the host's cgroups makes there under names of its own is the host's.
    find /sys/fs/cgroup -depth -type d -path "*else-$ID*" -exec rmdir {} + 2>/dev/null || true
    berth run --rm --network none $IMAGE true
}

@test "a container without privileges cannot change its cgroups" {
    berth run --rm --network none $IMAGE sh -c 'for d in /sys/fs/cgroup/*/; do mkdir $d/in || echo $$ >$d/cgroup.procs || rmdir $d || mv $d $d-x || continue; echo CHANGED $d; done 2>/dev/null; true'
    [[ $output != *CHANGED* ]]
    berth run --rm --network none --cap-add SYS_ADMIN $IMAGE sh -c 'mount -o remount,rw /sys/fs/cgroup/pids && mkdir /sys/fs/cgroup/pids/in && rmdir /sys/fs/cgroup/pids/in; true'
}

@test "a RUN that may do anything cannot change its cgroups either" {
    printf 'FROM %s\nRUN for d in /sys/fs/cgroup/*/; do mkdir $d/in || echo $$ >$d/cgroup.procs || rmdir $d || continue; echo CHAN""GED $d; done 2>/dev/null; true\n' "$IMAGE" >"$FILE_DIR/Containerfile"
    local before
    before=$(idle_build_cgroups)
    berth build --no-cache --network none --cap-add ALL "$FILE_DIR"
    [[ $output != *CHANGED* ]]
    none_left() { [[ -z $(comm -13 <(echo "$before") <(idle_build_cgroups)) ]]; }
    wait_for 20 none_left || { idle_build_cgroups; return 1; }
}
