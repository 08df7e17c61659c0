#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Mounts beyond binds and volumes: overlays (O), images, parts of volumes, globs, ramfs, devpts, and those of another container.
load helpers

setup() {
    test_setup
    D=$FILE_DIR/$name
    mkdir -p "$D/src/sub"
    echo one >"$D/src/a.conf"
    echo two >"$D/src/b.conf"
    echo other >"$D/src/other"
    echo deep >"$D/src/sub/file"
}

@test "-v …:O: the container writes beside the source, and what it wrote ends with it" {
    berth run --name "$name" -v "$D/src:/x:O" $IMAGE sh -c 'cat /x/a.conf; ls /x/new 2>/dev/null; echo changed >/x/a.conf; rm /x/other; touch /x/new; ls /x | tr "\n" " "'
    assert_equal "${lines[*]}" "one a.conf b.conf new sub "
    assert_equal "$(cat "$D/src/a.conf") $(ls "$D/src" | tr '\n' ' ')" "one a.conf b.conf other sub "
    berth start -a "$name"
    assert_equal "${lines[*]}" "one a.conf b.conf new sub "
    # a volume too
    berth run --rm -v "$name-v:/x" $IMAGE sh -c 'echo kept >/x/file'
    berth run --rm -v "$name-v:/x:O" $IMAGE sh -c 'cat /x/file; echo lost >/x/file'
    berth run --rm -v "$name-v:/x" $IMAGE cat /x/file
    assert_equal "$output" kept
    berth volume rm -f "$name-v"
}

@test "-v …:O with upperdir and workdir keeps what was written there" {
    # podman 4.3 looks for the work directory elsewhere
    is_berth || skip "podman 4.3 has not all of it"
    mkdir "$D/upper" "$D/work"
    berth run --rm -v "$D/src:/x:O,upperdir=$D/upper,workdir=$D/work" $IMAGE sh -c 'echo new >/x/new'
    assert_equal "$(cat "$D/upper/new")" new
    [[ ! -e $D/src/new ]]
    berth run --rm -v "$D/src:/x:O,upperdir=$D/upper,workdir=$D/work" $IMAGE cat /x/new /x/a.conf
    assert_equal "${lines[*]}" "new one"
    # paths that look like options of the mount
    mkdir "$D/up,per:x" "$D/wo,rk"
    berth run --rm --mount "type=glob,src=$D/src/a*,dst=/y" $IMAGE cat /y/a.conf
    assert_equal "$output" one
    berth 125 run --rm -v "$D/src:/x:O,upperdir=$D/upper" $IMAGE true
    assert_contains "$output" "upperdir and workdir are given together"
    berth 125 run --rm -v "$D/src:/x:upperdir=$D/upper,workdir=$D/work" $IMAGE true
    assert_contains "$output" "are for the option O"
}

@test "--mount type=image: read-only, writable, a part of it; the image stays while the container is there" {
    is_berth || skip "podman 4.3 has no subpath"
    berth tag $IMAGE "localhost/$name"
    berth run --rm --mount "type=image,src=localhost/$name,dst=/img" $IMAGE sh -c 'ls /img/bin/sh; touch /img/x 2>&1; exit 0'
    assert_equal "${lines[0]}" /img/bin/sh
    assert_contains "${lines[1]}" "Read-only file system"
    berth run --rm --mount "type=image,src=localhost/$name,dst=/img,rw=true" $IMAGE sh -c 'echo mine >/img/x; cat /img/x'
    assert_equal "$output" mine
    berth run --rm --mount "type=image,src=localhost/$name,dst=/img" $IMAGE sh -c 'ls /img/x 2>/dev/null || echo none'
    assert_equal "$output" none
    berth run --rm --mount "type=image,src=localhost/$name,dst=/e,subpath=/etc" --mount "type=image,src=localhost/$name,dst=/p,subpath=etc/passwd" $IMAGE sh -c 'ls /e/passwd; grep -c root /p'
    assert_equal "${lines[0]}" /e/passwd
    berth 126 run --rm --mount "type=image,src=localhost/$name,dst=/e,subpath=no/such" $IMAGE true
    assert_contains "$output" "no/such"
    berth 125 run --rm --pull never --mount "type=image,src=localhost/no-such,dst=/e" $IMAGE true
    assert_contains "$output" "localhost/no-such"
    # as the only image of another container
    echo "FROM $IMAGE" >"$D/Containerfile"
    echo "LABEL x=$name" >>"$D/Containerfile"
    berth build -q -t "localhost/$name-2" "$D"
    berth create --name "$name" --mount "type=image,src=localhost/$name-2,dst=/img" $IMAGE ls /img/bin/sh
    berth 2 rmi "localhost/$name-2"
    assert_contains "$output" "$(berth inspect --format '{{.Id}}' "$name" | sed -n 2p | cut -c1-12)"
    berth start -a "$name"
    assert_equal "$output" /img/bin/sh
    berth rm "$name"
    berth rmi "localhost/$name-2" "localhost/$name"
}

@test "--mount type=volume with subpath: links in the volume do not lead out of it" {
    is_berth || skip "podman 4.3 has no subpath"
    berth run --rm -v "$name:/v" $IMAGE sh -c 'mkdir -p /v/a/b; echo in >/v/a/b/file; ln -s /etc /v/out; ln -s a /v/link; mkdir /v/etc; echo mine >/v/etc/hostname'
    berth run --rm --mount "type=volume,src=$name,dst=/x,subpath=a/b" $IMAGE sh -c 'cat /x/file; echo more >/x/more'
    assert_equal "$output" in
    berth run --rm --mount "type=volume,src=$name,dst=/x,subpath=link/b" $IMAGE ls /x
    assert_equal "${lines[*]}" "file more"
    berth run --rm --mount "type=volume,src=$name,dst=/x,subpath=out" $IMAGE ls /x
    assert_equal "${lines[*]}" hostname
    berth run --rm --mount "type=volume,src=$name,dst=/x,subpath=../../../../etc" $IMAGE ls /x
    assert_equal "${lines[*]}" hostname
    berth 126 run --rm --mount "type=volume,src=$name,dst=/x,subpath=none" $IMAGE true
    assert_contains "$output" 'subpath "none"'
    berth volume rm "$name"
}

@test "--mount type=glob, ramfs, devpts; artifact is refused by name" {
    is_berth || skip "podman 4.3 has no glob"
    berth run --rm --mount "type=glob,src=$D/src/*.conf,dst=/conf" $IMAGE ls /conf
    assert_equal "${lines[*]}" "a.conf b.conf"
    berth 1 run --rm --mount "type=glob,src=$D/src/*.conf,dst=/conf,ro" $IMAGE sh -c 'cat /conf/*; echo x 2>&1 >/conf/a.conf'
    assert_contains "$output" "one"
    assert_contains "$output" "Read-only"
    berth 125 run --rm --mount "type=glob,src=$D/none*,dst=/conf" $IMAGE true
    assert_contains "$output" "no file on the host matches"
    berth run --rm --mount type=ramfs,dst=/ram --mount type=devpts,dst=/pts,mode=620 $IMAGE sh -c 'stat -f -c %T /ram; grep " /ram \| /pts " /proc/mounts | cut -d" " -f3'
    [[ ${lines[*]} == *ramfs*devpts* ]]
    berth 125 run --rm --mount type=artifact,src=x,dst=/x $IMAGE true
    assert_contains "$output" "type artifact is not supported"
}

@test "--volumes-from: binds, volumes, read-only, and the flags of the container itself count more" {
    berth create --name "$name" -v "$D/src:/src:ro" -v "$name-v:/v" -v /anonymous $IMAGE true
    berth run --rm --volumes-from "$name" $IMAGE sh -c 'cat /src/a.conf; echo mine >/v/file; echo x >/anonymous/y'
    assert_equal "$output" one
    berth 1 run --rm --volumes-from "$name:ro" $IMAGE sh -c 'cat /v/file /anonymous/y; echo x >/v/file'
    assert_contains "$output" mine
    assert_contains "$output" "Read-only"
    berth run --rm --volumes-from "$name" -v "$D/src/sub:/v" $IMAGE cat /v/file
    assert_equal "$output" deep
    berth 125 run --rm --volumes-from no-such $IMAGE true
    assert_contains "$output" "no-such"
    berth 125 run --rm --volumes-from "$name:nonsense" $IMAGE true
    berth rm -v "$name"
    berth volume rm "$name-v"
}

@test "--mount with rro, nocopy and idmap, and --image-volume" {
    is_berth || skip "podman 4.3 has not all of them"
    berth 1 run --rm --mount "type=bind,src=$D/src,dst=/x,rro" $IMAGE touch /x/y
    assert_contains "$output" "Read-only"
    berth run --rm --mount "type=volume,src=$name,dst=/etc,nocopy" $IMAGE ls /etc
    [[ $output != *passwd* ]]
    berth volume rm "$name"
    if is_rootless; then
        berth 125 run --rm -v "$D/src:/x:idmap" $IMAGE true
        assert_contains "$output" idmap
    fi
    printf 'FROM %s\nVOLUME /vol\n' $IMAGE >"$D/Containerfile"
    berth build -q -t "localhost/$name" "$D"
    for kind in bind anonymous; do
        berth run --name "$name" --image-volume $kind "localhost/$name" true
        berth inspect --format '{{range .Mounts}}{{.Type}} {{.Destination}}{{end}}' "$name"
        assert_equal "$output" "volume /vol"
        berth rm -v "$name"
    done
    berth run --rm --image-volume tmpfs "localhost/$name" grep -c ' /vol tmpfs ' /proc/mounts
    berth 1 run --rm --image-volume ignore "localhost/$name" grep -c ' /vol ' /proc/mounts
    berth rmi "localhost/$name"
}

in_userns() { if is_rootless; then "$ENGINE" unshare "$@" 3>&-; else "$@"; fi; }

@test "--storage memory: what is written ends with the container's run, and commit, diff, cp, export and mount see it while it runs" {
    is_berth || skip "podman has no layers in memory"
    berth run -d --name "$name" --network none --storage memory:size=8m "$IMAGE" sh -c 'echo new >/new; rm /etc/berth-image; rm -r /home; mkdir -m 700 /home; chmod 711 /; while :; do sleep 1; done'
    berth inspect --format '{{.HostConfig.Storage}} {{.GraphDriver.Data.UpperDir}}' "$name"
    assert_equal "${output%% *}" memory:size=8388608
    [[ $output == */memory/diff ]]
    local layer=${output#* }
    wait_for 20 "$ENGINE" exec "$name" sh -c '[ "$(stat -c %a /)" = 711 ]'
    [[ -z $(in_userns find "${layer%/memory/diff}/diff" "${layer%/diff}" -mindepth 1) ]] # nothing is on the disk
    berth exec "$name" sh -c 'dd if=/dev/zero of=/big bs=1M count=9 2>&1; rm /big'
    assert_contains "$output" "No space left on device"
    berth diff "$name"
    assert_equal "$(sort <<<"$output" | tr '\n' ' ')" "A /new C /etc C /home D /etc/berth-image D /home/user "
    berth ps -s --filter name="$name" --format '{{.Size}}'
    assert_contains "$output" "4B (virtual "
    berth cp "$name:/new" "$D/new"
    assert_equal "$(cat "$D/new")" new
    berth cp "$D/src/a.conf" "$name:/put"
    berth exec "$name" cat /put
    assert_equal "$output" one
    berth export -o "$D/out.tar" "$name"
    assert_contains "$(tar tf "$D/out.tar")" put
    assert_equal "$(in_userns sh -c 'cat "$("$ENGINE" mount "$0")/new"; "$ENGINE" unmount "$0" >/dev/null' "$name")" new
    berth commit -q "$name" "localhost/$name"
    berth run --rm --network none "localhost/$name" sh -c 'cat /new /put; ls /etc/berth-image /home; stat -c %a /home'
    assert_equal "$(grep -v 'No such\|:$' <<<"$output" | tr '\n' ' ')" "new one 700 "
    berth rmi "localhost/$name"
    berth restart -t 0 "$name"
    berth exec "$name" sh -c 'ls /put 2>&1; :'
    assert_contains "$output" "No such file"
    berth stop -t 0 "$name"
    berth diff "$name"
    assert_equal "$output" ""
    berth 125 cp "$D/src/a.conf" "$name:/put"
    assert_contains "$output" "in memory"
    berth cp "$name:/etc/passwd" - >/dev/null
    berth commit -q "$name" "localhost/$name"
    berth rmi "localhost/$name"
    berth container clone "$name" "$name-2"
    berth inspect --format '{{.HostConfig.Storage}}' "$name-2"
    assert_equal "$output" memory:size=8388608
    berth rm "$name" "$name-2"
}

@test "--storage memory with another user namespace, a terminal, a restart policy, and a monitor that was killed" {
    is_berth || skip "podman has no layers in memory"
    berth run --rm --network none --storage memory --uidmap 0:1:1000 "$IMAGE" sh -c 'stat -c %u /; echo a >/x; rm -r /home; mkdir /home; ls -A /home; cat /x'
    assert_equal "${lines[*]}" "0 a"
    berth run --name "$name" --network none --storage memory --restart on-failure:2 "$IMAGE" sh -c 'ls /x 2>/dev/null; touch /x; exit 3' && false
    not assert_contains "$output" /x
    berth rm "$name"
    berth run -d --name "$name" --network none --storage memory "$IMAGE" sh -c 'echo a >/x; sleep 1000'
    wait_for 20 "$ENGINE" exec "$name" test -s /x
    kill -KILL "$("$ENGINE" inspect --format '{{.State.ConmonPid}}' "$name")"
    berth export -o "$D/out.tar" "$name"
    assert_contains "$(tar tf "$D/out.tar")" x
    berth 125 commit -q "$name" "localhost/$name"
    assert_contains "$output" "monitor was killed"
    assert_contains "$output" "berth export"
    berth restart -t 0 "$name"
    wait_for 20 "$ENGINE" exec "$name" test -s /x
    berth commit -q "$name" "localhost/$name"
    berth rmi "localhost/$name"
    berth rm -f -t 0 "$name"
}

@test "--storage memory is refused where there is no layer to keep there" {
    is_berth || skip "podman has no layers in memory"
    for words in disk memory:size=none memory:size=-1 memory:x=1 memory:; do
        berth 125 create --storage "$words" "$IMAGE"
        assert_contains "$output" "--storage"
    done
    berth 125 create --storage memory --rootfs "$D/src" sh
    assert_contains "$output" "--rootfs"
}
