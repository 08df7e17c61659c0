#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# logs -f and events: followers see everything, also where what they follow is rotated meanwhile.
load helpers

LINES_WRITTEN=300000

# writer [DRIVER]: a container that writes fast once it is told to.
writer() {
    berth run -d --name "$name" --log-driver "${1:-k8s-file}" --log-opt max-size=1mb "$IMAGE" \
        sh -c "until [ -e /go ]; do sleep 0.1; done; seq $LINES_WRITTEN; echo end >&2"
}

# follow N ARG...: follows it with N commands in the background, into follow-I and error-I.
follow() {
    local i
    for i in $(seq "$1"); do
        timeout 100 "$ENGINE" logs -f "${@:2}" "$name" >"$FILE_DIR/follow-$i" 2>"$FILE_DIR/error-$i" 3>&- &
        followers[i]=$!
    done
}

followed() {
    local i
    for i in "${!followers[@]}"; do
        wait "${followers[i]}" || { cat "$FILE_DIR/error-$i"; return 1; }
        seq "${1:-1}" "$LINES_WRITTEN" | cmp - "$FILE_DIR/follow-$i"
        assert_equal "$(cat "$FILE_DIR/error-$i")" end
    done
}

@test "logs -f of a fast writer with max-size: every line, for several followers" {
    writer
    follow 2
    berth exec "$name" touch /go
    followed
}

@test "logs -f of a fast writer with max-size, json-file" {
    writer json-file
    follow 1 --tail 5
    berth exec "$name" touch /go
    followed
}

@test "logs -f that begins in the middle of fast rotation" {
    berth run -d --name "$name" --log-opt max-size=20kb "$IMAGE" seq "$LINES_WRITTEN"
    follow 1 --tail 1
    wait "${followers[1]}"
    [[ -s $FILE_DIR/follow-1 ]] || { berth wait "$name"; return 0; } # it was over before
    seq "$(head -1 "$FILE_DIR/follow-1")" "$LINES_WRITTEN" | cmp - "$FILE_DIR/follow-1"
}

@test "logs -f that stands still keeps the log from rotation, within a bound; what it misses is told" {
    is_berth || skip "podman's followers know nothing of rotation"
    berth run -d --name "$name" --log-opt max-size=1mb "$IMAGE" sh -c \
        'echo ready; until [ -e /go ]; do sleep 0.1; done; head -c 150000000 /dev/zero | tr "\0" x | fold -w 9999; echo; echo end'
    mkfifo "$FILE_DIR/slow"
    timeout 100 "$ENGINE" logs -f "$name" >"$FILE_DIR/slow" 2>"$FILE_DIR/error" 3>&- & follower=$!
    exec {slow}<"$FILE_DIR/slow"
    read -r line <&"$slow"
    assert_equal "$line" ready
    berth exec "$name" touch /go
    # Nobody reads what the follower writes: it stops soon.
    berth wait "$name"
    berth inspect --format '{{.HostConfig.LogConfig.Path}}' "$name"
    log=$output
    [[ $(du -cm "$log"* | awk '/total/ { print $1 }') -lt 140 ]]
    cat <&"$slow" | tail -1 >"$FILE_DIR/last"
    exec {slow}<&-
    wait "$follower"
    assert_equal "$(cat "$FILE_DIR/last")" end
    grep -qE "^Warning: the log of container \"$name\" was rotated faster than it was read: [0-9]+ bytes are not shown$" "$FILE_DIR/error" ||
        { cat "$FILE_DIR/error"; return 1; }
}

@test "logs -f across the restarts of a container whose log is rotated" {
    berth run -d --name "$name" --restart on-failure:2 --log-opt max-size=10kb "$IMAGE" \
        sh -c 'until [ -e /go ]; do sleep 0.1; done; seq 1000; exit 1'
    timeout 60 "$ENGINE" logs -f "$name" >"$FILE_DIR/out" 2>&1 3>&- & follower=$!
    berth exec "$name" touch /go
    wait "$follower"
    (seq 1000; seq 1000; seq 1000) | cmp - "$FILE_DIR/out"
}

@test "logs -f of a container that waits for its restart goes on" {
    berth run -d --name "$name" --restart on-failure:5 "$IMAGE" \
        sh -c 'if [ -e /4 ]; then echo last; exit 0; fi; for i in 0 1 2 3 4; do [ -e /$i ] || { touch /$i; exit 1; }; done'
    waits() { [[ $("$ENGINE" inspect --format '{{.State.Status}} {{.RestartCount}}' "$name" 3>&-) == *" "[34] ]]; }
    wait_for 20 waits
    BERTH_TIMEOUT=60 berth logs -f "$name"
    assert_equal "$output" last
}

# --- events ------------------------------------------------------------------------------

# fill: makes the events log so large that the next event rotates it.
fill() {
    local line
    line='{"Name":"old","ID":"0","Status":"filler","Time":"2020-01-01T00:00:00Z","Type":"container"}'
    yes "$line" | head -c 10600000 | sed '$d' >>"$GRAPHROOT/berth/events.log"
}

@test "events go on when the log is rotated, and the older file is read" {
    is_berth || skip "podman rotates its own way"
    berth create --name "$name" "$IMAGE" true
    timeout 60 "$ENGINE" events --filter "container=$name" --filter "container=$name-2" --format '{{.Name}} {{.Status}}' >"$FILE_DIR/events" 2>&1 3>&- & follower=$!
    # It follows once it shows an event.
    seen() { "$ENGINE" start "$name" >/dev/null 3>&-; grep -q " start$" "$FILE_DIR/events"; }
    wait_for 20 seen
    fill
    berth create --name "$name-1" "$IMAGE" true
    [[ -e $GRAPHROOT/berth/events.log.1 ]]
    berth create --name "$name-2" "$IMAGE" true
    wait_for 20 grep -q "^$name-2 create$" "$FILE_DIR/events"
    kill "$follower"
    wait "$follower" || true
    # Both files, oldest first.
    berth events --stream=false --since 1h --filter event=create --format '{{.Name}}'
    assert_contains "$output" "$name"$'\n'"$name-1"$'\n'"$name-2"
}

@test "events that many write at once across rotations are all read" {
    is_berth || skip "podman rotates its own way"
    timeout 100 "$ENGINE" events --since 1s --filter event=create --format '{{.Name}}' >"$FILE_DIR/many" 2>"$FILE_DIR/many-error" 3>&- & follower=$!
    for round in 1 2 3; do
        fill
        for i in 1 2 3 4 5 6; do "$ENGINE" create --name "$name-$round-$i" "$IMAGE" true >/dev/null 3>&- & makers[i]=$!; done
        for i in 1 2 3 4 5 6; do wait "${makers[i]}"; done
    done
    all() { [[ $(grep -c "^$name-" "$FILE_DIR/many") -eq 18 ]]; }
    wait_for 30 all || { cat "$FILE_DIR/many" "$FILE_DIR/many-error"; return 1; }
    kill "$follower"
    wait "$follower" || true
    assert_equal "$(cat "$FILE_DIR/many-error")" ""
}

@test "events --until ends by itself, with and without a log" {
    berth events --since 1h --until 1s --stream=false
    BERTH_TIMEOUT=20 berth events --until "$(date -d '+2 seconds' +%Y-%m-%dT%H:%M:%S)"
}
