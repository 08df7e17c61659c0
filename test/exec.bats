#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# exec: another process in a container that runs.
load helpers

setup() {
    test_setup
    berth run -d --name "$name" -e FROM_RUN=yes "$IMAGE" sleep 100
}

@test "exec runs in the container, with its environment, and passes on output and exit code" {
    berth exec "$name" sh -c 'cat /etc/berth-image; echo $FROM_RUN; exit 6' || [[ $status -eq 6 ]]
    assert_equal "$output" $'busybox\nyes'
    berth 6 exec "$name" sh -c 'exit 6'
    berth_split exec "$name" sh -c 'echo out; echo err >&2'
    assert_equal "$output" out
    assert_equal "$stderr" err
}

@test "exec: 126 for what is no program, 127 for what is not there" {
    berth 126 exec "$name" /etc/not-executable
    berth 127 exec "$name" /no/such/program
    assert_contains "$output" /no/such/program
}

@test "exec sees the container's processes" {
    berth exec "$name" ps
    assert_contains "$output" "sleep 100"
}

@test "exec -i reads stdin; without -i it gets none" {
    berth exec -i "$name" wc -c <<<"12345"
    assert_equal "$output" 6
    berth exec "$name" wc -c <<<"12345"
    assert_equal "$output" 0
}

@test "exec moves bytes unchanged, and many" {
    head -c 3000000 /dev/urandom >"$FILE_DIR/bytes"
    "$ENGINE" exec -i "$name" cat <"$FILE_DIR/bytes" >"$FILE_DIR/back" 3>&-
    cmp "$FILE_DIR/bytes" "$FILE_DIR/back"
}

@test "exec -e, -w, -u, --env-file" {
    echo FILED=file >"$FILE_DIR/env"
    berth exec -e A=b --env-file "$FILE_DIR/env" -w /tmp -u user "$name" sh -c 'echo $A $FILED; pwd; id -un'
    assert_equal "$output" $'b file\n/tmp\nuser'
}

@test "exec -d does not wait" {
    berth exec -d "$name" sh -c 'sleep 1; touch /tmp/done'
    berth 1 exec "$name" test -e /tmp/done
    wait_for 10 "$ENGINE" exec "$name" test -e /tmp/done
}

@test "exec -t gives a terminal" {
    berth_tty 33 77 7 exec -it "$name" sh -c 'tty; for _ in 1 2 3 4 5; do [ "$(stty size)" = "33 77" ] && exit 7; sleep 1; done'
    assert_contains "$output" /dev/pts/
    berth 1 exec "$name" tty
}

@test "many execs at a time" {
    for i in $(seq 20); do
        "$ENGINE" exec "$name" sh -c "echo $i; exit $i" >"$FILE_DIR/exec-$i" 2>&1 3>&- &
        pids[i]=$!
    done
    for i in $(seq 20); do
        rc=0
        wait "${pids[i]}" || rc=$?
        assert_equal "$rc" "$i"
        assert_equal "$(cat "$FILE_DIR/exec-$i")" "$i"
    done
}

@test "exec in a container that does not run, or is not there" {
    berth stop -t 0 "$name"
    berth 255 exec "$name" true
    berth 125 exec "no-such-$name" true
    assert_contains "$output" "no-such-$name"
}

@test "exec's process ends with the container" {
    "$ENGINE" exec "$name" sleep 200 >/dev/null 2>&1 3>&- &
    pid=$!
    listed() { "$ENGINE" exec "$name" ps 3>&- | grep -q 'sleep 200'; }
    wait_for 10 listed
    berth stop -t 0 "$name"
    rc=0
    wait "$pid" || rc=$?
    assert_equal "$rc" 137
}

@test "exec and passthrough leave the owner of the caller's file alone" {
    "$ENGINE" exec -u 1000 "$name" sh -c 'echo one; echo two >&2' >"$FILE_DIR/out" 2>"$FILE_DIR/err" </dev/null 3>&-
    assert_equal "$(stat -c %u "$FILE_DIR/out") $(cat "$FILE_DIR/out")" "$(id -u) one"
    assert_equal "$(stat -c %u "$FILE_DIR/err") $(cat "$FILE_DIR/err")" "$(id -u) two"
    "$ENGINE" run --rm -u 1000 --log-driver passthrough "$IMAGE" sh -c 'seq 100000' >"$FILE_DIR/seq" 2>"$FILE_DIR/err" 3>&-
    assert_equal "$(stat -c %u "$FILE_DIR/err") $(cat "$FILE_DIR/err")" "$(id -u) "
    assert_equal "$(stat -c %u "$FILE_DIR/seq") $(tail -n 1 "$FILE_DIR/seq") $(wc -l <"$FILE_DIR/seq")" "$(id -u) 100000 100000"
}

@test "exec does not wait for what its command leaves running" {
    start=$SECONDS
    "$ENGINE" exec "$name" sh -c 'seq 20000; sleep 60 & exit 0' >"$FILE_DIR/out" 3>&-
    [[ $((SECONDS - start)) -lt 30 ]]
    assert_equal "$(tail -n 1 "$FILE_DIR/out")" 20000
}
