#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# Ctrl-C and SIGTERM for every command that may take long: podman's exit code for the first, and no word of contexts.
load helpers

# rests PID: the engine is that process, and waits for something: no thread has been at work at any of ten looks.
rests() {
    local look
    for look in 1 2 3 4 5 6 7 8 9 10; do
        [[ $(tr '\0' ' ' <"/proc/$1/cmdline") != perl* ]] && ! grep -qE '^State:.[RD]' "/proc/$1"/task/*/status || return 1
        sleep 0.05
    done
}

# ends SIGNAL CODE WHEN ARG...: runs the command, sends it the signal once its output has WHEN (or, where
# that is empty, when it waits for something; or once the command BEFORE succeeds), and checks code and words.
ends() {
    local signal=$1 code=$2 when=$3 rc=0 out=$FILE_DIR/out pid
    shift 3
    : >"$out"
    # A shell without job control has what runs in the background ignore SIGINT.
    perl -e '$SIG{INT} = "DEFAULT"; exec @ARGV' "$ENGINE" "$@" >"$out" 2>&1 </dev/null 3>&- & pid=$!
    if [[ -n ${BEFORE:-} ]]; then wait_for 60 "$BEFORE"
    elif [[ -n $when ]]; then wait_for 20 grep -q -- "$when" "$out"; else wait_for 60 rests "$pid"; fi
    kill "-$signal" "$pid"
    wait_for 20 not test -d "/proc/$pid"
    wait "$pid" || rc=$?
    echo "$*: $rc: $(cat "$out")"
    [[ $rc -eq $code ]] && not grep -qiE 'context canceled|Error: .*signal' "$out"
}

@test "Ctrl-C and SIGTERM while a command waits" {
    berth run -d --name "$name" "$IMAGE" sh -c 'echo up; sleep 1000'
    berth run -d --name "$name-2" "$IMAGE" sh -c 'echo up; sleep 1000'
    local signal code
    while read -r signal code; do
        ends "$signal" "$code" "" wait "$name"
        ends "$signal" "$code" "" wait "$name" "$name-2"
        ends "$signal" "$code" "" wait --condition exited --condition paused "$name"
        ends "$signal" "$code" up logs -f "$name"
        ends "$signal" "$code" up logs -f "$name" "$name-2"
        ends "$signal" "$code" "" attach --sig-proxy=false "$name"
        ends "$signal" "$code" "" exec "$name" sleep 1000
        ends "$signal" "$code" "" events
        ends "$signal" "$code" up run --rm --name "$name-3" --sig-proxy=false "$IMAGE" sh -c 'echo up; sleep 3'
    done <<<$'INT 1\nTERM 143'
}

@test "a signal is heard while the program becomes another one" {
    local late pid dog rc
    for late in $(seq 0 0.0005 0.03); do
        "$ENGINE" stats >"$FILE_DIR/out" 2>&1 3>&- & pid=$!
        { sleep 8; kill -KILL "$pid"; } 2>/dev/null 3>&- & dog=$!
        sleep "$late"
        kill -TERM "$pid"
        rc=0
        wait "$pid" || rc=$?
        pkill -P "$dog" || true
        echo "after $late s: $rc"
        [[ $rc -eq 143 || $rc -eq 0 ]] # stats ends with 0 once it is at work
    done
}

@test "Ctrl-C ends pull, push and build" {
    local port listener
    # A registry that says nothing.
    perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(Listen => 9, LocalAddr => "127.0.0.1"); $| = 1; print $s->sockport, "\n"; sleep 1000' \
        >"$FILE_DIR/port" 3>&- & listener=$!
    wait_for 10 test -s "$FILE_DIR/port"
    port=$(cat "$FILE_DIR/port")
    ends INT 1 "" pull -q --tls-verify=false "127.0.0.1:$port/x"
    ends INT 1 "" run --rm --tls-verify=false "127.0.0.1:$port/x" true
    ends INT 1 "" push -q --tls-verify=false "$IMAGE" "127.0.0.1:$port/x"
    kill "$listener"
    mkdir "$FILE_DIR/context"
    printf 'FROM %s\nRUN echo at-work; sleep 1000\n' "$IMAGE" >"$FILE_DIR/context/Containerfile"
    local before
    before=$(idle_build_cgroups)
    ends INT 1 "^at-work" build --network none "$FILE_DIR/context"
    grep -q '^Error: .*/Containerfile:2: RUN echo at-work; sleep 1000: interrupted$' "$FILE_DIR/out"
    ends TERM 143 "^at-work" build --network none "$FILE_DIR/context"
    none_left() { [[ -z $(comm -13 <(echo "$before") <(idle_build_cgroups)) ]]; }
    wait_for 20 none_left || { idle_build_cgroups; return 1; }
    berth system check
}

@test "Ctrl-C ends the builds that a command has made in processes of their own, and they clean up" {
    mkdir -p "$FILE_DIR/part"
    cat >"$FILE_DIR/part/Containerfile" <<PART
# /// partial
# name: test/slow
# version: 1.0.0
# summary: It takes long
# ///
ARG BASE=$IMAGE
FROM \${BASE} AS base
FROM base AS install
RUN sleep 986
PART
    echo "It takes long." >"$FILE_DIR/part/README.md"
    local signal code
    runs() { pgrep -u "$EUID" -f "sleep 98[6]"; } # the same file may run for another user
    while read -r signal code; do
        BEFORE=runs ends "$signal" "$code" "" partial test "$FILE_DIR/part"
        not runs
        [[ -z $(ls "$RUNROOT/berth/builds" 2>/dev/null) ]]
        berth system check
    done <<<$'INT 1\nTERM 143'
}
