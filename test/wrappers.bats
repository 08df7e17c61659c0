#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# Helpers that are wrapper scripts, as NixOS and administrators make them: one that becomes the program, one that waits for
# it, one that leaves it in the background, one that keeps its output to itself, one that does both, one that starts it later, one that
# becomes itself again.
load helpers

# wrap KIND PROGRAM: makes the wrapper $WRAPPERS/PROGRAM. The program has another name, as .pasta-wrapped in NixOS.
wrap() {
    local real
    real=$(PATH=/usr/bin:/bin:/usr/sbin:/sbin type -P "$2")
    WRAPPERS=$FILE_DIR/w
    mkdir -p "$WRAPPERS/real"
    ln -sf "$real" "$WRAPPERS/real/.$2-wrapped"
    real=$WRAPPERS/real/.$2-wrapped
    [[ $2 != new*map ]] || real=$(readlink "$real") # setuid
    {
        echo '#!/bin/sh'
        case $1 in
        exec) echo "exec $real \"\$@\"" ;;
        wait) [[ $2 == *run* ]] || echo 'echo "a word from the wrapper"'; echo "$real \"\$@\"" ;; # a runtime's output is the container's
        background) echo "$real \"\$@\" & exit 0" ;;
        quiet) echo "exec $real \"\$@\" >/dev/null" ;;
        silent) echo "$real \"\$@\" >/dev/null 2>&1 & exit 0" ;;
        late) echo "(sleep 0.3; $real \"\$@\") >/dev/null 2>&1 & exit 0" ;;
        again) echo "[ -n \"\$AGAIN\" ] || AGAIN=1 exec \"\$0\" \"\$@\"; $real \"\$@\" >/dev/null & exit 0" ;;
        esac
    } >"$WRAPPERS/$2"
    chmod +x "$WRAPPERS/$2"
}

setup() {
    rm -rf "$FILE_DIR/w"
    test_setup
}
teardown() {
    : >"$CONTAINERS_CONF"
    test_teardown
}

# helper_of NAME: the pid of its network helper.
helper_of() { jq -r '.netHelpers[0]' "$GRAPHROOT/berth/containers/$("$ENGINE" inspect --format '{{.Id}}' "$1")/state.json"; }

# connected KIND PROGRAM: a container is connected by the wrapped helper, and ends it; with "wait" it also keeps it over a
# restart and a killed monitor.
connected() {
    local pid monitor
    wrap "$1" "$2"
    printf '[engine]\nhelper_binaries_dir = ["%s"]\n' "$WRAPPERS" >"$CONTAINERS_CONF"
    berth run -d --name "$name-$1" --network "$2" $IMAGE sleep 1000
    berth exec "$name-$1" ip -o addr
    assert_contains "$output" 10.0.2.100
    pid=$(helper_of "$name-$1")
    [[ $(readlink "/proc/$pid/exe") == "$(readlink -f "$WRAPPERS/real/.$2-wrapped")"* || $(tr '\0' ' ' <"/proc/$pid/cmdline") == *".$2-wrapped"* ]]
    if [[ $1 == wait ]]; then
        berth restart -t 0 "$name-$1"
        berth exec "$name-$1" ip -o addr
        assert_contains "$output" 10.0.2.100
        monitor=$(jq -r .monitor "$GRAPHROOT/berth/containers/$("$ENGINE" inspect --format '{{.Id}}' "$name-$1")/state.json")
        kill -9 "$monitor"
        wait_for 10 not test -d "/proc/$monitor"
        berth exec "$name-$1" ip -o addr
        assert_contains "$output" 10.0.2.100
    fi
    berth rm -f -t 0 "$name-$1"
    wait_for 10 not test -d "/proc/$pid"
}

@test "pasta, wrapped" {
    local kind
    for kind in exec wait background quiet silent late again; do connected $kind pasta; done
}

@test "slirp4netns, wrapped" {
    local kind
    for kind in exec wait background silent late again; do connected $kind slirp4netns; done
}

@test "build: RUN is connected by wrapped helpers, and leaves none" {
    local kind program
    printf 'FROM %s\nRUN ip -o addr | grep 10.0.2\n' "$IMAGE" >"$FILE_DIR/Containerfile"
    for program in pasta slirp4netns; do
        for kind in exec wait background silent late again; do
            wrap $kind $program
            printf '[engine]\nhelper_binaries_dir = ["%s"]\n' "$WRAPPERS" >"$CONTAINERS_CONF"
            berth build --no-cache --network $program "$FILE_DIR"
            wait_for 10 not pgrep -f "$WRAPPERS/real/.$program-wrapped"
        done
    done
}

@test "a wrapped helper that fails: its words and its exit code" {
    wrap exec pasta
    printf '#!/bin/sh\ncase $* in *netns*) echo "pasta is out" >&2; exit 7;; esac\nexec %s "$@"\n' "$WRAPPERS/real/.pasta-wrapped" >"$WRAPPERS/pasta"
    printf '[engine]\nhelper_binaries_dir = ["%s"]\n' "$WRAPPERS" >"$CONTAINERS_CONF"
    berth 125 run --rm --network pasta $IMAGE true
    assert_contains "$output" "pasta is out"
    assert_contains "$output" "exited with 7"
    printf 'FROM %s\nRUN true\n' "$IMAGE" >"$FILE_DIR/Containerfile"
    berth 125 build --no-cache --network pasta "$FILE_DIR" || [[ $status -eq 1 ]]
    assert_contains "$output" "pasta is out"
    # in the background, and on standard output
    printf '#!/bin/sh\ncase $* in *netns*) (sleep 0.2; echo "pasta is out, too" >&2) >/dev/null & exit 0;; esac\nexec %s "$@"\n' "$WRAPPERS/real/.pasta-wrapped" >"$WRAPPERS/pasta"
    berth 125 run --rm --network pasta $IMAGE true
    assert_contains "$output" "left no process: pasta is out, too"
    printf '#!/bin/sh\ncase $* in *netns*) echo "pasta is out again"; exit 7;; esac\nexec %s "$@"\n' "$WRAPPERS/real/.pasta-wrapped" >"$WRAPPERS/pasta"
    berth 125 run --rm --network pasta $IMAGE true
    assert_contains "$output" "exited with 7: pasta is out again"
}

@test "system check finds a wrapped helper that has outlived its container" {
    local pid id state
    wrap wait slirp4netns
    printf '[engine]\nhelper_binaries_dir = ["%s"]\n' "$WRAPPERS" >"$CONTAINERS_CONF"
    berth run -d --name "$name-dead" --network slirp4netns $IMAGE sleep 1000
    pid=$(helper_of "$name-dead")
    id=$("$ENGINE" inspect --format '{{.Id}}' "$name-dead")
    state=$GRAPHROOT/berth/containers/$id/state.json
    kill -STOP "$pid" # it would end with the monitor
    kill -9 "$(jq .monitor "$state")" "$(jq .pid "$state")"
    berth wait "$name-dead"
    rm -r "$(dirname "$state")"
    run -1 "$ENGINE" system check 3>&-
    assert_contains "$output" "process $pid (.slirp4netns-wrapped) of container ${id:0:12}, which does not run"
    kill -CONT "$pid" || true
    berth system check --repair
    wait_for 10 not test -d "/proc/$pid"
    berth system check
}

@test "a helper that takes no signals, as AppArmor may have it, ends with its container" {
    local pid
    wrap exec pasta
    {
        echo '#!/bin/sh'
        echo "case \$* in *--netns*) ;; *) exec $WRAPPERS/real/.pasta-wrapped \"\$@\" ;; esac"
        echo 'while [ "$1" != --netns ]; do shift; done; trap "" TERM; echo $$; while [ -e "$2" ]; do sleep 0.05; done'
    } >"$WRAPPERS/pasta"
    printf '[engine]\nhelper_binaries_dir = ["%s"]\n' "$WRAPPERS" >"$CONTAINERS_CONF"
    berth run -d --name "$name-deaf" --network pasta $IMAGE sleep 1000
    pid=$(helper_of "$name-deaf")
    kill -TERM "$pid"
    berth rm -f -t 0 "$name-deaf"
    wait_for 10 not test -d "/proc/$pid"
    printf 'FROM %s\nRUN sleep 1\n' "$IMAGE" >"$FILE_DIR/Containerfile"
    berth build --no-cache --network pasta "$FILE_DIR"
    wait_for 10 not pgrep -f "$WRAPPERS/pasta"
}

@test "the OCI runtime, wrapped" {
    local kind runtime
    for runtime in crun runc; do
        for kind in exec wait background; do
            wrap $kind $runtime
            berth --runtime "$WRAPPERS/$runtime" run --rm --network none $IMAGE sh -c 'echo ran; exit 3' || [[ $status -eq 3 ]]
            assert_equal "$output" ran
            berth --runtime "$WRAPPERS/$runtime" run -d --name "$name-$runtime-$kind" --network none $IMAGE sh -c 'trap "exit 5" TERM; while :; do sleep 0.1; done'
            berth exec "$name-$runtime-$kind" cat /etc/berth-image
            assert_equal "$output" busybox
            berth stop "$name-$runtime-$kind"
            berth wait "$name-$runtime-$kind"
            assert_equal "$output" 5
            berth start "$name-$runtime-$kind"
            berth rm -f -t 0 "$name-$runtime-$kind"
            status=0
            berth --runtime "$WRAPPERS/$runtime" run --rm --network none $IMAGE /no/such || [[ $status -eq 127 ]]
            [[ $status -ne 0 ]]
        done
    done
}

@test "newuidmap and newgidmap, wrapped" {
    is_rootless || skip "root needs neither"
    local kind
    for kind in exec wait background; do
        wrap $kind newuidmap
        wrap $kind newgidmap
        PATH=$WRAPPERS:$PATH XDG_RUNTIME_DIR=$(mktemp -d) berth unshare cat /proc/self/uid_map
        [[ $(wc -l <<<"$output") -ge 2 ]]
    done
}

@test "a runtime that a signal ends when it is to forget a container is asked again" {
    local crun
    crun=$(PATH=/usr/bin:/bin:/usr/sbin:/sbin type -P crun)
    cat >"$FILE_DIR/crun" <<-X
	#!/bin/sh
	case " \$* " in *" delete "*) [ -e "$FILE_DIR/ended" ] || { touch "$FILE_DIR/ended"; kill -TERM \$\$; } ;; esac
	exec $crun "\$@"
	X
    chmod +x "$FILE_DIR/crun"
    berth --runtime "$FILE_DIR/crun" run --rm --network none $IMAGE true
    wait_for 10 test -e "$FILE_DIR/ended"
    berth system check
}
