#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: root
# container clone: a container like another one.
load helpers

@test "a clone is made from the options of its container, and has its volumes and a layer of its own" {
    mkdir "$FILE_DIR/$name"
    echo bound >"$FILE_DIR/$name/file"
    cd "$FILE_DIR"
    berth create --name "$name" -v "./$name:/b:ro" -v "$name-v:/v" -v /anonymous -e A=1 -l k=v -w /tmp --stop-timeout 3 --restart on-failure:2 -u 5:6 --tmpfs /t --cap-drop chown "$IMAGE" \
        sh -c 'id -u; pwd; cat /b/file; cat /v/* /anonymous/* /layer 2>/dev/null; echo $A; echo was >/tmp/layer'
    berth run --rm --volumes-from "$name" -u 0 "$IMAGE" sh -c 'echo named >/v/f; echo unnamed >/anonymous/f'
    berth start -a "$name"
    cd /
    berth_split container clone "$name"
    [[ $output =~ ^[0-9a-f]{64}$ ]]
    berth start -a "$name-clone"
    assert_equal "$output" $'5\n/tmp\nbound\nnamed\nunnamed\n1'
    # shellcheck disable=SC2016
    local f='{{.Config.Labels.k}} {{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}} {{.Config.StopTimeout}} {{.Config.User}}'
    berth inspect --format "$f" "$name"
    local want=$output
    berth inspect --format "$f" "$name-clone"
    assert_equal "$output" "$want"
    berth diff "$name-clone"
    assert_contains "$output" "A /tmp/layer"
    berth rm "$name"
    berth start -a "$name-clone"
    assert_contains "$output" "unnamed"
    berth rm -v "$name-clone"
    berth volume rm "$name-v"
    assert_equal "$("$ENGINE" volume ls -q --filter anonymous=true 3>&-)" ""
}

@test "names of clones" {
    berth create --name "$name" "$IMAGE" true
    for want in "$name-clone" "$name-clone1" "$name-clone2"; do
        berth container clone "$name"
        berth container exists "$want"
    done
    berth container clone "$name-clone"
    berth container exists "$name-clone3"
    berth container clone "$name" "$name-own"
    berth container exists "$name-own"
    berth container clone --name "$name-own2" "$name"
    berth container exists "$name-own2"
    berth 125 container clone "$name" "$name-own"
    assert_contains "$output" "already in use"
    berth 125 container clone "none-$name"
    assert_contains "$output" "no such container"
    berth 125 container clone --force "$name"
    assert_contains "$output" "cannot set --force without --destroy"
    berth 125 container clone --pod p "$name"
    assert_contains "$output" "--pod"
}

@test "a clone with another image, in place of its container, that is started" {
    berth tag "$IMAGE" "localhost/$name"
    berth run -d --name "$name" "$IMAGE" sleep 1000
    berth 125 container clone --destroy "$name"
    assert_contains "$output" "cannot remove container"
    berth 1 container exists "$name-clone"
    berth_split container clone --destroy --force --run "$name" "$name-2" "localhost/$name"
    berth 1 container exists "$name"
    berth inspect --format '{{.State.Status}} {{.ImageName}}' "$name-2"
    assert_equal "$output" "running localhost/$name:latest"
    berth exec "$name-2" cat /proc/1/cmdline
    assert_contains "$output" sleep
    berth 125 container clone "$name-2" "$name-3" localhost/none
    berth 1 container exists "$name-3"
    berth rm -f -t 0 "$name-2"
}

@test "a clone has what update has changed, and rollback" {
    berth create --name "$name" --network none -e A=old -e GONE=1 --ulimit nofile=50:60 "$IMAGE" sh -c 'echo $A $B $GONE; ulimit -n'
    berth update --restart always --env A=new --env B=2 --unsetenv GONE --ulimit nofile=77:88 --health-cmd 'true' "$name"
    berth container clone "$name" "$name-2"
    berth inspect --format '{{.HostConfig.RestartPolicy.Name}} {{.Config.Healthcheck.Test}} {{.Config.Env}}' "$name-2"
    assert_contains "$output" "always [CMD-SHELL true]"
    berth update --restart no "$name-2"
    berth container clone "$name-2" "$name-3"
    berth start -a "$name-3"
    assert_equal "$output" $'new 2\n77'
    berth container rollback "$name" 1
    berth container clone "$name" "$name-4"
    berth start -a "$name-4"
    assert_equal "$output" $'old 1\n50'
}

@test "limits of a clone" {
    is_rootless && [[ ! -e /sys/fs/cgroup/cgroup.controllers ]] && skip "no cgroup of one's own"
    berth create --name "$name" --memory 64m --cpus 1 --pids-limit 30 "$IMAGE" true
    local f='{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}'
    berth container clone --memory 96m "$name" "$name-2"
    berth inspect --format "$f" "$name-2"
    assert_equal "$output" "100663296 201326592 1000000000 30"
    berth update --cpus 0.5 "$name-2"
    berth container clone "$name-2" "$name-3"
    berth inspect --format "$f" "$name-3"
    assert_equal "$output" "100663296 201326592 500000000 30"
}
