#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# logs: what a container wrote, whole and in its order.
load helpers

@test "logs gives stdout and stderr, each where it belongs" {
    berth run --name "$name" "$IMAGE" sh -c 'echo out; echo err >&2'
    berth_split logs "$name"
    assert_equal "$output" out
    assert_equal "$stderr" err
}

@test "logs works while the container runs" {
    berth run -d --name "$name" "$IMAGE" sh -c 'echo early; sleep 100'
    early() { [[ $("$ENGINE" logs "$name" 2>&1 3>&-) == early ]]; }
    wait_for 10 early
}

@test "logs -f follows to the end" {
    berth run -d --name "$name" "$IMAGE" sh -c 'for i in 1 2 3 4 5; do echo "line $i"; sleep 0.3; done'
    BERTH_TIMEOUT=30 berth logs -f "$name"
    assert_equal "$output" $'line 1\nline 2\nline 3\nline 4\nline 5'
}

@test "logs --tail" {
    berth run --name "$name" "$IMAGE" seq 10
    berth logs --tail 2 "$name"
    assert_equal "$output" $'9\n10'
    berth logs --tail 0 "$name"
    assert_equal "$output" ""
}

@test "logs --timestamps and --since" {
    berth run --name "$name" "$IMAGE" sh -c 'echo one'
    berth logs -t "$name"
    [[ $output =~ ^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-9:.]+[+-Z].*\ one$ ]]
    berth logs --since 1h "$name"
    assert_equal "$output" one
    berth logs --since 2100-01-01T00:00:00Z "$name"
    assert_equal "$output" ""
}

@test "logs keeps every line of many, and a last line without an end" {
    berth run -d --name "$name" "$IMAGE" sh -c 'seq 20000; printf end'
    berth wait "$name"
    "$ENGINE" logs "$name" >"$FILE_DIR/log" 3>&-
    (seq 20000; printf end) | cmp - <(tr -d '\r' <"$FILE_DIR/log" | perl -pe 'chomp if eof')
}

@test "logs of a long line" {
    berth run --name "$name" "$IMAGE" sh -c 'head -c 100000 /dev/zero | tr "\0" x; echo'
    "$ENGINE" logs "$name" >"$FILE_DIR/log" 3>&-
    assert_equal "$(wc -c <"$FILE_DIR/log")" 100001
}

@test "logs with --log-driver json-file; none keeps none" {
    berth run --name "$name" --log-driver json-file "$IMAGE" echo hi
    assert_equal "$output" hi
    berth logs "$name"
    assert_equal "$output" hi
    berth run --name "$name-none" --log-driver none "$IMAGE" echo hi
    assert_equal "$output" hi
    berth 125 logs "$name-none"
}

@test "logs of a container that is not there" {
    berth 125 logs "no-such-$name"
    assert_contains "$output" "no-such-$name"
}

@test "logs of several containers name each line's container" {
    berth run --name "$name-a" "$IMAGE" sh -c 'echo one; echo two >&2'
    local a b
    a=$("$ENGINE" inspect -f '{{.Id}}' "$name-a" 3>&-)
    berth run --name "$name-b" "$IMAGE" echo three
    b=$("$ENGINE" inspect -f '{{.Id}}' "$name-b" 3>&-)
    for flags in "" -f; do
        # shellcheck disable=SC2086 # no flag, or one
        berth logs $flags "$name-a" "$name-b"
        assert_equal "$(sort <<<"$output")" "$(printf '%s\n' "${a:0:12} one" "${a:0:12} two" "${b:0:12} three" | sort)"
        # shellcheck disable=SC2086
        berth logs $flags --names "$name-a" "$name-b"
        assert_equal "$(sort <<<"$output")" "$name-a one"$'\n'"$name-a two"$'\n'"$name-b three"
    done
    berth logs --names --color "$name-a" "$name-b"
    [[ $output =~ $'\e['[0-9]+"m$name-a" && $output =~ $'\e['[0-9]+"m$name-b" ]]
}

@test "logs -f of several containers shows lines as they come, and ends with the last container" {
    berth run -d --name "$name-a" "$IMAGE" sh -c 'echo up; read x; echo bye' # no input: it ends at once
    berth run -di --name "$name-b" "$IMAGE" sh -c 'echo up; read x; echo "got $x"'
    berth run -di --name "$name-c" "$IMAGE" sh -c 'printf "half "; read x; echo "a line $x"'
    "$ENGINE" logs -f -n "$name-a" "$name-b" "$name-c" >"$FILE_DIR/log" 2>&1 3>&- & local pid=$!
    wait_for 20 grep -qx "$name-b up" "$FILE_DIR/log"
    wait_for 20 grep -qx "$name-a bye" "$FILE_DIR/log"
    kill -0 "$pid"
    echo 1 | "$ENGINE" attach "$name-b" 3>&- >/dev/null
    echo 2 | "$ENGINE" attach "$name-c" 3>&- >/dev/null
    wait_for 20 not test -d "/proc/$pid"
    wait "$pid"
    assert_equal "$(sort "$FILE_DIR/log")" "$name-a bye"$'\n'"$name-a up"$'\n'"$name-b got 1"$'\n'"$name-b up"$'\n'"$name-c half a line 2"
    berth 125 logs -f "$name-a" "none-$name"
    assert_contains "$output" "no such container"
}

@test "a log has a bound by default, and none where that is asked for" {
    is_berth || skip "podman's has none"
    berth create --name "$name" "$IMAGE" true
    berth inspect -f '{{.HostConfig.LogConfig.Size}}' "$name"
    assert_equal "$output" 67108864B
    berth create --name "$name-2" --log-opt max-size=-1 "$IMAGE" true
    berth inspect -f '{{.HostConfig.LogConfig.Size}}' "$name-2"
    assert_equal "$output" 0B
    berth create --name "$name-3" --log-opt max-size=1m "$IMAGE" true
    berth inspect -f '{{.HostConfig.LogConfig.Size}}' "$name-3"
    assert_equal "$output" 1048576B
    local size want
    for size in -1:0B 8192:8192B; do
        want=${size#*:}
        printf '[containers]\nlog_size_max = %s\n' "${size%:*}" >"$FILE_DIR/conf/log.conf"
        CONTAINERS_CONF=$FILE_DIR/conf/log.conf berth create "$IMAGE" true
        berth inspect -f '{{.HostConfig.LogConfig.Size}}' "$output"
        assert_equal "$output" "$want"
    done
}

@test "a container that writes without end does not fill the disk" {
    is_berth || skip "podman's does"
    # 16 MiB, with the default's number of files, which are smaller.
    berth run -d --name "$name" --log-opt max-size=1m --log-opt max-file=4 "$IMAGE" sh -c 'yes 0123456789012345678901234567890123456789012345678901234567890123456789 | head -c 16777216; echo; echo the end'
    berth wait "$name"
    local log size
    log=$("$ENGINE" inspect -f '{{.LogPath}}' "$name")
    size=$(cat "$log"* | wc -c)
    [[ $size -le $((4 << 20)) && $size -ge $((3 << 20)) ]]
    berth logs --tail 1 "$name"
    assert_equal "$output" "the end"
}
