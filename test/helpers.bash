# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What every bats file loads: `load helpers`. It gives each file a store, a home and a runtime
# directory of its own, the image $IMAGE in that store, and each test a fresh name, $name; and
# it fails the file when something is left in the end. Works for another engine as well:
# `ENGINE=podman bats test/run.bats`.
#
# A file that needs more of its own calls store_setup and store_teardown from setup_file and
# teardown_file, and test_setup and test_teardown from setup and teardown.

bats_require_minimum_version 1.5.0

IMAGE=localhost/busybox:latest
HELPERS_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PATH=$(dirname "$HELPERS_DIR")/bin:$PATH:/usr/sbin:/sbin
# A path: a bare "berth" would be the function below.
ENGINE=$(type -P "${ENGINE:-berth}") || { echo "helpers: ${ENGINE:-berth} is missing: run make" >&2; exit 1; }
export ENGINE IMAGE HELPERS_DIR PATH

# --- the engine ----------------------------------------------------------------------

# berth [CODE] ARG...: runs the engine; logs the command and its output, checks its exit code (CODE,
# or 0) and bounds its time: after BERTH_TIMEOUT seconds SIGQUIT has it print where each goroutine
# waits. Sets $status, $output (stdout and stderr) and ${lines[@]} (those that are not empty), as
# `run` of bats does, which takes exit code 127 for a slip in the test.
berth() {
    local want=0
    if [[ $1 =~ ^[0-9]+$ ]]; then want=$1; shift; fi
    status=0
    # bats keeps a test waiting for as long as somebody holds its file 3.
    output=$(timeout --foreground -s QUIT -k 5 "${BERTH_TIMEOUT:-120}" "$ENGINE" "$@" 2>&1 3>&-) || status=$?
    mapfile -t lines < <(grep . <<<"$output")
    echo "$ ${ENGINE##*/} $*"; echo "$output"; echo "exit code $status, want $want"
    [[ $status -eq $want ]]
}

# berth_split [CODE] ARG...: as berth, with stdout in $output and stderr in $stderr.
berth_split() {
    local want=0 file
    if [[ $1 =~ ^[0-9]+$ ]]; then want=$1; shift; fi
    status=0
    file=$(mktemp)
    output=$(timeout --foreground -s QUIT -k 5 "${BERTH_TIMEOUT:-120}" "$ENGINE" "$@" 2>"$file" 3>&-) || status=$?
    stderr=$(cat "$file")
    rm -f "$file"
    mapfile -t lines < <(grep . <<<"$output")
    echo "$ ${ENGINE##*/} $*"; echo "$output"; echo "stderr: $stderr"; echo "exit code $status, want $want"
    [[ $status -eq $want ]]
}

# berth_tty ROWS COLUMNS [CODE] ARG...: as berth, in a terminal of that size that nobody types in.
berth_tty() {
    local rows=$1 columns=$2 want=0 fifo in
    shift 2
    if [[ $1 =~ ^[0-9]+$ ]]; then want=$1; shift; fi
    fifo=$(mktemp -u)
    mkfifo "$fifo"
    # Opened for both, it never ends; `script` would end with it.
    exec {in}<>"$fifo"
    rm "$fifo"
    status=0
    output=$(timeout -k 5 "${BERTH_TIMEOUT:-120}" script -qec \
        "stty rows $rows cols $columns; exec $(printf '%q ' "$ENGINE" "$@")" /dev/null <&"$in" 2>&1 3>&-) || status=$?
    exec {in}>&-
    output=${output//$'\r'/}
    mapfile -t lines < <(grep . <<<"$output")
    echo "$ $ENGINE $* (in a terminal)"; echo "$output"; echo "exit code $status, want $want"
    [[ $status -eq $want ]]
}

is_rootless() { [[ $(id -u) -ne 0 ]]; }
is_berth() { [[ ${ENGINE##*/} == berth ]]; }

# --- a store of one's own --------------------------------------------------------------

setup_file() { store_setup; }
teardown_file() { store_teardown; }
setup() { test_setup; }
teardown() { test_teardown; }

# store_setup: makes $FILE_DIR, short enough for unix sockets below it, and points the
# engine's and the container libraries' configuration to it; loads $IMAGE unless NO_IMAGE is set.
store_setup() {
    FILE_DIR=$(mktemp -d "${TMPDIR:-/tmp}/bt-XXXXXX")
    mkdir -p "$FILE_DIR"/{home/.config/containers,tmp,conf}
    mkdir -m 700 "$FILE_DIR/run"
    export FILE_DIR HOME=$FILE_DIR/home TMPDIR=$FILE_DIR/tmp
    unset XDG_DATA_HOME XDG_CONFIG_HOME XDG_CACHE_HOME XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS
    is_rootless && export XDG_RUNTIME_DIR=$FILE_DIR/run
    # Where an ordinary user's are anyway: podman 4.3 takes no other from storage.conf without root.
    export GRAPHROOT=$HOME/.local/share/containers/storage RUNROOT=$FILE_DIR/run/containers
    export CONTAINERS_STORAGE_CONF=$FILE_DIR/conf/storage.conf
    export CONTAINERS_CONF=$FILE_DIR/conf/containers.conf
    export CONTAINERS_REGISTRIES_CONF=$FILE_DIR/conf/registries.conf
    export REGISTRY_AUTH_FILE=$FILE_DIR/conf/auth.json
    echo '{}' >"$REGISTRY_AUTH_FILE"
    storage_conf >"$CONTAINERS_STORAGE_CONF"
    containers_conf >"$CONTAINERS_CONF"
    echo 'unqualified-search-registries = []' >"$CONTAINERS_REGISTRIES_CONF"
    echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$HOME/.config/containers/policy.json"
    FIXTURES=${BERTH_TEST_FIXTURES:-$(HOME=$(getent passwd "$(id -u)" | cut -d: -f6) "$HELPERS_DIR/tools/fixtures" 3>&-)}
    export FIXTURES
    [[ -n ${NO_IMAGE:-} ]] || berth load -q -i "$FIXTURES/busybox.tar"
}

storage_conf() {
    printf '[storage]\ndriver = "%s"\ngraphroot = "%s"\nrunroot = "%s"\n' "${STORAGE_DRIVER:-overlay}" "$GRAPHROOT" "$RUNROOT"
    # Podman as root mounts the driver's home; Berth mounts nothing that others see.
    is_berth || printf '[storage.options.overlay]\nskip_mount_home = "true"\n'
}

# Berth finds out what it can have. Podman 4.3 must be told: on cgroups v1 it has none without root.
containers_conf() {
    is_berth && return
    printf '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
    if is_rootless && [[ ! -e /sys/fs/cgroup/cgroup.controllers ]]; then printf '[containers]\ncgroups = "disabled"\n'; fi
}

# store_teardown: removes what the file made and fails if anything is left behind.
store_teardown() {
    [[ -d ${FILE_DIR:-} ]] || return 0
    local rc=0
    stop_registries || rc=1
    "$ENGINE" rm -fa -t 0 >/dev/null 2>&1 3>&- || true
    if is_berth; then
        run timeout 60 "$ENGINE" system check 3>&-
        [[ $status -eq 0 ]] || { echo "system check: $output"; rc=1; }
    else
        end_podman
    fi
    leak_check || rc=1
    discard "$FILE_DIR"
    return $rc
}

# end_podman: ends podman's process that keeps the user namespace, which is not left by mistake.
end_podman() {
    local pid
    pid=$(cat "$FILE_DIR"/run/libpod/tmp/pause.pid 2>/dev/null) || return 0
    kill "$pid" && wait_for 5 not test -d "/proc/$pid"
}

# discard DIR: removes DIR with the files of any ID that containers left in it.
discard() {
    if is_rootless; then
        unshare --map-auto --map-root-user rm -rf "$1" 3>&-
    else
        rm -rf --one-file-system "$1"
    fi
}

test_setup() { name=c-$(random_string); }
test_teardown() { timeout 60 "$ENGINE" rm -fa -t 0 >/dev/null 2>&1 3>&- || true; }

# --- nothing is left -------------------------------------------------------------------

# leak_check: fails, and says what it found, where mounts, processes, sockets, FIFOs or
# container directories of this file are left; it then ends and unmounts them.
leak_check() {
    local leaks=0 found pid
    found=$(awk -v dir="$FILE_DIR/" 'index($5 "/", dir) == 1 { print $5 }' /proc/self/mountinfo)
    if [[ -n $found ]]; then
        echo "leak: mounted still: $found"; leaks=1
        while read -r m; do umount -l "$m" || true; done <<<"$found"
    fi
    # What is about to end is no leak.
    for _ in 1 2 3 4 5 6; do
        found=$(leaked_processes)
        [[ -n $found ]] || break
        sleep 0.5
    done
    if [[ -n $found ]]; then
        leaks=1
        for pid in $found; do
            echo "leak: process $pid: $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c1-200)"
            kill -KILL "$pid" 2>/dev/null || true
        done
    fi
    found=$(find "$FILE_DIR/run" \( -type s -o -type p \) 2>/dev/null |
        grep -v "^$FILE_DIR/run/\(bus\|libpod\|containers/.*-net\|netns\)" || true)
    [[ -z $found ]] || { echo "leak: files of what no longer runs: $found"; leaks=1; }
    found=$(find "$GRAPHROOT/berth/containers" "$GRAPHROOT/berth/names" "$RUNROOT/berth/containers" -mindepth 1 -maxdepth 1 2>/dev/null || true)
    [[ -z $found ]] || { echo "leak: records of removed containers: $found"; leaks=1; }
    found=$(find "$GRAPHROOT/berth/rw" -mindepth 2 -maxdepth 2 2>/dev/null || true)
    [[ -z $found ]] || { echo "leak: layers of removed containers: $found"; leaks=1; }
    return $leaks
}

# leaked_processes: the processes that have $FILE_DIR in their arguments, environment or
# (in a mount namespace of their own) mounts, but for this one and those it descends from.
leaked_processes() {
    local p pid ours="" up=$BASHPID
    while [[ $up -gt 1 ]]; do
        ours+=" $up"
        up=$(awk '/^PPid:/ { print $2 }' "/proc/$up/status")
    done
    # Those that only this search has started are gone when it is through.
    for pid in $({
        grep -lsF "$FILE_DIR" /proc/[0-9]*/cmdline /proc/[0-9]*/environ
        for p in /proc/[0-9]*; do [[ $p/ns/mnt -ef /proc/self/ns/mnt ]] || echo "$p/mountinfo"; done | xargs -r grep -lsF "$FILE_DIR"
    } | cut -d/ -f3 | sort -un); do
        [[ " $ours " != *" $pid "* && -d /proc/$pid ]] || continue
        # Podman's own, ended in store_teardown.
        is_berth || [[ $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) != "catatonit -P "* ]] || continue
        echo "$pid"
    done
}

# idle_build_cgroups: the cgroups of builds that have no process. Others may build on this machine at the same time, so compare
# with what there was before.
idle_build_cgroups() {
    local d
    find /sys/fs/cgroup -type d -path '*berth/build-*' 2>/dev/null | sort | while read -r d; do
        [[ -n $(cat "$d/cgroup.procs" 2>/dev/null) ]] || echo "$d"
    done
}

# --- small helpers ---------------------------------------------------------------------

# random_string [LENGTH]: small letters and digits.
random_string() { LC_ALL=C tr -dc 'a-z0-9' </dev/urandom 2>/dev/null | head -c "${1:-10}"; }

not() { ! "$@"; }

# wait_for SECONDS CMD ARG...: until CMD succeeds; fails after SECONDS.
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [[ $SECONDS -lt $end ]] || { echo "waited in vain for: $*"; return 1; }
        sleep 0.1
    done
}

# free_port: a TCP and UDP port that the kernel says is free, on IPv4 and IPv6.
free_port() {
    local log pid port=
    log=$(mktemp)
    until [[ -n $port ]]; do
        socat -d -d -u TCP6-LISTEN:0,ipv6only=0 STDOUT >/dev/null 2>"$log" 3>&- & pid=$!
        for _ in {1..100}; do
            port=$(sed -n 's/.*listening on .*:\([0-9]*\)$/\1/p' "$log")
            [[ -z $port ]] || break
            sleep 0.02
        done
        kill "$pid"; wait "$pid" 2>/dev/null || true
        [[ -n $port ]] || { cat "$log" >&2; rm -f "$log"; return 1; }
        ! grep -qi ":$(printf %04x "$port") " /proc/net/udp /proc/net/udp6 || port=
    done
    rm -f "$log"
    echo "$port"
}

# assert_contains TEXT PART, assert_equal GOT WANT: with a message that shows both.
assert_contains() { [[ $1 == *"$2"* ]] || { printf 'no "%s" in:\n%s\n' "$2" "$1"; return 1; }; }
assert_equal() { [[ $1 == "$2" ]] || { printf 'got  %q\nwant %q\n' "$1" "$2"; return 1; }; }

# --- a registry ------------------------------------------------------------------------

# start_registry [--tls] [--auth USER:PASSWORD]: Debian's docker-registry on loopback, on a port
# that the kernel chose. Sets REGISTRY (127.0.0.1:PORT), REGISTRY_DIR (its storage) and
# REGISTRY_PID. Without --tls it is an insecure registry in registries.conf; with it, its CA is
# in certs.d. It ends with the file, or with stop_registry.
start_registry() {
    # shellcheck source=tools/registry.bash
    source "$HELPERS_DIR/tools/registry.bash"
    registry_start "$@"
}

# stop_registry: ends the registry that was started last.
stop_registry() {
    kill "$REGISTRY_PID"
    wait_for 10 not test -d "/proc/$REGISTRY_PID"
}

# start_badregistry: bin/badregistry (package test/badregistry), which has one fault or attack in each repository; sets $BAD, its address.
# stop_registries ends it.
start_badregistry() {
    "$HELPERS_DIR/../bin/badregistry" >"$FILE_DIR/bad" 2>&1 </dev/null 3>&- &
    echo $! >"$FILE_DIR/bad.pid"
    wait_for 10 test -s "$FILE_DIR/bad"
    BAD=$(cat "$FILE_DIR/bad")
    export BAD
    printf '[[registry]]\nlocation = "%s"\ninsecure = true\n' "$BAD" >>"$CONTAINERS_REGISTRIES_CONF"
}

stop_registries() {
    local f pid
    [[ ! -e $FILE_DIR/bad.pid ]] || kill "$(cat "$FILE_DIR/bad.pid")"
    for f in "$FILE_DIR"/registry-*/pid; do
        [[ -e $f ]] || continue
        pid=$(cat "$f")
        grep -qsF "$FILE_DIR" "/proc/$pid/cmdline" || continue
        kill "$pid"
        wait_for 10 not grep -qsF "$FILE_DIR" "/proc/$pid/cmdline" || return 1
    done
}

# push_fixture NAME REF [ARG...]: pushes the fixture NAME (busybox, nginx) to $REGISTRY/REF with skopeo.
push_fixture() {
    skopeo copy -q --dest-tls-verify=false "${@:3}" "docker-archive:$FIXTURES/$1.tar" "docker://$REGISTRY/$2" 3>&-
}
