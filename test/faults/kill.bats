#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kill -9 at any moment: the container goes on or is gone, ps tells the truth, nothing is lost
# that was acknowledged, and system check finds nothing or repairs it.
load ../helpers

clean_or_repaired() { berth system check || { berth system check --repair && berth system check; }; }

# monitor_of CONTAINER: the pid of its monitor.
monitor_of() {
    local id
    id=$("$ENGINE" inspect --format '{{.ID}}' "$1" 3>&-)
    pgrep -f "berth-monitor.*$id"
}

# killed_after SECONDS ARG...: the engine, killed with SIGKILL after SECONDS.
killed_after() {
    local after=$1
    shift
    timeout --foreground -s KILL "$after" "$ENGINE" "$@" >>"$FILE_DIR/killed.log" 2>&1 3>&- || true
}

@test "kill -9 of run -d at each phase" {
    for ms in 001 003 005 008 012 016 020 025 030 040 050 060 080 100; do
        killed_after 0.$ms run -d --name "$name-$ms" "$IMAGE" sleep 300
    done
    clean_or_repaired
    # Each name is either there, with a container that can be removed, or free.
    for ms in 001 003 005 008 012 016 020 025 030 040 050 060 080 100; do
        berth rm -f -t 0 --ignore "$name-$ms"
        berth create --name "$name-$ms" "$IMAGE" true
    done
    berth rm -fa
    berth ps -aq
    assert_equal "$output" ""
    clean_or_repaired
}

@test "kill -9 of run --rm at each phase leaves no container in the end" {
    for ms in 001 003 005 008 012 016 020 025 030 040 050 060 080 100; do
        killed_after 0.$ms run --rm "$IMAGE" sleep 0.05
    done
    none_runs() { [[ -z $("$ENGINE" ps -q 3>&-) ]]; }
    wait_for 20 none_runs
    clean_or_repaired
    # Those whose command was killed are removed by their monitors, a moment after they have ended.
    none_left() { [[ -z $("$ENGINE" ps -a --filter status=exited -q 3>&-) ]]; }
    wait_for 20 none_left
}

@test "kill -9 of pull at each phase; the next pull succeeds" {
    start_registry
    push_fixture nginx team/nginx:1
    for ms in 005 010 020 040 060 080 120 200 300 500; do
        killed_after 0.$ms pull -q "$REGISTRY/team/nginx:1"
        berth rmi -f --ignore "$REGISTRY/team/nginx:1"
    done
    clean_or_repaired
    berth pull -q "$REGISTRY/team/nginx:1"
    berth run --rm --network none "$REGISTRY/team/nginx:1" -t
    berth rmi -f "$REGISTRY/team/nginx:1"
    stop_registry
    berth system check
}

@test "kill -9 of rm at each phase; the next rm succeeds" {
    for ms in 001 003 005 008 012 016 020 030 050; do
        berth run -d --name "$name-$ms" "$IMAGE" sleep 300
        killed_after 0.$ms rm -f -t 0 "$name-$ms"
        berth rm -f -t 0 --ignore "$name-$ms"
        berth 1 container exists "$name-$ms"
    done
    clean_or_repaired
}

@test "kill -9 of the foreground command: a container without --rm goes on" {
    "$ENGINE" run --name "$name" "$IMAGE" sh -c 'echo ready; sleep 300' >"$FILE_DIR/out" 2>&1 3>&- &
    pid=$!
    wait_for 10 grep -q ready "$FILE_DIR/out"
    kill -KILL "$pid"
    wait "$pid" || true
    berth exec "$name" true
    berth stop -t 0 "$name"
}

@test "kill -9 of the monitor: the container goes on, ps tells so, and it is adopted" {
    berth run -d --name "$name" "$IMAGE" sh -c 'i=0; while :; do echo "line $((i += 1))"; sleep 0.1; done'
    berth inspect --format '{{.State.Pid}}' "$name"
    pid=$output
    kill -KILL "$(monitor_of "$name")"
    kill -0 "$pid"
    berth ps --format '{{.Names}} {{.State}}'
    assert_equal "$output" "$name running"
    berth exec "$name" true
    berth inspect --format '{{.State.Pid}}' "$name"
    assert_equal "$output" "$pid"
    # What it writes after the adoption reaches the log.
    before=$("$ENGINE" logs "$name" 3>&- | wc -l)
    more() { [[ $("$ENGINE" logs "$name" 3>&- | wc -l) -gt $before ]]; }
    wait_for 10 more
    berth stop -t 0 "$name"
    berth inspect --format '{{.State.Status}} {{.State.ExitCode}}' "$name"
    assert_equal "$output" "exited 137"
}

@test "kill -9 of the monitor, then the container ends: ps tells that it has" {
    berth run -d --name "$name" "$IMAGE" sleep 300
    berth inspect --format '{{.State.Pid}}' "$name"
    pid=$output
    kill -KILL "$(monitor_of "$name")"
    kill -KILL "$pid"
    wait_for 5 not kill -0 "$pid"
    berth ps -q
    assert_equal "$output" ""
    berth inspect --format '{{.State.Status}}' "$name"
    assert_equal "$output" exited
    berth start "$name"
    berth exec "$name" true
}

@test "kill -9 of the monitor of a --rm container: it is removed all the same" {
    berth run -d --rm --name "$name" "$IMAGE" sleep 300
    kill -KILL "$(monitor_of "$name")"
    berth stop -t 0 "$name"
    wait_for 10 not "$ENGINE" container exists "$name"
    berth system check
}

@test "two commands on one container at once: each gets an answer" {
    berth run -d --name "$name" "$IMAGE" sleep 300
    for i in 1 2 3 4; do
        timeout 60 "$ENGINE" stop -t 0 "$name" >"$FILE_DIR/stop-$i" 2>&1 3>&- & stops[i]=$!
        timeout 60 "$ENGINE" start "$name" >"$FILE_DIR/start-$i" 2>&1 3>&- & starts[i]=$!
    done
    for i in 1 2 3 4; do
        wait "${stops[i]}" || { cat "$FILE_DIR/stop-$i"; false; }
        wait "${starts[i]}" || { cat "$FILE_DIR/start-$i"; false; }
    done
    berth rm -f -t 0 "$name"
    berth system check
}

@test "several rm of one container at once: one removes it, none hangs" {
    berth run -d --name "$name" "$IMAGE" sleep 300
    for i in 1 2 3 4; do timeout 60 "$ENGINE" rm -f -t 0 "$name" >"$FILE_DIR/rm-$i" 2>&1 3>&- & rms[i]=$!; done
    for i in 1 2 3 4; do
        rc=0
        wait "${rms[i]}" || rc=$?
        [[ $rc -lt 124 ]] || { cat "$FILE_DIR/rm-$i"; false; }
    done
    berth 1 container exists "$name"
    berth system check
}

@test "64 runs at a time: all succeed, none is left" {
    for i in $(seq 64); do
        timeout 120 "$ENGINE" run --rm --network none "$IMAGE" sh -c "echo $i; exit $i" >"$FILE_DIR/par-$i" 2>&1 3>&- & runs[i]=$!
    done
    for i in $(seq 64); do
        rc=0
        wait "${runs[i]}" || rc=$?
        assert_equal "$rc $(cat "$FILE_DIR/par-$i")" "$i $i"
    done
    berth ps -aq
    assert_equal "$output" ""
    berth system check
}

@test "a reboot: another boot ID, an empty runtime directory" {
    berth run -d --name "$name" "$IMAGE" sleep 300
    berth run -d --rm --name "$name-rm" "$IMAGE" sleep 300
    berth 4 run --name "$name-exited" "$IMAGE" sh -c 'exit 4'
    # What a reboot does to processes and the runtime directory; and the record was of another boot.
    for c in "$name" "$name-rm"; do
        berth inspect --format '{{.State.Pid}}' "$c"
        pid=$output
        kill -KILL "$(monitor_of "$c")"
        kill -KILL "$pid"
        wait_for 5 not kill -0 "$pid"
    done
    sed -i 's/"bootID":"[^"]*"/"bootID":"00000000-0000-0000-0000-000000000000"/' "$GRAPHROOT"/berth/containers/*/state.json
    discard "$RUNROOT"
    if is_rootless; then discard "$XDG_RUNTIME_DIR/berth"; fi

    berth ps -a --sort names --format '{{.Names}} {{.State}}'
    assert_equal "$output" "$name exited"$'\n'"$name-exited exited"
    clean_or_repaired
    berth start "$name"
    berth exec "$name" true
    berth inspect --format '{{.State.ExitCode}}' "$name-exited"
    assert_equal "$output" 4
    berth create --name "$name-rm" "$IMAGE" true
}

@test "the short links of all layers are gone: run and build make them again, and system check tells" {
    links=$("$ENGINE" info --format '{{.Store.GraphRoot}}' 3>&-)/overlay/l
    [[ -n $(ls "$links") ]]
    before=$(ls "$links")
    rm -rf "$links"
    berth run --rm "$IMAGE" true
    assert_equal "$(ls "$links")" "$before"
    rm -rf "$links"
    berth build -q --network none -t "localhost/$name" - <<<"FROM $IMAGE"$'\n''RUN echo x > /x'
    berth rmi "localhost/$name"
    rm -rf "$links"
    berth 1 system check
    assert_contains "$output" "short links of"
    berth system check --repair
    berth system check
    assert_equal "$output" ""
}

@test "a container whose making the power cut short is gone after the boot; one that was acknowledged is there" {
    local id
    berth create --name "$name" "$IMAGE" true
    berth create --name "$name-2" "$IMAGE" true
    id=$("$ENGINE" inspect -f '{{.Id}}' "$name-2" 3>&-)
    [[ ! -e $GRAPHROOT/berth/containers/$id/making ]]
    touch "$GRAPHROOT/berth/containers/$id/making"
    rm -rf "$RUNROOT/berth" # what ends with the boot
    berth run --rm "$IMAGE" true
    berth container exists "$name"
    berth 1 container exists "$name-2"
    berth start -a "$name"
    berth rm "$name"
}

@test "a container whose command was killed after its start is put on the disk by a later one" {
    local id
    berth run -d --name "$name" "$IMAGE" sleep 1000
    id=$("$ENGINE" inspect -f '{{.Id}}' "$name" 3>&-)
    touch "$GRAPHROOT/berth/containers/$id/making" "$RUNROOT/berth/pending/$id"
    berth run --rm "$IMAGE" true
    [[ -e $GRAPHROOT/berth/containers/$id/making ]] # its maker may be at work
    touch -d '1 minute ago' "$RUNROOT/berth/pending/$id"
    berth run --rm "$IMAGE" true
    [[ ! -e $GRAPHROOT/berth/containers/$id/making ]]
    berth exec "$name" true
    berth rm -ft0 "$name"
}

@test "kill -9 of a monitor whose OCI runtime is still at work: the next start, or rm, has the network's helper and the port free" {
    local net next port pid id
    cat >"$FILE_DIR/slow" <<EOF
#!/bin/sh
case " \$* " in *" run "*)
    : >"$FILE_DIR/at"
    until [ -e "$FILE_DIR/go" ]; do sleep 0.05; done
esac
exec crun "\$@"
EOF
    chmod +x "$FILE_DIR/slow"
    helper_of() { pgrep -f "(pasta|slirp4netns).*/$1"; }
    for net in pasta slirp4netns; do
        for next in start rm; do
            rm -f "$FILE_DIR/at" "$FILE_DIR/go"
            berth create --name "$name" --network "$net" -p 127.0.0.1::80 --runtime "$FILE_DIR/slow" "$IMAGE" sleep 1000
            id=$output
            port=$("$ENGINE" port "$name" 80 3>&-)
            "$ENGINE" start "$name" 2>"$FILE_DIR/err" 3>&- &
            pid=$!
            wait_for 10 test -e "$FILE_DIR/at"
            kill -KILL "$(monitor_of "$name")"
            touch "$FILE_DIR/go"
            wait "$pid" && false
            grep "its monitor has ended" "$FILE_DIR/err"
            [[ $next == rm ]] || berth start "$name"
            berth rm -f -t 0 "$name"
            wait_for 5 not helper_of "$id"
            berth run --rm --network "$net" -p "$port:80" "$IMAGE" true
        done
    done
    berth system check
}
