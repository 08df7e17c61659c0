#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# system prune, reset and boot; events of all kinds of things; what info and version say, and by which name.
load helpers

@test "system prune removes what nothing uses, and no more" {
    berth run --name "$name-old" --label "t=$name" "$IMAGE" sh -c 'head -c 100000 /dev/zero >/x'
    berth run -d --name "$name-up" -v "$name-used:/v" "$IMAGE" sleep 1000
    berth volume create "$name-free"
    berth system prune --force --filter "label=t=other-$name"
    berth container exists "$name-old"
    berth 125 system prune --force --filter name=x
    berth system prune --force
    assert_contains "$output" "Total reclaimed space: "
    berth 1 container exists "$name-old"
    berth container exists "$name-up"
    berth volume exists "$name-free"
    berth image exists "$IMAGE"
    berth system prune --all --volumes --force
    berth 1 volume exists "$name-free"
    berth volume exists "$name-used"
    berth image exists "$IMAGE" # it is in use
    if is_berth; then
        berth 125 system prune --external
        berth system renumber
    fi
    berth rm -f -t 0 "$name-up"
}

@test "system reset removes everything of Berth's" {
    is_berth || skip "podman's takes storage.conf's directories along"
    local root=("--root" "$FILE_DIR/reset" --runroot "$FILE_DIR/run/reset")
    berth "${root[@]}" load -q -i "$FIXTURES/busybox.tar"
    berth "${root[@]}" run -d --name "$name" -v "$name:/v" "$IMAGE" sleep 1000
    berth 125 "${root[@]}" system reset </dev/null
    berth "${root[@]}" container exists "$name"
    berth "${root[@]}" system reset --force
    for what in "ps -aq" "volume ls -q" "images -q"; do
        # shellcheck disable=SC2086 # words
        berth "${root[@]}" $what
        assert_equal "$output" ""
    done
    berth "${root[@]}" system check
}

@test "system boot starts what should run, once" {
    is_berth || skip "podman has its filter should-start-on-boot"
    berth run -d --name "$name-always" --restart always "$IMAGE" sleep 1000
    berth run -d --name "$name-unless" --network none --restart unless-stopped "$IMAGE" sleep 1000
    berth run -d --name "$name-no" "$IMAGE" sleep 1000
    berth system boot
    assert_equal "$output" "" # they run
    berth stop -t 0 --filter "name=$name"
    berth ps -a --filter "name=$name" --filter should-start-on-boot=true --format '{{.Names}}'
    assert_equal "$output" "$name-always"
    berth system boot
    assert_equal "${#lines[@]}" 1
    berth ps --filter "name=$name" --format '{{.Names}}'
    assert_equal "$output" "$name-always"
    # After a power cut the record says that it runs, in another boot. No other monitor is there that would replace the killed one.
    berth rm -f -t 0 "$name-always" "$name-no"
    berth start "$name-unless"
    local id monitor; id=$("$ENGINE" inspect -f '{{.Id}}' "$name-unless" 3>&-)
    monitor=$("$ENGINE" inspect -f '{{.State.ConmonPid}}' "$name-unless" 3>&-)
    local pid; pid=$("$ENGINE" inspect -f '{{.State.Pid}}' "$name-unless" 3>&-)
    kill -KILL "$monitor" "$pid"
    wait_for 10 not test -d "/proc/$pid"
    sed -i 's/"bootID":"[^"]*"/"bootID":"11111111-2222-3333-4444-555555555555"/' "$GRAPHROOT/berth/containers/$id/state.json"
    berth inspect -f '{{.State.Status}} {{.State.Error}}' "$name-unless"
    assert_equal "$output" "exited the host went down while the container ran"
    berth system boot
    assert_equal "$output" "$id"
    berth exec "$name-unless" true
    berth rm -f -t 0 "$name-unless"
}

@test "events in words have labels" {
    berth create --name "$name" --label purpose=test "$IMAGE" true
    berth events --stream=false --since 10m --filter container="$name" --filter event=create
    assert_contains "$output" ", name=$name, purpose=test)"
    berth rm "$name"
}

@test "events of containers, images and volumes; fields; --no-trunc; system events" {
    is_berth || skip "podman 4.3 has other events"
    berth tag "$IMAGE" "localhost/$name:1"
    berth volume create "$name"
    berth 3 run --name "$name" "$IMAGE" sh -c 'exit 3'
    berth rm "$name"
    berth volume rm "$name"
    berth untag "localhost/$name:1"
    berth events --stream=false --since 10m --filter type=volume --filter "volume=$name" --format '{{.Type}} {{.Status}} {{.Name}}'
    assert_equal "$output" $'volume create '"$name"$'\nvolume remove '"$name"
    berth system events --stream=false --since 10m --filter type=image --filter "image=$name" --format '{{.Status}}'
    assert_equal "$output" $'tag\nuntag'
    berth events --stream=false --since 10m --filter "container=$name" --filter event=died --format '{{.ContainerExitCode}} {{.Details.Attributes.containerExitCode}} {{.TimeNano}}'
    [[ $output =~ ^3\ 3\ [0-9]+$ || $output == "0x"*" 3 "* ]]
    berth events --stream=false --since 10m --filter "container=$name" --filter event=create --no-trunc=false --format '{{.ID}}'
    assert_equal "${#output}" 12
    berth events --stream=false --since 10m --filter "container=$name" --filter event=create --format '{{.ID}}'
    assert_equal "${#output}" 64
    berth 125 events --stream=false --filter nonsense=x
}

@test "version and info: by podman's name, podman's version; Berth's own beside it" {
    is_berth || skip "Berth's own"
    local podman=$FILE_DIR/podman own
    ln -sf "$ENGINE" "$podman"
    own=$("$ENGINE" --version 3>&-)
    assert_contains "$own" "berth version "
    assert_equal "$("$podman" --version 3>&-)" "podman version 5.8.2"
    assert_equal "$("$podman" version --format '{{.Client.Version}}' 3>&-)" 5.8.2
    assert_equal "$("$podman" info --format '{{.Version.Version}}' 3>&-)" 5.8.2
    assert_equal "$("$ENGINE" version --format '{{.Server.APIVersion}}' 3>&-)" 5.8.2
    assert_contains "$("$podman" version --format '{{.Client.BuildOrigin}}' 3>&-)" "Berth ${own#berth version }"
    berth info --format '{{.Host.BuildahVersion}} {{.Host.Conmon.Package}} {{.Host.NetworkBackendInfo.Backend}} {{.Plugins.Log}} {{.Registries}} {{.Host.CPUUtilization.IdlePercent}}'
    assert_contains "$output" "k8s-file"
    [[ $output == 1.* ]]
    berth info --format json
    jq -e '.host.ociRuntime.package and .plugins.volume and .version.Os and .host.networkBackend == "cni" and (.plugins.network | index("bridge")) and .host.networkBackendInfo.dns.path' <<<"$output"
}

@test "system check: a damaged image that a container has stays until --force; --max says from which age on a layer is nobody's" {
    is_berth || skip "podman 4.3 has no such command"
    local c=$FILE_DIR/damaged-$name layer
    berth load -q -i "$FIXTURES/busybox.tar" # another test has removed it
    mkdir "$c"
    echo whole >"$c/f"
    printf 'FROM %s\nCOPY f /f\n' "$IMAGE" >"$c/Containerfile"
    berth build -q --network none -t "localhost/$name" "$c"
    berth create --name "$name" "localhost/$name" cat /f
    layer=$(jq -r --arg n "localhost/$name:latest" '.[] | select(.names // [] | index($n)) | .layer' "$GRAPHROOT/overlay-images/images.json")
    chmod u+w "$GRAPHROOT/overlay/$layer/diff" "$GRAPHROOT/overlay/$layer/diff/f"
    echo other >"$GRAPHROOT/overlay/$layer/diff/f"
    berth 1 system check
    assert_contains "$output" "damaged"
    berth system check --quick
    berth 1 system check --repair
    assert_contains "$output" "not repaired: containers have it: $name"
    assert_contains "$output" "Hint: remove these containers, too, with: berth system check --repair --force"
    berth container exists "$name"
    berth image exists "localhost/$name"
    berth system check --repair --force
    berth 1 container exists "$name"
    berth 1 image exists "localhost/$name"
    berth image exists "$IMAGE"
    berth system check

    # A layer that no image has: it could be one that another program is making an image of.
    berth build -q --network none -t "localhost/$name" "$c"
    layer=$(jq -r --arg n "localhost/$name:latest" '.[] | select(.names // [] | index($n)) | .layer' "$GRAPHROOT/overlay-images/images.json")
    jq --arg n "localhost/$name:latest" 'map(select(.names // [] | index($n) | not))' "$GRAPHROOT/overlay-images/images.json" >"$c/images.json"
    cat "$c/images.json" >"$GRAPHROOT/overlay-images/images.json"
    rm -rf "$GRAPHROOT"/berth/layers/*
    berth system check --repair --max 1h
    assert_contains "$output" "layer ${layer:0:12} belongs to no image and no container: another program may be making an image of it; it goes when it is older than 1h0m0s"
    [[ -e $GRAPHROOT/overlay/$layer ]]
    sleep 1
    berth system check --repair --max 1s
    [[ ! -e $GRAPHROOT/overlay/$layer ]]
    berth system check
    berth 125 system check --max -1h
    assert_contains "$output" "--max -1h0m0s"
}

@test "system migrate: stops what runs; the next start has the runtime that was asked for" {
    berth load -q -i "$FIXTURES/busybox.tar" # another test has removed it
    berth run -d --name "$name" --network none "$IMAGE" sleep 300
    local id=$output
    berth create --name "$name-2" "$IMAGE" true
    berth run -d --rm --name "$name-rm" --network none "$IMAGE" sleep 300
    berth system migrate --new-runtime runc
    assert_contains "$output" "stopped $id"
    berth ps -a --sort names --format '{{.Names}} {{.State}}'
    assert_equal "$(sort <<<"$output")" "$name exited"$'\n'"$name-2 created"
    berth inspect -f '{{.OCIRuntime}}' "$name" "$name-2"
    assert_equal "$output" runc$'\n'runc
    berth start "$name"
    berth exec "$name" grep Seccomp: /proc/self/status
    assert_contains "$output" 2
    berth start -a "$name-2"
    if is_berth; then
        berth system migrate --new-runtime crun
        berth start "$name"
        berth exec "$name" true
        berth 125 system migrate --new-runtime no-such-runtime
        assert_contains "$output" no-such-runtime
        if is_rootless; then # nobody is left in the user's namespace, so a change of /etc/subuid counts from now on
            berth system migrate
            wait_for 10 not kill -0 "$(cut -d' ' -f1 "$XDG_RUNTIME_DIR/berth/userns")" 2>/dev/null
        fi
    fi
    berth rm -f -t 0 "$name" "$name-2"
}

@test "events of type system: renumber, and refresh after a boot" {
    is_berth || skip "podman has no boot here"
    berth load -q -i "$FIXTURES/busybox.tar" # another test has removed it
    berth system renumber
    berth create --name "$name" "$IMAGE" true
    discard "$RUNROOT"
    berth start -a "$name"
    berth events --stream=false --since 10m --filter type=system --format '{{.Type}} {{.Status}}'
    assert_equal "${lines[*]: -2}" "system renumber system refresh"
    berth events --stream=false --since 10m --filter type=system --filter event=renumber
    [[ ${lines[0]} == *" system renumber" ]]
    berth rm "$name"
}
