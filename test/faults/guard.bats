#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# A killed monitor is replaced by the others, or by ps, without a command for its container: output, health checks and
# restart policies go on.
load ../helpers

setup() {
    test_setup
    is_berth || skip "the monitor is Berth's own"
    # Containers of any user may write here.
    OUT=$FILE_DIR/out-$name
    mkdir -m 777 "$OUT"
}

teardown() {
    [[ -z ${stopped:-} ]] || kill -CONT "$stopped" 2>/dev/null || true
    test_teardown
}

# ids NAME...: their IDs, into ${id[NAME]}.
declare -gA id
ids() { local c; for c in "$@"; do id[$c]=$("$ENGINE" inspect --format '{{.ID}}' "$c" 3>&-); done; }

# monitors NAME...: the pids of the monitors of those containers, without any command of Berth.
monitors() {
    local c all
    all=$(pgrep -af "berth-monitor .*$FILE_DIR" || true)
    for c in "$@"; do grep "${id[$c]}" <<<"$all" | cut -d' ' -f1; done
}

# all_watched NAME...: each has one monitor, which listens, and whose start has come to its end.
all_watched() {
    local c pids i=0
    mapfile -t pids < <(monitors "$@")
    [[ ${#pids[@]} -eq $# ]] || return 1
    for c in "$@"; do
        [[ -S $RUNROOT/berth/containers/${id[$c]}/ctl.sock ]] || return 1
        grep -q "\"monitor\":${pids[i]}\b" "$GRAPHROOT/berth/containers/${id[$c]}/state.json" || return 1
        i=$((i + 1))
    done
}

# watched NAME...: waits until they have monitors that know each other.
watched() { wait_for 20 all_watched "$@"; sleep 0.3; }

kill_all() { local pids; mapfile -t pids < <(monitors "$@"); kill -KILL "${pids[@]}"; }
none_lives() { [[ -z $(monitors "$@") ]]; }

grows() { [[ $(wc -l <"$1") -gt $2 ]]; }
# goes_on FILE: lines are added to FILE.
goes_on() { wait_for 20 grows "$1" "$(wc -l <"$1")"; }

@test "kill -9 of a monitor: another one replaces it, and output flows on" {
    berth run -d --name "$name" "$IMAGE" sh -c 'i=0; while :; do echo "line $((i += 1))"; sleep 0.05; done'
    berth run -d --name "$name-b" "$IMAGE" sleep 1000
    ids "$name" "$name-b"
    watched "$name" "$name-b"
    berth inspect --format '{{.HostConfig.LogConfig.Path}} {{.State.Pid}}' "$name"
    log=${output% *} pid=${output#* }
    before=$(monitors "$name")
    kill -KILL "$before"
    wait_for 20 all_watched "$name"
    goes_on "$log"
    [[ $(monitors "$name") != "$before" ]]
    # Not a line is missing, none is there twice.
    berth logs "$name"
    diff <(seq -f 'line %g' "${#lines[@]}") <(printf '%s\n' "${lines[@]}")
    berth inspect --format '{{.State.Status}} {{.State.Pid}}' "$name"
    assert_equal "$output" "running $pid"
    # It has nothing of the container whose monitor has started it, and does not end with it.
    not grep -q "${id[$name-b]}" "/proc/$(monitors "$name")/mountinfo"
    berth rm -f -t 0 "$name-b"
    goes_on "$log"
    berth exec "$name" true
    berth restart -t 0 "$name"
    berth exec "$name" true
    berth rm -f -t 0 "$name"
    berth system check
}

@test "kill -9 of a monitor: health checks go on" {
    berth run -d --name "$name" -v "$OUT:/out" --health-interval 1s --health-cmd 'echo probe >>/out/probes' "$IMAGE" sleep 1000
    berth run -d --name "$name-b" "$IMAGE" sleep 1000
    ids "$name" "$name-b"
    wait_for 20 test -e "$OUT/probes"
    watched "$name" "$name-b"
    kill_all "$name"
    goes_on "$OUT/probes"
    goes_on "$OUT/probes"
}

@test "kill -9 of a monitor, and at once of its container: the restart policy goes on" {
    berth run -d --name "$name" -v "$OUT:/out" --restart always "$IMAGE" sh -c 'echo run >>/out/runs; exec sleep 1000'
    berth run -d --name "$name-b" "$IMAGE" sleep 1000
    ids "$name" "$name-b"
    watched "$name" "$name-b"
    berth inspect --format '{{.State.Pid}}' "$name"
    wait_for 20 test -e "$OUT/runs"
    kill -KILL "$(monitors "$name")" "$output"
    wait_for 20 grows "$OUT/runs" 1
    watched "$name"
    berth exec "$name" true
    # And later: the new monitor has seen nothing of the start.
    kill_all "$name"
    watched "$name"
    berth inspect --format '{{.State.Pid}}' "$name"
    kill -KILL "$output"
    wait_for 20 grows "$OUT/runs" 2
}

@test "kill -9 of a monitor in the pause before a restart: it is restarted" {
    # The seventh pause is seconds long (100 ms, doubled each time).
    berth run -d --name "$name" -v "$OUT:/out" --restart always "$IMAGE" sh -c 'echo run >>/out/runs; [ $(wc -l </out/runs) -lt 7 ] || sleep 0.5'
    berth run -d --name "$name-b" "$IMAGE" sleep 1000
    ids "$name" "$name-b"
    seven() { [[ $(wc -l <"$OUT/runs") -ge 7 ]]; }
    wait_for 60 seven
    pauses() { grep -q '"status":"exited"' "$GRAPHROOT/berth/containers/${id[$name]}/state.json"; }
    wait_for 20 pauses
    before=$(wc -l <"$OUT/runs")
    kill_all "$name"
    wait_for 20 grows "$OUT/runs" "$before"
    berth rm -f -t 0 "$name"
}

@test "kill -9 of a monitor and the container of run --rm: it is removed" {
    berth run -d --rm --name "$name" "$IMAGE" sleep 1000
    berth run -d --name "$name-b" "$IMAGE" sleep 1000
    ids "$name" "$name-b"
    sleep 0.5
    berth inspect --format '{{.State.Pid}}' "$name"
    kill -KILL "$(monitors "$name")" "$output"
    gone() { [[ ! -e $RUNROOT/berth/containers/${id[$name]} ]]; }
    wait_for 20 gone
    berth 1 container exists "$name"
    berth system check
}

@test "kill -9 of all monitors but one at once: all come back" {
    for i in 1 2 3 4 5 6 7; do
        berth run -d --name "$name-$i" "$IMAGE" sh -c 'while :; do echo x; sleep 0.1; done'
        all+=("$name-$i")
    done
    ids "${all[@]}"
    for survivor in 7 2; do
        watched "${all[@]}"
        rest=()
        for c in "${all[@]}"; do [[ $c == "$name-$survivor" ]] || rest+=("$c"); done
        kill_all "${rest[@]}"
        wait_for 20 all_watched "${all[@]}" || { monitors "${all[@]}"; return 1; }
    done
    for c in "${all[@]}"; do goes_on "$("$ENGINE" inspect --format '{{.HostConfig.LogConfig.Path}}' "$c" 3>&-)"; done
    # Neighbours that end, and new ones.
    berth rm -f -t 0 "$name-2" "$name-5"
    berth run -d --name "$name-8" "$IMAGE" sleep 1000
    ids "$name-8"
    rest=("$name-1" "$name-3" "$name-4" "$name-6" "$name-8")
    watched "${rest[@]}" "$name-7"
    kill_all "${rest[@]}"
    wait_for 20 all_watched "${rest[@]}" "$name-7"
    berth rm -fa -t 0
    berth system check
}

@test "kill -9 of every monitor again and again: nothing is lost" {
    for i in 1 2 3 4 5; do
        berth run -d --name "$name-$i" "$IMAGE" sleep 1000
        all+=("$name-$i")
    done
    berth ps --format '{{.Names}} {{.Pid}}' --sort names
    before=$output
    ids "${all[@]}"
    watched "${all[@]}"
    for _ in {1..25}; do
        # One, or several, or those that have just been started.
        mapfile -t victims < <(monitors "${all[@]}" | shuf | head -n $((RANDOM % 4 + 1)))
        kill -KILL "${victims[@]}" 2>/dev/null || true
        sleep "0.0$((RANDOM % 9))"
    done
    # If that was all of them, only a command can help.
    [[ -n $(monitors "${all[@]}") ]] || berth ps -q
    wait_for 30 all_watched "${all[@]}" || { monitors "${all[@]}"; return 1; }
    berth ps --format '{{.Names}} {{.Pid}}' --sort names
    assert_equal "$output" "$before"
    berth rm -fa -t 0
    berth system check
}

@test "ps brings back the last monitor, and all where all were killed" {
    berth run -d --name "$name-1" "$IMAGE" sh -c 'while :; do echo x; sleep 0.1; done'
    ids "$name-1"
    watched "$name-1"
    kill_all "$name-1"
    wait_for 5 none_lives "$name-1"
    berth ps -q
    wait_for 20 all_watched "$name-1"
    goes_on "$("$ENGINE" inspect --format '{{.HostConfig.LogConfig.Path}}' "$name-1" 3>&-)"
    berth run -d --name "$name-2" "$IMAGE" sleep 1000
    berth run -d --name "$name-3" -v "$OUT:/out" --restart always "$IMAGE" sh -c 'echo run >>/out/runs; exec sleep 1000'
    ids "$name-2" "$name-3"
    watched "$name-1" "$name-2" "$name-3"
    berth inspect --format '{{.State.Pid}}' "$name-3"
    mapfile -t victims < <(monitors "$name-1" "$name-2" "$name-3"; echo "$output")
    wait_for 20 test -e "$OUT/runs"
    kill -KILL "${victims[@]}"
    wait_for 5 none_lives "$name-1" "$name-2" "$name-3"
    berth ps -q
    wait_for 20 all_watched "$name-1" "$name-2" "$name-3"
    wait_for 20 grows "$OUT/runs" 1
    berth rm -fa -t 0
    berth system check
}

@test "a stopped monitor keeps no other from starting, and does its part when it goes on" {
    berth run -d --name "$name-1" "$IMAGE" sleep 1000
    berth run -d --name "$name-2" "$IMAGE" sleep 1000
    ids "$name-1" "$name-2"
    watched "$name-1" "$name-2"
    stopped=$(monitors "$name-2")
    kill -STOP "$stopped"
    berth run -d --name "$name-3" "$IMAGE" sleep 1000
    ids "$name-3"
    watched "$name-3"
    kill_all "$name-1" "$name-3"
    wait_for 5 none_lives "$name-1" "$name-3"
    kill -CONT "$stopped"
    wait_for 20 all_watched "$name-1" "$name-2" "$name-3"
    assert_equal "$(monitors "$name-2")" "$stopped"
}
