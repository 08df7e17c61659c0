#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# What a command has started dies with it, and a signal ends a command wherever it is. Each command is brought to where somebody
# works for it who would go on for ever: one who unpacks a layer and is stopped, a decompressor, git, a credential helper, RUN, a
# pipe that nobody else opens.
load ../helpers

setup_file() {
    store_setup
    export TOOLS=$FILE_DIR/tools
    mkdir "$TOOLS"
    # stuck NAME TEXT: a program that does TEXT, says that it is there, and has a child that never ends, in a process of its own.
    stuck() { printf '#!/bin/bash\n%s\necho $$ >>%q\nsetsid sleep 1000 &\nwait\n' "$2" "$FILE_DIR/at-work" >"$TOOLS/$1"; chmod +x "$TOOLS/$1"; }
    # Who packs what is imported waits for the rest of it.
    for tool in pigz unpigz gzip; do stuck $tool 'head -c 20 >/dev/null; head -c 100000 /dev/zero | tr "\0" "\1"'; done
    stuck git ''
    stuck docker-credential-stuck ''
    start_registry
    push_fixture busybox team/busybox:1
    # A layer that takes a while to unpack.
    mkdir "$FILE_DIR/large"
    head -c 100M /dev/zero >"$FILE_DIR/large/zeros"
    tar -C "$FILE_DIR/large" -cf "$FILE_DIR/layer.tar" zeros
    "$HELPERS_DIR/tools/docker-archive" "$FILE_DIR/layer.tar" localhost/large:1 '{"Cmd":["true"]}' "$FILE_DIR/image.tar"
    skopeo copy -q "docker-archive:$FILE_DIR/image.tar" "oci-archive:$FILE_DIR/layers.tar:layers" 3>&-
    skopeo copy -q --dest-tls-verify=false "oci-archive:$FILE_DIR/layers.tar:layers" "docker://$REGISTRY/team/large:1" 3>&-
    rm -r "$FILE_DIR/large" "$FILE_DIR/layer.tar" "$FILE_DIR/image.tar"
    mkdir "$FILE_DIR/rootfs" "$FILE_DIR/run-ctx" "$FILE_DIR/add-ctx" "$FILE_DIR/from-ctx" "$FILE_DIR/auth"
    head -c 3000000 /dev/urandom >"$FILE_DIR/rootfs/random"
    tar -C "$FILE_DIR/rootfs" -czf "$FILE_DIR/rootfs.tar.gz" .
    printf 'FROM %s\nRUN export LEASH=%s; setsid sleep 1000 & sleep 1000; :\n' "$IMAGE" "$FILE_DIR" >"$FILE_DIR/run-ctx/Containerfile"
    printf 'FROM %s\nADD http://127.0.0.1:1/x.git /x\n' "$IMAGE" >"$FILE_DIR/add-ctx/Containerfile"
    printf 'FROM %s/team/large:1\n' "$REGISTRY" >"$FILE_DIR/from-ctx/Containerfile"
    printf '{"credHelpers": {"%s": "stuck"}}' "$REGISTRY" >"$FILE_DIR/auth/auth.json"
    mkfifo "$FILE_DIR/fifo"
    export REGISTRY REGISTRY_PID
}

# command_of CASE: sets cmd, and vars for its environment.
command_of() {
    vars=(PATH="$TOOLS:$PATH")
    case $1 in
    load) cmd=(load -q -i "$FILE_DIR/layers.tar") ;;
    pull) cmd=(pull -q "$REGISTRY/team/large:1") ;;
    run) cmd=(run --rm --network none "$REGISTRY/team/large:1" true) ;;
    import) cmd=(import -q "$FILE_DIR/rootfs.tar.gz" localhost/imported) ;;
    build-from) cmd=(build -q --network none -t localhost/built "$FILE_DIR/from-ctx") ;;
    build-run) cmd=(build -q --no-cache --network none -t localhost/built "$FILE_DIR/run-ctx") ;;
    build-add) cmd=(build -q --no-cache --network none -t localhost/built "$FILE_DIR/add-ctx") ;;
    build-git) cmd=(build -q --network none -t localhost/built http://127.0.0.1:1/x.git) ;;
    push-auth) cmd=(push -q "$IMAGE" "$REGISTRY/team/pushed:1") vars+=(REGISTRY_AUTH_FILE="$FILE_DIR/auth/auth.json") ;;
    pull-auth) cmd=(pull -q "$REGISTRY/team/busybox:1") vars+=(REGISTRY_AUTH_FILE="$FILE_DIR/auth/auth.json") ;;
    load-fifo) cmd=(load -q -i "$FILE_DIR/fifo") ;;
    import-fifo) cmd=(import -q "$FILE_DIR/fifo" localhost/imported) ;;
    save-fifo) cmd=(save -q -o "$FILE_DIR/fifo" "$IMAGE") ;;
    build-fifo) cmd=(build -q --network none -f "$FILE_DIR/fifo" "$FILE_DIR/add-ctx") ;;
    esac
}

# at_work CASE PID: the command is where it would stay.
at_work() {
    case $1 in
    *-fifo) wait_for 60 has_open "$2" "$FILE_DIR/fifo" ;;
    build-run) wait_for 60 in_run ;;
    load | pull | run | build-from) wait_for 60 unpacking ;;
    *) wait_for 60 test -s "$FILE_DIR/at-work" ;;
    esac
    kill -0 "$2"
}
# unpacking: a decompressor is stuck, or who unpacks is stopped.
unpacking() { [[ -s $FILE_DIR/at-work ]] || unpacker_stops; }
has_open() { [[ " $(readlink "/proc/$1"/fd/* 2>/dev/null | paste -sd' ') " == *" $2 "* ]]; }
# unpacker_stops: who unpacks a layer is found, and goes no further.
unpacker_stops() {
    local pid
    pid=$(of_command | awk '$2 ~ /^storage-(untar|applyLayer)/ { print $1; exit }')
    [[ -n $pid ]] && kill -STOP "$pid"
}
in_run() { grep -q ' sleep 1000' <(of_command); }

# of_command: the processes of the command that are left, found by what nobody else has in the environment.
of_command() {
    grep -lszxF "LEASH=$FILE_DIR" /proc/[0-9]*/environ | cut -d/ -f3 | while read -r pid; do
        [[ $pid == "$BASHPID" ]] || echo "$pid $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline")"
    done
}
none_left() { [[ -z $(of_command) ]]; }

as_root_of_store() { if is_rootless; then unshare --map-auto --map-root-user "$@"; else "$@"; fi; }

# dies SIGNAL CODE CASE
dies() {
    local signal=$1 code=$2 rc=0 pid
    rm -f "$FILE_DIR/at-work"
    command_of "$3"
    echo "$3, $signal"
    # In a session of its own. A shell without job control has what runs in the background ignore SIGINT.
    env LEASH="$FILE_DIR" "${vars[@]}" perl -MPOSIX -e '$SIG{INT} = "DEFAULT"; setsid; exec @ARGV' "$ENGINE" "${cmd[@]}" >"$FILE_DIR/out" 2>&1 </dev/null 3>&- {FIFO}>&- & pid=$!
    at_work "$3" "$pid" || { cat "$FILE_DIR/out"; kill -KILL "$pid"; return 1; }
    case $signal in
    group) of_session "$pid" | xargs kill -KILL 2>/dev/null || true ;;
    *) kill "-$signal" "$pid" ;;
    esac
    wait_for 30 not test -d "/proc/$pid" || { cat "$FILE_DIR/out"; kill -KILL "$pid"; return 1; }
    wait "$pid" || rc=$?
    [[ $rc -eq $code ]] || { echo "exit code $rc, want $code"; cat "$FILE_DIR/out"; return 1; }
    wait_for 20 none_left || { of_command; return 1; }
    not grep -qiE 'context canceled' "$FILE_DIR/out" || { cat "$FILE_DIR/out"; return 1; }
}

# nothing_kept CODE: what the commands had half-made is gone, or known and removed where they were killed.
nothing_kept() {
    [[ $1 -ne 137 ]] || berth system check --repair >/dev/null
    berth system check
    as_root_of_store "$HELPERS_DIR/tools/storewalk" "$GRAPHROOT" "$RUNROOT" "$TMPDIR"
}

# of_session PID: what a kill of all that has the command's session would reach, and what a name would find.
of_session() {
    local p
    echo "$1"
    for p in $(of_command | cut -d' ' -f1); do [[ $(ps -o sid= -p "$p") -ne $(ps -o sid= -p "$1") ]] || echo "$p"; done
}

table() {
    local c bad="" all="load pull run import build-from build-run build-add build-git push-auth pull-auth"
    exec {FIFO}<>"$FILE_DIR/fifo" # somebody has it open, and says nothing
    for c in ${3:-$all}; do
        [[ -z ${BERTH_TEST_CASES:-} || " $BERTH_TEST_CASES " == *" $c "* ]] || continue
        dies "$1" "$2" "$c" || bad+=" $c"
    done
    assert_equal "$bad" ""
    nothing_kept "${KEPT:-$2}"
}

@test "SIGINT: the command ends, and all that it started" { table INT 1; }
@test "SIGTERM: the command ends, and all that it started" { table TERM 143 "load import build-run build-git pull-auth"; }
@test "a signal ends a command that waits for a pipe; the next command cleans up" {
    KEPT=137
    table INT 1 "load-fifo import-fifo save-fifo build-fifo"
    table TERM 143 "load-fifo import-fifo save-fifo build-fifo"
}
@test "SIGKILL: all that the command started dies at once" { table KILL 137; }
@test "SIGKILL of the command and its session: the rest dies too" { table group 137 "load build-run build-add push-auth"; }

@test "a container that a killed run has pulled for and started goes on" {
    berth run -d --name "$name" "$REGISTRY/team/busybox:1" sleep 1000
    berth exec "$name" true
    "$ENGINE" rmi -f --ignore "$REGISTRY/team/busybox:1" >/dev/null 2>&1 3>&-
    berth rm -f -t 0 "$name"
    "${ENGINE%/*}/berth-full" run --name "$name" "$IMAGE" sh -c 'echo ready; sleep 1000' >"$FILE_DIR/out" 2>&1 3>&- & pid=$!
    wait_for 20 grep -q ready "$FILE_DIR/out"
    kill -KILL "$pid"
    wait "$pid" || true
    sleep 0.5
    berth exec "$name" true
    berth rm -f -t 0 "$name"
}
