#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# only: root
# netns: own
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

# as_user: from now on the engine is the ordinary user's, with a store of its own.
as_user() {
    local dir=$FILE_DIR/user
    if [[ ! -e $dir ]]; then
        mkdir -p "$dir"/{home/.config/containers,run,tmp}
        cp "$HOME/.config/containers/policy.json" "$dir/home/.config/containers"
        cp "$FIXTURES/busybox.tar" "$dir"
        printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "%s"\n' "$dir/home/storage" "$dir/run/containers" >"$dir/storage.conf"
        cat >"$dir/berth" <<X
#!/bin/sh
exec "$HELPERS_DIR/as-user" env HOME=$dir/home TMPDIR=$dir/tmp XDG_RUNTIME_DIR=$dir/run CONTAINERS_STORAGE_CONF=$dir/storage.conf \${USER_PATH:+"PATH=\$USER_PATH"} "$ENGINE" "\$@"
X
        chmod 755 "$dir/berth"
        chmod 711 "$FILE_DIR"
        chown -R "$BERTH_TEST_USER:" "$dir"
        chmod 700 "$dir/run"
    fi
    ENGINE=$dir/berth
    berth load -q -i "$dir/busybox.tar"
}

# says_who NETWORK [ARG...]: a server that answers each client with the address that it sees, published for any address.
says_who() {
    port=$(free_port)
    berth run -d --name "$name" --network "$1" -p "$port:80" -p "$port:80/udp" "${@:2}" -v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro "$IMAGE" sh -c '
        for x in TCP6-LISTEN UDP6-RECVFROM; do socat $x:80,fork,ipv6only=0 "SYSTEM:echo \$SOCAT_PEERADDR" & done; wait'
}

# seen PROTOCOL ADDRESS PLACE...: the address that the server has seen. PLACE is what runs the client: "client", or nothing for this host.
seen() {
    local got
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        got=$(echo x | "${@:3}" timeout 3 socat -t1 - "$1:$2:$port" 2>/dev/null) && [[ -n $got ]] && break
        sleep 0.2
    done
    sed 's/^\[0000:0000:0000:0000:0000:ffff:\(..\)\(..\):\(..\)\(..\)\]$/\1 \2 \3 \4/; s/[][]//g; s/:0000:.*:000/::/; s/:00/:/g' <<<"$got" |
        while read -r a b c d; do [[ -z $b ]] && echo "$a" || echo "$((16#$a)).$((16#$b)).$((16#$c)).$((16#$d))"; done
}

# keeps [IP VERSION...]: the server sees clients elsewhere, and this host by its own address, as they are.
keeps() {
    local v protocol
    for v in "$@"; do
        for protocol in TCP UDP; do
            if [[ $v = 4 ]]; then
                assert_equal "$protocol $(seen $protocol "$HOST4" client)" "$protocol $CLIENT4"
                assert_equal "$protocol $(seen $protocol "$HOST4")" "$protocol $HOST4"
            else
                assert_equal "$protocol $(seen $protocol "[$HOST6]" client)" "$protocol $CLIENT6"
                assert_equal "$protocol $(seen $protocol "[$HOST6]")" "$protocol $HOST6"
            fi
        done
    done
}

teardown_file() {
    [[ ! -e $FILE_DIR/user/berth ]] || ENGINE=$FILE_DIR/user/berth "$FILE_DIR/user/berth" system reset -f >/dev/null 3>&- || true
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

@test "the server sees the client's address, on each kind of network, over TCP and UDP, IPv4 and IPv6: root" {
    berth load -q -i "$FIXTURES/busybox.tar"
    says_who pasta
    keeps 4 6
    berth rm -f -t 0 "$name"
    says_who slirp4netns
    keeps 4
    berth rm -f -t 0 "$name"
    berth network create --subnet 10.213.9.0/24 --subnet fd89:77::/64 --ipv6 "n-$name"
    says_who "n-$name"
    keeps 4 6
    berth network rm -f "n-$name"
}

@test "the server sees the client's address, on each kind of network, over TCP and UDP, IPv4 and IPv6: a user" {
    as_user
    says_who pasta
    keeps 4 6
    berth rm -f -t 0 "$name"
    says_who slirp4netns
    keeps 4
    berth rm -f -t 0 "$name"
    berth network create --subnet 10.213.9.0/24 --subnet fd89:77::/64 --ipv6 "n-$name"
    says_who "n-$name"
    not grep -q gateway <<<"$output"
    keeps 4 6
    # The host's loopback is none that the container could answer to.
    assert_equal "$(seen TCP 127.0.0.1)" 10.213.9.1
    assert_equal "$(seen UDP "[::1]")" fd89:77::1
    # Two host ports of one container, asked from one port of the client: two connections, of one address.
    berth rm -f -t 0 "$name"
    local other protocol
    other=$(free_port)
    says_who "n-$name" -p "$other:80" -p "$other:80/udp"
    for protocol in TCP UDP; do
        for port in "$port" "$other"; do
            assert_equal "$(seen $protocol "$HOST4" client)" "$CLIENT4"
            assert_equal "$(port=$port,sourceport=40123,reuseaddr seen $protocol "$HOST4" client)" "$CLIENT4"
        done
    done
    berth rm -f -t 0 "$name"
    # A network without a way out has none for answers to others either.
    berth network create --internal --subnet 10.213.10.0/24 "n-$name-2"
    says_who "n-$name-2"
    assert_contains "$output" "servers of published ports see the gateway's address in place of the client's: the network gives its containers no default route"
    assert_equal "$(seen TCP "$HOST4" client)" 10.213.10.1
    berth network rm -f "n-$name" "n-$name-2"
}

@test "a host with a route to a network reaches its published ports and nothing else" {
    berth load -q -i "$FIXTURES/busybox.tar"
    port=$(free_port)
    berth network create --subnet 10.213.11.0/24 "n-$name"
    berth run -d --name "$name" --network "n-$name:ip=10.213.11.7" -p "$port:80" "$IMAGE" sh -c 'echo hello >/index.html; httpd -p 80; exec httpd -f -p 81'
    client ip route add 10.213.11.0/24 via "$HOST4"
    wait_for 10 fetch "http://$HOST4:$port/"
    for url in "10.213.11.7:80" "10.213.11.7:81" "$HOST4:81"; do
        run client curl -s --max-time 2 "http://$url/"
        [[ $status -ne 0 ]]
    done
    # The host itself reaches all of them.
    curl -sf --max-time 5 -o "$FILE_DIR/page" "http://10.213.11.7:81/"
    client ip route del 10.213.11.0/24
    berth network rm -f "n-$name"
}

# up: the network is as it was: names, the way out, and the published port with the client's address. (A client that says first that it has sent all
# gets its answer again and again from pasta of 2023.)
up() {
    [[ $(seen TCP "$HOST4" client) == "$CLIENT4" ]] &&
        "$ENGINE" exec "$name-2" nslookup "$name.dns.podman" >/dev/null 2>&1 3>&- &&
        [[ $("$ENGINE" exec "$name-2" sh -c "(echo x; sleep 0.3) | nc -w 2 $CLIENT4 $out" 2>&1 3>&-) == "$HOST4" ]]
}

# helper: the processes of what connects the user's bridges to the outside.
helper() { pgrep -f "^[^ ]*/${kind}[^ ]* .*$FILE_DIR/user/run/containers/berth/networks/netns"; }

@test "a keeper that is killed, or its helper, is replaced within five seconds, and connections between containers stay" {
    as_user
    local keeper=$FILE_DIR/user/run/containers/berth/networks/keeper kind out pids server
    out=$(free_port)
    ip netns exec "$NS" timeout 120 socat "TCP4-LISTEN:$out,fork,reuseaddr" SYSTEM:'read x; echo $SOCAT_PEERADDR' 3>&- & server=$!
    mkdir "$FILE_DIR/bin"
    # This version is nobody's default for a container that publishes nothing: it says that it is a later one.
    printf '#!/bin/sh\n[ "$1" != --version ] || { echo pasta 2024_08_21.1d6142f; exit; }\nexec /usr/bin/pasta "$@"\n' >"$FILE_DIR/bin/pasta"
    chmod 755 "$FILE_DIR/bin" "$FILE_DIR/bin/pasta"
    for kind in slirp4netns pasta; do
        [[ $kind = slirp4netns ]] || export USER_PATH=$FILE_DIR/bin:$PATH
        berth network create "n-$name"
        says_who "n-$name"
        berth run -d --name "$name-2" --network "n-$name" "$IMAGE" sh -c 'sleep 1000 | nc -l -p 7777 >/got'
        berth exec -d "$name" sh -c "(echo before; until [ -e /after ]; do sleep 0.1; done; echo after) | nc $name-2 7777"
        wait_for 5 up
        kill -KILL "$(head -n 1 "$keeper" | cut -d' ' -f1)"
        wait_for 5 up
        pids=$(helper)
        # shellcheck disable=SC2086
        kill -KILL $pids
        wait_for 5 up
        # Both at once, and the next command is there before anybody has noticed. One monitor is gone, too.
        berth inspect --format '{{.State.ConmonPid}}' "$name-2"
        pids=$(helper)
        # shellcheck disable=SC2086
        kill -KILL "$(head -n 1 "$keeper" | cut -d' ' -f1)" $pids "$output"
        berth run --rm --network "n-$name" "$IMAGE" nslookup "$name.dns.podman"
        wait_for 5 up
        berth exec "$name" touch /after
        got() { [[ $("$ENGINE" exec "$name-2" cat /got 3>&-) == $'before\nafter' ]]; }
        wait_for 5 got
        berth network rm -f -t 0 "n-$name"
        not test -e "$keeper"
        not helper
    done
    kill "$server"
}
