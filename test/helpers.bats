#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# The harness itself: a check that cannot fail checks nothing.
load helpers

setup_file() { NO_IMAGE=1 store_setup; }
teardown_file() { leak_check; discard "$FILE_DIR"; }
setup() { :; }
teardown() { :; }

@test "berth fails on another exit code than the wanted one" {
    ENGINE=false berth 1 anything
    run berth_with false 0
    [[ $status -ne 0 ]]
    run berth_with true 125
    [[ $status -ne 0 ]]
}
berth_with() { ENGINE=$1 berth "$2" anything; }

@test "berth ends a command that hangs" {
    ENGINE=sleep BERTH_TIMEOUT=1 berth 124 30
}

@test "berth_split keeps stdout and stderr apart" {
    ENGINE=bash berth_split -c 'echo out; echo err >&2'
    assert_equal "$output" out
    assert_equal "$stderr" err
}

@test "assert_contains and assert_equal can fail" {
    run assert_contains abc x
    [[ $status -eq 1 ]]
    run assert_equal a b
    [[ $status -eq 1 ]]
    assert_contains abc b
    assert_equal a a
}

@test "random_string gives strings of the length asked for, each another" {
    assert_equal "$(random_string 20 | wc -c)" 20
    [[ $(random_string) != "$(random_string)" ]]
}

@test "wait_for gives up" {
    run wait_for 1 false
    [[ $status -eq 1 ]]
    assert_contains "$output" "waited in vain for: false"
}

@test "free_port gives a port that can be listened on" {
    port=$(free_port)
    [[ $port -gt 1023 ]]
    socat -u "TCP-LISTEN:$port,bind=127.0.0.1" "CREATE:$FILE_DIR/got" 3>&- &
    wait_for 5 socat -u OPEN:/etc/hostname "TCP:127.0.0.1:$port"
    wait $!
    cmp /etc/hostname "$FILE_DIR/got"
}

@test "leak_check finds a process by its arguments" {
    bash -c 'sleep 100; true' "$FILE_DIR" </dev/null >/dev/null 2>&1 3>&- &
    pid=$!
    run leak_check
    echo "$output"
    [[ $status -eq 1 ]]
    assert_contains "$output" "leak: process $pid"
    wait_for 5 not kill -0 "$pid"
}

@test "leak_check finds a process by its environment" {
    env LEFT="$FILE_DIR" setsid sleep 100 </dev/null >/dev/null 2>&1 3>&- &
    run leak_check
    echo "$output"
    [[ $status -eq 1 ]]
    assert_contains "$output" "sleep 100"
}

@test "leak_check finds a process by a mount in its own namespace" {
    mkdir -p "$FILE_DIR/mnt"
    # env -i and no argument: nothing but the mount tells.
    unshare --user --map-root-user --mount bash -c '
        mount --bind "$1" /mnt && exec env -i setsid sleep 101' - "$FILE_DIR/mnt" </dev/null >/dev/null 2>&1 3>&- &
    pid=$!
    wait_for 5 grep -qs "sleep" "/proc/$pid/comm"
    run leak_check
    echo "$output"
    [[ $status -eq 1 ]]
    assert_contains "$output" "leak: process"
}

@test "leak_check finds a socket, a FIFO and a record" {
    mkfifo "$FILE_DIR/run/fifo"
    run leak_check
    assert_contains "$output" "$FILE_DIR/run/fifo"
    [[ $status -eq 1 ]]
    rm "$FILE_DIR/run/fifo"
    mkdir -p "$GRAPHROOT/berth/containers/abc"
    run leak_check
    assert_contains "$output" "$GRAPHROOT/berth/containers/abc"
    [[ $status -eq 1 ]]
    rm -r "$GRAPHROOT/berth"
    leak_check
}

@test "a registry serves what is pushed to it" {
    start_registry
    push_fixture busybox team/busybox:1
    run curl -sf "http://$REGISTRY/v2/team/busybox/tags/list"
    assert_contains "$output" '"1"'
    stop_registry
    run curl -sf "http://$REGISTRY/v2/"
    [[ $status -eq 7 ]]
}

@test "a registry with TLS and a password wants both" {
    start_registry --tls --auth joe:secret
    ca=$HOME/.config/containers/certs.d/$REGISTRY/ca.crt
    run curl -s "https://$REGISTRY/v2/"
    [[ $status -eq 60 ]]
    run curl -s -o /dev/null -w '%{http_code}' --cacert "$ca" "https://$REGISTRY/v2/"
    assert_equal "$output" 401
    curl -sf --cacert "$ca" -u joe:secret "https://$REGISTRY/v2/"
    stop_registry
}

@test "an engine loads and runs the fixtures' images in a store of the file's own" {
    ENGINE=$(type -P podman)
    containers_conf >"$CONTAINERS_CONF"
    storage_conf >"$CONTAINERS_STORAGE_CONF"
    berth load -q -i "$FIXTURES/busybox.tar"
    berth load -q -i "$FIXTURES/nginx.tar"
    # Podman as root raises limits that a root without CAP_SYS_RESOURCE may not.
    if is_rootless; then
        berth run --rm --network none "$IMAGE" cat /etc/berth-image
        assert_equal "$output" busybox
        berth run --rm --network none localhost/nginx:latest -t
        assert_contains "$output" "syntax is ok"
    else
        berth images -q
        assert_equal "${#lines[@]}" 2
    fi
    podman rmi -fa
    pid=$(cat "$FILE_DIR"/run/libpod/tmp/pause.pid 2>/dev/null) && kill "$pid" || is_rootless || true
}
