#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The main job, from the registry to the last log line: a real server, pulled, published, used,
# stopped, with nothing left.
load helpers

setup_file() { NO_IMAGE=1 store_setup; }

@test "nginx from a registry serves over IPv4 and IPv6, logs its clients, and leaves nothing" {
    mounts=$(sort /proc/self/mountinfo)
    start_registry
    push_fixture nginx team/nginx:1
    berth pull "$REGISTRY/team/nginx:1"
    port=$(free_port)
    berth run -d --name "$name" -p "$port:80" "$REGISTRY/team/nginx:1"
    berth port "$name"
    assert_contains "$output" "80/tcp -> 0.0.0.0:$port"

    wait_for 20 curl -sfo "$FILE_DIR/page" "http://127.0.0.1:$port/"
    assert_equal "$(cat "$FILE_DIR/page")" "hello from nginx in Berth"
    run curl -sf --max-time 10 "http://[::1]:$port/?v6"
    assert_equal "$output" "hello from nginx in Berth"

    "$ENGINE" logs -f "$name" >"$FILE_DIR/log" 2>&1 3>&- &
    follower=$!
    wait_for 10 grep -q 'GET /?v6' "$FILE_DIR/log"
    curl -sf "http://127.0.0.1:$port/followed"  || true
    wait_for 10 grep -q 'GET /followed' "$FILE_DIR/log"

    berth exec "$name" cat /srv/index.html
    assert_equal "$output" "hello from nginx in Berth"
    berth exec "$name" sh -c 'cat /proc/1/comm'
    assert_equal "$output" nginx

    berth stop "$name"
    wait "$follower"
    berth inspect --format '{{.State.ExitCode}}' "$name"
    assert_equal "$output" 0
    run curl -s --max-time 5 "http://127.0.0.1:$port/"
    [[ $status -eq 7 ]]
    berth rm "$name"
    berth rmi "$REGISTRY/team/nginx:1"
    stop_registry
    assert_equal "$(sort /proc/self/mountinfo)" "$mounts"
    leak_check
}

@test "the server sees its client's own address" {
    berth load -q -i "$FIXTURES/nginx.tar"
    # The client's address is that of the interface which a packet to a host would leave by.
    address=$(ip -4 route get 192.0.2.1 | sed -n 's/.* src \([0-9.]*\).*/\1/p')
    [[ -n $address ]]
    port=$(free_port)
    berth run -d --name "$name" -p "$port:80" localhost/nginx:latest
    wait_for 20 curl -sfo /dev/null "http://127.0.0.1:$port/"
    curl -sf --interface "$address" "http://$address:$port/from-outside" || true
    logged() { "$ENGINE" logs "$name" 2>&1 3>&- | grep -q "^$address .*GET /from-outside"; }
    wait_for 10 logged
}
