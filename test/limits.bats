#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a container may use of the machine: the flags of run, and what becomes of them where the host cannot give it.
load helpers

# On cgroups v1 a user has none.
no_cgroups() { is_rootless && [[ ! -e /sys/fs/cgroup/cgroup.controllers ]]; }
v1_root() { ! is_rootless && [[ ! -e /sys/fs/cgroup/cgroup.controllers ]]; }

@test "a limit that a user cannot have on cgroups v1 is ignored, with podman's words" {
    no_cgroups || skip "for users with cgroups v1"
    local flag
    for flag in --memory=100m --cpus=1 --cpu-shares=100 --blkio-weight=300 --blkio-weight-device=/dev/null:300 --device-read-bps=/dev/null:1mb \
        --device-write-bps=/dev/null:1mb --device-read-iops=/dev/null:10 --device-write-iops=/dev/null:10 --cpu-rt-period=1000 --cpu-rt-runtime=1000 \
        --memory-swappiness=30 --oom-kill-disable --cgroup-conf=memory.high=1000000; do
        berth run --rm --network none "$flag" "$IMAGE" echo ran
        assert_contains "$output" "Resource limits are not supported and ignored on cgroups V1 rootless systems"
        assert_contains "$output" ran
    done
    berth run --rm --network none --memory-swappiness=-1 "$IMAGE" echo ran
    assert_equal "$output" ran
}

@test "--cgroups: a mode that is none, one with a parent, one for cgroup v2" {
    berth 125 run --rm --cgroups bogus "$IMAGE" true
    assert_contains "$output" 'invalid cgroup mode "bogus"'
    berth run --rm --network none --cgroups disabled "$IMAGE" echo ran
    assert_contains "$output" ran
    berth run --rm --network none --cgroups no-conmon "$IMAGE" echo ran
    assert_equal "$output" ran
    berth run --rm --network none --cgroups enabled "$IMAGE" echo ran
    assert_equal "$output" ran
    if [[ ! -e /sys/fs/cgroup/cgroup.controllers ]]; then
        berth 125 run --rm --cgroups split "$IMAGE" true
        assert_contains "$output" "cgroup v2"
    fi
}

@test "--cgroup-parent" {
    if no_cgroups; then
        berth 125 run --rm --cgroup-parent /foo "$IMAGE" true
        assert_contains "$output" "cannot set cgroup parent if not creating cgroups"
    elif v1_root; then
        berth run --rm --network none --cgroup-parent "/${FILE_DIR##*/}" "$IMAGE" cat /proc/self/cgroup
        assert_contains "$output" "/${FILE_DIR##*/}/berth-"
        find /sys/fs/cgroup -mindepth 2 -maxdepth 2 -type d -name "${FILE_DIR##*/}" -exec rmdir {} +
        berth 125 run --rm --cgroup-parent x.slice "$IMAGE" true
        assert_contains "$output" "systemd slice received as cgroup parent when using cgroupfs"
    fi
}

@test "limits of root on cgroups v1 are in the cgroup's files, and in inspect" {
    v1_root || skip "for root with cgroups v1"
    berth run -d --name "$name" --network none --memory 64m --memory-swappiness 30 --oom-kill-disable "$IMAGE" sleep 100
    berth exec "$name" cat /sys/fs/cgroup/memory/memory.swappiness
    assert_equal "$output" 30
    berth exec "$name" cat /sys/fs/cgroup/memory/memory.oom_control
    assert_contains "$output" "oom_kill_disable 1"
    berth inspect --format '{{.HostConfig.MemorySwappiness}} {{.HostConfig.OomKillDisable}} {{.HostConfig.Memory}}' "$name"
    assert_equal "$output" "30 true 67108864"
    berth rm -f -t 0 "$name"
    berth 125 run --rm --cgroup-conf memory.high=1 "$IMAGE" true
    assert_contains "$output" "without cgroup v2"
    if [[ ! -e /sys/fs/cgroup/blkio/blkio.weight ]]; then
        berth run --rm --network none --blkio-weight 300 "$IMAGE" echo ran
        assert_contains "$output" "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded."
    fi
}

@test "--device-cgroup-rule: root's containers may use the device, a user is told that there are no rules" {
    berth 125 run --rm --device-cgroup-rule "x 1:1 r" "$IMAGE" true
    assert_contains "$output" "invalid device type"
    if is_rootless; then
        berth 125 run --rm --device-cgroup-rule "c 1:11 r" "$IMAGE" true
        assert_contains "$output" "device cgroup rules are not supported in rootless mode or in a user namespace"
    elif v1_root; then
        berth run --rm --network none --device-cgroup-rule "c 189:* rw" "$IMAGE" cat /sys/fs/cgroup/devices/devices.list
        assert_contains "$output" "c 189:* rw"
    fi
}

@test "--personality and --rdt-class" {
    berth run --rm --network none --personality LINUX32 "$IMAGE" uname -m
    [[ $(uname -m) != x86_64 ]] || assert_equal "$output" i686
    berth 125 run --rm --personality X "$IMAGE" true
    assert_contains "$output" "LINUX32"
    if [[ ! -e /sys/fs/resctrl/schemata ]]; then
        berth 125 run --rm --rdt-class x "$IMAGE" true
        assert_contains "$output" rdt-class
    fi
}

@test "limits that make no sense are refused by name" {
    local try
    for try in --blkio-weight=5 --blkio-weight-device=/dev/null:5 --blkio-weight-device=/dev/null --device-read-bps=x --device-read-bps=/etc/passwd:1mb \
        --device-write-bps=/dev/null:x --device-read-iops=/dev/null:1mb --device-write-iops=/dev/nosuchdevice:1 --memory-swappiness=300 --cgroup-conf=x; do
        berth 125 run --rm "$try" "$IMAGE" true
        assert_contains "$output" "${try%%=*}"
    done
}
