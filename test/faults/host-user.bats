#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# only: root
# What an ordinary user gets on a host that lacks something. Root hides it in a mount namespace of
# its own, and runs the engine there as the user.
load ../helpers
load on-host

setup_file() {
    user_store_setup
    on_host true berth load -q -i "$FIXTURES/busybox.tar"
}
teardown_file() { user_store_teardown; }
teardown() { on_host true berth rm -fa -t 0; }

# hide PROGRAM...: the SETUP that takes programs away, as whiteouts in an overlay over their directories.
hide() {
    printf 'w=$(mktemp -d); mount -t tmpfs w $w; mkdir $w/w; for p in %s; do mknod $w/w/$p c 0 0; done; ' "$*"
    printf 'for d in /usr/bin /usr/sbin; do mount -t overlay o -o lowerdir=$w/w:$d $d; done; '
}

@test "neither pasta nor slirp4netns: network none works, the default says what to install" {
    on_host "$(hide pasta slirp4netns)" berth run --rm --network none "$IMAGE" true
    on_host "$(hide pasta slirp4netns)" berth 125 run --rm --network pasta "$IMAGE" true
    assert_contains "$output" pasta
    assert_contains "$output" Hint:
    on_host "$(hide pasta slirp4netns)" berth 125 run --rm "$IMAGE" true
    assert_contains "$output" pasta
    assert_contains "$output" Hint:
}

@test "no pasta: the default network is slirp4netns" {
    on_host "$(hide pasta)" berth run --rm "$IMAGE" ip route
    assert_contains "$output" default
}

@test "/dev/net/tun that the user may not open: an error with a hint" {
    tun='f=$(mktemp -d); mount -t tmpfs t $f; mknod -m 600 $f/tun c 10 200; mount --bind $f/tun /dev/net/tun'
    on_host "$tun" berth 125 run --rm "$IMAGE" true
    assert_contains "$output" /dev/net/tun
    assert_contains "$output" Hint:
    on_host "$tun" berth run --rm --network none "$IMAGE" true
}

@test "subordinate IDs, but no newuidmap: an error that says what to install" {
    on_host "$(hide newuidmap newgidmap)" berth 125 run --rm --network none "$IMAGE" id -u
    assert_contains "$output" "not installed"
    assert_contains "$output" "Hint: "
    assert_contains "$output" uidmap
}

@test "no subordinate IDs: a single-ID image runs, with one warning" {
    none='mount --bind /dev/null /etc/subuid; mount --bind /dev/null /etc/subgid'
    on_host "$none" berth run --rm --network none "$IMAGE" id -u
    assert_equal "${lines[-1]}" 0
    assert_equal "$(grep -c -i 'subuid\|subordinate' <<<"$output")" 1
}

@test "no OCI runtime at all: 125, and what to install" {
    on_host "$(hide crun runc)" berth 125 run --rm "$IMAGE" true
    assert_contains "$output" crun
    assert_contains "$output" Hint:
}

@test "cgroups that crun 1.8 refuses: a controller in the v2 tree beside v1" {
    # Without a v2 tree beside v1 there is nothing that crun could refuse.
    [[ -e /sys/fs/cgroup/unified/cgroup.controllers ]] || return 0
    hybrid='echo hugetlb >/run/hybrid.$$; mount --bind /run/hybrid.$$ /sys/fs/cgroup/unified/cgroup.controllers; rm /run/hybrid.$$'
    on_host "$hybrid" berth run --rm --network none "$IMAGE" cat /etc/berth-image
    assert_equal "$output" busybox
}
