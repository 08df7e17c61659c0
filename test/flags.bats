#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# Flags of create and run that no other file is about.
load helpers

@test "--replace: a container of the name is removed first, also one that runs" {
    berth run -d --name "$name" $IMAGE sleep 60
    local first=$output
    berth run -d --replace --name "$name" $IMAGE sleep 61
    [[ $output != "$first" ]]
    berth inspect --format '{{.Id}}' "$name"
    [[ $output != "$first" ]]
    berth create --replace --name "$name-2" $IMAGE true
    berth 125 run --replace $IMAGE true
    assert_contains "$output" "cannot replace container without --name being set"
    # what comes before leaves the old one alone
    berth 125 run --replace --name "$name" --pull never localhost/no-such true
    berth inspect --format '{{.State.Status}}' "$name"
    assert_equal "$output" running
}

@test "--requires: what a container needs is started before it" {
    berth create --name "$name-db" $IMAGE sleep 60
    berth create --name "$name-mid" --requires "$name-db" $IMAGE sleep 60
    berth run -d --name "$name" --requires "$name-mid" $IMAGE sleep 60
    for c in "$name-db" "$name-mid"; do
        berth inspect --format '{{.State.Status}}' "$c"
        assert_equal "$output" running
    done
    berth 125 run --requires no-such $IMAGE true
    assert_contains "$output" no-such
}

@test "--rmi: the image goes with the container, unless another uses it" {
    local img=localhost/rmi-$name
    berth create --name "$name" $IMAGE true
    berth commit -q "$name" "$img"
    berth run --rmi "$img" true
    berth 1 image exists "$img"
    is_berth || return 0
    berth commit -q "$name" "$img"
    berth create --name "$name-2" "$img" true
    berth run --rmi "$img" true
    assert_contains "$output" "image is in use"
    berth image exists "$img"
    berth rm "$name-2"
    berth run -d --rmi "$img" true
    wait_for 20 gone "$img"
}

gone() { ! "$ENGINE" image exists "$1" 3>&-; }

@test "--replace of a container made with --rmi keeps the image that the new one needs" {
    is_berth || skip "podman 4.3 removes it"
    local img=localhost/again-$name
    berth create --name "$name" $IMAGE true
    berth commit -q "$name" "$img"
    berth rm "$name"
    for again in 1 2; do
        berth run -d --replace --rm --rmi --stop-timeout 0 --name "$name" "$img" sleep 60
    done
    berth run -d --replace --rm --rmi --stop-timeout 0 --name "/$name" "$img" sleep 60
    berth rm -f "$name"
    wait_for 20 gone "$img"
}

@test "--pidfile and --conmon-pidfile, at each start" {
    berth run -d --name "$name" --pidfile "$FILE_DIR/$name.pid" --conmon-pidfile "$FILE_DIR/$name.conmon" $IMAGE sleep 60
    berth inspect --format '{{.State.Pid}} {{.State.ConmonPid}}' "$name"
    assert_equal "$output" "$(cat "$FILE_DIR/$name.pid") $(cat "$FILE_DIR/$name.conmon")"
    berth inspect --format '{{.PidFile}} {{.ConmonPidFile}}' "$name"
    assert_equal "$output" "$FILE_DIR/$name.pid $FILE_DIR/$name.conmon"
    berth restart -t 0 "$name"
    berth inspect --format '{{.State.Pid}}' "$name"
    assert_equal "$output" "$(cat "$FILE_DIR/$name.pid")"
    berth 125 run --pidfile /no/such/dir/pid $IMAGE true
    if is_berth; then # another monitor follows one that was killed
        kill -KILL "$(cat "$FILE_DIR/$name.conmon")"
        berth exec "$name" true
        berth inspect --format '{{.State.ConmonPid}}' "$name"
        assert_equal "$output" "$(cat "$FILE_DIR/$name.conmon")"
    fi
}

@test "--pidfile in a directory of the container's: its links are not followed" {
    is_berth || skip "podman follows them"
    mkdir -p "$FILE_DIR/$name/run" "$FILE_DIR/$name.host"
    chmod 777 "$FILE_DIR/$name"
    echo mine >"$FILE_DIR/$name.host/file"
    berth run -d --name "$name" --pidfile "$FILE_DIR/$name/pid" --conmon-pidfile "$FILE_DIR/$name/run/pid" -v "$FILE_DIR/$name:/d" $IMAGE \
        sh -c 'until [ -s /d/pid ] && [ -s /d/run/pid ]; do sleep 0.1; done; rm -r /d/pid /d/run; ln -s '"../$name.host/file"' /d/pid; ln -s '"../$name.host"' /d/run; exec sleep 60'
    wait_for 10 test -L "$FILE_DIR/$name/run"
    berth restart -t 0 "$name"
    assert_equal "$(cat "$FILE_DIR/$name.host/file")" mine
    assert_equal "$(ls "$FILE_DIR/$name.host")" file
}

@test "--tz: a zone, the host's, and one that does not exist" {
    [[ -e /usr/share/zoneinfo/Asia/Tokyo ]] || skip "this host has no time zones"
    berth run --rm --tz Asia/Tokyo $IMAGE date +%Z%z
    assert_equal "$output" JST+0900
    berth run --rm --tz local $IMAGE true
    for zone in No/Such ../../../etc/passwd; do
        berth 125 run --rm --tz $zone $IMAGE true
        assert_contains "$output" "$zone"
    done
}

@test "--hosts-file, --no-hostname, --chrootdirs" {
    is_berth || skip "podman 4.3 has no --hosts-file"
    echo "192.0.2.7 mine" >"$FILE_DIR/$name"
    berth run --rm --hosts-file "$FILE_DIR/$name" --add-host b:192.0.2.8 $IMAGE cat /etc/hosts
    assert_contains "$output" "192.0.2.7"
    assert_contains "$output" "192.0.2.8"
    berth run --rm --hosts-file none $IMAGE cat /etc/hosts
    [[ $output != *192.0.2.7* ]]
    printf 'FROM %s\nCOPY hosts /etc/hosts\nRUN echo image-name >/etc/hostname\n' "$IMAGE" >"$FILE_DIR/Containerfile"
    mkdir -p "$FILE_DIR/ctx"
    echo "192.0.2.9 from-image" >"$FILE_DIR/ctx/hosts"
    berth build -q -t "localhost/$name" -f "$FILE_DIR/Containerfile" "$FILE_DIR/ctx"
    berth run --rm --hosts-file image "localhost/$name" grep -c from-image /etc/hosts
    berth run --rm --no-hostname "localhost/$name" sh -c 'grep " /etc/hostname " /proc/mounts || echo none'
    assert_equal "$output" none
    berth run --rm --chrootdirs /jail --chrootdirs /other $IMAGE sh -c 'cmp /etc/hosts /jail/etc/hosts && cmp /etc/resolv.conf /other/etc/resolv.conf && cat /jail/etc/hostname'
    berth 125 run --rm --hosts-file /no/such $IMAGE true
    BERTH_TIMEOUT=20 berth 125 run --rm --hosts-file /dev/zero $IMAGE true
    assert_contains "$output" "larger than"
    berth 125 run --rm --no-hosts --hosts-file none $IMAGE true
    berth rmi "localhost/$name"
}

@test "--env-merge, --unsetenv, --unsetenv-all" {
    # shellcheck disable=SC2016
    berth run --rm --env-merge 'PATH=${PATH}:/more' --env-merge 'A=$container-x' -e 'B=${PATH}' $IMAGE sh -c 'echo $PATH; echo $A; echo "$B"'
    [[ ${lines[0]} == */bin:/more ]]
    assert_equal "${lines[1]}" podman-x
    # shellcheck disable=SC2016
    assert_equal "${lines[2]}" '${PATH}'
    berth run --rm --unsetenv container $IMAGE env
    [[ $output != *container=* ]]
    berth run --rm --unsetenv-all -e X=1 $IMAGE /bin/env
    [[ $output != *container=* && $output == *X=1* ]]
}

@test "--timeout ends with podman's code" {
    berth 255 run --name "$name" --timeout 1 $IMAGE sleep 60
    berth inspect --format '{{.State.ExitCode}}' "$name"
    assert_equal "$output" 255
}

@test "--systemd=always prepares the file systems and the stop signal; false does not" {
    is_berth || skip "podman needs cgroups for it"
    berth run --rm --systemd always $IMAGE grep -c ' /run/lock tmpfs \| /var/log/journal tmpfs \| /tmp tmpfs ' /proc/mounts
    assert_equal "$output" 3
    berth create --name "$name" $IMAGE /sbin/init
    berth inspect --format '{{.Config.StopSignal}}' "$name"
    assert_equal "$output" SIGRTMIN+3
    berth create --name "$name-2" --systemd=false $IMAGE /sbin/init
    berth inspect --format '{{.Config.StopSignal}}' "$name-2"
    assert_equal "$output" SIGTERM
    berth 125 run --systemd perhaps $IMAGE true
}

@test "--seccomp-policy image takes the profile of the image's label" {
    is_berth || skip "podman 4.3 refuses some profiles"
    printf 'FROM %s\nLABEL io.containers.seccomp.profile="{\\"defaultAction\\":\\"SCMP_ACT_ALLOW\\",\\"syscalls\\":[{\\"names\\":[\\"mkdir\\",\\"mkdirat\\"],\\"action\\":\\"SCMP_ACT_ERRNO\\"}]}"\n' $IMAGE >"$FILE_DIR/Containerfile"
    berth build -q -t "localhost/$name" -f "$FILE_DIR/Containerfile" "$FILE_DIR/conf"
    berth run --rm "localhost/$name" mkdir /x
    berth 1 run --rm --seccomp-policy image "localhost/$name" mkdir /x
    berth run --rm --seccomp-policy image --security-opt seccomp=unconfined "localhost/$name" mkdir /x
    berth 125 run --rm --seccomp-policy x $IMAGE true
    berth rmi "localhost/$name"
}

@test "--device with a pattern and permissions" {
    is_berth || skip "podman 4.3 takes no patterns"
    berth run --rm --device '/dev/zer*:r' --device '/dev/ful?' $IMAGE sh -c 'ls /dev/zero /dev/full'
    berth 125 run --rm --device '/dev/no-such*' $IMAGE true
    assert_contains "$output" "/dev/no-such*"
}

@test "--out writes standard output to a file; --transient-store and --imagestore" {
    is_berth || skip "podman 4.3 has no --out"
    berth --out "$FILE_DIR/$name" version --format '{{.Client.Version}}'
    assert_equal "$output" ""
    [[ -s $FILE_DIR/$name ]]
    berth 125 --out x --noout version
    berth --transient-store run --rm $IMAGE echo ok
    assert_equal "$output" ok
}

@test "CDI devices: --device VENDOR/CLASS=NAME, --gpus, --cdi-spec-dir" {
    is_berth || skip "podman 4.3 takes no directory"
    mkdir -p "$FILE_DIR/cdi"
    cat >"$FILE_DIR/cdi/nvidia.json" <<-'X'
	{"cdiVersion": "0.6.0", "kind": "nvidia.com/gpu", "containerEdits": {"env": ["VENDOR=yes"]}, "devices": [
	  {"name": "0", "containerEdits": {"env": ["GPU=zero"], "deviceNodes": [{"path": "/dev/full", "hostPath": "/dev/full"}]}},
	  {"name": "all", "containerEdits": {"env": ["GPU=every"]}}]}
	X
    # shellcheck disable=SC2016
    berth --cdi-spec-dir "$FILE_DIR/cdi" run --rm --device nvidia.com/gpu=0 $IMAGE sh -c 'echo $VENDOR $GPU; ls /dev/full'
    assert_equal "${lines[*]}" "yes zero /dev/full"
    # shellcheck disable=SC2016
    berth --cdi-spec-dir "$FILE_DIR/cdi" run --rm --gpus all $IMAGE sh -c 'echo $VENDOR $GPU'
    assert_equal "$output" "yes every"
    berth 125 --cdi-spec-dir "$FILE_DIR/cdi" run --name "$name" --device nvidia.com/gpu=7 $IMAGE true
    assert_contains "$output" "there is no CDI device nvidia.com/gpu=7"
    berth 1 container exists "$name"
    mkdir "$FILE_DIR/cdi-wrong"
    echo '{"cdiVersion": "0.6.0", "kind": "example.com/x", "devices": [{"name": "a", "containerEdits": {"env": ["A=b"]}}]}' >"$FILE_DIR/cdi-wrong/x.json"
    berth 125 --cdi-spec-dir "$FILE_DIR/cdi-wrong" run --rm --device nvidia.com/gpu=7 $IMAGE true
    assert_contains "$output" "describes CDI devices is wrong"
}

@test "--hooks-dir: OCI hooks run, those whose conditions are met" {
    mkdir -p "$FILE_DIR/hooks"
    printf '#!/bin/sh\ncat >%s\n' "$FILE_DIR/hooked-$name" >"$FILE_DIR/hook.sh"
    chmod +x "$FILE_DIR/hook.sh"
    echo '{"version": "1.0.0", "hook": {"path": "'"$FILE_DIR/hook.sh"'"}, "when": {"annotations": {"^hooked$": "yes"}}, "stages": ["prestart"]}' >"$FILE_DIR/hooks/one.json"
    berth --hooks-dir "$FILE_DIR/hooks" run --rm $IMAGE true
    [[ ! -e $FILE_DIR/hooked-$name ]]
    berth --hooks-dir "$FILE_DIR/hooks" run --rm --annotation hooked=yes $IMAGE true
    [[ -s $FILE_DIR/hooked-$name ]]
    berth 125 --hooks-dir "$FILE_DIR/no-such" run --rm $IMAGE true
    is_berth || return 0
    assert_contains "$output" no-such
}

@test "transports in the place of an image's name: docker-archive, oci-archive, oci, dir" {
    is_berth || skip "podman 4.3 names such images otherwise"
    local kind
    for kind in docker-archive oci-archive; do
        berth save -q --format "$kind" -o "$FILE_DIR/$kind.tar" $IMAGE
        berth run --rm "$kind:$FILE_DIR/$kind.tar" echo "$kind"
        assert_equal "$output" "$kind"
    done
    for kind in oci docker; do
        berth save -q --format "$kind-dir" -o "$FILE_DIR/$kind-dir" $IMAGE
    done
    berth run --rm "oci:$FILE_DIR/oci-dir" echo oci
    assert_contains "$output" oci
    berth run --rm "dir:$FILE_DIR/docker-dir" echo dir
    assert_contains "$output" dir
    berth 125 run --rm "oci-archive:$FILE_DIR/no-such" true
    assert_contains "$output" no-such
}
