#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# kill -9 of a build or a push at any moment: no working container, mount, process or layer is left that system check
# does not know of, and the next build works.
load ../helpers

teardown() {
    test_teardown
    timeout 60 "$ENGINE" rmi -fa >/dev/null 2>&1 3>&- || true
    timeout 60 "$ENGINE" load -q -i "$FIXTURES/busybox.tar" >/dev/null 2>&1 3>&- || true
}

# context: $CTX with a Containerfile of independent stages with all kinds of steps, from an image in a registry.
context() {
    CTX=$FILE_DIR/ctx-$name
    mkdir -p "$CTX/d"
    head -c 3000000 /dev/urandom >"$CTX/d/random"
    tar -C "$CTX" -cf "$CTX/a.tar" d
    cat >"$CTX/Containerfile" <<-X
	FROM $1 AS one
	COPY d /d
	RUN --mount=type=cache,id=$name,target=/c --mount=type=tmpfs,target=/t touch /c/x /t/x; head -c 2000000 /dev/urandom > /one
	FROM $1 AS two
	ADD a.tar /two
	RUN --mount=type=bind,from=one,target=/o cp /o/one /two/one
	FROM $1
	COPY --from=one /one /one
	COPY --link --from=two /two /two
	RUN wc -c < /one > /size
	X
}

# processes: those of this file that are left, but for the registry.
processes() {
    local pid found words
    found=$(leaked_processes)
    for pid in $found; do
        words=$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") || continue
        [[ -z $words || $words == "docker-registry serve "* ]] || echo "$pid $words"
    done
}

# all_accounted_for: what is left is gone, or system check tells of it and repairs it; after that there is nothing.
all_accounted_for() {
    "$ENGINE" system check >"$FILE_DIR/check" 2>&1 3>&- || berth system check --repair
    berth system check
    assert_equal "$output" ""
    none_left() { [[ -z $(processes) ]]; }
    wait_for 10 none_left || { processes; cat "$FILE_DIR/check"; return 1; }
    not grep -F "$FILE_DIR/" /proc/self/mountinfo
    # And from the store's own files: no container but the pins of images, no layer that neither an image nor a pin is made of.
    local orphans containers=$GRAPHROOT/overlay-containers/containers.json
    [[ -s $containers ]] || { containers=$FILE_DIR/none.json; echo '[]' >"$containers"; }
    assert_equal "$(jq -r '.[] | select(.metadata | startswith("{\"created-by\":\"berth\",\"pins\":") | not) | .id' "$containers")" ""
    orphans=$(jq -rn --slurpfile l "$GRAPHROOT/overlay-layers/layers.json" --slurpfile i "$GRAPHROOT/overlay-images/images.json" --slurpfile c "$containers" '
        ($l[0] | map({(.id): (.parent // "")}) | add) as $parent
        | def chain: recurse($parent[.] // "" | select(. != ""));
        [($i[0][] | (.layer, (."mapped-layers" // [])[]) | select(.) | chain), $c[0][].layer] as $used
        | ($parent | keys) - $used | .[]')
    assert_equal "$orphans" ""
    assert_equal "$(find "$GRAPHROOT/berth/builds" "$RUNROOT/berth/builds" -mindepth 1 2>/dev/null)" ""
}

# killed_at_points N ARG...: the engine runs once to see how long it takes, then N times, killed at N points of that time.
killed_at_points() {
    local n=$1 start took i ms
    shift
    start=${EPOCHREALTIME/./}
    berth "$@"
    took=$(((${EPOCHREALTIME/./} - start) / 1000))
    for ((i = 1; i <= n; i++)); do
        ${BEFORE:-true}
        ms=$((took * i / (n + 1)))
        timeout --foreground -s KILL "$((ms / 1000)).$(printf %03d $((ms % 1000)))" "$ENGINE" "$@" >"$FILE_DIR/killed.log" 2>&1 3>&- || true
        echo "killed after $ms of $took ms: $(tail -n 1 "$FILE_DIR/killed.log")"
        all_accounted_for
    done
}

forget_base() { "$ENGINE" rmi -f --ignore "$REGISTRY/team/base:1" >/dev/null 2>&1 3>&-; }

@test "kill -9 of a build at many points: pull, COPY, ADD, RUN, commit, stages at once" {
    start_registry
    push_fixture busybox team/base:1
    context "$REGISTRY/team/base:1"
    BEFORE=forget_base killed_at_points 7 build --no-cache --network none --jobs 3 -t "localhost/$name" "$CTX"
    berth build --network none -t "localhost/$name" "$CTX"
    berth run --rm --network none "localhost/$name" cat /size
    assert_equal "$output" 2000000
    stop_registry
    all_accounted_for
}

@test "kill -9 of a build at each step, as soon as it is told of" {
    context "$IMAGE"
    for line in 'COPY d' 'RUN --mount=type=cache' 'RUN --mount=type=bind' 'COPY --link' 'RUN wc' 'COMMIT'; do
        "$ENGINE" build --no-cache --network private -t "localhost/$name" "$CTX" >"$FILE_DIR/out" 2>&1 3>&- &
        local pid=$!
        wait_for 30 grep -q "$line" "$FILE_DIR/out"
        kill -KILL "$pid"
        wait "$pid" 2>/dev/null || true
        all_accounted_for
    done
    berth build --network none -t "localhost/$name" "$CTX"
}

@test "kill -9 of a build without layers, of one to a directory, and of one for two platforms" {
    context "$IMAGE"
    killed_at_points 2 build --no-cache --network none --squash -t "localhost/$name" "$CTX"
    killed_at_points 2 build --no-cache --network none --output "type=local,dest=$FILE_DIR/out-$name" "$CTX"
    printf 'FROM scratch\nARG TARGETARCH\nCOPY d /$TARGETARCH\nLABEL a=$TARGETARCH\n' >"$CTX/Containerfile"
    killed_at_points 2 build --no-cache --platform linux/amd64,linux/arm64 --manifest "localhost/$name-index" "$CTX"
}

@test "kill -9 of a push and of a commit at many points; the next one works" {
    start_registry
    killed_at_points 3 push -q "$IMAGE" "$REGISTRY/team/$name"
    berth push -q "$IMAGE" "$REGISTRY/team/$name"
    stop_registry
    berth run --name "$name" --network none "$IMAGE" sh -c 'head -c 3000000 /dev/urandom > /f'
    local ms
    for ms in 030 060 120 200; do
        timeout --foreground -s KILL "0.$ms" "$ENGINE" commit -q "$name" "localhost/$name" >/dev/null 2>&1 3>&- || true
        berth system check || { berth system check --repair && berth system check; }
    done
    berth commit -q "$name" "localhost/$name"
    berth rm "$name"
    all_accounted_for
}

@test "a build goes on while another is killed and what is left of that is removed" {
    context "$IMAGE"
    printf 'FROM %s\nRUN for i in 1 2 3 4; do sleep 0.5; echo alive; done; echo done > /done\nCOPY d /d\nRUN cat /done\n' "$IMAGE" >"$CTX/Long"
    "$ENGINE" build --no-cache --network private -t "localhost/$name" -f "$CTX/Long" "$CTX" >"$FILE_DIR/long" 2>&1 3>&- &
    local pid=$!
    wait_for 20 grep -q "^alive" "$FILE_DIR/long"
    timeout --foreground -s KILL 0.7 "$ENGINE" build --no-cache --network private "$CTX" >/dev/null 2>&1 3>&- || true
    berth system check --repair
    [[ $output != *"of a build that was killed"*"not repaired"* ]]
    wait "$pid" || { cat "$FILE_DIR/long"; false; }
    berth run --rm --network none "localhost/$name" cat /done
    assert_equal "$output" "done"
    all_accounted_for
}

@test "four builds at once of one file: all work, and a fifth finds all in the cache" {
    context "$IMAGE"
    local pids=() pid i
    for i in 1 2 3 4; do
        "$ENGINE" build --network none "$CTX" >"$FILE_DIR/par-$i" 2>&1 3>&- & pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || { cat "$FILE_DIR"/par-*; false; }; done
    berth build --network none "$CTX"
    assert_contains "$output" "Using cache"
    not grep -E "^(\[./.\] )?-->" <(grep -A1 "STEP .: RUN" <<<"$output" | grep -v cache)
    all_accounted_for
}
