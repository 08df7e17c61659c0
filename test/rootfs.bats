#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# --rootfs: containers that run from a directory of the user's, and no image.
load helpers

# make_root DIR: makes DIR with the files of $IMAGE.
make_root() {
    berth create --name "$name-from" "$IMAGE" true
    mkdir "$1"
    "$ENGINE" export "$name-from" | tar -x -C "$1" --no-same-owner --exclude=dev/'*'
    berth rm "$name-from"
}

test_setup() {
    name=c-$(random_string)
    D=$(mktemp -d "$FILE_DIR/t-XXXXXX")
    make_root "$D/root"
}

test_teardown() {
    "$ENGINE" rm -fa -t 0 >/dev/null 2>&1 3>&-
    [[ -d $D ]] && discard "$D"
}

@test "rootfs: a container runs from a directory, writes to it, and leaves it when it is removed" {
    echo "from the host" >"$D/root/note"
    berth run --rm --rootfs "$D/root" cat /note
    assert_equal "$output" "from the host"
    berth run --name "$name" --rootfs "$D/root" sh -c 'echo written >/new; pwd'
    assert_equal "$output" "/"
    assert_equal "$(cat "$D/root/new")" written
    berth inspect --format '{{.Rootfs}}|{{.Image}}|{{.ImageName}}|{{.Config.Image}}' "$name"
    assert_equal "$output" "$D/root|||"
    berth ps -a --format '{{.Names}} {{.Command}} [{{.Image}}]'
    assert_contains "$output" "$name sh -c"
    assert_contains "$output" "[]"
    berth start -a "$name"
    berth rm "$name"
    [[ -x $D/root/bin/busybox && $(cat "$D/root/new") == written ]]
    cd "$D"
    berth run --rm --rootfs root ls /note
    assert_equal "$output" /note
}

@test "rootfs: with :O the container's changes are its own, last as long as it, and go with it" {
    cp -a "$D/root" "$D/with:colon,comma"
    mv "$D/root" "$D/plain"
    for root in "$D/plain" "$D/with:colon,comma"; do
        berth run --name "$name" --rootfs "$root:O" sh -c 'echo x >>/count; rm -f /bin/wget; ls /count; wc -l </count'
        assert_equal "${lines[1]}" 1
        berth start -a "$name"
        assert_equal "${lines[1]}" 2
        [[ ! -e $root/count && -e $root/bin/wget ]]
        if is_berth; then
            berth diff "$name"
            assert_contains "$output" "A /count"
            assert_contains "$output" "D /bin/wget"
            berth inspect --format '{{.GraphDriver.Data.LowerDir}}' "$name"
            assert_equal "$output" "$root"
        fi
        berth cp "$name:/count" "$D/count"
        assert_equal "$(wc -l <"$D/count")" 2
        "$ENGINE" export "$name" | tar -t >"$D/list" 3>&-
        grep -qx 'count' "$D/list"
        not grep -qx 'bin/wget' "$D/list"
        berth ps -as --format '{{.Size}}'
        berth rm "$name"
        [[ ! -e $root/count && -e $root/bin/wget ]]
    done
}

@test "rootfs: exec, cp, export, volumes and a user without an entry" {
    mkdir -p "$D/root/data"
    echo kept >"$D/root/data/file"
    berth run -d --name "$name" --rootfs --user 1234 -v "$name-v:/data" -w /tmp "$D/root:O" sleep 1000
    berth exec "$name" sh -c 'id -u; pwd; cat /data/file'
    assert_equal "$output" $'1234\n/tmp\nkept'
    echo in >"$D/in"
    berth cp "$D/in" "$name:/tmp/in"
    berth exec "$name" cat /tmp/in
    assert_equal "$output" in
    berth stop -t 0 "$name"
    berth rm "$name"
    berth volume rm "$name-v"
    [[ $(cat "$D/root/data/file") == kept ]]
}

@test "rootfs: what cannot be is refused, by name" {
    berth 125 run --rm --rootfs "$D/none" true
    assert_contains "$output" "$D/none: no such file or directory"
    berth 125 run --name "$name" --rootfs "$D/root"
    assert_contains "$output" "no command or entrypoint"
    berth create --name "$name" --rootfs "$D/root" true
    berth 125 commit "$name" "localhost/$name"
    assert_contains "$output" "cannot commit a container that uses an exploded rootfs"
    berth rm "$name"
    is_berth || return 0
    berth 125 run --rm --rootfs "$D/root/etc/passwd" true
    assert_contains "$output" "not a directory"
    berth 125 run --rm --userns auto --rootfs "$D/root" true
    assert_contains "$output" "choose the IDs with --uidmap"
    berth 125 run --rm --rootfs "$D/root:idmap=uids=0-1" true
    assert_contains "$output" "want FILE-HOST-AMOUNT"
    if is_rootless; then
        berth 125 run --rm --rootfs "$D/root:idmap" true
        assert_contains "$output" "the kernel lets only root map the owners of files in a mount"
    fi
    berth create --name "$name" --rootfs "$D/root" true
    berth 125 diff "$name"
    assert_contains "$output" "made with --rootfs"
}

# bats test_tags=berth
@test "rootfs: links in the directory lead nowhere on the host, and the directory cannot become one" {
    is_berth || skip "podman's ways differ"
    mkdir "$D/host"
    echo mine >"$D/host/passwd"
    rm -r "$D/root/etc"
    ln -s "$D/host" "$D/root/etc"
    ln -s "$D/host/made" "$D/root/dir"
    berth 126 run --rm --rootfs --user 1234 -w / "$D/root:O" true # the directory that /etc leads to is not in it
    berth 126 run --rm --rootfs --user 1234 --hostuser root "$D/root" true
    assert_equal "$(cat "$D/host/passwd")" mine
    assert_equal "$(ls "$D/host")" passwd
    rm "$D/root/etc"
    mkdir "$D/root/etc"
    berth create --name "$name" --rootfs "$D/root" cat /secret
    mkdir "$D/elsewhere"
    mv "$D/root" "$D/moved"
    ln -s "$D/elsewhere" "$D/root"
    berth 125 start -a "$name"
    assert_contains "$output" "has become a symbolic link since the container was made"
    berth rm "$name"
    [[ -d $D/elsewhere && -d $D/moved ]]
    rm "$D/root"
    ln -s "$D/moved" "$D/root"
    berth run --rm --rootfs "$D/root" echo through a link # that was one when the container was made
    assert_equal "$output" "through a link"
}

@test "rootfs: mount shows the directory, and rm, also by force, leaves it" {
    is_berth || skip "podman 4.3 mounts nothing"
    echo mine >"$D/root/mine"
    for suffix in "" :O; do
        berth create --name "$name" --rootfs "$D/root$suffix" sleep 1000
        # shellcheck disable=SC2016 # for the shell inside
        local script='at=$("$1" mount "$2") && cat "$at/mine" && "$1" rm -f -t 0 "$2"'
        if is_rootless; then
            berth unshare sh -c "$script" - "$ENGINE" "$name"
        else
            run sh -c "$script" - "$ENGINE" "$name" 3>&-
            [[ $status -eq 0 ]]
        fi
        assert_contains "$output" mine
        assert_equal "$(cat "$D/root/mine")" mine
        berth run -d --name "$name" --rootfs "$D/root$suffix" sleep 1000
        berth rm -f -t 0 "$name"
        assert_equal "$(cat "$D/root/mine")" mine
    done
}

@test "rootfs: idmap gives the files to the container's IDs, for root" {
    is_rootless && skip "root's"
    is_berth || skip "podman 4.3 has no idmap"
    echo x >"$D/root/own"
    chown -R 0:0 "$D/root"
    chown 5:6 "$D/root/own"
    berth run --name "$name" --rootfs --uidmap 0:100000:65536 "$D/root:idmap" sh -c 'stat -c %u:%g / /own; touch /new'
    assert_equal "$output" $'0:0\n5:6'
    assert_equal "$(stat -c %u:%g "$D/root/new")" 0:0
    berth cp "$name:/own" "$D/copy"
    "$ENGINE" export "$name" | tar -tv --numeric-owner >"$D/list" 3>&-
    grep -q '5/6 .* own$' "$D/list"
    berth rm "$name"
    berth run --rm --rootfs --uidmap 0:100000:65536 "$D/root:idmap=uids=0-100001-10;gids=0-100002-10" stat -c %u:%g /bin
    assert_equal "$output" 1:2
    berth run --rm --rootfs "$D/root:idmap" stat -c %u:%g /own
    assert_equal "$output" 5:6
}

@test "rootfs: a container on a kept log, a restart policy and --rm; system check finds nothing wrong" {
    berth run --name "$name" --restart on-failure:2 --rootfs "$D/root:O" sh -c 'echo once more >>/n; cat /n; exit 3' || true
    is_berth && wait_for 10 ended "$name"
    berth logs "$name"
    assert_contains "$output" "once more"
    berth ps -a
    if is_berth; then
        berth system check
        berth system df -v
        berth system prune -f
        berth system check
    fi
    [[ -x $D/root/bin/busybox ]]
}

ended() { [[ $("$ENGINE" inspect --format '{{.State.Status}}' "$1" 3>&-) == exited ]]; }
