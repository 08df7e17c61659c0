#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# stop, kill, restart, start, rename: a container's life after run.
load helpers

@test "stop sends SIGTERM, and waits for the end" {
    berth run -d --name "$name" "$IMAGE" sh -c 'trap "exit 5" TERM; echo ready; while :; do sleep 0.1; done'
    ready
    berth stop "$name"
    assert_equal "$output" "$name"
    berth inspect --format '{{.State.Status}} {{.State.ExitCode}}' "$name"
    assert_equal "$output" "exited 5"
}
ready() {
    listed() { "$ENGINE" logs "$name" 2>&1 3>&- | grep -q ready; }
    wait_for 10 listed
}

@test "stop kills a container that ignores SIGTERM once --time is over" {
    berth run -d --name "$name" "$IMAGE" sh -c 'trap "" TERM; echo ready; while :; do sleep 0.1; done'
    ready
    BERTH_TIMEOUT=30 berth stop --time 1 "$name"
    assert_contains "$output" "StopSignal SIGTERM failed to stop container $name in 1 seconds, resorting to SIGKILL"
    berth inspect --format '{{.State.ExitCode}}' "$name"
    assert_equal "$output" 137
    berth start "$name"
    ready
    berth restart -t 1 "$name"
    is_berth && assert_contains "$output" "StopSignal SIGTERM failed to stop container $name in 1 seconds"
    ready
    berth_split stop -t 0 "$name" # it is not given any time
    assert_equal "$stderr" ""
}

@test "run --timeout ends the container with 255" {
    berth 255 run --name "$name" --timeout 1 "$IMAGE" sleep 30
}

@test "stop uses --stop-signal and --stop-timeout of the container" {
    berth run -d --name "$name" --stop-signal USR1 "$IMAGE" sh -c 'trap "exit 10" USR1; echo ready; while :; do sleep 0.1; done'
    ready
    berth stop "$name"
    berth inspect --format '{{.State.ExitCode}}' "$name"
    assert_equal "$output" 10
    berth run -d --name "$name-2" --stop-timeout 0 "$IMAGE" sleep 100
    BERTH_TIMEOUT=8 berth stop "$name-2"
}

@test "stop of a stopped container succeeds; of one that is not there it does not" {
    berth run --name "$name" "$IMAGE" true
    berth stop "$name"
    berth 125 stop "no-such-$name"
    assert_contains "$output" "no-such-$name"
    berth stop --ignore "no-such-$name"
}

@test "stop several, and --all" {
    for i in 1 2 3; do berth run -d --name "$name-$i" "$IMAGE" sleep 100; done
    berth stop -t 0 "$name-1" "$name-2"
    assert_equal "${#lines[@]}" 2
    berth stop -t 0 --all
    berth ps -q
    assert_equal "$output" ""
}

@test "kill: SIGKILL, or another signal by name and number" {
    berth run -d --name "$name" "$IMAGE" sh -c 'trap "echo usr1" USR1; echo ready; while :; do sleep 0.1; done'
    ready
    berth kill --signal USR1 "$name"
    usr1() { "$ENGINE" logs "$name" 2>&1 3>&- | grep -q usr1; }
    wait_for 10 usr1
    berth 125 kill --signal NONSENSE "$name"
    assert_contains "$output" NONSENSE
    berth kill "$name"
    berth wait "$name"
    assert_equal "$output" 137
    berth 125 kill "$name"
}

@test "start again keeps the file system; restart of a running container" {
    berth run --name "$name" "$IMAGE" sh -c 'echo run >>/log; cat /log'
    berth start -a "$name"
    assert_equal "$output" $'run\nrun'
    berth run -d --name "$name-2" "$IMAGE" sleep 100
    berth inspect --format '{{.State.Pid}}' "$name-2"
    before=$output
    berth restart -t 0 "$name-2"
    berth inspect --format '{{.State.Running}} {{.State.Pid}}' "$name-2"
    [[ $output == "true "* && $output != "true $before" ]]
}

@test "start of a running container does nothing; of one that is not there it fails" {
    berth run -d --name "$name" "$IMAGE" sleep 100
    berth start "$name"
    berth 125 start "no-such-$name"
}

@test "rename" {
    berth run -d --name "$name" "$IMAGE" sleep 100
    berth rename "$name" "$name-new"
    berth 1 container exists "$name"
    berth exec "$name-new" true
    berth create --name "$name" "$IMAGE" true
    berth 125 rename "$name" "$name-new"
}

@test "the engine keeps a stopped container's exit code and times" {
    berth run -d --name "$name" "$IMAGE" sh -c 'exit 11'
    berth wait "$name"
    berth inspect --format '{{.State.ExitCode}} {{.State.FinishedAt.Year}}' "$name"
    assert_equal "$output" "11 $(date +%Y)"
}
