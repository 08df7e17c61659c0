#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Networks as the user sees them: modes, published ports, names, and what is refused.
load helpers

# Servers for the container that answer with the client's address: 80/tcp over HTTP, 53/udp. socat is the host's.
SERVER='mkdir -p /tmp/www/cgi-bin
printf "#!/bin/sh\necho; echo \$REMOTE_ADDR\n" >/tmp/www/cgi-bin/who
chmod +x /tmp/www/cgi-bin/who
socat UDP6-RECVFROM:53,ipv6only=0,fork SYSTEM:"echo \$SOCAT_PEERADDR" &
exec httpd -f -p 80 -h /tmp/www'

teardown() {
    # shellcheck disable=SC2046 # a word a job
    kill $(jobs -p) 2>/dev/null || true
    test_teardown
}

# serve ARG...: runs those servers as the container $name, and waits until they listen.
serve() {
    berth run -d --name "$name" -v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro "$@" "$IMAGE" sh -c "$SERVER"
    wait_for 10 listening
}
listening() {
    [[ $("$ENGINE" exec "$name" netstat -lntu 2>&1 3>&-) =~ :80\ .*:53\  ]]
}

# who URL-HOST PORT: the address that the HTTP server saw; plain, also for IPv4 in IPv6.
who() { curl -sS --max-time 5 "http://$1:$2/cgi-bin/who" | sed 's/^\[*\(::ffff:\)*//; s/\]*$//'; }

# who_udp SOCAT-HOST PORT: the same over UDP.
who_udp() { echo x | timeout 5 socat -t2 - "UDP:$1:$2" | plain_ip; }
plain_ip() { python3 -c 'import ipaddress, sys
for line in sys.stdin:
    a = ipaddress.ip_address(line.strip().strip("[]"))
    print(getattr(a, "ipv4_mapped", None) or a)'; }

# saw WANT CMD ARG...: waits until CMD prints WANT.
saw() { wait_for 10 prints "$@"; }
prints() { local got; got=$("${@:2}" 2>&1 3>&-); [[ $got == "$1" ]] || { echo "got $got, want $1"; return 1; }; }

host4() { ip -4 route get 192.0.2.1 | sed -n 's/.* src \([0-9.]*\).*/\1/p'; }
host6() { ip -6 -o addr show scope global | awk '{ sub("/.*", "", $4); print $4; exit }'; }

@test "-p publishes TCP and UDP on IPv4 and IPv6, and the server sees its client" {
    port=$(free_port)
    serve -p "$port:80" -p "$port:53/udp"
    for a in 127.0.0.1 "$(host4)"; do
        saw "$a" who "$a" "$port"
        saw "$a" who_udp "$a" "$port"
    done
    for a in ::1 $(host6); do
        saw "$a" who "[$a]" "$port"
        saw "$a" who_udp "[$a]" "$port"
    done
    berth port "$name"
    assert_equal "$output" "53/udp -> 0.0.0.0:$port"$'\n'"80/tcp -> 0.0.0.0:$port"
    berth port "$name" 80
    assert_equal "$output" "0.0.0.0:$port"
    berth port "$name" 53/udp
    assert_equal "$output" "0.0.0.0:$port"
    berth 125 port "$name" 81
    berth ps --filter "name=$name" --format '{{.Ports}}'
    assert_contains "$output" "0.0.0.0:$port->80/tcp"
    berth inspect --format '{{json .NetworkSettings.Ports}}' "$name"
    assert_contains "$output" '"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"'"$port"'"}]'
}

@test "-p on one address is open on no other" {
    port=$(free_port)
    serve -p "127.0.0.1:$port:80" -p "127.0.0.1:$port:53/udp"
    saw 127.0.0.1 who 127.0.0.1 "$port"
    saw 127.0.0.1 who_udp 127.0.0.1 "$port"
    run curl -s --max-time 5 "http://$(host4):$port/"
    [[ $status -eq 7 ]]
    run curl -s --max-time 5 "http://[::1]:$port/"
    [[ $status -eq 7 ]]
    berth port "$name" 80
    assert_equal "$output" "127.0.0.1:$port"
    berth rm -f -t 0 "$name"

    serve -p "[::1]:$port:80"
    saw ::1 who "[::1]" "$port"
    run curl -s --max-time 5 "http://127.0.0.1:$port/"
    [[ $status -eq 7 ]]
}

@test "-p without a host port takes a free one, and -p takes ranges" {
    berth run -d --name "$name" -p 80 -p 127.0.0.1::53/udp -p 90-92 "$IMAGE" sleep 100
    berth port "$name"
    [[ ${#lines[@]} -eq 5 ]]
    berth port "$name" 80
    [[ $output =~ ^0\.0\.0\.0:[1-9][0-9]+$ ]]
    berth port "$name" 53/udp
    [[ $output =~ ^127\.0\.0\.1:[1-9][0-9]+$ ]]
}

@test "what is not published is not reachable" {
    port=$(free_port)
    berth run -d --name "$name" "$IMAGE" httpd -f -p "$port"
    wait_for 10 eval '[[ $("$ENGINE" exec "$name" netstat -ltn 2>&1 3>&-) == *":$port "* ]]'
    sleep 1.5 # pasta looks for new listeners each second, if it does
    run curl -s --max-time 5 "http://127.0.0.1:$port/"
    [[ $status -eq 7 ]]
}

@test "a port that is taken is refused, and nothing is left of the container" {
    port=$(free_port)
    socat "TCP4-LISTEN:$port,fork" /dev/null 3>&- & holder=$!
    wait_for 5 eval 'ss -ltn | grep -q ":$port "'
    berth 125 run -d --name "$name" -p "$port:80" "$IMAGE" sleep 100
    assert_contains "$output" "port $port/tcp is in use"
    assert_contains "$output" "Hint: "
    # From inside its user namespace, Berth cannot see whose socket it is.
    if is_rootless; then assert_contains "$output" "ss -lnp"; else assert_contains "$output" "socat (pid $holder)"; fi
    kill "$holder"; wait "$holder" || true
    berth 1 container exists "$name"
    wait_for 5 not eval 'ss -ltn | grep -q ":$port "'
    berth run -d --name "$name" -p "$port:80" "$IMAGE" sleep 100
    # By another container as well; UDP, where the kernel would let both have it.
    berth 125 run -d --name "$name-2" -p "$port:80" "$IMAGE" sleep 100
    assert_contains "$output" "port $port/tcp is in use"
    assert_contains "$output" "berth stop $name"
    [[ $output != *pid* ]]
    berth run -d --name "$name-3" -p "$port:53/udp" "$IMAGE" sleep 100
    berth 125 run -d --name "$name-4" -p "$port:53/udp" "$IMAGE" sleep 100
    assert_contains "$output" "port $port/udp is in use"
    assert_contains "$output" "berth stop $name-3"
    port=$(free_port)
    berth create --name "$name-5" -p "127.0.0.1:$port:80" "$IMAGE" sleep 100
    berth run -d --name "$name-6" -p "$port:80" "$IMAGE" sleep 100
    berth 125 start "$name-5"
    assert_contains "$output" "berth stop $name-6"
}

@test "the container that holds a port with the host's network is named" {
    port=$(free_port)
    berth run -d --name "$name" --network host "$IMAGE" nc -ll -p "$port" -e true
    wait_for 5 eval 'ss -ltn | grep -q ":$port "'
    berth 125 run -d --name "$name-2" -p "$port:80" "$IMAGE" sleep 100
    assert_contains "$output" "berth stop $name"
}

@test "a published port is free again after stop, and taken again by start" {
    port=$(free_port)
    serve -p "$port:80"
    saw 127.0.0.1 who 127.0.0.1 "$port"
    berth stop -t 0 "$name"
    wait_for 5 not eval 'ss -ltn | grep -q ":$port "'
    berth start "$name"
    saw 127.0.0.1 who 127.0.0.1 "$port"
    berth restart -t 0 "$name"
    saw 127.0.0.1 who 127.0.0.1 "$port"
}

@test "a privileged port: an ordinary user is told of the sysctl" {
    is_rootless || skip "root may publish any port"
    [[ $(cat /proc/sys/net/ipv4/ip_unprivileged_port_start) -gt 80 ]]
    berth 125 run --rm -p 79:80 "$IMAGE" true
    assert_contains "$output" "port 79/tcp is below"
    assert_contains "$output" "Hint: "
    assert_contains "$output" "ip_unprivileged_port_start=79"
}

@test "bad values are refused with a sentence that names them" {
    local bad
    for bad in "80/icmp" "x" "0" "70000:80" "80-81:80" "localhost:80:80" "::1:80:80" "[::1:80:80"; do
        berth 125 run --rm -p "$bad" "$IMAGE" true
        assert_contains "$output" "$bad"
    done
    berth 125 run --rm -p 8080:80 -p 8080:81 "$IMAGE" true
    assert_contains "$output" "published twice"
    for bad in mynet none:x ns:relative container: slirp4netns:mtu=x slirp4netns:port_handler=rootlesskit; do
        berth 125 run --rm --network "$bad" "$IMAGE" true
        assert_contains "$output" "${bad#slirp4netns:}"
    done
    berth 125 run --rm --network container:no-such-container "$IMAGE" true
    assert_contains "$output" "no-such-container"
    berth 125 run --rm --add-host nonsense "$IMAGE" true
    assert_contains "$output" nonsense
    berth 125 run --rm --dns nonsense "$IMAGE" true
    assert_contains "$output" nonsense
    berth 125 run --rm -p "198.51.100.1:8080:80" "$IMAGE" true
    assert_contains "$output" "no interface of this host"
}

@test "the container reaches the host as host.containers.internal, but not the host's loopback" {
    port=$(free_port)
    socat "TCP4-LISTEN:$port,bind=$(host4),fork,reuseaddr" SYSTEM:'read x; echo by-address' 3>&- & a=$!
    socat "TCP4-LISTEN:$port,bind=127.0.0.1,fork,reuseaddr" SYSTEM:'read x; echo by-loopback' 3>&- & b=$!
    wait_for 5 eval '[[ $(ss -ltn | grep -c ":$port ") -eq 2 ]]'
    berth run --rm "$IMAGE" sh -c "echo x | nc -w 5 host.containers.internal $port"
    assert_equal "$output" by-address
    berth run --rm "$IMAGE" sh -c "for h in 10.0.2.2 127.0.0.1; do echo x | nc -w 2 \$h $port; done; true"
    [[ $output != *by-loopback* ]]
    kill "$a" "$b"
}

@test "/etc/hosts: the container's names and addresses, the host, --add-host" {
    berth run --rm --name "$name" --hostname box --add-host db:192.0.2.7 --add-host me:host-gateway "$IMAGE" cat /etc/hosts
    for want in $'192.0.2.7\tdb' $'127.0.0.1\tlocalhost' $'10.0.2.100\tbox '"$name" "$(host4)"$'\thost.containers.internal host.docker.internal' "$(host4)"$'\tme'; do
        assert_contains "$output" "$want"
    done
    berth run --rm --hostname box "$IMAGE" sh -c 'hostname; httpd -p 8080; wget -qO /dev/null http://box:8080/etc/hosts && echo reached'
    assert_equal "$output" $'box\nreached'
}

@test "/etc/resolv.conf: the host's servers, or what --dns, --dns-search and --dns-option say" {
    berth run --rm --network pasta "$IMAGE" cat /etc/resolv.conf
    local server
    for server in $(awk '$1 == "nameserver" && $2 !~ /^(127\.|::1)/ { print $2 }' /etc/resolv.conf); do
        assert_contains "$output" "nameserver $server"
    done
    berth run --rm --dns 192.0.2.53 --dns fd00::53 --dns-search example.com --dns-option ndots:3 "$IMAGE" cat /etc/resolv.conf
    assert_equal "$output" $'search example.com\nnameserver 192.0.2.53\nnameserver fd00::53\noptions ndots:3'
    berth 125 run --rm --dns none --dns 192.0.2.53 "$IMAGE" true
    assert_contains "$output" "--dns none"
}

@test "--network none has a loopback and nothing else" {
    berth run --rm --network none "$IMAGE" sh -c 'ls /sys/class/net; httpd -p 8080; wget -qO /dev/null http://127.0.0.1:8080/etc/hosts && echo up; wc -l </proc/net/route'
    assert_equal "$output" $'lo\nup\n1'
    berth_split run --rm --network none -p 8080:80 "$IMAGE" true
    assert_contains "$stderr" "ignored with --network none"
}

@test "--network host is the host's" {
    berth run --rm --network host "$IMAGE" readlink /proc/self/ns/net
    assert_equal "$output" "$(readlink /proc/self/ns/net)"
    berth run --rm --network host "$IMAGE" hostname
    assert_equal "$output" "$(hostname)"
    berth_split run --rm --network host -p 8080:80 "$IMAGE" true
    assert_contains "$stderr" "ignored with --network host"
}

@test "--network container:X shares namespace, names and servers" {
    port=$(free_port)
    serve -p "$port:80" --hostname one --add-host db:192.0.2.7
    berth run --rm --network "container:$name" "$IMAGE" sh -c 'wget -qO- http://127.0.0.1/cgi-bin/who; cat /etc/hosts'
    assert_contains "$output" 127.0.0.1
    assert_contains "$output" $'192.0.2.7\tdb'
    one=$("$ENGINE" exec "$name" readlink /proc/self/ns/net 3>&-)
    berth run --rm --network "container:$name" "$IMAGE" readlink /proc/self/ns/net
    assert_equal "$output" "$one"
    berth 125 run --rm --network "container:$name" -p 8080:80 "$IMAGE" true
    assert_contains "$output" "the other container's"
    berth stop -t 0 "$name"
    berth run --rm --network "container:$name" "$IMAGE" true
    berth inspect -f '{{.State.Status}}' "$name" # it is started before
    assert_equal "$output" running
}

@test "slirp4netns: published ports, the client's address, its name server" {
    port=$(free_port)
    serve --network slirp4netns -p "$port:80" -p "$port:53/udp"
    saw "$(host4)" who "$(host4)" "$port"
    saw "$(host4)" who_udp "$(host4)" "$port"
    saw 10.0.2.2 who 127.0.0.1 "$port"
    saw 127.0.0.1 who_udp 127.0.0.1 "$port"
    berth exec "$name" cat /etc/resolv.conf
    assert_contains "$output" "nameserver 10.0.2.3"
    berth inspect --format '{{.HostConfig.NetworkMode}}' "$name"
    assert_equal "$output" slirp4netns
    berth 125 run --rm --network slirp4netns -p "[::1]:8080:80" "$IMAGE" true
    assert_contains "$output" "IPv4 addresses only"
}

@test "slirp4netns options" {
    berth run --rm --network slirp4netns:cidr=10.9.8.0/24,mtu=1400,enable_ipv6=false "$IMAGE" sh -c 'ip addr show eth0'
    assert_contains "$output" 10.9.8.100
    assert_contains "$output" "mtu 1400"
    port=$(free_port)
    socat "TCP4-LISTEN:$port,bind=127.0.0.1,fork,reuseaddr" SYSTEM:'read x; echo by-loopback' 3>&- & b=$!
    wait_for 5 eval 'ss -ltn | grep -q ":$port "'
    berth run --rm --network slirp4netns:allow_host_loopback=true "$IMAGE" sh -c "echo x | nc -w 5 host.containers.internal $port"
    assert_equal "$output" by-loopback
    berth run --rm --network slirp4netns "$IMAGE" sh -c "echo x | nc -w 2 10.0.2.2 $port || true"
    [[ $output != *by-loopback* ]]
    kill "$b"
}

@test "pasta options" {
    berth run --rm --network pasta:-a,10.7.7.7,-n,24,-g,10.7.7.1,-I,net7 "$IMAGE" ip addr show net7
    assert_contains "$output" 10.7.7.7/24
    port=$(free_port)
    socat "TCP4-LISTEN:$port,bind=127.0.0.1,fork,reuseaddr" SYSTEM:'read x; echo by-loopback' 3>&- & b=$!
    wait_for 5 eval 'ss -ltn | grep -q ":$port "'
    berth run --rm --network pasta:--map-gw "$IMAGE" sh -c "(echo x; sleep 2) | nc -w 5 host.containers.internal $port"
    assert_equal "$output" by-loopback
    kill "$b"
    berth 125 run --rm --network pasta:--no-such-option "$IMAGE" true
    assert_contains "$output" no-such-option
}

@test "a published SSH port, whose server speaks first, answers clients on another address" {
    port=$(free_port)
    berth run -d --name "$name" -v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro -p "$port:22" "$IMAGE" \
        socat TCP6-LISTEN:22,ipv6only=0,fork,reuseaddr SYSTEM:'echo SSH-2.0-test; sleep 5'
    greeting() { timeout 3 socat -u "TCP4:$(host4):$port" STDOUT 2>/dev/null | grep -q SSH-2.0-test; }
    wait_for 15 greeting
}

@test "the network ends with the container, also when everything of it is killed" {
    port=$(free_port)
    serve -p "$port:80" -p "$port:53/udp"
    helper=$(pgrep -f "netns $FILE_DIR/.*/netns" | head -1)
    [[ -n $helper ]]
    pid=$("$ENGINE" inspect --format '{{.State.Pid}}' "$name" 3>&-)
    berth kill "$name"
    wait_for 10 not test -d "/proc/$helper"
    wait_for 10 not test -d "/proc/$pid"
    wait_for 5 not eval 'ss -lntu | grep -q ":$port "'
    berth rm "$name"
    [[ -z $(leaked_processes) ]]
}

@test "a container of a user namespace of its own is published too" {
    is_rootless || skip "--userns keep-id is for ordinary users"
    port=$(free_port)
    serve --userns keep-id --user 0 -p "$port:80"
    saw 127.0.0.1 who 127.0.0.1 "$port"
    saw ::1 who "[::1]" "$port"
}

@test "a host port is free when stop, rm -f and run return, also when the network's helper takes its time to end" {
    local port i
    port=$(free_port)
    set -- -p "$port:80" -p "$port:53/udp" "$IMAGE"
    for i in 1 2 3 4 5; do
        berth run -d --name "ports$i" "$@" sh -c 'trap "" TERM; while :; do sleep 1; done'
        berth stop --time 0 "ports$i"
        berth start "ports$i"
        berth rm -f -t 0 "ports$i"
        berth run --rm "$@" true
    done
}
