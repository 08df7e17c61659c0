#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest, as tester and as root: networks that containers share, with systemd, and what happens to a host's network meanwhile.
. "$(dirname "$0")/tap.bash"

berth load -q -i /opt/berth/busybox.tar || exit 1
trap 'berth rm -fa -t 0 >/dev/null; berth network prune -f >/dev/null' EXIT
host=10.0.2.15 # the guest's own address, and its gateway: see guest-setup
# shellcheck disable=SC2016
server='mkdir /tmp/www; echo a page >/tmp/www/index.html; exec httpd -f -p 80 -h /tmp/www'
# The image's own wget crashes: it is Debian's static busybox.
curl=(-v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro)

page() { is "$(curl -sS -m 20 "http://$host:8080/" 2>&1)" "a page"; }
inside() { is "$(berth exec two /usr/bin/curl -sS -m 20 "http://$1/" 2>&1)" "a page"; }

ok "network create" berth network create web
ok "a container with a published port" berth run -d --name one --network web -p 8080:80 "$IMAGE" sh -c "$server"
ok "another" berth run -d --name two --network web "${curl[@]}" "$IMAGE" sleep 3600
ok "the port answers on the guest's own address" retry 30 page
ok "one is found by its name" retry 30 inside one
ok "and reached by the port of the host" retry 30 inside "$host:8080"
if [ "$(id -u)" = 0 ]; then
    # A firewall that is loaded anew takes all tables with it.
    nft flush ruleset
    ok "without its rules the port does not answer" exits 1 page
    ok "network reload" berth network reload --all
    ok "the port answers again within 5 s" retry 5 page
    # A default route that appears late.
    ip route del default
    ok "a container starts without a default route" berth run -d --name late --network web "${curl[@]}" "$IMAGE" sleep 3600
    ip route add default via 10.0.2.2
    ok "and reaches others" is "$(berth exec late /usr/bin/curl -sS -m 20 http://one/ 2>&1)" "a page"
    # What is behind the link loses nothing but time. The session of these tests goes over it, too.
    ip link set eth0 down
    sleep 1
    ip link set eth0 up
    ok "after a loss of the link the port answers within 5 s" retry 5 page
    ip route show default | grep -q via || ip route add default via 10.0.2.2
fi
ok "rm" berth rm -f -t 0 one two
ok "the name and the port are gone" exits 1 page
ok "system check" berth system check
the_end
