#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `update`, and the history of what it changed.
load helpers

no_cgroups() { is_rootless && [[ ! -e /sys/fs/cgroup/cgroup.controllers ]]; }

@test "update of a running container: restart policy at once, environment and ulimits with the next start; its ID is printed" {
    berth run -d --name "$name" --network none -e A=old -e GONE=1 "$IMAGE" sleep 1000
    local id=$output
    berth update --restart on-failure:4 --env A=new --env B=2 --unsetenv GONE --ulimit nofile=77:88 "$name"
    assert_equal "$output" "$id"
    berth inspect --format '{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}} {{.Config.Env}}' "$name"
    assert_contains "$output" "on-failure 4"
    assert_contains "$output" "A=new"
    not assert_contains "$output" GONE
    berth exec "$name" sh -c 'cat /proc/1/environ | tr "\0" "\n"'
    assert_contains "$output" "A=old"
    berth restart -t 0 "$name"
    berth exec "$name" sh -c 'cat /proc/1/environ | tr "\0" "\n"; grep "open files" /proc/1/limits'
    assert_contains "$output" "A=new"
    assert_contains "$output" "B=2"
    not assert_contains "$output" GONE
    [[ $output == *"Max open files"*77*88* ]]
    berth events --stream=false --since 10m --filter container="$name" --filter event=update
    assert_contains "$output" "container update"
    berth rm -f -t 0 "$name"
}

@test "the restart policy that update has given is the monitor's" {
    berth run -d --name "$name" --network none "$IMAGE" sleep 1000
    berth update --restart always "$name"
    berth kill "$name" # by the user: it stays down
    berth wait "$name"
    berth start "$name"
    kill -KILL "$(in_engine "$name")" 2>/dev/null || berth exec "$name" kill -9 1 || true
    berth inspect --format '{{.HostConfig.RestartPolicy.Name}}' "$name"
    assert_equal "$output" always
    berth rm -f -t 0 "$name"
}
in_engine() { "$ENGINE" inspect --format '{{.State.Pid}}' "$1" 3>&-; }

@test "update --health-*: a check begins, changes, and ends, without a restart" {
    berth run -d --name "$name" --network none "$IMAGE" sleep 1000
    berth 125 healthcheck run "$name"
    assert_contains "$output" "has no defined healthcheck"
    berth update --health-cmd 'exit 0' --health-interval 500ms "$name"
    wait_for 20 is_healthy "$name"
    berth healthcheck run "$name"
    assert_equal "$output" ""
    berth update --health-cmd 'echo bad; exit 3' --health-retries 1 "$name"
    berth 1 healthcheck run "$name"
    assert_equal "$output" unhealthy
    berth update --no-healthcheck "$name"
    berth 125 healthcheck run "$name"
    berth inspect --format '{{.Config.Healthcheck}} {{.State.Health}}' "$name"
    assert_equal "$output" "<nil> <nil>"
    berth rm -f -t 0 "$name"
}
is_healthy() { [[ $("$ENGINE" inspect --format '{{.State.Health.Status}}' "$1" 3>&-) == healthy ]]; }

@test "update of limits: root's take effect at once, and stay; a container without a cgroup says so" {
    berth run -d --name "$name" --network none --memory 64m "$IMAGE" sleep 1000
    if no_cgroups; then
        berth 125 update --memory 100m "$name"
        assert_contains "$output" "it has no cgroup"
        berth rm -f -t 0 "$name"
        return
    fi
    berth update --memory 100m --pids-limit 50 --cpu-shares 200 "$name"
    if [[ -d /sys/fs/cgroup/memory ]]; then
        berth exec "$name" cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/cpu/cpu.shares
        assert_equal "$output" $'104857600\n50\n200'
    fi
    berth inspect --format '{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.CpuShares}}' "$name"
    assert_equal "$output" "104857600 50 200"
    berth 125 update --memory 1k "$name"
    assert_contains "$output" "--memory"
    berth container rollback "$name" 1
    if [[ -d /sys/fs/cgroup/memory ]]; then
        berth exec "$name" cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.shares
        assert_equal "$output" $'67108864\n1024'
    fi
    berth restart -t 0 "$name"
    berth inspect --format '{{.HostConfig.Memory}} {{.HostConfig.CpuShares}}' "$name"
    assert_equal "$output" "67108864 0"
    berth rm -f -t 0 "$name"
}

@test "container history and rollback" {
    berth create --name "$name" -e A=1 "$IMAGE" env
    berth container history "$name"
    [[ ${#lines[@]} -eq 2 && ${lines[0]} == REVISION*CREATED*CHANGES && ${lines[1]} == 1*created ]]
    berth 125 container rollback "$name"
    assert_contains "$output" "it was never updated"
    berth update -e A=2 "$name"
    berth update -e A=3 --restart always "$name"
    berth update "$name"
    berth container history -q "$name"
    assert_equal "$output" $'3\n2\n1'
    berth container history "$name"
    assert_contains "${lines[1]}" "env.A=3 restart=always"
    berth container history --format json "$name"
    [[ $(jq -r '.[2].settings.restart.policy' <<<"$output") == always ]]
    berth container rollback "$name"
    assert_equal "$output" "$name is as in revision 2"
    berth container rollback "$name" 1
    berth start -a "$name"
    assert_contains "$output" "A=1"
    berth inspect --format '{{.HostConfig.RestartPolicy.Name}}' "$name"
    assert_equal "$output" no
    berth container history -q "$name"
    assert_equal "${lines[0]}" 5
    berth 125 container rollback "$name" 9
    assert_contains "$output" "no such revision: 9"
    berth 125 container rollback "$name" x
    berth rm "$name"
}

@test "an update that is killed: the container can be used, and the next one goes on" {
    berth create --name "$name" -e A=0 "$IMAGE" env
    local i pid
    for i in $(seq 1 12); do
        "$ENGINE" update -e A="$i" --restart on-failure:"$i" "$name" >/dev/null 2>&1 3>&- &
        pid=$!
        sleep "0.0$((i * 4 % 10))$i"
        kill -KILL $pid 2>/dev/null || true
        wait $pid || true
        berth inspect --format '{{.Name}}' "$name"
    done
    berth update -e A=last "$name"
    berth container history "$name"
    assert_contains "${lines[1]}" "env.A=last"
    berth start -a "$name"
    assert_contains "$output" "A=last"
    "$ENGINE" system check --repair 3>&- # a temporary file, at most
    berth system check
    berth rm "$name"
}

@test "an update tells the monitor also what the record says already: one that was killed may not have" {
    berth run -d --name "$name" "$IMAGE" sh -c 'sleep 0.1; while [ ! -e /end ]; do sleep 0.1; done; exit 1'
    local id file
    id=$("$ENGINE" inspect --format '{{.Id}}' "$name" 3>&-)
    file=$("$ENGINE" info --format '{{.Store.GraphRoot}}' 3>&-)/berth/containers/$id/config.json
    sed -i 's/"policy":"no"/"policy":"always"/' "$file"
    berth inspect --format '{{.HostConfig.RestartPolicy.Name}}' "$name"
    assert_equal "$output" always
    berth update --restart always "$name"
    berth exec "$name" touch /end
    wait_for 20 has_restarted "$name"
    berth rm -f -t 0 "$name"
}
has_restarted() { [[ $("$ENGINE" inspect --format '{{.RestartCount}}' "$1" 3>&-) -gt 0 ]]; }

@test "update leaves a secret that is a variable where it is, and out of the history" {
    printf hidden >"$FILE_DIR/secret"
    berth secret create "$name" "$FILE_DIR/secret"
    berth create --name "$name" --secret "$name,type=env,target=SECRET" -e A=1 "$IMAGE" env
    berth update -e A=2 "$name"
    berth container history --format json "$name"
    not assert_contains "$output" hidden
    berth start -a "$name"
    assert_contains "$output" "SECRET=hidden"
    assert_contains "$output" "A=2"
    berth rm "$name"
    berth secret rm "$name"
}

@test "two updates at once lose nothing" {
    berth create --name "$name" "$IMAGE" env
    local i
    for i in 1 2 3 4 5 6; do "$ENGINE" update -e "N$i=$i" "$name" >/dev/null 3>&- & done
    wait
    berth start -a "$name"
    for i in 1 2 3 4 5 6; do assert_contains "$output" "N$i=$i"; done
    berth rm "$name"
}
