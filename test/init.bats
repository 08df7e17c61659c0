#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# init: a container that is prepared and made, and whose command is started later.
load helpers

setup_file() {
    store_setup
    # An OCI runtime that takes its time to make a container: until the file $FILE_DIR/go is there.
    cat >"$FILE_DIR/slow" <<EOF
#!/bin/sh
case " \$* " in *" create "*)
    : >"$FILE_DIR/at"
    until [ -e "$FILE_DIR/go" ]; do sleep 0.05; done
esac
exec crun "\$@"
EOF
    chmod +x "$FILE_DIR/slow"
}

of() { "$ENGINE" inspect -f "{{.State.$2}}" "$1" 3>&-; }
is() { [[ $(of "$1" Status) == "$2" ]]; }
made_by_runtime() { [[ -s $RUNROOT/berth/containers/$1/pid ]]; }
gone() { ! "$ENGINE" container exists "$1" 3>&-; }
out_there() { "$ENGINE" exec "$1" cat /out 3>&- | grep -q yes; }
# made NAME ARG...: an initialized container that would write to the file /out.
made() {
    berth create --name "$1" "${@:2}" "$IMAGE" sh -c 'echo started; echo yes >/out; sleep 1000'
    berth init "$1"
    assert_equal "$output" "$1"
}

@test "init makes a container and does not start its command; start does" {
    for runtime in crun runc; do
        local c=$name-$runtime pid
        made "$c" --runtime "$runtime" -v "$FILE_DIR:/data"
        berth inspect -f '{{.State.Status}} {{.State.Running}}' "$c"
        assert_equal "$output" "initialized false"
        berth ps -a --filter "name=$c" --format '{{.State}} {{.Status}}'
        assert_equal "$output" "initialized Initialized"
        berth ps -q
        assert_equal "$output" ""
        berth ps -aq --filter status=initialized --filter "name=$c"
        [[ -n $output ]]
        berth ps -aq --filter status=created
        assert_equal "$output" ""
        pid=$(of "$c" Pid)
        [[ $pid -gt 1 && -d /proc/$pid ]]
        berth logs "$c"
        assert_equal "$output" ""
        berth start "$c"
        is "$c" running
        wait_for 10 out_there "$c"
        assert_equal "$(of "$c" Pid)" "$pid"
        if is_berth; then
            berth events --stream=false --since 10m --filter "container=$c" --format '{{.Status}}'
            assert_contains "$(tr '\n' ' ' <<<"$output")" "create init start "
        fi
        berth rm -f -t 0 "$c"
    done
}

@test "init: a container's network is there before its command is" {
    made "$name" -p 127.0.0.1::80
    berth port "$name"
    assert_contains "$output" "127.0.0.1:"
    berth start "$name"
    berth exec "$name" cat /proc/net/route
    assert_contains "$output" 00000000
    berth rm -f -t 0 "$name"
}

@test "init: a container that runs, is initialized, or that there is not" {
    made "$name"
    berth 125 init "$name"
    assert_contains "$output" "has already been created in runtime: container state improper"
    berth start "$name"
    berth 125 init "$name"
    assert_contains "$output" "has already been created in runtime: container state improper"
    berth 125 init nope
    assert_contains "$output" "no such container"
    berth 125 init
    berth create --name "$name-2" "$IMAGE" true
    berth init --all
    is "$name-2" initialized
    is "$name" running
    berth create --name "$name-3" "$IMAGE" true
    berth init --latest
    is "$name-3" initialized
    berth start --all
    berth wait "$name-2" "$name-3"
    assert_equal "$output" $'0\n0'
    berth init "$name-3" # again, after it has ended
    is "$name-3" initialized
    berth start -a "$name-3"
    berth rm -f -t 0 "$name" "$name-2" "$name-3"
}

@test "init: what can be done with an initialized container" {
    made "$name"
    berth 125 kill "$name"
    assert_contains "$output" "container state improper"
    berth 125 pause "$name"
    berth 255 exec "$name" true
    assert_contains "$output" "can only create exec sessions on running containers"
    berth 125 attach "$name"
    berth rename "$name" "$name-new"
    is "$name-new" initialized
    berth stop -t 1 "$name-new"
    is "$name-new" exited
    berth inspect -f '{{.State.ExitCode}}' "$name-new"
    assert_equal "$output" 137
    berth init "$name-new"
    berth restart "$name-new"
    is "$name-new" running
    berth rm -f -t 0 "$name-new"
    made "$name"
    berth rm "$name"
    berth 1 container exists "$name"
    made "$name"
    berth container prune --force
    berth 1 container exists "$name"
}

@test "init: start --attach loses no output, input comes in, --rm removes" {
    berth create --name "$name" "$IMAGE" sh -c 'echo out; echo err >&2; exit 3'
    berth init "$name"
    berth 3 start --attach "$name"
    assert_contains "$output" out
    assert_contains "$output" err
    berth create -i --rm --name "$name-in" "$IMAGE" cat
    berth init "$name-in"
    run bash -c "echo hello | timeout 60 $ENGINE start -ai $name-in 3>&-"
    assert_equal "$output" hello
    wait_for 10 gone "$name-in"
    berth create --rm --name "$name-rm" "$IMAGE" true
    berth init "$name-rm"
    berth start "$name-rm"
    wait_for 10 gone "$name-rm"
    berth rm "$name"
}

@test "init: a terminal has the size of who starts the container" {
    is_berth || skip "podman gives no size to a terminal that there is"
    berth create -it --name "$name" "$IMAGE" sh -c 'sleep 0.3; stty size'
    berth init "$name"
    berth_tty 33 77 start -a "$name"
    assert_equal "${lines[-1]}" "33 77"
    berth rm "$name"
}

@test "init: a command that there is not, and a process that ends with a restart policy" {
    is_berth || skip "Berth's states"
    berth create --name "$name" "$IMAGE" nope
    berth 125 init "$name"
    assert_contains "$output" "not found"
    is "$name" created
    berth rm "$name"
    made "$name" --restart always
    kill -KILL "$(of "$name" Pid)"
    wait_for 10 is "$name" exited # and it stays so: nobody has asked for its start
    sleep 1
    is "$name" exited
    berth rm "$name"
}

@test "init: health checks begin with the start" {
    is_berth || skip "podman needs systemd"
    made "$name" --health-cmd true --health-interval 1s
    berth 125 healthcheck run "$name"
    berth start "$name"
    healthy() { [[ $(of "$name" Health.Status) == healthy ]]; }
    wait_for 15 healthy
    berth rm -f -t 0 "$name"
}

@test "init: the monitor of an initialized container is killed" {
    is_berth || skip "Berth's monitors"
    made "$name"
    kill -KILL "$(of "$name" ConmonPid)"
    is "$name" initialized
    berth start "$name"
    is "$name" running
    wait_for 10 out_there "$name"
    berth rm -f -t 0 "$name"
    made "$name"
    kill -KILL "$(of "$name" ConmonPid)"
    berth rm "$name"
    # Killed with its monitor, it is found to have ended.
    made "$name"
    kill -KILL "$(of "$name" ConmonPid)" "$(of "$name" Pid)"
    wait_for 10 is "$name" exited
    berth start "$name"
    is "$name" running
    berth rm -f -t 0 "$name"
    berth system check
    assert_equal "$output" ""
}

@test "init is killed in the middle, or its monitor is: the next command makes the container" {
    is_berth || skip "Berth's monitors"
    local pid monitor id
    berth create --name "$name" --network none --runtime "$FILE_DIR/slow" "$IMAGE" sleep 1000
    id=$("$ENGINE" inspect -f '{{.Id}}' "$name" 3>&-)
    for whom in command monitor "monitor, whose runtime goes on"; do
        rm -f "$FILE_DIR/at" "$FILE_DIR/go"
        "$ENGINE" init "$name" 2>"$FILE_DIR/err" 3>&- &
        pid=$!
        wait_for 10 test -e "$FILE_DIR/at"
        if [[ $whom == command ]]; then
            kill -KILL "$pid"
        else
            monitor=$(pgrep -f "berth-monitor .*/$id")
            kill -KILL "$monitor"
        fi
        touch "$FILE_DIR/go"
        wait "$pid" || true
        if [[ $whom == command ]]; then
            wait_for 10 is "$name" initialized
        else
            grep "initialize container \"$name\": its monitor has ended" "$FILE_DIR/err"
            [[ $whom == monitor ]] || wait_for 10 made_by_runtime "$id"
            berth init "$name"
        fi
        berth start "$name"
        is "$name" running
        berth stop -t 0 "$name"
    done
    berth rm -f -t 0 "$name"
    berth system check
    assert_equal "$output" ""
}

@test "init twice at once; start and rm at once of what it has made" {
    is_berth || skip "podman removes what is being started"
    local i ok a b
    for i in 1 2 3; do
        berth create --name "$name" "$IMAGE" sleep 1000
        ok=0
        "$ENGINE" init "$name" >"$FILE_DIR/1" 2>&1 3>&- & a=$!
        "$ENGINE" init "$name" >"$FILE_DIR/2" 2>&1 3>&- & b=$!
        wait "$a" && ok=$((ok + 1))
        wait "$b" && ok=$((ok + 1))
        cat "$FILE_DIR/1" "$FILE_DIR/2"
        assert_equal "$ok" 1
        "$ENGINE" start "$name" >"$FILE_DIR/1" 2>&1 3>&- & a=$!
        "$ENGINE" rm "$name" >"$FILE_DIR/2" 2>&1 3>&- & b=$!
        ok=0
        wait "$a" && ok=1
        wait "$b" && ok=$((ok + 2))
        cat "$FILE_DIR/1" "$FILE_DIR/2"
        # One of them came first: a container that runs is not removed, and one that is removed is not started.
        case $ok in
            1) is "$name" running && berth rm -f -t 0 "$name" ;;
            2) berth 1 container exists "$name" ;;
            *) false ;;
        esac
    done
    berth system check
    assert_equal "$output" ""
}

@test "container cleanup: an initialized container, one that has ended, one that runs" {
    local id
    made "$name"
    id=$("$ENGINE" inspect -f '{{.Id}}' "$name" 3>&-)
    berth container cleanup "$name"
    if is_berth; then is "$name" created; assert_equal "$output" "$id"; fi
    berth start "$name"
    berth 125 container cleanup "$name"
    assert_contains "$output" "is running or paused, refusing to clean up: container state improper"
    berth stop -t 0 "$name"
    berth container cleanup "$name"
    is "$name" exited
    berth start "$name"
    berth stop -t 0 "$name"
    berth 125 container cleanup --exec 1234 "$name"
    assert_contains "$output" "no such exec session"
    berth 125 container cleanup
    berth 125 container cleanup nope
    berth container cleanup --rm "$name"
    berth 1 container exists "$name"
    berth create --name "$name" "$IMAGE" true
    berth container cleanup --all
    berth container cleanup --latest
    berth rm "$name"
}

@test "container cleanup --rmi, two at once, and after a monitor that was killed" {
    is_berth || skip "Berth's monitors"
    berth tag "$IMAGE" localhost/other
    berth create --name "$name" localhost/other true
    berth container cleanup --rm --rmi "$name"
    berth 1 image exists localhost/other
    made "$name"
    kill -KILL "$(of "$name" ConmonPid)"
    "$ENGINE" container cleanup "$name" >/dev/null 2>&1 3>&- &
    berth container cleanup "$name"
    wait $!
    is "$name" created
    berth rm "$name"
    berth system check
    assert_equal "$output" ""
}
