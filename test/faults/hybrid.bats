#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# only: root
# A host with cgroups v1 and a controller in the version 2 tree as well, which crun 1.8 refuses. Elsewhere the tests
# hide that tree (test/on-host); here Berth has it as the host does.
load ../helpers

setup_file() {
    # A host with version 2 alone cannot be hybrid.
    [[ $(stat -f -c %T /sys/fs/cgroup) != cgroup2fs ]] || HYBRID=impossible
    export HYBRID=${HYBRID:-possible}
    store_setup
    make_hybrid
}
setup() {
    [[ $HYBRID == possible ]] || skip "this host has cgroups v2 alone"
    test_setup
}

# on_hybrid berth [CODE] ARG...: as berth, where the version 2 tree has a controller.
on_hybrid() {
    local want=0
    shift
    if [[ $1 =~ ^[0-9]+$ ]]; then want=$1; shift; fi
    status=0
    output=$(timeout -k 5 120 "$FILE_DIR/hybrid" "$ENGINE" "$@" 2>&1 3>&- </dev/null) || status=$?
    mapfile -t lines < <(grep . <<<"$output")
    echo "$ berth $* (hybrid cgroups)"; echo "$output"; echo "exit code $status, want $want"
    [[ $status -eq $want ]]
}

# make_hybrid: a program that runs its arguments where cgroups are hybrid.
make_hybrid() {
    cat >"$FILE_DIR/hybrid" <<'S'
#!/bin/bash
set -e
[ "$1" = inside ] || exec unshare --mount --propagation private "$0" inside "$@"
shift
unified=/sys/fs/cgroup/unified
mountpoint -q $unified || { mkdir -p $unified; mount -t cgroup2 none $unified; }
[ -n "$(cat $unified/cgroup.controllers)" ] || umount $unified # what hides it
mountpoint -q $unified || mount -t cgroup2 none $unified
if [ -z "$(cat $unified/cgroup.controllers)" ]; then
    f=$(mktemp)
    echo hugetlb >"$f"
    mount --bind "$f" $unified/cgroup.controllers
    rm "$f"
fi
exec "$@"
S
    chmod +x "$FILE_DIR/hybrid"
}

# cgroups_of WORD: the cgroups with WORD in their names, wherever they are.
cgroups_of() { "$FILE_DIR/hybrid" find /sys/fs/cgroup -type d -name "*$1*"; }

@test "bare crun refuses this host, or there would be nothing to test" {
    mkdir -p "$FILE_DIR/bundle/rootfs"
    (cd "$FILE_DIR/bundle" && crun spec)
    run "$FILE_DIR/hybrid" crun --root "$FILE_DIR/oci" run -b "$FILE_DIR/bundle" "crun-$name"
    [[ $status -ne 0 ]]
    assert_contains "$output" "hybrid mode"
}

@test "run, exec, pause, limits" {
    on_hybrid berth run -d --name "$name" --memory 64m --pids-limit 50 "$IMAGE" sleep 100
    on_hybrid berth exec "$name" cat /etc/berth-image
    assert_equal "$output" busybox
    on_hybrid berth pause "$name"
    on_hybrid berth unpause "$name"
    berth inspect --format '{{.Id}}' "$name"
    id=$output
    [[ -n $(cgroups_of "$id") ]]
    on_hybrid berth rm -f -t 0 "$name"
    assert_equal "$(cgroups_of "$id")" ""
}

@test "build: RUN works with both runtimes, and its exit code is seen" {
    printf 'FROM %s\nRUN cat /proc/self/cgroup\nRUN echo built >/out\n' "$IMAGE" >"$FILE_DIR/Containerfile"
    for runtime in crun runc; do
        on_hybrid berth --runtime $runtime build --no-cache -t "localhost/$name" "$FILE_DIR"
        on_hybrid berth run --rm --network none "localhost/$name" cat /out
        assert_equal "$output" built
    done
    printf 'FROM %s\nRUN exit 7\n' "$IMAGE" >"$FILE_DIR/Containerfile"
    on_hybrid berth 7 build --no-cache "$FILE_DIR"
}

@test "a killed build: its RUN is ended and its cgroups are removed" {
    local sleeper="sleep 1000.$RANDOM"
    printf 'FROM %s\nRUN %s\n' "$IMAGE" "$sleeper" >"$FILE_DIR/Containerfile"
    "$FILE_DIR/hybrid" "$ENGINE" build --no-cache "$FILE_DIR" >/dev/null 2>&1 3>&- &
    build=$!
    wait_for 60 pgrep -f "^$sleeper\$"
    kill -9 $build
    wait_for 10 not test -d /proc/$build
    on_hybrid berth system check --repair
    own=$(grep -om1 'buildah-buildah[0-9]*' <<<"$output")
    assert_equal "$(cgroups_of "$own")" ""
    not pgrep -f "^$sleeper\$"
}

@test "a runtime or an administrator has handed the controller down" {
    # hand_down SIGN: for the children of the tree's root.
    # shellcheck disable=SC2016
    hand_down() { "$FILE_DIR/hybrid" bash -c 'for c in $(cat /sys/fs/cgroup/unified/cgroup.controllers); do echo "$0$c" >/sys/fs/cgroup/unified/cgroup.subtree_control; done' "$1" 2>/dev/null || true; }
    hand_down +
    printf 'FROM %s\nRUN echo built >/out\n' "$IMAGE" >"$FILE_DIR/Containerfile"
    rc=0
    on_hybrid berth run --rm --network none "$IMAGE" true || rc=1
    on_hybrid berth build --no-cache "$FILE_DIR" || rc=1
    hand_down -
    [[ $rc -eq 0 ]]
}
