#!/usr/bin/env bats
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
