#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# --log-driver journald. With a real systemd-journald, which runs here without systemd, in a mount namespace of its own: as root.
# test/vm/journald.sh does it with systemd, and as an ordinary user.
load helpers

JOURNALD=/lib/systemd/systemd-journald

setup_file() {
    store_setup
    export PLAIN_ENGINE=$ENGINE
    ! is_rootless && is_berth || return 0
    [[ -x $JOURNALD ]] || { echo "$JOURNALD is missing: run make deps" >&2; return 1; }
    # env: nothing of this file's is left when they are ended.
    env -i unshare --mount --propagation private sleep 3600 3>&- &
    export NAMESPACE=$!
    wait_for 10 other_namespace
    mkdir "$FILE_DIR/ns"
    printf '#!/bin/sh\nexec nsenter -t %s -m --wd="$PWD" -- %q "$@"\n' "$NAMESPACE" "$ENGINE" >"$FILE_DIR/ns/berth"
    chmod 755 "$FILE_DIR/ns/berth"
    ENGINE=$FILE_DIR/ns/berth
    inside sh -c 'mkdir -p /run/systemd /run/log && mount -t tmpfs tmpfs /run/systemd && mount -t tmpfs tmpfs /run/log && mkdir /run/systemd/journal'
    start_journald
}
other_namespace() { [[ $(readlink "/proc/$NAMESPACE/ns/mnt") != "$(readlink /proc/self/ns/mnt)" ]]; }
inside() { nsenter -t "$NAMESPACE" -m "$@" 3>&-; }
start_journald() {
    # Without its own limit of 10000 lines in 30 s, which is not what is tested.
    inside sh -c 'mkdir -p /run/systemd/journald.conf.d; printf "[Journal]\nRateLimitBurst=0\n" >/run/systemd/journald.conf.d/test.conf'
    env -i nsenter -t "$NAMESPACE" -m "$JOURNALD" 3>&- >/dev/null 2>&1 &
    echo $! >"$FILE_DIR/journald"
    wait_for 10 inside test -S /run/systemd/journal/socket
}
end_journald() {
    kill "$(cat "$FILE_DIR/journald")"
    wait_for 10 not test -d "/proc/$(cat "$FILE_DIR/journald")"
    inside rm -f /run/systemd/journal/socket
}

teardown_file() {
    local rc=0 journald
    journald=$(cat "$FILE_DIR/journald" 2>/dev/null) || true
    store_teardown || rc=1
    [[ -z ${NAMESPACE:-} ]] || kill "$NAMESPACE" ${journald:+"$journald"} 2>/dev/null || true
    return $rc
}

# with_journald: skips a test of an ordinary user, who cannot run one.
with_journald() {
    is_berth || skip "podman's own tests have it"
    [[ -n ${NAMESPACE:-} ]] || skip "only root can run a journald: test/vm/journald.sh does it as a user"
}
# field NAME: that of the container's first entry.
field() { inside journalctl --no-pager -q -o json "CONTAINER_NAME=$name" | jq -r --arg f "$1" "select(.[\$f]) | .[\$f]" | head -1; }

@test "without journald the flag is refused, and containers.conf's wish is dropped" {
    is_berth || skip "podman does not look"
    [[ ! -S /run/systemd/journal/socket ]] || skip "journald runs here"
    ENGINE=$PLAIN_ENGINE
    for verb in run create; do
        berth 125 $verb --log-driver journald "$IMAGE" true
        assert_contains "$output" "--log-driver journald: systemd-journald does not run here: connect /run/systemd/journal/socket: no such file or directory"
        assert_contains "$output" "Hint: use --log-driver k8s-file"
    done
    printf '[containers]\nlog_driver = "journald"\n' >"$FILE_DIR/conf/journald.conf"
    export CONTAINERS_CONF=$FILE_DIR/conf/journald.conf
    berth run --name "$name" "$IMAGE" echo hi
    berth inspect -f '{{.HostConfig.LogConfig.Type}}' "$name"
    assert_equal "$output" k8s-file
    berth info -f '{{.Host.LogDriver}}'
    assert_equal "$output" k8s-file
}

@test "options that a log driver does not have are refused by name" {
    is_berth || skip "podman ignores them"
    for o in label=A=b labels=a env=A; do
        berth 125 create --log-opt "$o" "$IMAGE" true
        assert_contains "$output" "--log-opt \"$o\": driver k8s-file has no fields"
    done
    berth 125 create --log-opt colour=red "$IMAGE" true
    assert_contains "$output" "this option is not supported: path, max-size, max-file, tag, label, labels and env are"
    berth 125 create --log-driver pigeon "$IMAGE" true
    assert_contains "$output" "want k8s-file, json-file, journald, none or passthrough"
    [[ -n ${NAMESPACE:-} ]] || return 0
    for o in max-size=1m path=/x max-file=3; do
        berth 125 create --log-driver journald --log-opt "$o" "$IMAGE" true
        assert_contains "$output" "--log-opt \"$o\": driver journald writes no file"
    done
    for o in label=A label=a=b label=MESSAGE=x; do
        berth 125 create --log-driver journald --log-opt "$o" "$IMAGE" true
        assert_contains "$output" "--log-opt \"$o\""
    done
    for o in 'tag={{.NoSuch}}' 'tag={{' 'label=A={{.NoSuch}}' labels=message; do
        berth 125 create --log-driver journald --log-opt "$o" "$IMAGE" true
        assert_contains "$output" "--log-opt $o"
    done
}

@test "journald: what is logged, and with which fields" {
    with_journald
    berth run --name "$name" --log-driver journald --log-opt 'tag={{.Name}}/{{.ImageName}}' --log-opt 'label=IMAGE={{.ImageName}}' --label app.name=shop --label b=2 \
        --log-opt labels=app.name,none --log-opt env=STAGE,NONE -e STAGE=test "$IMAGE" sh -c 'echo out; echo err >&2; echo; printf end'
    berth_split logs "$name"
    assert_equal "$output" $'out\n\nend'
    assert_equal "$stderr" err
    local id tag="$name/$IMAGE"
    id=$("$ENGINE" inspect -f '{{.Id}}' "$name" 3>&-)
    for want in "CONTAINER_ID_FULL=$id" "CONTAINER_ID=${id:0:12}" "CONTAINER_TAG=$tag" "SYSLOG_IDENTIFIER=$tag" "IMAGE=$IMAGE" APP_NAME=shop STAGE=test B= NONE= _UID=0; do
        assert_equal "$want" "${want%%=*}=$(field "${want%%=*}")"
    done
    inside journalctl --no-pager -q -o json "CONTAINER_NAME=$name" >"$FILE_DIR/json"
    assert_equal "$(jq -rs 'map("\(.PRIORITY) \(.CONTAINER_PARTIAL_MESSAGE) \(.MESSAGE)") | sort | .[]' <"$FILE_DIR/json")" \
        $'3 null err\n6 null \n6 null out\n6 true end'
    berth inspect -f '{{.HostConfig.LogConfig.Type}} {{.HostConfig.LogConfig.Tag}} {{.HostConfig.LogConfig.Size}} {{.HostConfig.LogConfig.Path}}{{.LogPath}}' "$name"
    assert_equal "$output" 'journald {{.Name}}/{{.ImageName}} 0B '
    berth create --name "$name-2" --log-driver journald "$IMAGE" echo hi
    berth rename "$name-2" "$name-3"
    berth start -a "$name-3"
    assert_equal "$(inside journalctl --no-pager -q -o cat "SYSLOG_IDENTIFIER=$name-3")" hi
}

@test "journald: --tail, --since, --until, --timestamps and --names" {
    with_journald
    berth run --name "$name" --log-driver journald "$IMAGE" sh -c 'seq 10; sleep 1; echo 11'
    berth logs --tail 2 "$name"
    assert_equal "$output" $'10\n11'
    berth logs --tail 0 "$name"
    assert_equal "$output" ""
    berth logs --tail 50 "$name"
    assert_equal "$output" "$(seq 11)"
    berth logs -t --names --tail 1 "$name"
    [[ $output =~ ^"$name "20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-9:.]+[+-Z].*\ 11$ ]]
    local at=${output#* }
    at=${at%% *}
    berth logs --since "$at" "$name"
    assert_equal "$output" 11
    berth logs --until "$at" "$name"
    assert_equal "$output" "$(seq 11)"
    berth logs -t --tail 2 "$name"
    at=${lines[0]%% *}
    berth logs --until "$at" "$name"
    assert_equal "$output" "$(seq 10)"
    berth logs --until "$at" --tail 1 "$name"
    assert_equal "$output" 10
    berth logs --since 2100-01-01T00:00:00Z "$name"
    assert_equal "$output" ""
}

@test "journald: long lines, binary data, many lines, and a last line with no end" {
    with_journald
    berth run -d --name "$name" --log-driver journald "$IMAGE" sh -c 'head -c 200000 /dev/zero | tr "\0" x; echo; printf "\0\1\377\r\n"; seq 20000; printf end'
    berth wait "$name"
    "$ENGINE" logs "$name" >"$FILE_DIR/log" 3>&-
    cmp "$FILE_DIR/log" <(head -c 200000 /dev/zero | tr "\0" x; echo; printf '\0\1\377\r\n'; seq 20000; printf end)
    "$ENGINE" logs --tail 20002 "$name" >"$FILE_DIR/log" 3>&-
    cmp "$FILE_DIR/log" <(printf '\0\1\377\r\n'; seq 20000; printf end)
    "$ENGINE" logs --tail 20003 "$name" >"$FILE_DIR/log" 3>&-
    assert_equal "$(head -1 "$FILE_DIR/log" | wc -c)" 200001
}

@test "journald: logs -f follows to the end, and nothing of it is left" {
    with_journald
    berth run -di --name "$name" --log-driver journald "$IMAGE" sh -c 'echo one; read x; echo "got $x"; printf end'
    for flags in "" "--tail 1" "--tail 0" "--since 1h"; do
        # shellcheck disable=SC2086
        "$ENGINE" logs -f $flags "$name" >"$FILE_DIR/log${flags// /}" 3>&- &
    done
    for flags in "" --tail1 --since1h; do wait_for 20 grep -qx one "$FILE_DIR/log$flags"; done
    sleep 1
    echo 1 | "$ENGINE" attach "$name" >/dev/null 3>&-
    wait
    for flags in "" --tail1 --since1h; do assert_equal "$(cat "$FILE_DIR/log$flags")" $'one\ngot 1\nend'; done
    assert_equal "$(cat "$FILE_DIR/log--tail0")" $'got 1\nend'
    berth run -d --name "$name-2" --log-driver journald "$IMAGE" sleep 100
    BERTH_TIMEOUT=20 berth logs -f --until 2s "$name-2" # in the past
    "$ENGINE" logs -f "$name-2" >/dev/null 3>&- &
    follows() { pgrep -f "journalctl.*$("$ENGINE" inspect -f '{{.Id}}' "$name-2" 3>&-)" >/dev/null; }
    wait_for 10 follows
    kill -KILL $!
    wait_for 10 not follows
}

@test "journald goes away and comes back while a container runs" {
    with_journald
    berth run -di --name "$name" --log-driver journald "$IMAGE" sh -c 'while read x; do echo "got $x"; done'
    local fifo=$FILE_DIR/in
    mkfifo "$fifo"
    exec {in}<>"$fifo"
    "$ENGINE" attach "$name" <"$fifo" >"$FILE_DIR/out" 3>&- &
    echo 1 >"$fifo"
    wait_for 10 grep -q 'got 1' "$FILE_DIR/out"
    end_journald
    echo 2 >"$fifo"
    wait_for 5 grep -q 'got 2' "$FILE_DIR/out" # it is not blocked
    berth exec "$name" true
    start_journald
    echo 3 >"$fifo"
    wait_for 10 grep -q 'got 3' "$FILE_DIR/out"
    exec {in}>&-
    berth stop -t 0 "$name"
    berth_split logs "$name"
    assert_equal "$output" $'got 1\ngot 3'
    assert_equal "$stderr" "Warning: the log of container \"$name\" has a gap here, since journald did not take what came: 5 bytes are not shown"
    assert_contains "$(inside journalctl --no-pager -q -o cat "CONTAINER_NAME=$name")" "5 bytes of output are missing here: journald did not take them"
}

@test "journald that stands still does not block a container" {
    with_journald
    kill -STOP "$(cat "$FILE_DIR/journald")"
    local began=$SECONDS
    BERTH_TIMEOUT=60 berth run -d --name "$name" --log-driver journald "$IMAGE" sh -c 'seq 200000; echo done >/done; sleep 100'
    wrote() { "$ENGINE" exec "$name" test -e /done 3>&-; }
    wait_for 30 wrote || { kill -CONT "$(cat "$FILE_DIR/journald")"; false; }
    kill -CONT "$(cat "$FILE_DIR/journald")"
    echo "took $((SECONDS - began)) s"
    berth stop -t 0 "$name"
    berth_split logs "$name"
    assert_contains "$stderr" "has a gap here"
    assert_equal "${lines[0]}" 1
}

@test "journald: what another user sends with its fields is not believed" {
    with_journald
    berth run --name "$name" --log-driver journald "$IMAGE" echo true
    local id
    id=$("$ENGINE" inspect -f '{{.Id}}' "$name" 3>&-)
    printf 'MESSAGE=forged\nPRIORITY=6\nCONTAINER_ID_FULL=%s\n' "$id" | inside setpriv --reuid=65534 --clear-groups logger --journald
    wait_for 10 forged
    berth logs "$name"
    assert_equal "$output" true
}
forged() { inside journalctl --no-pager -q -o cat _UID=65534 | grep -q forged; }

@test "journald: containers.conf's log_driver and log_tag" {
    with_journald
    printf '[containers]\nlog_driver = "journald"\nlog_tag = "t-{{.Name}}"\n' >"$FILE_DIR/conf/journald.conf"
    CONTAINERS_CONF=$FILE_DIR/conf/journald.conf berth run --name "$name" "$IMAGE" echo hi
    berth logs "$name"
    assert_equal "$output" hi
    assert_equal "$(field CONTAINER_TAG)" "t-$name"
    CONTAINERS_CONF=$FILE_DIR/conf/journald.conf berth info -f '{{.Host.LogDriver}}'
    assert_equal "$output" journald
    berth info -f '{{.Host.LogDriver}}'
    assert_equal "$output" k8s-file
    CONTAINERS_CONF=$FILE_DIR/conf/journald.conf berth run --name "$name-2" --log-driver k8s-file "$IMAGE" echo hi
    berth inspect -f '{{.HostConfig.LogConfig.Type}}' "$name-2"
    assert_equal "$output" k8s-file
}

@test "journald: without journalctl logs says so" {
    with_journald
    berth run --name "$name" --log-driver journald "$IMAGE" echo hi
    mkdir "$FILE_DIR/empty"
    PATH=$FILE_DIR/empty /usr/bin/nsenter -t "$NAMESPACE" -m "$PLAIN_ENGINE" logs "$name" >"$FILE_DIR/err" 2>&1 3>&- && false
    assert_contains "$(cat "$FILE_DIR/err")" "the log is in systemd's journal: exec: \"journalctl\": executable file not found in"
    assert_contains "$(cat "$FILE_DIR/err")" "Hint: install journalctl (Debian's package systemd), or make the container again with: --log-driver k8s-file"
}
