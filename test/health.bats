#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Health checks: the startup check, where results go, and how many are kept.
load helpers

health() { "$ENGINE" inspect --format '{{.State.Health.Status}}' "$1" 3>&-; }
is_health() { [[ $(health "$1") == "$2" ]]; }

@test "--health-startup-cmd runs in place of the check until it succeeds" {
    berth run -d --name "$name" --network none --health-cmd 'echo regular' --health-interval 500ms --health-startup-cmd 'echo startup; test -e /up' \
        --health-startup-interval 500ms --health-startup-success 2 "$IMAGE" sleep 1000
    wait_for 20 has_result "$name" startup
    is_health "$name" starting
    berth inspect --format '{{range .State.Health.Log}}{{.Output}}{{end}}' "$name"
    not assert_contains "$output" regular
    berth exec "$name" touch /up
    wait_for 20 is_health "$name" healthy
    wait_for 20 has_result "$name" regular
    berth rm -f -t 0 "$name"
}
has_result() { "$ENGINE" inspect --format '{{range .State.Health.Log}}{{.Output}}{{end}}' "$1" 3>&- | grep -q "$2"; }

@test "--health-startup-retries: a container that does not come up is restarted" {
    berth run -d --name "$name" --network none --health-cmd true --health-startup-cmd 'exit 1' --health-startup-interval 500ms --health-startup-retries 2 \
        --health-startup-timeout 5s --stop-timeout 0 "$IMAGE" sleep 1000
    local first
    first=$("$ENGINE" inspect --format '{{.State.Pid}}' "$name" 3>&-)
    wait_for 30 restarted "$name" "$first"
    berth rm -f -t 0 "$name"
}
restarted() { local pid; pid=$("$ENGINE" inspect --format '{{.State.Pid}}' "$1" 3>&-); [[ $pid -gt 0 && $pid != "$2" ]]; }

@test "a container that is being stopped is not judged: no action brings it back" {
    berth run -d --name "$name" --network none --health-cmd 'test ! -e /bad' --health-interval 500ms --health-retries 1 --health-on-failure restart \
        "$IMAGE" sh -c 'rm -f /bad; trap "touch /bad" TERM; while :; do sleep 0.1; done'
    wait_for 20 is_health "$name" healthy
    berth stop -t 3 "$name"
    sleep 0.5
    berth inspect --format '{{.State.Status}} {{.State.Health.Status}}' "$name"
    assert_equal "$output" "exited healthy"
    berth rm "$name"
}

@test "--health-max-log-count and --health-max-log-size" {
    berth run -d --name "$name" --network none --health-cmd 'echo 0123456789' --health-interval disable --health-max-log-count 2 --health-max-log-size 4 "$IMAGE" sleep 1000
    local i
    for i in 1 2 3; do berth healthcheck run "$name"; done
    berth inspect --format '{{len .State.Health.Log}}{{range .State.Health.Log}} {{.Output}}{{end}}' "$name"
    assert_equal "$output" "2 0123 0123"
    berth rm -f -t 0 "$name"
    berth run -d --name "$name" --network none --health-cmd 'head -c 3000 /dev/zero | tr "\0" x' --health-interval disable --health-max-log-count 0 --health-max-log-size 0 "$IMAGE" sleep 1000
    for i in 1 2 3 4 5 6 7; do berth healthcheck run "$name"; done
    berth inspect --format '{{len .State.Health.Log}} {{range .State.Health.Log}}{{len .Output}} {{end}}' "$name"
    assert_equal "$output" "7 3000 3000 3000 3000 3000 3000 3000 "
    berth rm -f -t 0 "$name"
}

@test "--health-log-destination: a directory, and the events" {
    mkdir "$FILE_DIR/hc"
    berth run -d --name "$name" --network none --health-cmd 'echo said' --health-interval disable --health-log-destination "$FILE_DIR/hc" "$IMAGE" sleep 1000
    local id=$output
    berth healthcheck run "$name"
    [[ $(jq -r '.Log[0].Output' "$FILE_DIR/hc/$id-healthcheck.log") == said ]]
    berth rm -f -t 0 "$name"
    berth run -d --name "$name-2" --network none --health-cmd 'echo said' --health-interval disable --health-log-destination events_logger "$IMAGE" sleep 1000
    berth healthcheck run "$name-2"
    berth events --stream=false --since 10m --filter container="$name-2" --filter event=health_status --format json
    [[ $(jq -r '.Attributes.health_log' <<<"$output") == said* ]]
    berth rm -f -t 0 "$name-2"
    berth 125 run --rm --health-cmd true --health-log-destination /nosuchdir "$IMAGE" true
    assert_contains "$output" "--health-log-destination"
    berth 125 run --rm --health-cmd true --health-startup-interval 1s "$IMAGE" true
    assert_contains "$output" "--health-startup-cmd"
}

@test "healthcheck run: exit code and output" {
    berth run -d --name "$name" --network none --health-cmd 'test -e /ok' --health-interval disable --health-retries 1 "$IMAGE" sleep 1000
    berth 1 healthcheck run "$name"
    assert_equal "$output" unhealthy
    berth exec "$name" touch /ok
    berth healthcheck run "$name"
    assert_equal "$output" ""
    berth stop -t 0 "$name"
    berth 125 healthcheck run "$name"
    berth rm "$name"
    berth 125 healthcheck run nosuch
}
