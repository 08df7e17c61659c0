#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# netns: own
# Networks that containers share: network create, ls, inspect, rm; run --network NAME: addresses, names, published ports, isolation.
load helpers

setup_file() {
    store_setup
    mkdir -p "$FILE_DIR/nets"
    printf '[network]\nnetwork_config_dir = "%s"\n' "$FILE_DIR/nets" >>"$CONTAINERS_CONF"
    if ! is_rootless; then
        ip link >"$FILE_DIR/links"
        iptables-save | grep -c '^-A.*\(10\.89\|10\.213\)' >"$FILE_DIR/rules" || true
    fi
}

teardown_file() {
    local rc=0
    if is_berth; then
        not test -e "$RUNROOT/berth/networks/keeper" || { echo "leak: the keeper of networks"; rc=1; }
        [[ -z $(find "$RUNROOT/berth/networks/leases" -name '*.*.*.*' 2>/dev/null) ]] || { echo "leak: addresses"; rc=1; }
    fi
    if ! is_rootless; then
        ip link >"$FILE_DIR/links-now"
        diff <(grep -o '^[0-9]*: [^@:]*' "$FILE_DIR/links") <(grep -o '^[0-9]*: [^@:]*' "$FILE_DIR/links-now") || { echo "leak: links"; rc=1; }
        [[ $(iptables-save | grep -c '^-A.*\(10\.89\|10\.213\)') -eq $(cat "$FILE_DIR/rules") ]] || { iptables-save | grep '^-A'; echo "leak: rules"; rc=1; }
    fi
    store_teardown || rc=1
    return $rc
}

setup() {
    test_setup
    net=n-${name#c-}
}

teardown() {
    test_teardown
    "$ENGINE" network rm -f "$net" "$net-2" >/dev/null 2>&1 3>&- || true
}

# ip_of CONTAINER NETWORK
ip_of() { "$ENGINE" inspect --format "{{(index .NetworkSettings.Networks \"$2\").IPAddress}}" "$1" 3>&-; }

# server ARG...: the container $name, which answers hello on port 80.
server() {
    berth run -d --name "$name" "$@" "$IMAGE" sh -c 'mkdir /w; echo hello >/w/index.html; exec httpd -f -p "[::]:80" -h /w'
    id=$output
    wait_for 10 answers
}
answers() { "$ENGINE" exec "$name" wget -qO- http://127.0.0.1/ >/dev/null 2>&1 3>&-; }

@test "create, ls, inspect, exists, rm" {
    berth network create --label tier=front "$net"
    assert_equal "$output" "$net"
    berth network exists "$net"
    berth network ls --filter "name=$net" --format '{{.Name}} {{.Driver}} {{.Labels}}'
    assert_equal "$output" "$net bridge tier=front"
    berth network ls -q
    assert_contains "$output" "$net"
    assert_contains "$output" podman
    berth network inspect --format '{{.Name}} {{.Driver}} {{.Internal}} {{.IPv6Enabled}} {{.DNSEnabled}} {{.Labels.tier}}' "$net"
    assert_equal "$output" "$net bridge false false true front"
    berth network inspect "$net"
    [[ $(jq -r '.[0].subnets[0].gateway' <<<"$output") == 10.*.1 ]]
    berth 125 network create "$net"
    assert_contains "$output" "network already exists"
    berth network create --ignore "$net"
    berth network rm "$net"
    assert_equal "$output" "$net"
    berth 1 network exists "$net"
    berth 1 network rm "$net"
    assert_contains "$output" "unable to find network with name or ID $net: network not found"
}

@test "containers of a network reach each other by name, alias and short ID" {
    berth network create "$net"
    server --network "$net" --network-alias "www-$name"
    local alias
    for alias in "$name" "www-$name" "${id:0:12}" "$name.dns.podman"; do
        berth run --rm --network "$net" "$IMAGE" wget -qO- "http://$alias/"
        assert_equal "$output" hello
    done
    berth run --rm --network "$net" "$IMAGE" nslookup "$(ip_of "$name" "$net")"
    assert_contains "$output" "$name.dns.podman"
    berth 1 run --rm --network "$net" "$IMAGE" nslookup "nobody-$name.dns.podman"
    # Its own name is in /etc/hosts with its address.
    berth exec "$name" sh -c "grep -w $name /etc/hosts"
    assert_equal "$(awk '{ print $1 }' <<<"$output")" "$(ip_of "$name" "$net")"
}

@test "a static address, a MAC address, the name of the interface" {
    berth network create --subnet 10.213.7.0/24 --gateway 10.213.7.9 "$net"
    berth run --rm --network "$net" --ip 10.213.7.77 --mac-address 92:d0:c6:0a:29:33 "$IMAGE" sh -c 'ip -4 -o addr show eth0; ip link show eth0; ip route'
    assert_contains "$output" "10.213.7.77/24"
    assert_contains "$output" "92:d0:c6:0a:29:33"
    assert_contains "$output" "default via 10.213.7.9"
    berth run --rm --network "$net:ip=10.213.7.78,interface_name=web0" "$IMAGE" ip -4 -o addr show web0
    assert_contains "$output" "10.213.7.78/24"
    berth 125 run --rm --network "$net" --ip 10.99.0.1 "$IMAGE" true
    assert_contains "$output" "requested static ip 10.99.0.1 not in any subnet on network $net"
    berth 125 run --rm --network "$net" --ip fd00::1 "$IMAGE" true
    assert_contains "$output" "fd00::1 is not an IPv4 address: invalid argument"
    berth run -d --name "$name" --network "$net" --ip 10.213.7.80 "$IMAGE" sleep 1000
    berth 126 run --rm --network "$net" --ip 10.213.7.80 "$IMAGE" true || berth 125 run --rm --network "$net" --ip 10.213.7.80 "$IMAGE" true
    assert_contains "$output" "10.213.7.80"
    berth network inspect "$net"
    assert_equal "$(jq -r '.[0].containers[].interfaces.eth0.subnets[0].ipnet' <<<"$output")" 10.213.7.80/24
    berth ps --filter "network=$net" --format '{{.Names}} {{.Networks}}'
    assert_equal "$output" "$name $net"
}

@test "several networks, and none of another's containers" {
    berth network create "$net"
    berth network create "$net-2"
    server --network "$net"
    berth run --rm --network "$net-2" --network "$net" "$IMAGE" sh -c "ip -o -4 addr show eth0; ip -o -4 addr show eth1; wget -qO- http://$name/"
    assert_contains "$output" hello
    # The other network neither knows the name nor reaches the address.
    berth 1 run --rm --network "$net-2" "$IMAGE" nslookup "$name.dns.podman"
    berth run --rm --network "$net-2" "$IMAGE" sh -c "timeout 3 wget -qO- http://$(ip_of "$name" "$net")/ || echo unreachable"
    assert_contains "$output" unreachable
}

@test "a published port, over TCP and UDP" {
    local port
    berth network create "$net"
    port=$(free_port)
    berth run -d --name "$name" --network "$net" -p "127.0.0.1:$port:80" -p "127.0.0.1:$port:81/udp" -v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro "$IMAGE" sh -c \
        'mkdir /w; echo hello >/w/index.html; socat UDP-RECVFROM:81,fork EXEC:cat & exec httpd -f -p 80 -h /w'
    wait_for 10 curl -sf -o "$FILE_DIR/page" "http://127.0.0.1:$port/"
    assert_equal "$(cat "$FILE_DIR/page")" hello
    echoed() { [[ $(echo ping | timeout 5 socat -t1 - "UDP:127.0.0.1:$port") == ping ]]; }
    wait_for 10 echoed
    berth port "$name"
    assert_contains "$output" "80/tcp -> 127.0.0.1:$port"
    # Nobody else gets the port.
    berth 125 run -d --name "$name-2" --network "$net" -p "127.0.0.1:$port:80" "$IMAGE" true
    assert_contains "$output" "in use"
    not timeout 5 socat "TCP-LISTEN:$port,bind=127.0.0.1" /dev/null
    if is_berth; then # nor after the monitor was killed, and the next command has made another
        berth inspect --format '{{.State.ConmonPid}}' "$name"
        kill -KILL "$output"
        berth exec "$name" true
        berth 125 run -d --name "$name-2" --network "$net" -p "127.0.0.1:$port:80" "$IMAGE" true
        assert_contains "$output" "in use"
    fi
    berth stop -t 0 "$name"
    not curl -s -m 2 "http://127.0.0.1:$port/"
    berth start "$name"
    wait_for 10 curl -sf -o "$FILE_DIR/page" "http://127.0.0.1:$port/"
}

@test "SCTP is published as root" {
    is_berth || skip "podman says it in other words"
    local port
    port=$(free_port)
    if is_rootless; then
        berth 125 run --rm --network podman -p "$port:80/sctp" "$IMAGE" true
        assert_contains "$output" "protocol sctp is not supported here: neither pasta nor slirp4netns carries it"
        return
    fi
    berth run -d --name "$name" --network podman -p "$port:80/sctp" "$IMAGE" sleep 1000
    nft list ruleset >"$FILE_DIR/ruleset"
    grep "sctp dport $port dnat ip to 10.88.0.*:80" "$FILE_DIR/ruleset"
    berth port "$name"
    assert_equal "$output" "80/sctp -> 0.0.0.0:$port"
}

@test "a build reaches containers by name" {
    berth network create "$net"
    server --network "$net"
    mkdir "$FILE_DIR/$name"
    printf 'FROM %s\nRUN wget -qO /page http://%s/\nRUN cat /page\n' "$IMAGE" "$name" >"$FILE_DIR/$name/Containerfile"
    berth build --no-cache --network "$net" -t "localhost/$name" "$FILE_DIR/$name"
    assert_contains "$output" hello
    berth rmi "localhost/$name"
}

@test "an internal network leads nowhere else, and --ipv6 has addresses of both kinds" {
    berth network create --internal "$net"
    berth run --rm --network "$net" "$IMAGE" ip route
    not grep -q default <<<"$output"
    berth network create --ipv6 "$net-2"
    server --network "$net-2"
    berth run --rm --network "$net-2" "$IMAGE" sh -c 'ip -6 -o addr show eth0 scope global; nslookup -type=aaaa '"$name"
    assert_contains "$output" "inet6 fd"
    berth inspect --format "{{(index .NetworkSettings.Networks \"$net-2\").GlobalIPv6Address}}" "$name"
    berth run --rm --network "$net-2" "$IMAGE" wget -qO- "http://[$output]/"
    assert_equal "$output" hello
}

@test "the example of a CNI page works as it stands" {
    is_berth || skip "podman has networks of another kind"
    cat >"$FILE_DIR/nets/10-mynet.conf" <<'X'
{
	"cniVersion": "0.2.0",
	"name": "mynet",
	"type": "bridge",
	"bridge": "cni0",
	"isGateway": true,
	"ipMasq": true,
	"ipam": {
		"type": "host-local",
		"subnet": "10.22.0.0/16",
		"routes": [
			{ "dst": "0.0.0.0/0" }
		]
	}
}
X
    berth run --rm --network mynet "$IMAGE" sh -c 'ip -4 -o addr show eth0; ip route'
    assert_contains "$output" "inet 10.22.0."
    assert_contains "$output" "default via 10.22.0.1"
    berth network inspect --format '{{.NetworkInterface}} {{range .Subnets}}{{.Subnet}} {{.Gateway}}{{end}}' mynet
    assert_equal "$output" "cni0 10.22.0.0/16 10.22.0.1"
    rm "$FILE_DIR/nets/10-mynet.conf"
    is_rootless || ip link del cni0
}

@test "isolation: open, strict and internal networks" {
    local ip
    reach() { # reach NETWORK ARG...: what a container of the network gets from the server
        local from=$1
        shift
        berth run --rm --network "$from" "$@" "$IMAGE" sh -c "exec 2>/dev/null; \${ROUTE:-:}; timeout 2 wget -qO- http://$ip/ || echo unreachable"
    }
    berth network create -o isolate=false "$net"
    berth network create -o isolate=false "$net-2"
    server --network "$net"
    ip=$(ip_of "$name" "$net")
    reach "$net-2"
    assert_equal "$output" hello
    berth network rm "$net-2"
    berth network create -o isolate=strict "$net-2"
    reach "$net-2"
    assert_equal "$output" unreachable
    berth network rm "$net-2"
    # An internal network has no way out, also for a container that makes itself a route.
    berth network create --internal "$net-2"
    berth network inspect --format '{{range .Subnets}}{{.Gateway}}{{end}}' "$net-2"
    reach "$net-2" --cap-add NET_ADMIN -e "ROUTE=ip route add default via $output"
    assert_equal "$output" unreachable
}

@test "what berth-net does itself is what the plugins would do" {
    is_berth || skip "podman has networks of another kind"
    local of port kind
    conflist() { # conflist NAME KEY: KEY is one that only the plugin knows
        cat <<X
{ "cniVersion": "1.0.0", "name": "$1", "plugins": [
  { "type": "bridge", "bridge": "br-equal", "isGateway": true, "ipMasq": true, "hairpinMode": true, "mtu": 1400 $2,
    "ipam": { "type": "host-local", "ranges": [ [ { "subnet": "10.213.9.0/24", "rangeStart": "10.213.9.20" } ], [ { "subnet": "fd42:213:9::/64" } ] ],
              "routes": [ { "dst": "0.0.0.0/0" }, { "dst": "::/0" }, { "dst": "192.0.2.0/24", "gw": "10.213.9.7", "priority": 50 } ] } },
  { "type": "portmap", "capabilities": { "portMappings": true } },
  { "type": "firewall", "ingressPolicy": "same-bridge" },
  { "type": "tuning", "capabilities": { "mac": true } } ] }
X
    }
    for kind in ours plugins; do
        conflist "$kind" "$([[ $kind == ours ]] || echo ', "promiscMode": false')" >"$FILE_DIR/nets/$kind.conflist"
        port=$(free_port)
        server --network "$kind" --mac-address 92:d0:c6:0a:29:33 -p "$port:80"
        wait_for 10 curl -sf -o "$FILE_DIR/page" "http://127.0.0.1:$port/"
        berth exec "$name" sh -c 'ip -o addr show eth0 scope global | sed "s/^[0-9]*://"; ip route; ip -6 route | grep -v fe80; ip -o link show eth0 | grep -o "mtu.*"; cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6'
        # shellcheck disable=SC2001
        sed 's/@if[0-9]*/@if/; s/ flags 02//' <<<"$output" >"$FILE_DIR/$kind"
        berth inspect --format '{{json .NetworkSettings.Networks}}' "$name"
        jq -S "to_entries[].value | del(.NetworkID, .Aliases)" <<<"$output" >>"$FILE_DIR/$kind"
        berth rm -f -t 0 "$name"
        rm "$FILE_DIR/nets/$kind.conflist"
        is_rootless || ip link del br-equal
    done
    diff "$FILE_DIR/ours" "$FILE_DIR/plugins"
    assert_contains "$(cat "$FILE_DIR/ours")" "192.0.2.0/24 via 10.213.9.7"
}

@test "a network that is used is not removed; prune leaves it; --force takes its containers along" {
    berth network create "$net"
    berth network create "$net-2"
    berth run -d --name "$name" --network "$net" "$IMAGE" sleep 1000
    berth 2 network rm "$net"
    assert_contains "$output" "\"$net\" has associated containers with it. Use -f to forcibly delete containers and pods: network is being used"
    berth network prune -f
    assert_contains "$output" "$net-2"
    berth network exists "$net"
    berth network rm -f -t 0 "$net"
    berth 1 container exists "$name"
    berth 125 network rm podman
    assert_contains "$output" "default network podman cannot be removed"
}

@test "what is wrong is said before anything is made" {
    berth 125 run --rm --network "$net" "$IMAGE" true
    assert_contains "$output" "unable to find network with name or ID $net: network not found"
    berth network create "$net"
    berth 125 run --rm --network "$net" --network host "$IMAGE" true
    assert_contains "$output" "cannot set multiple networks without bridge network mode, selected mode"
    berth 125 run --rm --network "$net" --network "$net" "$IMAGE" true
    berth 125 run --rm --ip 10.0.0.1 --network none "$IMAGE" true
    berth 125 run --rm --network "$net:nonsense=1" "$IMAGE" true
    local line
    while read -r line; do
        # shellcheck disable=SC2086
        berth 125 network create $line
    done <<X
../evil
host
--subnet nonsense $net-2
--subnet 10.9.0.0/31 $net-2
--subnet 10.9.0.0/24 --gateway 10.8.0.1 $net-2
--gateway 10.8.0.1 $net-2
--subnet 127.0.0.0/8 --ip-range 10.0.0.0/24 $net-2
--driver nonsense $net-2
-o nonsense=1 $net-2
--disable-dns --dns 192.0.2.1 $net-2
X
    # The subnet of another.
    berth network inspect --format '{{range .Subnets}}{{.Subnet}}{{end}}' "$net"
    berth 125 network create --subnet "$output" "$net-2"
    assert_contains "$output" "is already used on the host or by another config"
    berth 1 network exists "$net-2"
}

@test "a network whose addresses are all in use says so, and nothing is left of who came too late" {
    berth network create --subnet 10.213.10.0/30 "$net" # one address
    berth run -d --name "$name" --network "$net" "$IMAGE" sleep 1000
    berth 125 run --rm --name "$name-2" --network "$net" "$IMAGE" true
    assert_contains "$output" "no IP addresses available in range set: 10.213.10.1-10.213.10.2"
    berth 1 container exists "$name-2"
    berth rm -f -t 0 "$name"
    berth run --rm --network "$net" "$IMAGE" true
}

@test "kill -9 of the monitor leaves no address" {
    is_berth || skip "about Berth's monitor"
    local i
    berth network create --subnet 10.213.8.0/29 "$net" # five addresses
    for i in 1 2 3 4 5 6 7; do
        berth run -d --name "$name" --network "$net" "$IMAGE" sleep 1000
        berth inspect --format '{{.State.ConmonPid}} {{.State.Pid}}' "$name"
        # shellcheck disable=SC2086
        kill -KILL $output
        berth rm -f -t 0 "$name"
    done
    [[ -z $(find "$RUNROOT/berth/networks/leases/$net" -name '10.*') ]]
}

@test "connect and disconnect while it runs" {
    berth network create --subnet 10.213.9.0/24 "$net"
    berth network create --subnet 10.213.10.0/24 "$net-2"
    berth run -d --name "$name-2" --network "$net-2" "$IMAGE" sh -c 'mkdir /w; echo hello >/w/index.html; exec httpd -f -p 80 -h /w'
    berth run -d --name "$name" --network "$net" "$IMAGE" sleep 1000
    berth 1 exec "$name" wget -qO- "http://$name-2/"
    berth network connect --alias "www-$name" --ip 10.213.10.77 --mac-address 92:d0:c6:0a:29:44 "$net-2" "$name"
    assert_equal "$output" ""
    berth exec "$name" sh -c "ip -4 -o addr show eth1; ip link show eth1; wget -qO- http://$name-2/; grep -w $name /etc/hosts"
    assert_contains "$output" "10.213.10.77/24"
    assert_contains "$output" "92:d0:c6:0a:29:44"
    assert_contains "$output" hello
    assert_contains "$output" "10.213.10.77	"
    assert_equal "$(ip_of "$name" "$net-2")" 10.213.10.77
    berth exec "$name-2" nslookup "www-$name"
    assert_contains "$output" 10.213.10.77
    berth ps --filter "name=^$name\$" --format '{{.Networks}}'
    assert_equal "$output" "$net,$net-2"
    berth 125 network connect "$net-2" "$name"
    assert_contains "$output" "is already connected to network \"$net-2\": network is already connected"
    # The first network goes: the other one's interface keeps its name, also after a restart.
    berth network disconnect "$net" "$name"
    assert_equal "$output" ""
    berth 125 network disconnect "$net" "$name"
    assert_contains "$output" "is not connected to network $net"
    berth network rm "$net"
    berth restart -t 0 "$name"
    berth exec "$name" sh -c "ip -o -4 addr; wget -qO- http://$name-2/"
    not grep -q eth0 <<<"$output"
    assert_contains "$output" "10.213.10.77/24"
    assert_contains "$output" hello
    berth inspect --format '{{range $k, $v := .NetworkSettings.Networks}}{{$k}} {{end}}' "$name"
    assert_equal "$output" "$net-2 "
    berth network disconnect "$net-2" "$name"
    berth exec "$name" ip -o -4 addr
    not grep -q eth <<<"$output"
}

@test "connect and disconnect what does not run; other modes are refused" {
    berth network create "$net"
    berth network create "$net-2"
    berth create --name "$name" --network "$net" "$IMAGE" sh -c 'ip -o -4 addr'
    berth network connect --alias x "$net-2" "$name"
    berth network connect "$net-2" "$name" # as podman: no error, and nothing new
    berth 2 network rm "$net-2"
    berth inspect --format '{{range $k, $v := .NetworkSettings.Networks}}{{$k}} {{$v.Aliases}}{{end}}' "$name"
    assert_contains "$output" "x"
    berth start -a "$name"
    assert_contains "$output" eth0
    assert_contains "$output" eth1
    berth network disconnect "$net" "$name"
    berth start -a "$name"
    not grep -q eth0 <<<"$output"
    assert_contains "$output" eth1
    berth 1 network connect "$net" "nobody-$name" || berth 125 network connect "$net" "nobody-$name"
    berth 125 network connect "nothing-$net" "$name"
    assert_contains "$output" "unable to find network with name or ID nothing-$net: network not found"
    local mode
    for mode in none host; do
        berth create --name "$name-2" --network "$mode" "$IMAGE" true
        berth 125 network connect "$net" "$name-2"
        assert_contains "$output" "\"$mode\" is not supported: invalid network mode"
        berth 125 network disconnect "$net" "$name-2"
        assert_contains "$output" "\"$mode\" is not supported: invalid network mode"
        berth rm "$name-2"
    done
}

@test "a published port goes over to the next network" {
    local port
    berth network create "$net"
    berth network create "$net-2"
    port=$(free_port)
    berth run -d --name "$name" --network "$net" --network "$net-2" -p "127.0.0.1:$port:80" "$IMAGE" sh -c 'mkdir /w; echo hello >/w/index.html; exec httpd -f -p 80 -h /w'
    wait_for 10 curl -sf -m 2 -o "$FILE_DIR/page" "http://127.0.0.1:$port/"
    berth network disconnect "$net" "$name"
    wait_for 10 curl -sf -m 2 -o "$FILE_DIR/page" "http://127.0.0.1:$port/"
    berth network disconnect "$net-2" "$name"
    not curl -s -m 2 "http://127.0.0.1:$port/"
    berth network connect "$net" "$name"
    wait_for 10 curl -sf -m 2 -o "$FILE_DIR/page" "http://127.0.0.1:$port/"
}

@test "kill -9 of the monitor while it connects is made good by the next command" {
    is_berth || skip "about Berth's monitor"
    berth network create "$net"
    berth network create "$net-2"
    berth run -d --name "$name" --network "$net" "$IMAGE" sleep 1000
    local i pid
    for i in 0.02 0.1 0.3; do
        pid=$("$ENGINE" inspect --format '{{.State.ConmonPid}}' "$name" 3>&-)
        "$ENGINE" network connect "$net-2" "$name" >"$FILE_DIR/connect" 2>&1 3>&- &
        sleep "$i"
        kill -KILL "$pid"
        wait "$!" || true
        "$ENGINE" network connect "$net-2" "$name" >"$FILE_DIR/connect" 2>&1 3>&- || grep -q "already connected" "$FILE_DIR/connect"
        berth exec "$name" ip -o -4 addr show eth1
        assert_contains "$output" "$(ip_of "$name" "$net-2")"
        berth network disconnect "$net-2" "$name"
    done
    berth rm -f -t 0 "$name"
    [[ -z $(find "$RUNROOT/berth/networks/leases/$net" "$RUNROOT/berth/networks/leases/$net-2" -name '10.*') ]]
}

@test "update changes name servers, also of containers that run; resolve asks what names mean" {
    berth network create --dns 192.0.2.1 "$net"
    berth run -d --name "$name" --network "$net" --network-alias "www-$name" "$IMAGE" sleep 1000
    berth network update --dns-add 192.0.2.7,192.0.2.8 --dns-drop 192.0.2.1 "$net"
    assert_equal "$output" "$net"
    berth network inspect --format '{{.NetworkDNSServers}}' "$net"
    assert_equal "$output" "[192.0.2.7 192.0.2.8]"
    ! is_berth || grep -qr 192.0.2.7 "$RUNROOT/berth/networks/members"
    berth 125 network update --dns-add nonsense "$net"
    assert_contains "$output" "unable to parse ip nonsense specified in AddDNSServer"
    is_berth || return 0
    berth network resolve --network "$net" "www-$name.dns.podman"
    assert_equal "$output" "$(ip_of "$name" "$net")"
    berth network resolve --format '{{.Network}} {{.Container}}' "$name"
    assert_equal "$output" "$net $name"
    berth 1 network resolve "nobody-$name"
    assert_contains "$output" "no running container has this name"
}

@test "reload makes rules, bridge and ports anew" {
    local port id
    berth network create "$net"
    port=$(free_port)
    berth run -d --name "$name" --network "$net" -p "127.0.0.1:$port:80" "$IMAGE" sh -c 'mkdir /w; echo hello >/w/index.html; exec httpd -f -p 80 -h /w'
    id=$output
    local ip
    ip=$(ip_of "$name" "$net")
    if is_rootless; then
        ! is_berth || kill -KILL "$(cut -d' ' -f1 "$RUNROOT/berth/networks/keeper")"
    else
        ip link del "$("$ENGINE" network inspect --format '{{.NetworkInterface}}' "$net" 3>&-)"
        nft flush ruleset
    fi
    berth network reload "$name"
    assert_equal "$output" "$id"
    wait_for 10 curl -sf -m 2 -o "$FILE_DIR/page" "http://127.0.0.1:$port/"
    assert_equal "$(ip_of "$name" "$net")" "$ip"
    berth run --rm --network "$net" "$IMAGE" wget -qO- "http://$name/"
    assert_equal "$output" hello
    berth network reload --all
    assert_equal "$output" "$id"
    berth stop -t 0 "$name"
    berth 125 network reload "$name"
    assert_contains "$output" "network is not configured, refusing to reload"
    berth network reload --all
    assert_equal "$output" ""
    berth 125 network reload
    berth run -d --name "$name-2" --network none "$IMAGE" sleep 1000
    berth 125 network reload "$name-2"
    assert_contains "$output" "\"none\" is not supported: invalid network mode"
}

@test "network check tries what a container would find" {
    is_berth || skip "podman has no such command"
    berth network create --internal "$net"
    berth network check "$net"
    local word
    for word in name connect gateway mtu outside dns ports; do
        grep -qE "^$word +ok " <<<"$output" || { echo "no $word"; false; }
    done
    berth network create --dns 127.0.0.9 -o mtu=1400 "$net-2" # nobody is there: the loopback is the container's own
    run -1 "$ENGINE" network check --format json "$net-2" 3>&-
    assert_equal "$(jq -r '.[] | select(.OK | not) | .Check' <<<"$output")" outside
    assert_contains "$output" "packets of 1400 bytes"
    berth 125 network check "nothing-$net"
    [[ -z $(find "$RUNROOT/berth/networks/members" -type f) ]]
}

@test "drivers macvlan and ipvlan: what is written, and what is refused" {
    is_berth || skip "podman looks for netavark's"
    if is_rootless; then
        berth 125 network create -d macvlan --subnet 10.213.40.0/24 "$net"
        assert_contains "$output" "driver macvlan is root's"
        return
    fi
    berth network create -d macvlan -o parent=lo -o mode=private --subnet 10.213.40.0/24 "$net"
    berth network inspect --format '{{.Driver}} {{.NetworkInterface}} {{.Options.mode}} {{.DNSEnabled}}' "$net"
    assert_equal "$output" "macvlan lo private false"
    berth 125 network create -d macvlan -o parent=lo "$net-2"
    assert_contains "$output" "needs a subnet"
    berth 125 network create -d ipvlan -o parent=nosuch0 --subnet 10.213.40.0/24 "$net-2"
    assert_contains "$output" "parent interface nosuch0 does not exist"
}

@test "podman's networks are listed, and taken over by import" {
    is_berth || skip "about networks of podman's"
    cat >"$FILE_DIR/nets/$net.json" <<X
{ "name": "$net", "id": "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9", "driver": "bridge", "network_interface": "podman1",
  "created": "2025-10-06T18:50:54.25770461+02:00", "subnets": [ { "subnet": "10.213.50.0/24", "gateway": "10.213.50.1" } ],
  "ipv6_enabled": false, "internal": false, "dns_enabled": true, "labels": { "tier": "front" }, "ipam_options": { "driver": "host-local" } }
X
    berth network ls --filter "name=$net" --format '{{.Name}} {{.Driver}} {{.Labels}}'
    assert_equal "$output" "$net bridge tier=front"
    berth network inspect --format '{{.NetworkInterface}}' "$net"
    assert_equal "$output" podman1
    berth 125 network create --subnet 10.213.50.0/24 "$net-2"
    berth 125 run --rm --network "$net" "$IMAGE" true
    assert_contains "$output" "network import $net"
    berth network import "$net"
    assert_equal "$output" "$net"
    berth network inspect --format '{{.Labels.tier}} {{range .Subnets}}{{.Subnet}}{{end}} {{.DNSEnabled}}' "$net"
    assert_equal "$output" "front 10.213.50.0/24 true"
    berth run --rm --network "$net" "$IMAGE" ip -4 -o addr show eth0
    assert_contains "$output" "inet 10.213.50."
    berth network import
    assert_equal "$output" ""
    berth 125 network import "$net"
    assert_contains "$output" "already used"
    rm "$FILE_DIR/nets/$net.json"
    berth 125 network import "$net"
    assert_contains "$output" "unable to find network of podman"
}

@test "runs that are killed leave every address and the port usable" {
    is_berth || skip "about Berth's processes"
    local i port pids victim
    port=$(free_port)
    berth network create --subnet 10.213.12.0/28 "$net" # thirteen addresses
    for i in $(seq "${BERTH_TEST_KILLS:-15}"); do
        # berth, its monitor or berth-net, at any moment of a start.
        case $((i % 3)) in 0) victim=berth ;; 1) victim=berth-monitor ;; *) victim=berth-net ;; esac
        "$ENGINE" run --name "$name-$i" --network "$net" -p "$port:80" "$IMAGE" sleep 1000 >/dev/null 2>&1 3>&- &
        sleep "0.$(printf %02d $((RANDOM % 45)))"
        pids=$(grep -las "$FILE_DIR" /proc/[0-9]*/cmdline /proc/[0-9]*/environ | cut -d/ -f3 | sort -u | while read -r p; do
            [[ $(tr '\0' ' ' <"/proc/$p/cmdline") =~ ^([^\ ]*/)?$victim\  ]] && echo "$p"; done 2>/dev/null) || true
        echo "$i: $victim: $(wc -w <<<"$pids") of them"
        # shellcheck disable=SC2086
        kill -KILL $pids "$!" 2>/dev/null || true
        wait "$!" || true
        berth rm -fa -t 0
    done
    # What nobody may have left yet: an address without a container, a member without one.
    local dir=$RUNROOT/berth/networks id
    id=$(printf %064d 7)
    mkdir -p "$dir/leases/$net" "$dir/members"
    printf '%s\r\neth0' "$id" >"$dir/leases/$net/10.213.12.14"
    printf '{"network":"%s","netns":"","cni":{"program":"%s","list":{"name":"%s","plugins":[{"type":"bridge","ipam":{"type":"host-local"}}]},"stateDir":"%s","container":"%s","interface":"eth0"}}' \
        "$net-2" "$(dirname "$HELPERS_DIR")/bin/berth-net" "$net-2" "$dir" "$id" >"$dir/members/$id.$net-2"
    run "$ENGINE" system check 3>&-
    assert_contains "$output" "address of a container that is not connected"
    assert_contains "$output" "connection to network $net-2 of container 000000000000, which does not run"
    berth system check --repair
    berth system check
    for i in $(seq 13); do
        berth run -d --name "$name-$i" --network "$net" -p "$((i > 1 ? 0 : port)):80" "$IMAGE" httpd -f -p 80
    done
    wait_for 5 curl -s -o "$FILE_DIR/page" "http://127.0.0.1:$port/"
    [[ $(find "$RUNROOT/berth/networks/leases/$net" -name '10.*' | wc -l) -eq 13 ]]
}
