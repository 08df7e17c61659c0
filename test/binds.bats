#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The source of a bind, which somebody who can write to the directory above makes a link to elsewhere: between the moment when it is
# looked up and the mount, while the container is being started, and between two starts. See docs/security.md.

load helpers
load evil

setup() {
    test_setup
    victim
    SHARED=$FILE_DIR/shared-$name
    mkdir -p "$SHARED/data"
    echo "mine" >"$SHARED/data/secret"
    REAL=(crun)
    ! command -v runc >/dev/null || REAL+=(runc)
}

# swapping RUNTIME: a runtime that first makes the source a link to the victim's directory; its path is $SWAPPING.
swapping() {
    mkdir -p "$FILE_DIR/swapping-$name"
    SWAPPING=$FILE_DIR/swapping-$name/$1
    cat >"$SWAPPING" <<-X
	#!/bin/sh
	case " \$* " in *" run "*|*" create "*) mv "$SHARED/data" "$SHARED/moved" && ln -s "$VICTIM" "$SHARED/data" ;; esac
	exec $(command -v "$1") "\$@"
	X
    chmod +x "$SWAPPING"
}

back() {
    rm "$SHARED/data"
    mv "$SHARED/moved" "$SHARED/data"
}

@test "a source that becomes a link after it was looked up: what was found is mounted" {
    for real in "${REAL[@]}"; do
        swapping "$real"
        berth --runtime "$SWAPPING" run --name "$name-$real" --network none -v "$SHARED/data:/x" $IMAGE cat /x/secret
        assert_equal "$output" mine
        back
        berth start -a "$name-$real"
        assert_equal "$output" mine
        back
        # a file, by --mount
        berth --runtime "$SWAPPING" run --rm --network none --mount "type=bind,src=$SHARED/data/secret,dst=/x,ro" $IMAGE cat /x
        assert_equal "$output" mine
        back
        berth --runtime "$SWAPPING" run --rm --network none -v "$SHARED/data:/x" -w /x $IMAGE cat secret
        assert_equal "$output" mine
        back
    done
}

@test "a source that has become a link since the container was made is refused, also by the restart policy" {
    berth create --name "$name" --network none -v "$SHARED/data:/x" $IMAGE cat /x/secret
    mv "$SHARED/data" "$SHARED/moved"
    ln -s "$VICTIM" "$SHARED/data"
    berth 125 start -a "$name"
    [[ $output == *"$SHARED/data has become a symbolic link since the container was made"* && $output == *"make the container again"* ]]
    [[ $output != *"$SECRET"* ]]
    back
    berth start -a "$name"
    assert_equal "$output" mine

    # The container's own doing, before it is started again.
    berth 1 run --name "$name-2" --network none --restart on-failure:2 -v "$SHARED:/s" -v "$SHARED/data:/x" $IMAGE \
        sh -c "cat /x/secret; mv /s/data /s/moved; ln -s $VICTIM /s/data; exit 1" || [[ $status -eq 126 || $status -eq 125 ]]
    wait_for 20 berth_state "$name-2" exited
    berth logs "$name-2"
    [[ $output == *mine* && $output != *"$SECRET"* ]]
    back
}

berth_state() { [[ $("$ENGINE" inspect --format '{{.State.Status}}' "$1" 3>&-) == "$2" ]]; }

@test "a source that was a link when the container was made is followed at each start" {
    mkdir "$SHARED/next"
    echo next >"$SHARED/next/secret"
    ln -s data "$SHARED/current"
    berth run --name "$name" --network none -v "$SHARED/current:/x" $IMAGE cat /x/secret
    assert_equal "$output" mine
    ln -sfn next "$SHARED/current"
    berth start -a "$name"
    assert_equal "$output" next
    berth inspect --format '{{range .Mounts}}{{.Source}}{{end}}' "$name"
    assert_equal "$output" "$SHARED/current"
}

@test "containers that race for the source of another" {
    local round started=0
    berth run -d --name "$name" --network none -v "$SHARED:/s" $IMAGE \
        sh -c "while :; do mv /s/data /s/moved; ln -s $VICTIM /s/data; rm /s/data; mv /s/moved /s/data; done"
    # Made while it is a directory: it is one at any time that the container above is stopped in the right place.
    berth pause "$name" 2>/dev/null || berth stop -t 0 "$name"
    [[ ! -L $SHARED/data ]] || rm "$SHARED/data"
    [[ -d $SHARED/data ]] || mv "$SHARED/moved" "$SHARED/data"
    berth create --name "$name-b" --network none -v "$SHARED/data:/x" $IMAGE cat /x/secret
    berth unpause "$name" 2>/dev/null || berth start "$name"
    for round in {1..25}; do
        status=0
        output=$(timeout --foreground -k 5 60 "$ENGINE" start -a "$name-b" 2>&1 3>&-) || status=$?
        [[ $output != *"$SECRET"* ]] || { echo "round $round: $output"; false; }
        [[ $status -ne 0 || $output != mine ]] || started=$((started + 1))
    done
    echo "$started of 25 have started"
    berth rm -f -t 0 "$name"
}

@test "nothing of how a source is held stays: descriptors in the container, places of the monitor's" {
    for real in "${REAL[@]}"; do
        berth --runtime "$real" run -d --name "$name-$real" --network none -v "$SHARED/data:/x" -v "$SHARED/data/secret:/y" $IMAGE \
            sh -c 'ls -l /proc/self/fd; cat /x/secret /y; exec sleep 1000'
        wait_for 10 logged "$name-$real"
        berth logs "$name-$real"
        [[ $output != *"$SHARED"* && $output != *binds/* ]]
        run find "$RUNROOT"/berth/binds -mindepth 1
        assert_equal "$output" ""
        pid=$("$ENGINE" inspect --format '{{.State.ConmonPid}}' "$name-$real" 3>&- || true)
        [[ ! $pid =~ ^[1-9] ]] || not grep -q /binds/ "/proc/$pid/mountinfo"
    done
}

logged() { [[ $("$ENGINE" logs "$1" 2>&1 3>&-) == *mine*mine* ]]; }

@test "a source that is gone, and options of binds" {
    berth create --name "$name" --network none -v "$SHARED/data:/x" $IMAGE cat /x/secret
    mv "$SHARED/data" "$SHARED/moved"
    berth 125 start -a "$name"
    [[ $output == *"mount $SHARED/data: no such file or directory"* ]]
    mkdir "$SHARED/data"
    back_again() { rmdir "$SHARED/data"; mv "$SHARED/moved" "$SHARED/data"; }
    back_again
    berth run --rm --network none -v "$SHARED/data:/x:ro,noexec,nosuid,nodev" $IMAGE sh -c 'grep " /x " /proc/mounts; ! touch /x/new'
    [[ $output == *ro,*nosuid,nodev,noexec* ]]
    berth run --rm --network none -v "$SHARED:/x:rslave" -v "$SHARED/data:/x/data/deeper" $IMAGE cat /x/data/deeper/secret
    assert_equal "$output" mine
    # options U: the container's user gets it, and nothing that a link in it leads to
    ln -s "$VICTIM" "$SHARED/data/link"
    ln -s "$VICTIM/secret" "$SHARED/data/file"
    berth run --rm --network none --user 5:6 -v "$SHARED/data:/x:U" $IMAGE stat -c '%u:%g' /x /x/secret /x/link
    assert_equal "${lines[*]}" "5:6 5:6 5:6"
    [[ $(victim_state) == "$VICTIM_BEFORE" ]]
    # neither does it take directories of the system
    berth 125 run --rm --network none -v /usr:/x:U $IMAGE true
    [[ $output == *"/usr belongs to the system"* ]]
}

@test "a device whose path leads elsewhere after it was looked up: what was found is mounted" {
    ln -s /dev/null "$SHARED/data/dev"
    ln -s /dev/zero "$VICTIM/dev"
    for real in "${REAL[@]}"; do
        swapping "$real"
        berth --runtime "$SWAPPING" run --name "$name-$real" --network none --device "$SHARED/data/dev:/dev/given:rw" $IMAGE sh -c 'test -c /dev/given && head -c 5 /dev/given | wc -c'
        assert_equal "$output" 0
        back
        berth start -a "$name-$real"
        assert_equal "$output" 0
        back
    done
}

# --- a part of a volume, which another container that has the whole volume can make a link ----------------------

# in_volume COMMAND: runs it in a container that has the volume at /v.
in_volume() { berth run --rm --network none -v "$name:/v" $IMAGE sh -c "$1"; }

# subpaths: the two ways to ask for a part of the volume.
subpaths() { printf '%s\n' "--mount type=volume,src=$name,dst=/x,subpath=$1" "-v $name:/x:subpath=$1"; }

@test "a part of a volume: absolute links, .. and links through /proc lead nowhere but into the volume (CVE-2024-9676, CVE-2023-0778)" {
    is_berth || skip "podman 4.3 has no subpath"
    in_volume "mkdir -p /v/a/b; echo mine >/v/a/b/secret; ln -s $VICTIM /v/out; ln -s /../../../../../..$VICTIM /v/a/out
        ln -s $UP$VICTIM /v/a/b/up; ln -s /proc/self/root$VICTIM /v/root; ln -s /proc/1/cwd /v/cwd; ln -s / /v/top; ln -s loop /v/loop; ln -s $VICTIM/secret /v/file"
    local flag path
    for path in out out/secret a/out a/b/up a/b/up/secret root cwd cwd/secret "top$VICTIM" loop file "a/b/../../../..$VICTIM" "a/$UP$VICTIM" "../..$VICTIM" "$VICTIM"; do
        while read -r flag; do
            status=0
            # shellcheck disable=SC2086
            output=$(timeout -k 5 60 "$ENGINE" run --rm --network none $flag $IMAGE sh -c 'cat /x /x/secret; echo evil >/x/evil; echo evil >/x/secret; :' 2>&1 3>&-) || status=$?
            echo "$flag: $status $output"
            [[ $output != *"$SECRET"* ]]
            [[ $status -eq 126 || $status -eq 125 ]] # none of them is in the volume
            [[ $(victim_state) == "$VICTIM_BEFORE" ]]
        done < <(subpaths "$path")
    done
    # a link to the root is one to the volume's
    berth run --rm --network none -v "$name:/x:subpath=top/a/b" $IMAGE cat /x/secret
    assert_equal "$output" mine
    berth 125 run --rm --network none -v "$name:/x:subpath=.." $IMAGE true
    berth 125 run --rm --network none -v "$SHARED:/x:subpath=data" $IMAGE true
    assert_contains "$output" "option subpath is for volumes"
}

@test "a part of a volume that becomes a link after it was looked up: what was found is mounted" {
    is_berth || skip "podman 4.3 has no subpath"
    local real
    in_volume "mkdir /v/data; echo mine >/v/data/secret"
    SHARED=$("$ENGINE" volume inspect --format '{{.Mountpoint}}' "$name" 3>&-)
    for real in "${REAL[@]}"; do
        swapping "$real"
        berth --runtime "$SWAPPING" run --rm --network none -v "$name:/x:subpath=data" $IMAGE cat /x/secret
        assert_equal "$output" mine
        in_volume "rm /v/data && mv /v/moved /v/data"
    done
}

@test "containers that race for the part of a volume that another has, at its start and at cp" {
    is_berth || skip "podman 4.3 has no subpath"
    local round started=0
    in_volume "mkdir /v/data; echo mine >/v/data/secret"
    berth create --name "$name-b" --network none --mount "type=volume,src=$name,dst=/x,subpath=data" $IMAGE sh -c 'cat /x/secret; echo evil >/x/evil'
    berth run -d --name "$name" --network none -v "$name:/v" $IMAGE \
        sh -c "while :; do mv /v/data /v/moved; ln -s $VICTIM /v/data; rm /v/data; ln -s $UP$VICTIM /v/data; rm /v/data; mv /v/moved /v/data; done"
    echo evil >"$FILE_DIR/evil-$name"
    for round in {1..25}; do
        status=0
        output=$(timeout --foreground -k 5 60 "$ENGINE" start -a "$name-b" 2>&1 3>&-) || status=$?
        [[ $output != *"$SECRET"* ]] || { echo "round $round: $output"; false; }
        [[ $status -ne 0 || $output != mine ]] || started=$((started + 1))
        output=$(timeout -k 5 60 "$ENGINE" cp "$name-b:/x/secret" - 2>&1 3>&- | tr -d '\0')
        [[ $output != *"$SECRET"* ]] || { echo "cp, round $round: $output"; false; }
        timeout -k 5 60 "$ENGINE" cp "$FILE_DIR/evil-$name" "$name-b:/x/evil-$round" 3>&- || true
    done
    echo "$started of 25 have started"
    berth rm -f -t 0 "$name"
    [[ $(victim_state) == "$VICTIM_BEFORE" ]]
}

@test "a part of a volume that is a link when its options U, z or O are applied: nothing of the host's is changed" {
    is_berth || skip "podman 4.3 has no subpath"
    local option
    in_volume "mkdir /v/d; echo mine >/v/d/secret; ln -s $VICTIM /v/d/out; ln -s $VICTIM/secret /v/d/file; ln $VICTIM/secret /v/d/hard 2>/dev/null; ln -s $VICTIM /v/out"
    for option in U O U,O z; do
        berth run --rm --network none --user 5:6 -v "$name:/x:subpath=d,$option" $IMAGE cat /x/secret
        assert_equal "$output" mine
        status=0
        timeout -k 5 60 "$ENGINE" run --rm --network none --user 5:6 -v "$name:/x:subpath=out,$option" $IMAGE sh -c 'cat /x/secret; echo evil >/x/evil' 3>&- || status=$?
        [[ $status -eq 126 || $status -eq 125 ]]
        [[ $(victim_state) == "$VICTIM_BEFORE" ]]
    done
}
