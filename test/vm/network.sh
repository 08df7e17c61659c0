#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest, as tester and as root: the default network works with AppArmor on, as in every Debian.
. "$(dirname "$0")/tap.bash"

berth load -q -i /opt/berth/busybox.tar || exit 1
trap 'berth rm -fa -t 0 >/dev/null' EXIT
host=10.0.2.15 # the guest's own address, see guest-setup
# shellcheck disable=SC2016
server='mkdir /tmp/www; echo a page >/tmp/www/index.html; exec httpd -f -p 80 -h /tmp/www'
# The image's own wget crashes: it is Debian's static busybox.
curl=(-v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro "$IMAGE" /usr/bin/curl -sS -m 20)

page() { is "$(curl -sS -m 20 "http://$1:8080/" 2>&1)" "a page"; }
helper() { pgrep -u "$(id -u)" -f '^[^ ]*(pasta|slirp4netns) .*netns'; }
gone() { ! helper; }
files() { find "/run/user/$(id -u)/netns" -name 'berth-*'; }

ok "AppArmor is on" is "$(cat /sys/module/apparmor/parameters/enabled)" Y
ok "a container starts with a published port" berth run -d --name web -p 8080:80 "$IMAGE" sh -c "$server"
# Root's namespaces lie where the profile does not let pasta read them.
[ "$(id -u)" = 0 ] || ok "pasta runs under Debian's profile" is "$(cat "/proc/$(helper)/attr/current")" "passt (enforce)"
ok "it serves a page over IPv4, on the loopback" retry 20 page 127.0.0.1
ok "and on the guest's own address" page "$host"
ok "a container reaches the guest's own address" is "$(berth run --rm "${curl[@]}" "http://$host:8080/" 2>&1)" "a page"
ok "so does one with a published port" is "$(berth run --rm -p 8081:80 "${curl[@]}" "http://$host:8080/" 2>&1)" "a page"
ok "it is restarted" berth restart -t 0 web
ok "and serves again" retry 20 page 127.0.0.1
ok "rm" berth rm -f -t 0 web
ok "no helper is left" retry 10 gone
if [ "$(id -u)" = 0 ]; then
    ok "pasta by name, which the profile keeps out, is told how else" like "$(berth run --rm --network pasta "$IMAGE" true 2>&1)" "*Hint: *slirp4netns*"
    the_end
fi
ok "no file of its network namespace is left" is "$(files)" ""

# What is left of a container whose monitor and record are gone.
berth run -d --name lost -p 8080:80 "$IMAGE" sh -c "$server" >/dev/null
id=$(berth inspect --format '{{.Id}}' lost)
pkill -KILL -u tester -x berth-monitor
ok "without its monitor the container serves on" retry 20 page 127.0.0.1
ok "rm without its monitor" berth rm -f -t 0 lost
ok "no helper of it is left" retry 10 gone
ok "no file of its network namespace is left either" is "$(files)" ""
left=$XDG_RUNTIME_DIR/netns/berth-$id
printf %s "$XDG_RUNTIME_DIR/containers/berth/containers/$id" >"$left"
ok "system check sees what is left of a network namespace" like "$(berth system check 2>&1)" "*$left*"
ok "and removes it" clean_or_repaired
ok "so that it is gone" test ! -e "$left"
the_end
