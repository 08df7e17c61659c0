#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest, as tester and as root, with systemd: --log-driver journald, read back with berth and with journalctl.
. "$(dirname "$0")/tap.bash"

berth load -q -i /opt/berth/busybox.tar || exit 1
trap 'berth rm -fa -t 0 >/dev/null; rm -rf "$dir"' EXIT
dir=$(mktemp -d) me=$(id -u) # root's journalctl shows what the user's containers wrote, too
run() { berth run --network none --log-driver journald "$@"; }
# journal NAME FIELD: that field of the container's entries.
journal() { journalctl --no-pager -q -o json "CONTAINER_NAME=$1" | jq -r "select(.$2) | .$2"; }

ok "a container logs to the journal" run --name "j1-$me" --log-opt 'tag={{.Name}}-tag' --log-opt 'label=IMAGE={{.ImageName}}' \
    --label app.name=shop --log-opt labels=app.name "$IMAGE" sh -c 'echo out; echo err >&2; printf "\0\377\n"; printf end'
berth logs "j1-$me" >"$dir/out" 2>"$dir/err"
ok "logs has standard output, binary data too" cmp "$dir/out" <(printf 'out\n\0\377\nend')
ok "and standard error" is "$(cat "$dir/err")" err
ok "journalctl finds it by its name" is "$(journalctl --no-pager -q -o cat CONTAINER_NAME="j1-$me" | tr -d '\0\377' | sort | paste -sd,)" ,end,err,out
ok "and by its tag" is "$(journalctl --no-pager -q -o cat -t "j1-$me-tag" -p 3)" err
ok "a label of the log's" is "$(journal "j1-$me" IMAGE | sort -u)" "$IMAGE"
ok "a label of the container's" is "$(journal "j1-$me" APP_NAME | sort -u)" shop
ok "the sender is the container's owner" is "$(journal "j1-$me" _UID | sort -u)" "$(id -u)"
ok "inspect tells the driver" is "$(berth inspect -f '{{.HostConfig.LogConfig.Type}} {{.HostConfig.LogConfig.Tag}}' "j1-$me")" 'journald {{.Name}}-tag'

run --name "j2-$me" "$IMAGE" sh -c 'head -c 100000 /dev/zero | tr "\0" x; echo; seq 300; sleep 1; echo last' >/dev/null
berth logs "j2-$me" >"$dir/out"
ok "long lines and many are whole" cmp "$dir/out" <(head -c 100000 /dev/zero | tr '\0' x; echo; seq 300; echo last)
ok "--tail counts lines" is "$(berth logs --tail 2 "j2-$me")" $'300\nlast'
at=$(berth logs -t --tail 1 "j2-$me")
ok "--since" is "$(berth logs --since "${at%% *}" "j2-$me")" last
at=$(berth logs -t --tail 2 "j2-$me" | head -1)
ok "--until" is "$(berth logs --until "${at%% *}" --tail 1 "j2-$me")" 300
ok "a container that wrote nothing has an empty log" run --name "j3-$me" "$IMAGE" true
ok "which can be read" is "$(berth logs "j3-$me" 2>&1)" ""

run -d --name "j4-$me" "$IMAGE" sh -c 'i=0; while [ ! -e /end ]; do echo $((i = i + 1)); sleep 0.1; done' >/dev/null
berth logs -f "j4-$me" >"$dir/follow" 2>&1 &
lines() { [ "$(wc -l <"$dir/follow")" -ge "$1" ]; }
ok "logs -f shows what comes" retry 60 lines 10
if [ "$(id -u)" != 0 ]; then
    berth exec "j4-$me" touch /end
    ok "it ends with the container" timeout 60 tail --pid=$! -f /dev/null
    ok "and has shown all" cmp "$dir/follow" <(berth logs "j4-$me")
    the_end
fi
ok "journald is started again" systemctl restart systemd-journald
n=$(berth logs "j4-$me" | wc -l)
ok "the container goes on, and so does who follows" retry 60 lines $((n + 20))
berth exec "j4-$me" touch /end
ok "who follows sees the end" timeout 60 tail --pid=$! -f /dev/null
berth logs "j4-$me" >"$dir/out"
ok "nothing is missing" cmp "$dir/out" <(seq "$(wc -l <"$dir/out")")
ok "and who follows has seen all" cmp "$dir/out" "$dir/follow"
the_end
