#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# mount and unmount: containers' files, for an ordinary user inside unshare.
load helpers

teardown() { # what root mounts is not gone with a namespace
    is_rootless || "$ENGINE" umount -af >/dev/null 2>&1 3>&- || true
    test_teardown
}

# within SCRIPT ARG...: runs it where the user may mount, with the engine as $E.
within() {
    local want=0
    if [[ $1 =~ ^[0-9]+$ ]]; then want=$1; shift; fi
    local run=(bash -ec "$1" script "${@:2}")
    if is_rootless; then run=("$ENGINE" unshare "${run[@]}"); fi
    status=0
    output=$(E=$ENGINE timeout -k 5 120 "${run[@]}" 2>&1 3>&-) || status=$?
    mapfile -t lines <<<"$output"
    echo "$output"; echo "exit code $status, want $want"
    [[ $status -eq $want ]]
}

@test "mount: an ordinary user is told to use unshare" {
    is_rootless || skip "root may mount"
    berth create --name "$name" "$IMAGE" true
    berth 125 mount "$name"
    assert_contains "$output" "in rootless mode, must execute"
    assert_contains "$output" "unshare\` first"
    berth rm "$name"
}

@test "mount prints where, files go both ways, and unmount undoes it" {
    berth create --name "$name" "$IMAGE" sh -c 'cat /from-host; echo inside >/from-container'
    within 'at=$($E mount $1); [ -x $at/bin/busybox ]; echo outside >$at/from-host
        [ "$($E mount $1)" = "$at" ]
        $E mount | grep -q "^${2:0:12}  *$at$"
        $E mount --no-trunc | grep -q "^$2  *$at$"
        $E mount --notruncate | grep -q "^$2  *$at$"
        $E mount --format json | grep -q "\"mountpoint\": \"$at\""
        $E mount --format json | grep -q "\"$1\""
        $E umount --force $1
        [ -z "$($E mount)" ]; [ ! -e $at/bin ]' "$name" "$("$ENGINE" inspect -f '{{.Id}}' "$name" 3>&-)"
    assert_equal "${lines[-1]}" "$name"
    berth start -a "$name"
    assert_contains "$output" outside
    within 'at=$($E mount -l); cat $at/from-container; $E umount -a; $E umount -a'
    assert_equal "${lines[0]}" inside
    berth rm "$name"
}

@test "image mount and unmount: the files of an image, read-only" {
    mkdir "$FILE_DIR/$name"
    printf 'FROM %s\nRUN echo one >/one && echo two >/two\nRUN rm /two && echo three >/one\n' "$IMAGE" >"$FILE_DIR/$name/Containerfile"
    berth build -q -t "localhost/$name" "$FILE_DIR/$name"
    if is_rootless; then
        berth 125 image mount "$IMAGE"
        assert_contains "$output" "in rootless mode, must execute"
    fi
    within '[ -z "$($E image mount)" ]; at=$($E image mount $1); cat $at/one; [ ! -e $at/two ]; [ -x $at/bin/busybox ]
        ! touch $at/new 2>/dev/null
        [ "$($E image mount $1)" = "$at" ]
        $E image mount | grep -q "^$1:latest  *$at$"
        $E image mount --format json | grep -q "\"mountpoint\": *\"$at\""
        $E image unmount $2
        $E image unmount --force $1 | grep -qE "^[0-9a-f]{64}$"
        [ -z "$($E image mount)" ]; [ ! -e $at/bin ]
        $E image mount --all | grep -c /; $E image unmount --all | grep -c .' "localhost/$name" "$IMAGE"
    assert_equal "${lines[0]}" three
    within 125 '$E image mount localhost/none-such' x
    within 125 '$E image unmount' x
    # an image that is removed is not mounted any more
    within 'at=$($E image mount $1); $E rmi $1 >/dev/null; [ ! -e $at ]; [ -z "$($E image mount)" ]' "localhost/$name"
    berth system check
}

@test "mount: a container that runs" {
    berth run -d --name "$name" "$IMAGE" sh -c 'echo a >/f; while [ ! -e /go ]; do sleep 0.1; done; cat /go; sleep 1000'
    within 'at=$($E mount $1); for i in $(seq 50); do [ -e $at/f ] && break; sleep 0.1; done; cat $at/f; echo seen >$at/go' "$name"
    assert_equal "${lines[0]}" a
    seen() { [[ $("$ENGINE" logs "$name" 3>&-) == seen ]]; }
    wait_for 10 seen
    berth rm -f -t 0 "$name"
    berth 1 container exists "$name"
}

@test "mount: a container is started, stopped and started again while it is mounted" {
    berth create --name "$name" "$IMAGE" sh -c 'until [ -e /go ]; do sleep 0.1; done; cat /go; rm /go'
    within 'at=$($E mount $1)
        for word in one two; do
            $E start $1
            echo $word >$at/go.tmp; mv $at/go.tmp $at/go
            $E wait $1
            [ ! -e $at/go ]
        done
        $E logs $1
        $E umount $1' "$name"
    assert_contains "$output" one
    assert_contains "$output" two
    berth rm "$name"
}

@test "mount: rm removes a container that is mounted; of one that is gone nothing can be mounted" {
    berth create --name "$name" "$IMAGE" true
    within 'at=$($E mount $1); $E rm $1; [ ! -e $at/bin ]; ! grep -q $at /proc/self/mountinfo' "$name"
    berth 1 container exists "$name"
    within 125 '$E mount $1' "$name"
    assert_contains "$output" "no such container"
    within 125 '$E mount --format yaml'
    assert_contains "$output" 'unknown --format argument: "yaml"'
    within 125 '$E umount'
}

@test "unmount: what is not mounted" {
    berth create --name "$name" "$IMAGE" true
    is_berth || skip "podman 4.3 has another text"
    within 125 '$E umount $1' "$name"
    assert_contains "$output" "layer is not mounted"
    within '$E umount --force $1' "$name"
    berth rm "$name"
}

@test "mount: what a container has in it of another that is mounted ends with the unmount" {
    is_berth || skip "how Berth mounts"
    berth create --name "$name" "$IMAGE" true
    # The monitor of another container that is started meanwhile keeps nothing of the mount.
    within 'at=$($E mount $1); $E run -d --name $1-2 $2 sleep 1000; $E umount $1
        ! grep -q "$at" /proc/$($E inspect -f "{{.State.ConmonPid}}" $1-2)/mountinfo
        ! grep -q "$at" /proc/self/mountinfo' "$name" "$IMAGE"
    berth rm -f -t 0 "$name" "$name-2"
}

@test "mount: the namespace ends, two at once, a command from outside, diff and cp" {
    is_berth || skip "how Berth mounts"
    berth create --name "$name" "$IMAGE" sh -c 'cat /x; sleep 1000'
    within 'at=$($E mount $1); (a=$($E mount $1); echo $a >/dev/null) & b=$($E mount $1); wait; [ "$at" = "$b" ]
        [ $(grep -c " $at " /proc/self/mountinfo) = 1 ]
        echo y >$at/x; $E diff $1; $E cp $1:/x -|tar -xOf -' "$name"
    assert_contains "$output" "A /x"
    assert_equal "${lines[-1]}" y
    # As an ordinary user the mount has ended with unshare; as root it is there.
    berth start "$name"
    logged() { [[ $("$ENGINE" logs "$name" 3>&-) == y ]]; }
    wait_for 10 logged
    berth rm -f -t 0 "$name"
    if is_rootless; then # another session has it: the start shares its mount
        berth create --name "$name" "$IMAGE" sh -c 'cat /x; echo z >/z; sleep 1000'
        "$ENGINE" unshare bash -c 'at=$("$0" mount "$1"); echo shared >$at/x; for i in $(seq 100); do [ -e $at/z ] && { cat $at/z >"$2"; break; }; sleep 0.1; done; sleep 2' "$ENGINE" "$name" "$FILE_DIR/seen" 3>&- &
        local pid=$!
        sleep 1
        berth start "$name"
        wait_for 10 test -s "$FILE_DIR/seen"
        berth rm -f -t 0 "$name"
        wait "$pid"
    fi
    berth system check
    assert_equal "$output" ""
}

@test "mount is killed in the middle: the next one mounts, and nothing is left" {
    is_berth || skip "how Berth mounts"
    berth create --name "$name" "$IMAGE" true
    within 'for i in 1 2 3 4 5 6 7 8; do $E mount $1 & sleep 0.0$((i * 2)); kill -KILL $! 2>/dev/null || true; wait $! || true; done
        at=$($E mount $1); [ -e $at/bin ]; $E umount $1; ! grep -q "$at" /proc/self/mountinfo' "$name"
    berth rm "$name"
    berth system check
    assert_equal "$output" ""
}

@test "container exists --external: what other programs have in the store" {
    command -v buildah >/dev/null || skip "buildah is missing"
    buildah from --name "$name" "$IMAGE" 3>&-
    berth 1 container exists "$name"
    berth container exists --external "$name"
    local id
    id=$(buildah inspect --format '{{.ContainerID}}' "$name" 3>&-)
    berth container exists --external "${id:0:12}"
    buildah rm "$name" 3>&-
    berth 1 container exists --external "$name"
}
