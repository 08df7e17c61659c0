#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# only: root
# The address of a client elsewhere, in the log of a real server. "Elsewhere" is a network namespace, joined
# to the host by a pair of interfaces; making it needs root.
load helpers

HOST4=10.89.76.1 CLIENT4=10.89.76.2 HOST6=fd89:76::1 CLIENT6=fd89:76::2

setup_file() {
    NO_IMAGE=1 store_setup
    berth load -q -i "$FIXTURES/nginx.tar"
    NS=bnc-$(random_string 6)
    LINK=bnc$(random_string 6)
    export NS LINK
    ip netns add "$NS"
    ip link add "$LINK" type veth peer name eth0 netns "$NS"
    ip addr add "$HOST4/24" dev "$LINK"
    ip addr add "$HOST6/64" dev "$LINK" nodad
    ip link set "$LINK" up
    ip -n "$NS" link set lo up
    ip -n "$NS" addr add "$CLIENT4/24" dev eth0
    ip -n "$NS" addr add "$CLIENT6/64" dev eth0 nodad
    ip -n "$NS" link set eth0 up
}

teardown_file() {
    ip link del "$LINK" || true
    ip netns del "$NS" || true
    store_teardown
}

# client CMD ARG...: runs CMD where the client is.
client() { ip netns exec "$NS" "$@"; }

# logged ADDRESS PATH: the server has logged the client's request.
logged() { "$ENGINE" logs "$name" 2>&1 3>&- | grep -qF "$1 - - " && "$ENGINE" logs "$name" 2>&1 3>&- | grep -q "^$1 .*GET $2"; }

fetch() { client curl -sf --max-time 5 -o "$FILE_DIR/page" "$1"; }

@test "nginx logs the address of a client elsewhere, over IPv4 and IPv6" {
    port=$(free_port)
    berth run -d --name "$name" -p "$port:80" localhost/nginx:latest
    wait_for 20 fetch "http://$HOST4:$port/"
    wait_for 10 fetch "http://[$HOST6]:$port/"
    client curl -s --max-time 5 -o "$FILE_DIR/page" "http://$HOST4:$port/four"
    client curl -s --max-time 5 -o "$FILE_DIR/page" "http://[$HOST6]:$port/six"
    wait_for 5 logged "$CLIENT4" /four
    wait_for 5 logged "$CLIENT6" /six
}

@test "slirp4netns keeps the address of a client elsewhere" {
    port=$(free_port)
    berth run -d --name "$name" --network slirp4netns -p "$port:80" localhost/nginx:latest
    wait_for 20 fetch "http://$HOST4:$port/"
    client curl -s --max-time 5 -o "$FILE_DIR/page" "http://$HOST4:$port/four"
    wait_for 5 logged "$CLIENT4" /four
}

@test "a port published on one address is closed to clients elsewhere" {
    port=$(free_port)
    berth run -d --name "$name" -p "127.0.0.1:$port:80" localhost/nginx:latest
    wait_for 20 curl -sfo "$FILE_DIR/page" "http://127.0.0.1:$port/"
    run -7 client curl -s --max-time 5 "http://$HOST4:$port/"
    run -7 client curl -s --max-time 5 "http://[$HOST6]:$port/"
}

@test "the container reaches the client's network, as the host" {
    port=$(free_port)
    ip netns exec "$NS" socat "TCP4-LISTEN:$port,fork,reuseaddr" SYSTEM:'read x; echo $SOCAT_PEERADDR' 3>&- & server=$!
    berth load -q -i "$FIXTURES/busybox.tar"
    berth run --rm "$IMAGE" sh -c "echo x | nc -w 5 $CLIENT4 $port"
    kill "$server"
    assert_equal "$output" "$HOST4"
}
