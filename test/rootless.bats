#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# only: user
# The user namespace that all of a user's containers share, and what it is made from.
load helpers

userns_of() { readlink "/proc/$("$ENGINE" inspect --format '{{.State.Pid}}' "$1" 3>&-)/ns/user"; }

@test "all containers of a user are in one user namespace, unshare too" {
    berth run -d --name "$name" "$IMAGE" sleep 100
    berth run -d --name "$name-2" "$IMAGE" sleep 100
    assert_equal "$(userns_of "$name-2")" "$(userns_of "$name")"
    berth unshare readlink /proc/self/ns/user
    assert_equal "$output" "$(userns_of "$name")"
}

@test "the namespace is found again when the container that it was found by is gone" {
    is_berth || skip "podman keeps it with a process of its own"
    berth run -d --name "$name" "$IMAGE" sleep 100
    berth run -d --name "$name-2" "$IMAGE" sleep 100
    berth rm -f -t 0 "$name"
    berth unshare readlink /proc/self/ns/user
    assert_equal "$output" "$(userns_of "$name-2")"
}

@test "--network container: and --pid container: join those of another" {
    berth run -d --name "$name" "$IMAGE" sleep 100
    pid=$("$ENGINE" inspect --format '{{.State.Pid}}' "$name")
    berth run --rm --network "container:$name" "$IMAGE" readlink /proc/self/ns/net
    assert_equal "$output" "$(readlink "/proc/$pid/ns/net")"
    berth run --rm --pid "container:$name" "$IMAGE" ps
    assert_contains "$output" "sleep 100"
    berth stop -t 0 "$name"
    berth create --name "$name-2" --network "container:$name" "$IMAGE" true
    berth start -a "$name-2"
}

@test "unshare runs a command as root of the namespace, and passes its exit code on" {
    berth unshare id -u
    assert_equal "$output" 0
    berth 3 unshare sh -c 'exit 3'
    berth 127 unshare /no/such/program
}

@test "--userns keep-id: the caller's IDs inside, and files that he owns stay his" {
    mkdir "$FILE_DIR/own"
    berth run --rm --userns keep-id -v "$FILE_DIR/own:/own" "$IMAGE" sh -c 'id -u; id -g; touch /own/file'
    assert_equal "${lines[0]} ${lines[1]}" "$(id -u) $(id -g)"
    assert_equal "$(stat -c %u "$FILE_DIR/own/file")" "$(id -u)"
}

@test "metadata commands enter no user namespace" {
    is_berth || skip "podman enters it for all of them"
    command -v strace
    berth run --name "$name" "$IMAGE" echo hello
    for args in "ps -a" "images" "inspect $name" "logs $name" "version" "image inspect $IMAGE" "image exists $IMAGE" "container exists $name"; do
        # shellcheck disable=SC2086
        run strace -f -e trace=unshare,setns,execve -o "$FILE_DIR/trace" "$ENGINE" $args
        [[ $status -eq 0 ]]
        # nothing is executed but Berth, which for some of these becomes the program with all commands and its keeper
        run sed -nE 's/.*execve\("([^"]*)".*/\1/p' "$FILE_DIR/trace"
        [[ $output =~ ^[^[:space:]]*/berth($'\n'[^[:space:]]*/berth-(full|monitor))*$ ]]
        run grep -E 'unshare|setns' "$FILE_DIR/trace"
        assert_equal "$args: $output" "$args: "
    done
}
