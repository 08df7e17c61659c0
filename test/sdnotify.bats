#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# --sdnotify: what systemd is told of a container.
load helpers

# listen: writes what comes to $SOCKET into $LOG.
listen() {
    SOCKET=$FILE_DIR/$name.sock LOG=$FILE_DIR/$name.log
    : >"$LOG"
    socat -u "UNIX-RECV:$SOCKET,mode=777" "OPEN:$LOG,append" 3>&- &
    LISTENER=$!
    wait_for 5 test -S "$SOCKET"
}

test_setup() { name=c-$(random_string); listen; }

test_teardown() {
    "$ENGINE" rm -fa -t 0 >/dev/null 2>&1 3>&-
    kill "$LISTENER" 2>/dev/null || true
    rm -f "$SOCKET"
}

told() { grep -qF "$1" "$LOG"; }

# notified ARG...: berth with NOTIFY_SOCKET.
notified() {
    export NOTIFY_SOCKET=$SOCKET
    local rc=0
    berth "$@" || rc=$?
    unset NOTIFY_SOCKET
    return $rc
}

monitor_of() { "$ENGINE" inspect --format '{{.State.ConmonPid}}' "$1" 3>&-; }

# say TEXT: a shell script that sends TEXT to the container's NOTIFY_SOCKET with the host's socat.
say() { echo "printf '$1' | /host/lib/*/ld-linux-*.so.* --library-path \$(echo /host/lib/*-linux-gnu) /host/bin/socat - UNIX-SENDTO:\$NOTIFY_SOCKET"; }

@test "sdnotify: conmon tells of the monitor and that it is ready; ignore tells nothing" {
    notified run -d --name "$name" --sdnotify conmon "$IMAGE" sh -c 'echo "socket [$NOTIFY_SOCKET]"; exec sleep 1000'
    wait_for 5 told READY=1
    told "MAINPID=$(monitor_of "$name")"
    berth logs "$name"
    assert_contains "$output" "socket []"
    berth stop -t 0 "$name"
    : >"$LOG"
    notified start "$name"
    wait_for 5 told READY=1
    told "MAINPID=$(monitor_of "$name")"
    : >"$LOG"
    notified run -d --name "$name-2" --sdnotify ignore "$IMAGE" sh -c 'echo "socket [$NOTIFY_SOCKET]"; exec sleep 1000'
    notified run --rm --sdnotify conmon "$IMAGE" true
    wait_for 5 told READY=1
    assert_equal "$(grep -o MAINPID "$LOG" | wc -l)" 1
    berth logs "$name-2"
    assert_contains "$output" "socket []"
}

@test "sdnotify: container, the default, passes on what the container says, but no process IDs of its own" {
    is_berth || skip "podman 4.3's conmon does it another way"
    notified run -d --name "$name" -v /usr:/host:ro "$IMAGE" sh -c "
        echo \"socket [\$NOTIFY_SOCKET]\"; while [ ! -e /go ]; do sleep 0.1; done
        $(say 'STATUS=one\nMAINPID=7\nREADY=1'); $(say 'STATUS=two'); exec sleep 1000"
    wait_for 5 told "MAINPID=$(monitor_of "$name")"
    not told READY=1
    berth exec "$name" touch /go
    wait_for 10 told STATUS=two
    told READY=1
    not told MAINPID=7
    berth logs "$name"
    assert_contains "$output" "socket [/run/notify/notify.sock]"
    berth exec "$name" sh -c 'echo x >/run/notify/file' || true
    berth exec "$name" ls /run/notify
    assert_equal "$output" notify.sock
    kill -9 "$(monitor_of "$name")"
    : >"$LOG"
    berth exec "$name" sh -c "$(say STATUS=three)" # by the monitor that takes its place
    wait_for 10 told STATUS=three
    berth inspect --format '{{.Config.SdNotifyMode}}' "$name"
    assert_equal "$output" container
    berth stop -t 0 "$name"
    : >"$LOG"
    berth start "$name" # by nobody who wants to hear of it
    berth exec "$name" sh -c 'echo "socket [$NOTIFY_SOCKET]"; ls /run/notify/notify.sock' || true
    assert_contains "$output" "socket []"
    assert_equal "$(cat "$LOG")" ""
    berth run --rm "$IMAGE" sh -c 'echo "socket [$NOTIFY_SOCKET]"'
    assert_equal "$output" "socket []"
}

@test "sdnotify: container with a user namespace and an unprivileged user" {
    is_berth || skip "podman 4.3's conmon does it another way"
    local flags=(--userns keep-id)
    is_rootless || flags=(--uidmap 0:100000:65536 --user 1000)
    notified run --rm "${flags[@]}" -v /usr:/host:ro "$IMAGE" sh -c "$(say READY=1); ls /run/notify"
    assert_equal "$output" notify.sock
    wait_for 5 told READY=1
}

@test "sdnotify: healthy is ready with the first check that passes" {
    is_berth || skip "podman 4.3 has no healthy"
    notified run -d --name "$name" --sdnotify healthy --health-cmd 'test -e /ok' --health-interval 500ms --health-retries 100 "$IMAGE" sh -c 'sleep 2; touch /ok; exec sleep 1000'
    wait_for 5 told READY=1 # the command has waited for it
    told "MAINPID=$(monitor_of "$name")"
    berth inspect --format '{{.State.Health.Status}}' "$name"
    assert_equal "$output" healthy
    notified run -d --rm --sdnotify healthy --health-cmd false --health-interval 500ms "$IMAGE" sleep 1 # it ends, and so does the wait
    berth 125 run --rm --sdnotify healthy "$IMAGE" true
    assert_contains "$output" 'sdnotify policy "healthy" requires a healthcheck to be set'
    berth 125 run --rm --sdnotify sometimes "$IMAGE" true
    assert_contains "$output" 'invalid sdnotify value "sometimes": must be'
}
