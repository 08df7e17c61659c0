#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest, as root: networks of the drivers macvlan and ipvlan, and bridges with a VLAN, which the kernels of test machines often lack.
. "$(dirname "$0")/tap.bash"

berth load -q -i /opt/berth/busybox.tar || exit 1
trap 'berth rm -fa -t 0 >/dev/null; berth network rm -f lan lan3 tagged >/dev/null 2>&1; ip link del par0 2>/dev/null; ip link del par1 2>/dev/null' EXIT
# shellcheck disable=SC2016
server='mkdir /tmp/www; echo a page >/tmp/www/index.html; exec httpd -f -p 80 -h /tmp/www'
page() { is "$(berth run --rm --network "$1" "$IMAGE" wget -qO- "http://$2/" 2>&1)" "a page"; }

modprobe -a dummy macvlan ipvlan 8021q 2>/dev/null
ok "an interface to be the parent" ip link add par0 type dummy
ok "and another: the kernel lets one be of macvlan or of ipvlan" ip link add par1 type dummy
ip link set par0 up
ip link set par1 up

ok "a network of driver macvlan" berth network create -d macvlan -o parent=par0 -o mtu=1400 -o metric=7 --subnet 10.213.40.0/24 lan
berth run -d --name web --network lan --ip 10.213.40.7 "$IMAGE" sh -c "$server" >/dev/null
ok "its containers reach each other" retry 20 page lan 10.213.40.7
ok "with the MTU that was asked for" like "$(berth exec web ip link show eth0)" "*mtu 1400*"
ok "and the metric" like "$(berth exec web ip route)" "*default via 10.213.40.1*metric 7*"
ok "the interface is a macvlan" like "$(nsenter -t "$(berth inspect --format '{{.State.Pid}}' web)" -n ip -d link show eth0)" "*macvlan mode bridge*"

ok "a network of driver ipvlan, without a gateway" berth network create -d ipvlan -o mode=l3 --interface-name par1 --subnet 10.213.41.0/24 lan3
ok "a container that runs is connected to it" berth network connect --ip 10.213.41.7 lan3 web
ok "and is reached there" retry 20 page lan3 10.213.41.7
ok "it is disconnected" berth network disconnect lan3 web
ok "and has the interface no more" exits 1 berth exec web grep -q eth1 /proc/net/dev

ok "a bridge with a VLAN" berth network create -o vlan=7 --subnet 10.213.42.0/24 tagged
ok "its containers reach each other" berth network connect --ip 10.213.42.7 tagged web
ok "by name, too" retry 20 page tagged web
ok "rm" berth rm -f -t 0 web
ok "the parent is as it was" is "$(ip -o link show type macvlan; ip -o link show type ipvlan)" ""
the_end
