#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest, as root: checkpoints with CRIU and runc. This host's own kernel may be too new for Debian's CRIU.
. "$(dirname "$0")/tap.bash"

dir=$(mktemp -d /var/tmp/checkpoint-XXXXXX)
trap 'berth rm -fa -t 0 >/dev/null; berth volume rm -fa >/dev/null; berth rmi -f warm >/dev/null 2>&1; rm -rf "$dir"' EXIT
berth load -q -i /opt/berth/busybox.tar || exit 1
# counter NAME FLAG...: a container that counts, in its memory and into /n.
counter() { berth --runtime runc run -d --name "$1" "${@:2}" "$IMAGE" sh -c 'echo mine >/made; rm -f /etc/group; i=0; while :; do i=$((i + 1)); echo $i; echo $i >/n; sleep 0.2; done' >/dev/null; }
count() { berth exec "$1" cat /n; }
state() { berth inspect --format "{{.State.Status}} {{.State.Checkpointed}} {{.State.Restored}}" "$1"; }
last() { berth logs --tail 1 "$1" | tail -n 1; } # another may have been written meanwhile
begun() { [ -n "$(last "$1" 2>/dev/null)" ]; }
# goes_on NAME FROM: it counts on from there.
more() { [ "$(count "$1" 2>/dev/null || echo 0)" -gt "$2" ]; }
goes_on() { retry 30 more "$1" "$2"; }

counter web -p 18080:80
retry 20 begun web
ok "a checkpoint ends the container" berth container checkpoint --keep web
ok "inspect says so" is "$(state web)" "exited true false"
ok "CRIU's log was kept" grep -q "Dumping finished successfully" "$(berth inspect --format '{{.State.CheckpointLog}}' web)"
n=$(last web)
ok "a restore starts it" is "$(berth container restore web)" web
ok "inspect says that, too" is "$(state web)" "running false true"
ok "it counts on from where it was" goes_on web "$n"
ok "and its output is in the log" test "$(last web)" -gt "$n"
ok "it is stopped as any" berth stop -t 1 web
ok "the checkpoint is used up" exits 125 berth container restore web
ok "a start is from the beginning" berth start web
ok "inspect says that" is "$(state web)" "running false false"

monitor=$(berth inspect --format '{{.State.ConmonPid}}' web)
kill -9 "$monitor"
sleep 1
n=$(last web)
adopted() { [ "$(berth ps -q | wc -l)" = 1 ] && [ "$(last web)" -gt "$n" ]; }
ok "a container of pipes is adopted with its output" retry 30 adopted
ok "it can be checkpointed then" berth container checkpoint --leave-running --print-stats web
ok "and goes on" is "$(state web)" "running false false"
ok "memory first, then what has changed" berth container checkpoint --pre-checkpoint --export "$dir/pre.tar.gz" --compress gzip web
ok "the second has only that" berth container checkpoint --with-previous --export "$dir/all.tar.zst" web
n=$(last web)
berth rm web >/dev/null
ok "both are imported" berth container restore --import-previous "$dir/pre.tar.gz" --import "$dir/all.tar.zst"
ok "it counts on" goes_on web "$n"
ok "its files are there" is "$(berth exec web sh -c 'cat /made; ls /etc/group 2>/dev/null')" mine
ok "by another name, it is another container" berth container restore --import-previous "$dir/pre.tar.gz" --import "$dir/all.tar.zst" --name other --publish 18081:80
ok "with other ports" like "$(berth port other)" "80/tcp -> *18081"
berth rm -f -t 0 web other >/dev/null

counter vol --rm -v data:/data -v /anon --network none
retry 20 begun vol
berth exec vol sh -c 'echo kept >/data/a; echo anon >/anon/a'
ok "a --rm container is exported" berth container checkpoint --export "$dir/vol.tar" --compress none vol
ok "the archive has podman's files" like "$(tar -tf "$dir/vol.tar" | sort | paste -sd' ')" "checkpoint/*config.dump*deleted.files*network.status*rootfs-diff.tar*spec.dump*volumes/data.tar*"
gone() { ! berth container exists vol; }
ok "and removed" retry 10 gone
ok "a volume that is there is not written over" exits 125 berth container restore --import "$dir/vol.tar"
berth volume rm data >/dev/null
ok "its volumes come back" berth container restore --import "$dir/vol.tar"
ok "with what was in them" is "$(berth exec vol cat /data/a /anon/a | paste -sd' ')" "kept anon"
ok "an image is made of a checkpoint" berth container checkpoint --create-image warm --ignore-volumes vol
berth volume rm data >/dev/null
ok "it is restored" is "$(berth container restore --name vol2 warm)" warm
retry 20 begun vol2
ok "and counts" goes_on vol2 1
ok "--rm goes on with it" berth stop -t 0 vol2

berth --runtime runc run -dit --name tty --network none "$IMAGE" sh -c 'read a; echo "got $a"; sleep 100' >/dev/null
sleep 1
ok "one with a terminal" berth container checkpoint tty
ok "is restored" berth container restore tty
# connected NAME FLAG...: a container with a connection to itself.
connected() { berth --runtime runc run -d --name "$1" "${@:2}" "$IMAGE" sh -c 'sleep 1000 | nc -l -p 99 >/dev/null & sleep 1; sleep 1000 | nc 127.0.0.1 99' >/dev/null; sleep 4; }
connected held --network none
berth container checkpoint held >/dev/null 2>"$dir/err"
ok "what CRIU refuses leaves it running" is "$(state held)" "running false false"
ok "and says why" grep -q "CRIU says.*TCP" "$dir/err"
ok "and how" grep -q "Hint:.*--tcp-established" "$dir/err"
berth rm -f -t 0 held >/dev/null
connected held
ok "with the connection" berth container checkpoint --tcp-established held
ok "it comes back" berth container restore --tcp-established held
ok "connected" like "$(berth exec held netstat -tn)" "*ESTABLISHED*"
berth rm -f -t 0 held >/dev/null
ok "all is clean" berth system check

counter cut --network none
retry 20 begun cut
berth container checkpoint cut >/dev/null 2>&1 &
sleep 0.7
kill -9 "$(berth inspect --format '{{.State.ConmonPid}}' cut)"
wait $!
ok "a monitor killed in the middle of a checkpoint leaves nothing" clean_or_repaired
ok "the container can be removed" berth rm -f -t 0 cut
counter cut --network none
retry 20 begun cut
berth container checkpoint cut >/dev/null
berth container restore cut >/dev/null 2>&1 &
sleep 1.5
kill -9 "$(pgrep -n berth-monitor)"
wait $!
ok "nor one in the middle of a restore" clean_or_repaired
ok "that one can be removed, too" berth rm -f -t 0 cut
the_end
