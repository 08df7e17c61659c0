#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# ps: which containers it lists, and how.
load helpers

@test "ps lists nothing, then what runs, and with -a all" {
    berth ps -aq
    assert_equal "$output" ""
    berth run -d --name "$name" "$IMAGE" sleep 100
    id=$output
    berth create --name "$name-2" "$IMAGE" true
    berth ps -q --no-trunc
    assert_equal "$output" "$id"
    berth ps -q
    assert_equal "$output" "${id:0:12}"
    berth ps -aq
    assert_equal "${#lines[@]}" 2
}

@test "ps: the columns" {
    berth run -d --name "$name" "$IMAGE" sleep 100
    berth ps
    [[ ${lines[0]} =~ ^"CONTAINER ID"\ +IMAGE\ +COMMAND\ +CREATED\ +STATUS\ +PORTS\ +NAMES ]]
    [[ ${lines[1]} =~ ^[0-9a-f]{12}\ +$IMAGE\ +"sleep 100"\ +.*ago\ +Up\ .*$name ]]
}

@test "ps tells each state" {
    berth create --name "$name-created" "$IMAGE" true
    berth 3 run --name "$name-exited" "$IMAGE" sh -c 'exit 3'
    berth run -d --name "$name-up" "$IMAGE" sleep 100
    berth ps -a --sort names --format '{{.Names}}|{{.Status}}'
    [[ ${lines[0]} == "$name-created|Created" ]]
    [[ ${lines[1]} == "$name-exited|Exited (3) "*ago ]]
    [[ ${lines[2]} == "$name-up|Up "* ]]
    berth_split ps -a --sort names --format json
    assert_equal "$(jq -r '[.[].State] | join(" ")' <<<"$output")" "created exited running"
}

@test "ps --format: fields, table, json" {
    berth run -d --name "$name" --label colour=red "$IMAGE" sleep 100
    id=$output
    berth ps --no-trunc --format '{{.ID}} {{.Image}} {{.Names}} {{.Command}}'
    assert_equal "$output" "$id $IMAGE $name sleep 100"
    berth ps --format 'table {{.Names}} {{.Image}}'
    [[ ${lines[0]} =~ ^NAMES\ +IMAGE ]]
    berth_split ps --format json
    assert_equal "$(jq -r '.[0].Names[0]' <<<"$output")" "$name"
    assert_equal "$(jq -r '.[0].Id' <<<"$output")" "$id"
    assert_equal "$(jq -r '.[0].State' <<<"$output")" running
    assert_equal "$(jq -r '.[0].Labels.colour' <<<"$output")" red
    assert_equal "$(jq -r '.[0].Pid > 1' <<<"$output")" true
}

@test "ps --filter by name, status, label, id, exit code, ancestor" {
    berth run -d --name "$name-a" --label colour=red "$IMAGE" sleep 100
    id=$output
    berth 3 run --name "$name-b" --label colour=blue "$IMAGE" sh -c 'exit 3'
    names() { berth ps -a --format '{{.Names}}' "$@"; }
    names --filter "name=$name-a";       assert_equal "$output" "$name-a"
    names --filter status=exited;        assert_equal "$output" "$name-b"
    names --filter label=colour=red;     assert_equal "$output" "$name-a"
    names --filter "id=${id:0:12}";      assert_equal "$output" "$name-a"
    names --filter exited=3;             assert_equal "$output" "$name-b"
    names --filter "ancestor=$IMAGE" --filter status=running
    assert_equal "$output" "$name-a"
    names --filter label=colour=green;   assert_equal "$output" ""
    berth 125 ps --filter nonsense=1
    assert_contains "$output" nonsense
}

@test "ps --last and --latest list the newest" {
    berth create --name "$name-1" "$IMAGE" true
    berth create --name "$name-2" "$IMAGE" true
    berth ps -l --format '{{.Names}}'
    assert_equal "$output" "$name-2"
    berth ps -n 1 --format '{{.Names}}'
    assert_equal "$output" "$name-2"
}

@test "ps does not list a container whose process was killed behind the engine's back" {
    berth run -d --name "$name" "$IMAGE" sleep 100
    berth inspect --format '{{.State.Pid}}' "$name"
    unshare_kill "$output"
    gone() { [[ -z $("$ENGINE" ps -q 3>&-) ]]; }
    wait_for 10 gone
    berth inspect --format '{{.State.ExitCode}}' "$name"
    assert_equal "$output" 137
}
# The container's processes belong to the caller, or to an ID that root has.
unshare_kill() { kill -KILL "$1"; }
