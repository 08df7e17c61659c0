#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: root
# Every verb in every state of a container: exit code, what the container is afterwards, and an end within a bound.
load helpers

# The containers' command ends with 7 at SIGTERM; "deaf" ignores it.
LOOP='trap "exit 7" TERM; while :; do sleep 1000 & wait; done'
DEAF='trap "" TERM; while :; do sleep 1000; done'

setup_file() {
    store_setup
    # An OCI runtime that takes its time to start a container: until the file $FILE_DIR/go-NAME is there.
    cat >"$FILE_DIR/slow" <<EOF
#!/bin/sh
case " \$* " in *" run "*|*" create "*)
    bundle=\$(echo "\$*" | sed 's/.*--bundle \([^ ]*\).*/\1/')
    name=\$(sed -n 's/.*"Name":"slow=\([^"]*\)".*/\1/p; s/.*slow=\([a-z0-9-]*\).*/\1/p' "\$bundle/config.json" | head -1)
    : >"$FILE_DIR/at-\$name"
    until [ -e "$FILE_DIR/go-\$name" ]; do sleep 0.05; done
esac
exec crun "\$@"
EOF
    chmod +x "$FILE_DIR/slow"
}

e() { timeout -k 2 "${BOUND:-25}" "$ENGINE" "$@" 3>&-; }
state() { e inspect -f '{{.State.Status}}' "$1" 2>/dev/null || echo gone; }
rundir() { echo "$RUNROOT/berth/containers/$(e inspect -f '{{.Id}}' "$1")"; }
# monitor NAME: its pid. Never 0, which kill(1) takes for all of the test's own processes.
monitor() {
    local pid; pid=$(e inspect -f '{{.State.ConmonPid}}' "$1")
    [[ $pid -gt 1 ]] || { echo "the monitor of $1 is process $pid: $(e inspect "$1" | grep -A25 '"State"' | tr -d ' \n')" >&2; return 1; }
    echo "$pid"
}
up() { e run -d --name "$1" --network none "${@:2}" "$IMAGE" sh -c "$LOOP" >/dev/null; }
is() { [[ $(state "$1") == "$2" ]]; }

# --- states: each makes a container with the name $1 ---------------------------------------

make_created() { e create --name "$1" --network none "$IMAGE" sh -c "$LOOP" >/dev/null; }
make_running() { up "$1"; }
make_paused() { up "$1" && e pause "$1" >/dev/null; }
make_exited() { e run --name "$1" --network none "$IMAGE" sh -c 'exit 3' || [[ $? -eq 3 ]]; }
make_stopping() {
    e run -d --name "$1" --network none "$IMAGE" sh -c "$DEAF" >/dev/null
    timeout 30 "$ENGINE" stop -t 20 "$1" >/dev/null 2>&1 3>&- &
    sleep 0.3
}
# It waits for its restart: the pauses grow to 1.6 s and more.
make_backoff() {
    e run -d --name "$1" --network none --restart always "$IMAGE" sh -c 'exit 3' >/dev/null
    restarted() { [[ $(e inspect -f '{{.RestartCount}}' "$1") -ge 4 ]] && is "$1" exited; }
    wait_for 25 restarted "$1"
}
make_killed() { # its monitor is
    up "$1" || return
    local pid; pid=$(monitor "$1") || return
    kill -KILL "$pid" && wait_for 10 not test -d "/proc/$pid"
}
make_halted() { # its monitor is stopped
    up "$1" || return
    local pid; pid=$(monitor "$1") && kill -STOP "$pid"
}
make_starting() {
    e create --name "$1" --network none --runtime "$FILE_DIR/slow" --env "slow=$1" "$IMAGE" sh -c "$LOOP" >/dev/null
    timeout 30 "$ENGINE" start "$1" >/dev/null 2>&1 3>&- &
    wait_for 10 test -e "$FILE_DIR/at-$1"
    (sleep 1.5; : >"$FILE_DIR/go-$1") 3>&- &
}
# Another command has begun to remove it: it holds the lock, and takes its time.
make_removing() {
    make_exited "$1"
    local dir; dir=$(rundir "$1")
    mkdir -p "$dir"
    flock "$dir/lock" sleep 1.5 3>&- &
    wait_for 5 not flock -n "$dir/lock" true
}

# --- cells ----------------------------------------------------------------------------------

# verb NAME VERB: runs the verb on the container.
verb() {
    case $2 in
    stop | restart) e "$2" -t 3 "$1" ;;
    rm-f) e rm -f -t 1 "$1" ;;
    exec) e exec "$1" true ;;
    rename) e rename "$1" "$1-new" && e rename "$1-new" "$1" ;;
    commit) e commit -q "$1" "localhost/$1" ;;
    ps) e ps -a --filter "name=$1" --format '{{.Names}}' | grep -qx "$1" ;;
    attach | wait) # until it ends, if it runs
        timeout -k 2 25 "$ENGINE" "$2" "$1" </dev/null 3>&- & local pid=$!
        sleep 0.7
        if [[ -d /proc/$pid ]]; then ends "$1"; fi
        wait "$pid" ;;
    *) e "$2" "$1" ;;
    esac
}
ends() { e unpause "$1" >/dev/null 2>&1 || true; e kill "$1" >/dev/null 2>&1 || true; }

# cell STATE VERB CODE AFTER: AFTER is the status afterwards; *: any.
cell() {
    local n=$name-$1-$2 out rc=0 after
    "make_$1" "$n" || { echo "$1: not made"; return 1; }
    out=$(verb "$n" "$2" 2>&1) || rc=$?
    after=$(state "$n")
    if [[ $rc != "$3" || $4 != '*' && $after != "$4" ]]; then
        echo "$2 of a container that is $1: exit code $rc (want $3), then $after (want $4): $out"
        return 1
    fi
    if [[ $rc -ne 0 ]] && grep -qE 'context|signal: ' <<<"$out"; then echo "$2, $1: $out"; return 1; fi
    e rm -f -t 0 "$n" >/dev/null 2>&1 || { echo "$2, $1: rm -f afterwards fails"; return 1; }
}

# table STATE: reads lines VERB CODE AFTER, and does them five at a time: most of the time they wait.
table() {
    local v code after bad=$FILE_DIR/bad-$1
    : >"$bad"
    while read -r v code after; do
        cell "$1" "$v" "$code" "$after" >"$FILE_DIR/cell-$1-$v" 2>&1 || cat "$FILE_DIR/cell-$1-$v" >>"$bad" &
        [[ $(jobs -rp | wc -l) -lt 5 ]] || wait -n || true
    done
    wait
    [[ ! -s $bad ]] || { cat "$bad"; return 1; }
}

@test "verbs on a created container" {
    table created <<'EOF'
start 0 running
stop 0 created
restart 0 running
kill 125 created
rm 0 gone
rm-f 0 gone
pause 125 created
unpause 125 created
exec 255 created
attach 125 created
wait 0 created
rename 0 created
inspect 0 created
logs 0 created
top 125 created
port 0 created
commit 0 created
ps 0 created
EOF
}

@test "verbs on a running container" {
    table running <<'EOF'
start 0 running
stop 0 exited
restart 0 running
kill 0 *
rm 2 running
rm-f 0 gone
unpause 125 running
exec 0 running
attach 137 exited
wait 0 exited
rename 0 running
inspect 0 running
logs 0 running
top 0 running
port 0 running
commit 0 running
ps 0 running
EOF
}

@test "verbs on a paused container" {
    is_rootless && [[ ! -e /sys/fs/cgroup/cgroup.controllers ]] && skip "no cgroup, which pauses"
    table paused <<'EOF'
start 125 paused
stop 125 paused
restart 125 paused
kill 0 *
rm 2 paused
rm-f 0 gone
pause 125 paused
unpause 0 running
exec 255 paused
attach 125 paused
wait 0 exited
rename 0 paused
inspect 0 paused
logs 0 paused
top 0 paused
port 0 paused
commit 0 paused
ps 0 paused
EOF
}

@test "verbs on a container that is being stopped" {
    table stopping <<'EOF'
start 0 stopping
stop 0 exited
restart 0 running
kill 0 *
rm 2 stopping
rm-f 0 gone
unpause 125 stopping
pause 125 stopping
exec 0 stopping
attach 137 exited
wait 0 exited
rename 0 stopping
inspect 0 stopping
logs 0 stopping
top 0 stopping
port 0 stopping
commit 0 stopping
ps 0 stopping
EOF
}

@test "verbs on a container that waits to be restarted" {
    table backoff <<'EOF'
start 0 *
stop 0 exited
restart 0 *
kill 125 *
rm 2 *
rm-f 0 gone
pause 125 *
unpause 125 *
exec 255 *
attach 125 *
wait 0 *
rename 0 *
inspect 0 *
logs 0 *
top 125 *
port 0 *
commit 0 *
ps 0 *
EOF
}

@test "verbs on an exited container" {
    table exited <<'EOF'
start 0 *
stop 0 exited
restart 0 *
kill 125 exited
rm 0 gone
rm-f 0 gone
pause 125 exited
unpause 125 exited
exec 255 exited
attach 125 exited
wait 0 exited
rename 0 exited
inspect 0 exited
logs 0 exited
top 125 exited
port 0 exited
commit 0 exited
ps 0 exited
EOF
}

@test "verbs on a container whose monitor was killed" {
    table killed <<'EOF'
start 0 running
stop 0 exited
restart 0 running
kill 0 *
rm 2 running
rm-f 0 gone
unpause 125 running
exec 0 running
wait 0 exited
rename 0 running
inspect 0 running
logs 0 running
top 0 running
port 0 running
commit 0 running
ps 0 running
EOF
}

@test "verbs on a container whose monitor has been stopped" {
    table halted <<'EOF'
start 0 running
stop 0 exited
restart 0 running
kill 0 *
rm 2 running
rm-f 0 gone
unpause 125 running
exec 0 running
attach 137 exited
wait 0 exited
rename 0 running
inspect 0 running
logs 0 running
top 0 running
port 0 running
commit 0 running
ps 0 running
EOF
}

@test "verbs on a container that is being started" {
    table starting <<'EOF'
start 0 running
stop 0 exited
restart 0 running
kill 0 *
rm 2 running
rm-f 0 gone
unpause 125 running
exec 0 running
attach 137 exited
rename 0 *
inspect 0 *
logs 0 *
port 0 *
ps 0 *
EOF
}

@test "verbs on a container that another command works on" {
    table removing <<'EOF'
start 0 *
stop 0 exited
restart 0 *
kill 125 exited
rm 0 gone
rm-f 0 gone
exec 255 exited
attach 125 exited
wait 0 exited
rename 0 exited
inspect 0 exited
logs 0 exited
top 125 exited
port 0 exited
ps 0 exited
EOF
}

@test "a start that takes for ever is ended by stop and by rm -f" {
    local verb
    for verb in "stop -t 1" "rm -f -t 0"; do
        local n=$name-${verb%% *}
        berth create --name "$n" --network none --runtime "$FILE_DIR/slow" --env "slow=$n" "$IMAGE" true
        timeout 60 "$ENGINE" start "$n" >"$FILE_DIR/start" 2>&1 3>&- & local pid=$!
        wait_for 10 test -e "$FILE_DIR/at-$n"
        # shellcheck disable=SC2086 # words
        BERTH_TIMEOUT=20 berth $verb "$n"
        local rc=0
        wait "$pid" || rc=$?
        assert_equal "$rc" 125
        assert_contains "$(cat "$FILE_DIR/start")" "it was stopped while it was being started"
    done
    is "$name-stop" created
    is "$name-rm" gone
}

@test "rm -f ends a monitor that does not answer" {
    make_running "$name"
    # In its place is a process that has its lock and its socket, and says nothing.
    local pid; pid=$(monitor "$name")
    kill -KILL "$pid"
    wait_for 10 not test -d "/proc/$pid"
    cd "$(rundir "$name")"
    perl -MSocket -e 'open(L, ">>", "lock"); flock(L, 2); unlink("ctl.sock"); socket(S, AF_UNIX, SOCK_SEQPACKET, 0);
        bind(S, pack_sockaddr_un("ctl.sock")) && listen(S, 5) or die; sleep 100' 3>&- & pid=$!
    cd "$HELPERS_DIR"
    wait_for 10 not flock -n "$(rundir "$name")/lock" true
    timeout 30 "$ENGINE" kill "$name" >"$FILE_DIR/kill" 2>&1 3>&- & local kill=$!
    sleep 1 # it is through first
    BERTH_TIMEOUT=40 berth rm -f -t 0 "$name"
    local rc=0
    wait "$kill" || rc=$?
    assert_equal "$rc" 125
    assert_contains "$(cat "$FILE_DIR/kill")" "does not answer"
    assert_contains "$(cat "$FILE_DIR/kill")" "kill -KILL $pid"
    not kill -0 "$pid"
    is "$name" gone
}

@test "a container can be renamed, back too, and by several commands at once" {
    make_running "$name"
    berth rename "$name" "$name-b"
    berth rename "$name-b" "$name"
    berth 125 rename "$name" "$name"
    assert_contains "$output" "$name"
    berth inspect -f '{{.Name}}' "$name"
    assert_equal "$output" "$name"
    local i pids=()
    for i in 1 2 3 4; do "$ENGINE" rename "$name" "$name-$i" >/dev/null 2>&1 3>&- & pids+=($!); done
    local won=0
    for i in "${pids[@]}"; do ! wait "$i" || won=$((won + 1)); done
    [[ $won -ge 1 ]]
    berth ps -a --format '{{.Names}}'
    local now=$output
    assert_equal "$(find "$GRAPHROOT/berth/names" -type l -printf '%f\n')" "$now"
    berth restart -t 0 "$now"
    assert_equal "$(e inspect -f '{{.Name}}' "$now")" "$now"
}

@test "wait returns at the first end of a container that is restarted, logs -f at the last" {
    berth run -d --name "$name" --network none --restart always "$IMAGE" sh -c 'sleep 1; exit 4'
    BERTH_TIMEOUT=20 berth wait "$name"
    assert_equal "$output" 4
    berth run -d --name "$name-2" --network none --restart on-failure:2 "$IMAGE" sh -c 'echo up; exit 1'
    BERTH_TIMEOUT=20 berth logs -f "$name-2"
    assert_equal "$output" $'up\nup\nup'
}

@test "stop --all stops what waits for its restart; prune leaves it" {
    make_backoff "$name"
    berth container prune --force
    not is "$name" gone
    berth stop -a -t 1
    sleep 2
    is "$name" exited
    berth container prune --force
    is "$name" gone
}

@test "the end of a container whose monitor has been stopped is seen by ps" {
    make_halted "$name"
    local pid; pid=$(e inspect -f '{{.State.Pid}}' "$name")
    [[ $pid -gt 1 ]] && kill -KILL "$pid"
    ended() { [[ $("$ENGINE" ps -a --filter "name=$name" --format '{{.Status}}' 3>&-) == "Exited (137)"* ]]; }
    wait_for 10 ended
}

@test "start -a of a container that waits to be restarted shows its next output" {
    berth run -d --name "$name" --network none --restart always "$IMAGE" sh -c 'echo again; exit 3'
    resting() { [[ $(e inspect -f '{{.RestartCount}}' "$name") -ge 4 ]] && is "$name" exited; }
    wait_for 25 resting
    timeout 20 "$ENGINE" start -a "$name" >"$FILE_DIR/again" 2>&1 3>&- & local pid=$!
    wait_for 15 grep -q again "$FILE_DIR/again"
    berth rm -f -t 0 "$name"
    wait "$pid" || true
}

@test "a container that is being stopped is shown as stopping, and takes a second stop" {
    berth run -d --name "$name" "$IMAGE" sh -c 'trap "" TERM; echo ready; while :; do sleep 0.1; done'
    listening() { [[ $("$ENGINE" logs "$name" 3>&-) == ready ]]; }
    wait_for 10 listening
    timeout 60 "$ENGINE" stop -t 30 "$name" >"$FILE_DIR/stop-$name" 2>&1 3>&- & local pid=$!
    stopping() { [[ $("$ENGINE" inspect -f '{{.State.Status}}' "$name" 3>&-) == stopping ]]; }
    wait_for 10 stopping
    berth ps -a --filter status=stopping --format '{{.Names}} {{.State}}'
    assert_equal "$output" "$name stopping"
    BERTH_TIMEOUT=20 berth stop -t 1 "$name"
    wait "$pid"
    assert_contains "$(cat "$FILE_DIR/stop-$name")" "$name"
    berth inspect -f '{{.State.Status}}' "$name"
    assert_equal "$output" exited
}
