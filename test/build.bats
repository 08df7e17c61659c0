#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# build: the instructions, the flags, the cache, errors, and what contexts may not do.

load helpers
load build

test_teardown() {
    timeout 60 "$ENGINE" rm -fa -t 0 >/dev/null 2>&1 3>&- || true
    timeout 60 "$ENGINE" rmi -f "localhost/$name" >/dev/null 2>&1 3>&- || true
}
teardown() { test_teardown; }

# --- instructions -----------------------------------------------------------------------

@test "RUN, ENV, WORKDIR, USER, CMD: what is built is what runs" {
    context <<-X
	FROM $IMAGE
	ENV GREETING="hello there" OTHER=\$PATH
	WORKDIR /srv/app
	RUN echo "\$GREETING" > greeting && mkdir -p /etc && echo joe:x:1234:1234::/:/bin/sh >> /etc/passwd
	USER joe
	CMD cat greeting && pwd && id -un
	X
    build
    berth_split run --rm --network none "localhost/$name"
    assert_equal "$output" $'hello there\n/srv/app\njoe'
}

@test "the default network of RUN has an address and a route" {
    context <<-X
	FROM $IMAGE
	RUN ip route > /route && cat /etc/resolv.conf > /resolv
	X
    berth build -t "localhost/$name" "$CTX"
    in_image cat /route /resolv
    assert_contains "$output" "default via"
    assert_contains "$output" "nameserver"
}

@test "--network none leaves RUN without one, --network host gives it the host's" {
    context <<-X
	FROM $IMAGE
	RUN ip -o link | wc -l > /links
	X
    build
    in_image cat /links
    assert_equal "$output" 1
    berth build -q --no-cache --network host -t "localhost/$name" "$CTX"
    in_image cat /links
    assert_equal "$output" "$(ip -o link | wc -l)"
}

@test "COPY: --chmod, --chown, patterns, directories, and what the ignore file leaves out" {
    context <<-X
	FROM $IMAGE
	COPY --chmod=600 --chown=12:34 a.txt /one
	COPY *.txt /txt/
	COPY . /all/
	X
    mkdir "$CTX/sub"
    echo a >"$CTX/a.txt"; echo b >"$CTX/b.txt"; echo c >"$CTX/sub/c.log"; echo k >"$CTX/sub/keep.log"
    printf '**/*.log\n!sub/keep.log\nContainerfile\n' >"$CTX/.containerignore"
    build
    in_image sh -c 'stat -c "%a %u:%g" /one; ls /txt; cd /all; find . -type f | sort'
    assert_equal "$output" $'600 12:34\na.txt\nb.txt\n./.containerignore\n./a.txt\n./b.txt\n./sub/keep.log'
}

@test "COPY --parents, --exclude and --link" {
    is_berth || skip "needs buildah 1.38"
    context <<-X
	FROM $IMAGE
	COPY --parents a/b/x.txt /p/
	COPY --exclude=**/*.log a /e/
	COPY --link a/b/x.txt /l/x.txt
	X
    mkdir -p "$CTX/a/b"
    echo x >"$CTX/a/b/x.txt"; echo l >"$CTX/a/b/y.log"
    build
    in_image sh -c 'find /p /e /l -type f | sort'
    assert_equal "$output" $'/e/b/x.txt\n/l/x.txt\n/p/a/b/x.txt'
}

@test "ADD unpacks archives, and COPY does not" {
    context <<-X
	FROM $IMAGE
	ADD t.tar.gz /add/
	COPY t.tar.gz /copy/
	X
    mkdir "$CTX/d"; echo inside >"$CTX/d/f"
    tar -C "$CTX" -czf "$CTX/t.tar.gz" d
    build
    in_image sh -c 'cat /add/d/f; ls /copy'
    assert_equal "$output" $'inside\nt.tar.gz'
}

@test "ADD of a URL, with the right checksum and a wrong one" {
    local port sum
    context <<-X
	FROM $IMAGE
	X
    echo fetched >"$CTX/file.txt"
    port=$(free_port)
    python3 -m http.server -b 127.0.0.1 -d "$CTX" "$port" >/dev/null 2>&1 3>&- &
    local pid=$!
    wait_for 10 curl -sf -o /dev/null "http://127.0.0.1:$port/file.txt"
    sum=$(sha256sum <"$CTX/file.txt" | cut -d' ' -f1)
    printf 'FROM %s\nADD --checksum=sha256:%s http://127.0.0.1:%s/file.txt /f\n' "$IMAGE" "$sum" "$port" >"$CTX/Containerfile"
    if is_berth; then build; in_image cat /f; assert_equal "$output" fetched; fi
    sed -i "s/sha256:$sum/sha256:${sum//[0-9]/0}/" "$CTX/Containerfile"
    build 125
    kill "$pid"
}

@test "a git repository is a context, with a branch and a directory" {
    local repo=$FILE_DIR/repo-$name.git work=$FILE_DIR/work-$name port
    git init -q -b main "$work"
    mkdir "$work/dir"
    printf 'FROM %s\nCOPY who /who\n' "$IMAGE" >"$work/dir/Containerfile"
    echo from-git >"$work/dir/who"
    git -C "$work" add . && git -C "$work" -c user.name=t -c user.email=t@example.org commit -qm x
    git clone -q --bare "$work" "$repo"
    git -C "$repo" update-server-info
    port=$(free_port)
    git daemon --export-all --base-path="$FILE_DIR" --listen=127.0.0.1 --port="$port" --reuseaddr 3>&- &
    local pid=$!
    wait_for 10 git ls-remote "git://127.0.0.1:$port/repo-$name.git"
    berth build --network none -t "localhost/$name" "git://127.0.0.1:$port/repo-$name.git#main:dir"
    kill "$pid"
    in_image cat /who
    assert_equal "$output" from-git
}

@test "heredocs: of RUN, with an interpreter of its own, and of COPY" {
    is_berth || skip "needs buildah 1.33"
    context <<-'X'
	FROM localhost/busybox:latest
	RUN <<END
	echo one > /f
	echo two >> /f
	END
	COPY <<END /g
	three
	END
	X
    build
    in_image cat /f /g
    assert_equal "$output" $'one\ntwo\nthree'
}

@test "ARG: defaults, --build-arg, before FROM, and not in the environment of the image" {
    context <<-'X'
	ARG BASE=nowhere
	FROM $BASE
	ARG A=default
	ARG B
	RUN echo "$A $B" > /args
	CMD echo "[$A]"; cat /args
	X
    build --build-arg BASE="$IMAGE" --build-arg B=given
    in_image
    assert_equal "$output" $'[]\ndefault given'
}

@test "several stages: COPY --from by name, by number and of an image; --target" {
    context <<-X
	FROM $IMAGE AS first
	RUN echo first > /f
	FROM $IMAGE
	RUN echo second > /g
	FROM $IMAGE AS last
	COPY --from=first /f /f
	COPY --from=1 /g /g
	COPY --from=$IMAGE /bin/busybox /copied
	X
    build
    in_image sh -c 'cat /f /g; ls /copied'
    assert_equal "$output" $'first\nsecond\n/copied'
    build --target first
    in_image sh -c 'cat /f; test ! -e /g'
    assert_equal "$output" first
}

@test "ONBUILD runs in the next build" {
    context <<-X
	FROM $IMAGE
	ONBUILD RUN echo triggered > /trigger
	X
    build --format docker
    local base=$name
    name=$name-2
    context <<-X
	FROM localhost/$base
	X
    build
    in_image cat /trigger
    assert_equal "$output" triggered
    berth rmi "localhost/$name" "localhost/$base"
}

@test "SHELL, ENTRYPOINT, EXPOSE, LABEL, STOPSIGNAL, VOLUME and HEALTHCHECK are in the config" {
    context <<-X
	FROM $IMAGE
	SHELL ["/bin/ash", "-eu", "-c"]
	ENTRYPOINT ["/bin/echo", "from entrypoint"]
	EXPOSE 8080/tcp
	LABEL a=b "c d"="e f"
	STOPSIGNAL SIGUSR1
	VOLUME /data
	HEALTHCHECK --interval=7s CMD true
	RUN echo \$0 > /shell
	X
    build --format docker
    berth image inspect --format '{{.Config.Entrypoint}} {{.Config.ExposedPorts}} {{index .Config.Labels "c d"}} {{.Config.StopSignal}} {{.Config.Volumes}}' "localhost/$name"
    assert_contains "$output" "8080/tcp"
    assert_contains "$output" "e f"
    assert_contains "$output" "SIGUSR1"
    assert_contains "$output" "/data"
    berth image inspect --format '{{.HealthCheck}}' "localhost/$name"
    assert_contains "$output" "7s"
    berth_split run --rm --network none "localhost/$name"
    assert_equal "$output" "from entrypoint"
}

@test "RUN --mount: bind from the context and a stage, tmpfs, cache that lasts" {
    context <<-X
	FROM $IMAGE AS tools
	RUN echo tool > /tool
	FROM $IMAGE
	RUN --mount=type=bind,target=/ctx --mount=type=bind,from=tools,target=/t cat /ctx/in.txt /t/tool > /out
	RUN --mount=type=tmpfs,target=/tmpfs echo x > /tmpfs/x && grep tmpfs /proc/mounts
	RUN --mount=type=cache,id=$name,target=/cache echo line >> /cache/log && cp /cache/log /log
	X
    echo context >"$CTX/in.txt"
    build
    build --no-cache
    in_image sh -c 'cat /out; wc -l < /log; ls -d /ctx /t /tmpfs/x 2>/dev/null || true'
    assert_equal "$output" $'context\ntool\n2'
}

@test "RUN --mount=type=secret: there while RUN runs, nowhere in the image" {
    local tar=$FILE_DIR/$name.tar
    context <<-X
	FROM $IMAGE
	RUN --mount=type=secret,id=token,target=/token wc -c < /token > /length
	X
    printf 's3cr3t-%s' "$name" >"$FILE_DIR/token-$name"
    build --secret "id=token,src=$FILE_DIR/token-$name"
    in_image sh -c 'cat /length; cat /token 2>/dev/null; true'
    assert_equal "$output" $((7 + ${#name}))
    berth save -o "$tar" "localhost/$name"
    run grep -c "s3cr3t-$name" "$tar"
    assert_equal "$output" 0
}

@test "the context: standard input as a Containerfile, and as a tar" {
    context <<-X
	FROM $IMAGE
	COPY f /f
	X
    echo in-tar >"$CTX/f"
    tar -C "$CTX" -c . | berth build --network none -t "localhost/$name" -
    in_image cat /f
    assert_equal "$output" in-tar
    printf 'FROM %s\nRUN echo by-stdin > /f\n' "$IMAGE" | berth build --network none -t "localhost/$name" -f - "$CTX"
    in_image cat /f
    assert_equal "$output" by-stdin
}

@test "--build-context: a directory, and an image" {
    context <<-X
	FROM base
	COPY --from=more f /f
	X
    mkdir "$CTX-more"; echo more >"$CTX-more/f"
    build --build-context "more=$CTX-more" --build-context "base=docker-image://$IMAGE"
    in_image cat /f
    assert_equal "$output" more
}

# --- results ------------------------------------------------------------------------------

@test "the last line is the ID; -q prints only that; --iidfile has it with sha256:" {
    context <<-X
	FROM $IMAGE
	RUN echo noise
	X
    build
    assert_contains "$output" "STEP 2/2: RUN echo noise"
    assert_contains "$output" $'\nnoise\n'
    local id=${lines[-1]}
    berth image inspect --format '{{.Id}}' "localhost/$name"
    assert_equal "$output" "$id"
    berth_split build -q --network none --no-cache -t "localhost/$name" "$CTX"
    [[ $output =~ ^[0-9a-f]{64}$ ]]
    berth build -q --network none --iidfile "$FILE_DIR/iid-$name" "$CTX"
    berth_split build -q --network none "$CTX"
    assert_equal "$(cat "$FILE_DIR/iid-$name")" "sha256:$output"
}

@test "--output: a directory, a tar, and a tar on standard output" {
    context <<-X
	FROM scratch
	COPY f /dir/f
	X
    echo out >"$CTX/f"
    berth build --output "type=local,dest=$FILE_DIR/out-$name" "$CTX"
    assert_equal "$(cat "$FILE_DIR/out-$name/dir/f")" out
    berth build --output "type=tar,dest=$FILE_DIR/out-$name.tar" "$CTX"
    assert_equal "$(tar -xOf "$FILE_DIR/out-$name.tar" dir/f)" out
    is_berth || return 0 # podman 4.3 writes its talk into the tar
    assert_equal "$("$ENGINE" build -o - "$CTX" 2>/dev/null 3>&- | tar -xO dir/f)" out
    echo 'COPY f /g' >>"$CTX/Containerfile" # one archive, not one for each step
    assert_equal "$("$ENGINE" build -o - "$CTX" 2>/dev/null 3>&- | tar -ti | paste -sd' ')" "dir/ dir/f g"
    assert_equal "$("$ENGINE" build -o type=tar,dest=- "$CTX" 2>/dev/null 3>&- | tar -ti | paste -sd' ')" "dir/ dir/f g"
}

@test "--label, --annotation, --env, --unsetenv and two names" {
    context <<-X
	FROM $IMAGE
	ENV GONE=1
	X
    build --label who=me --annotation an.no=tation --env E=1 --unsetenv GONE -t "localhost/$name:second"
    berth image inspect --format '{{index .Config.Labels "who"}} {{index .Annotations "an.no"}} {{.Config.Env}}' "localhost/$name:second"
    assert_contains "$output" "me tation"
    assert_contains "$output" "E=1"
    [[ $output != *GONE* ]]
    berth rmi "localhost/$name:second"
}

@test "--squash makes one new layer, --squash-all one in all" {
    context <<-X
	FROM $IMAGE
	RUN echo 1 > /1
	RUN echo 2 > /2
	X
    local base
    berth image inspect --format '{{len .RootFS.Layers}}' "$IMAGE"
    base=$output
    build
    berth image inspect --format '{{len .RootFS.Layers}}' "localhost/$name"
    assert_equal "$output" $((base + 2))
    build --squash
    berth image inspect --format '{{len .RootFS.Layers}}' "localhost/$name"
    assert_equal "$output" $((base + 1))
    build --squash-all
    berth image inspect --format '{{len .RootFS.Layers}}' "localhost/$name"
    assert_equal "$output" 1
    in_image cat /1 /2
}

@test "--timestamp makes equal images of equal input" {
    context <<-X
	FROM $IMAGE
	RUN echo 1 > /1
	COPY f /f
	X
    echo f >"$CTX/f"
    local first
    berth_split build -q --network none --no-cache --timestamp 1000000000 "$CTX"
    first=$output
    touch "$CTX/f"; sleep 1.1
    berth_split build -q --network none --no-cache --timestamp 1000000000 "$CTX"
    assert_equal "$output" "$first"
    berth image inspect --format '{{.Created.Unix}}' "$first"
    assert_equal "$output" 1000000000
}

@test "--platform: two make an index" {
    context <<-X
	FROM scratch
	ARG TARGETARCH
	LABEL arch=\$TARGETARCH
	X
    berth build --platform linux/amd64,linux/arm64 --manifest "localhost/$name" "$CTX"
    berth image exists "localhost/$name"
    is_berth || return 0
    berth push -q "localhost/$name" "dir:$FILE_DIR/dir-$name"
    assert_contains "$(cat "$FILE_DIR/dir-$name/manifest.json")" arm64
    assert_contains "$(cat "$FILE_DIR/dir-$name/manifest.json")" amd64
}

# --- the cache ----------------------------------------------------------------------------

@test "a second build uses the cache; a changed file, argument or --no-cache does not" {
    context <<-X
	FROM $IMAGE
	ARG V=1
	RUN echo \$V > /v
	COPY f /f
	RUN head -c 8 /dev/urandom | md5sum > /r
	X
    echo 1 >"$CTX/f"
    local first
    berth_split build -q --network none "$CTX"; first=$output
    berth_split build -q --network none "$CTX"
    assert_equal "$output" "$first"
    touch -d '2001-01-01' "$CTX/f"
    berth_split build -q --network none "$CTX"
    assert_equal "$output" "$first"
    build
    assert_contains "$output" "--> Using cache"
    echo 2 >"$CTX/f"
    berth_split build -q --network none "$CTX"
    [[ $output != "$first" ]]
    berth_split build -q --network none --build-arg V=2 "$CTX"
    [[ $output != "$first" ]]
    echo 1 >"$CTX/f"
    berth_split build -q --network none "$CTX"
    assert_equal "$output" "$first"
    berth_split build -q --network none --no-cache "$CTX"
    [[ $output != "$first" ]]
}

@test "a base image that has changed is seen, and an image that was removed is built again" {
    context <<-X
	FROM localhost/base-$name
	RUN cat /mark > /seen
	X
    printf 'FROM %s\nRUN echo one > /mark\n' "$IMAGE" | berth build -q --network none -t "localhost/base-$name" -
    build; build; build
    in_image cat /seen
    assert_equal "$output" one
    printf 'FROM %s\nRUN echo two > /mark\n' "$IMAGE" | berth build -q --network none -t "localhost/base-$name" -
    build
    in_image cat /seen
    assert_equal "$output" two
    berth rmi -f "localhost/$name"
    build; build
    in_image cat /seen
    assert_equal "$output" two
    berth rmi -f "localhost/base-$name"
}

@test "an image built on its own name changes with every build" {
    berth tag "$IMAGE" "localhost/$name"
    context <<-X
	FROM localhost/$name
	RUN echo x >> /count
	X
    build; build; build
    in_image sh -c 'wc -l < /count'
    assert_equal "$output" 3
}

@test "builds of two sources in turn, with one name: it is always the last one's" {
    context <<-X
	FROM $IMAGE
	RUN echo one > /which
	X
    sed 's/one/two/' "$CTX/Containerfile" >"$CTX/Second"
    for _ in 1 2 3; do
        build
        in_image cat /which
        assert_equal "$output" one
        build -f "$CTX/Second"
        in_image cat /which
        assert_equal "$output" two
    done
}

@test "an equal build has its result at once, and tells what it did" {
    is_berth || skip "podman looks step by step"
    context <<-X
	FROM $IMAGE
	COPY f /f
	RUN echo x > /x
	X
    echo 1 >"$CTX/f"
    sleep 0.2
    build
    local id=${lines[-1]}
    build --progress=plain
    assert_contains "$output" "STEP 3/3: RUN echo x > /x"
    assert_contains "$output" "--> Using cache"
    assert_equal "${lines[-1]}" "$id"
    build -q
    assert_equal "$output" "$id"
    # A change that keeps size and time of the last change is a change.
    touch -r "$CTX/f" "$FILE_DIR/time-$name"
    echo 2 >"$CTX/f"
    touch -r "$FILE_DIR/time-$name" "$CTX/f"
    build
    in_image cat /f
    assert_equal "$output" 2
}

@test "two builds at once share the cache" {
    context <<-X
	FROM $IMAGE
	RUN sleep 1; head -c 8 /dev/urandom | md5sum > /r
	RUN echo done > /d
	X
    local a b pa pb
    a=$FILE_DIR/a-$name b=$FILE_DIR/b-$name
    "$ENGINE" build -q --network none "$CTX" >"$a" 3>&- & pa=$!
    "$ENGINE" build -q --network none "$CTX" >"$b" 3>&- & pb=$!
    wait "$pa"; wait "$pb"
    berth_split build -q --network none "$CTX"
    grep -qx "$output" "$a" "$b"
}

@test "stages are built at the same time" {
    is_berth || skip "podman builds one after the other unless told"
    context <<-X
	FROM $IMAGE AS a
	RUN sleep 3; echo a > /a
	FROM $IMAGE AS b
	RUN sleep 3; echo b > /b
	FROM $IMAGE
	COPY --from=a /a /a
	COPY --from=b /b /b
	X
    build --jobs 2
    assert_contains "$output" "[1/3] STEP 2/2: RUN sleep 3"
    # Both are at work before one of them is done.
    assert_equal "$(grep -oE '^\[[12]/3\] (STEP 2/2|-->)' <<<"$output" | head -n 2 | sort | tr '\n' ' ')" "[1/3] STEP 2/2 [2/3] STEP 2/2 "
}

@test "a stage that fails while others are at work: its exit code, its error, no crash, nothing left" {
    is_berth || skip "podman builds one after the other unless told"
    context <<-X
	FROM $IMAGE AS bad
	RUN sleep 0.3; exit 7
	FROM $IMAGE AS good
	RUN sleep 0.1
	COPY Containerfile /1
	RUN --mount=type=bind,from=base,source=/bin,target=/m sleep 0.1
	COPY Containerfile /2
	RUN sleep 0.1
	FROM $IMAGE
	COPY --from=bad /etc/passwd /p
	COPY --from=good /1 /2 /
	X
    sed -i "s/from=base/from=${IMAGE//\//\\/}/" "$CTX/Containerfile"
    for flags in "" "" "" --layers=false --squash; do
        # shellcheck disable=SC2086
        build 7 --no-cache --jobs 4 $flags
        [[ $output != *goroutine* ]]
        assert_contains "$output" "Containerfile:2: RUN sleep 0.3; exit 7: exit code 7"
        [[ $output != *unmounting* ]]
    done
    berth system check
}

@test "builder prune removes steps and cache mounts, and no named image" {
    is_berth || skip "podman has it in image prune"
    context <<-X
	FROM $IMAGE
	RUN --mount=type=cache,id=$name,target=/cache echo line >> /cache/log && cp /cache/log /log
	RUN echo second > /second
	X
    build
    berth builder prune --force
    assert_contains "$output" "Total reclaimed space"
    build --no-cache
    in_image sh -c 'wc -l < /log'
    assert_equal "$output" 2
    berth builder prune --all --force
    build --no-cache
    in_image sh -c 'wc -l < /log'
    assert_equal "$output" 1
    berth system check
}

# --- progress -------------------------------------------------------------------------------

@test "--progress=json: an object a line, with what was cached and how long it took" {
    is_berth || skip "podman does not have it"
    context <<-X
	FROM $IMAGE
	RUN echo said-$name
	X
    berth_split build --progress=json --network none "$CTX"
    jq -es 'map(.event) | contains(["step", "output", "done", "built"])' <<<"$output"
    jq -es --arg t "said-$name" 'any(.[]; .event == "output" and .text == $t and .step == 2)' <<<"$output"
    jq -es 'any(.[]; .event == "done" and .seconds > 0)' <<<"$output"
    berth_split build --progress=json --network none "$CTX"
    jq -es 'any(.[]; .event == "done" and .step == 2 and .cached)' <<<"$output"
}

@test "on a terminal: steps with their times, and the output of the one that failed" {
    is_berth || skip "podman does not have it"
    context <<-X
	FROM $IMAGE
	RUN echo quiet-please
	RUN echo loud-please; exit 3
	X
    berth_tty 24 90 3 build --network none "$CTX"
    assert_contains "$output" "FAILED"
    assert_contains "$output" "loud-please"
    [[ $output =~ 2/3\ RUN\ echo\ quiet-please\ +[0-9]+\.[0-9]s ]]
    sed -i 3d "$CTX/Containerfile"
    berth_tty 24 90 build --network none -t "localhost/$name" "$CTX"
    [[ $output =~ 2/2\ RUN\ echo\ quiet-please\ +cached ]]
    assert_contains "$output" "Tagged localhost/$name"
    assert_contains "$output" "$("$ENGINE" image inspect --format '{{.Id}}' "localhost/$name" 3>&-)"
    berth_tty 24 90 125 build --network none --progress=wrong "$CTX"
    assert_contains "$output" "must be auto, tty, plain, json or quiet"
}

# --- errors -----------------------------------------------------------------------------------

@test "the exit code of RUN, and 125 for all other errors" {
    context <<-X
	FROM $IMAGE
	RUN exit 42
	X
    build 42
    assert_contains "$output" "RUN exit 42"
    echo 'FROM localhost/none-such' >"$CTX/Containerfile"
    build 125 --pull never
    printf 'FROM %s\nCOPY none-such /\n' "$IMAGE" >"$CTX/Containerfile"
    build 125
    assert_contains "$output" "none-such"
    printf 'FROM %s\nFROB x\n' "$IMAGE" >"$CTX/Containerfile"
    build 125
    rm "$CTX/Containerfile"
    build 125
    berth 125 build "$CTX/none-such"
    berth 125 build --frob "$CTX"
}

@test "a build that fails leaves no container, and keeps what it had done" {
    context <<-X
	FROM $IMAGE
	RUN head -c 8 /dev/urandom | md5sum > /r
	RUN exit 1
	X
    build 1
    build 1
    assert_contains "$output" "--> Using cache"
    is_berth || return 0
    berth system check
    assert_equal "$output" ""
}

@test "a build that is killed leaves nothing that the next does not remove" {
    local seconds=777.$RANDOM # the same test runs as another user at the same time
    is_berth || skip "podman leaves its working containers"
    context <<-X
	FROM $IMAGE
	RUN echo at-work-$name; sleep $seconds
	X
    "$ENGINE" build --network private "$CTX" >"$FILE_DIR/out-$name" 2>&1 3>&- &
    local pid=$!
    wait_for 20 grep -q "^at-work-$name" "$FILE_DIR/out-$name"
    kill -KILL "$pid"
    wait "$pid" || true
    berth 1 system check
    assert_contains "$output" "working container"
    berth system check --repair
    berth system check
    not pgrep -f "sleep $seconds"
}

@test "a Containerfile from a pipe, and from a FIFO" {
    context <<<"FROM scratch"
    berth build -q --network none -t "localhost/$name" -f <(printf 'FROM %s\nRUN echo one > /which\n' "$IMAGE") "$CTX"
    in_image cat /which
    assert_equal "$output" one
    mkfifo "$FILE_DIR/fifo-$name"
    printf 'FROM %s\nRUN echo two > /which\n' "$IMAGE" >"$FILE_DIR/fifo-$name" 3>&- &
    berth build -q --network none -t "localhost/$name" -f "$FILE_DIR/fifo-$name" "$CTX"
    in_image cat /which
    assert_equal "$output" two
}

@test "SIGTERM ends a build, and cleans up" {
    local seconds=777.$RANDOM # the same test runs as another user at the same time
    is_berth || skip "podman waits"
    context <<-X
	FROM $IMAGE
	RUN echo at-work-$name; sleep $seconds
	X
    "$ENGINE" build --network none "$CTX" >"$FILE_DIR/out-$name" 2>&1 3>&- &
    local pid=$!
    wait_for 20 grep -q "^at-work-$name" "$FILE_DIR/out-$name"
    kill -TERM "$pid"
    wait_for 20 not test -d "/proc/$pid"
    not pgrep -f "sleep $seconds"
    berth system check
    assert_equal "$output" ""
}

@test "SIGINT ends a build of stages that wait for one another, without a crash" {
    local seconds=777.$RANDOM # the same test runs as another user at the same time
    is_berth || skip "podman waits"
    context <<-X
	FROM $IMAGE AS one
	RUN echo at-work-$name; sleep $seconds
	FROM $IMAGE AS two
	COPY --from=one /etc/passwd /p
	FROM $IMAGE
	COPY --from=two /etc/passwd /p
	X
    for jobs in 1 2 4; do
        "$ENGINE" build --network none --jobs "$jobs" "$CTX" >"$FILE_DIR/out-$name" 2>&1 3>&- &
        local pid=$!
        wait_for 20 grep -q "at-work-$name\$" "$FILE_DIR/out-$name"
        sleep 0.2
        kill -INT "$pid"
        wait_for 20 not test -d "/proc/$pid"
        not grep goroutine "$FILE_DIR/out-$name"
    done
    not pgrep -f "sleep $seconds"
    berth system check
    assert_equal "$output" ""
}

# --- what contexts may not do ---------------------------------------------------------------------

@test "COPY does not leave the context: .., absolute links, links of directories" {
    context <<-X
	FROM $IMAGE
	COPY ../outside-$name /out
	X
    echo outside >"$FILE_DIR/outside-$name"
    build 125
    printf 'FROM %s\nCOPY link /out\n' "$IMAGE" >"$CTX/Containerfile"
    ln -s "$FILE_DIR/outside-$name" "$CTX/link"
    build 125
    mkdir "$FILE_DIR/outdir-$name"; echo outside >"$FILE_DIR/outdir-$name/f"
    ln -s "$FILE_DIR/outdir-$name" "$CTX/dir"
    printf 'FROM %s\nCOPY dir/f /out\n' "$IMAGE" >"$CTX/Containerfile"
    build 125
    ln -s ../../../../../../../../../../../../etc "$CTX/up"
    printf 'FROM %s\nCOPY up/passwd /out\n' "$IMAGE" >"$CTX/Containerfile"
    if "$ENGINE" build -q --network none -t "localhost/$name" "$CTX" 3>&-; then
        in_image cat /out
        assert_equal "$output" none
    fi
}

@test "COPY does not leave the image: a link in it that points out (CVE-2024-1753)" {
    context <<-X
	FROM $IMAGE AS evil
	RUN ln -s $FILE_DIR /escape; ln -s / /rootlink
	FROM $IMAGE
	COPY --from=evil /escape/outside-$name /got
	X
    echo outside >"$FILE_DIR/outside-$name"
    build 125
    # The target of a copy is a link in the image: it stays inside.
    printf 'FROM %s\nRUN ln -s %s /escape\nCOPY f /escape/written\n' "$IMAGE" "$FILE_DIR" >"$CTX/Containerfile"
    echo f >"$CTX/f"
    build 0 || true
    [[ ! -e $FILE_DIR/written ]]
}

@test "RUN --mount=type=bind,from= stays in the stage (CVE-2024-1753, CVE-2024-9407, CVE-2024-11218)" {
    echo outside >"$FILE_DIR/outside-$name"
    context <<-X
	FROM $IMAGE AS evil
	RUN ln -s / /top; ln -s $FILE_DIR /escape
	FROM $IMAGE
	RUN --mount=type=bind,from=evil,source=/escape,target=/mnt,rw cat /mnt/outside-$name
	X
    build --no-cache && return 1
    printf 'FROM %s AS evil\nRUN ln -s / /top\nFROM %s\nRUN --mount=type=bind,from=evil,source=/top,target=/mnt,rw cat /mnt%s/outside-%s\n' \
        "$IMAGE" "$IMAGE" "$FILE_DIR" "$name" >"$CTX/Containerfile"
    build --no-cache && return 1
    printf 'FROM %s\nRUN --mount=type=bind,source=../,target=/mnt cat /mnt/outside-%s\n' "$IMAGE" "$name" >"$CTX/Containerfile"
    build --no-cache && return 1
    assert_equal "$(cat "$FILE_DIR/outside-$name")" outside
}

@test "cache mounts: an id or a source with .. does not escape (CVE-2024-9675)" {
    echo outside >"$FILE_DIR/outside-$name"
    context <<-X
	FROM $IMAGE
	RUN --mount=type=cache,id=../../../../../../../../..$FILE_DIR,target=/c ls /c
	RUN --mount=type=cache,id=../../..,target=/c ls /c
	X
    build --no-cache
    [[ $output != *outside-* ]]
    printf 'FROM %s\nRUN --mount=type=cache,source=../../../../../../..%s,target=/c ls /c\n' "$IMAGE" "$FILE_DIR" >"$CTX/Containerfile"
    "$ENGINE" build --no-cache --network none "$CTX" >"$FILE_DIR/log-$name" 2>&1 3>&- || true
    not grep -q "^outside-" "$FILE_DIR/log-$name"
}

@test "ADD of an archive with .., absolute names and links stays in the image" {
    context <<-X
	FROM $IMAGE
	ADD evil.tar /d/
	X
    python3 - "$CTX/evil.tar" "$FILE_DIR" <<-'X'
	import io, sys, tarfile
	t = tarfile.open(sys.argv[1], "w")
	def add(name, **kw):
	    i = tarfile.TarInfo(name)
	    for k, v in kw.items(): setattr(i, k, v)
	    data = b"" if kw.get("type") else b"evil"
	    i.size = len(data)
	    t.addfile(i, io.BytesIO(data))
	add("../../../../../../../../../.." + sys.argv[2] + "/by-dots")
	add(sys.argv[2] + "/by-absolute-name")
	add("link", type=tarfile.SYMTYPE, linkname=sys.argv[2])
	add("link/by-link")
	t.close()
	X
    "$ENGINE" build --network none -t "localhost/$name" "$CTX" 3>&- || true
    [[ ! -e $FILE_DIR/by-dots && ! -e $FILE_DIR/by-absolute-name && ! -e $FILE_DIR/by-link ]]
}

@test "a Containerfile or ignore file that is a link out of the context gives nothing away (CVE-2024-3727, CVE-2022-4123)" {
    context <<-X
	FROM $IMAGE
	X
    echo "secret-$name" >"$FILE_DIR/outside-$name"
    mkdir "$CTX/git"
    ln -s "$FILE_DIR/outside-$name" "$CTX/git/Containerfile"
    # From a tar the link points into the unpacked directory's surroundings, never at the host.
    tar -C "$CTX/git" -c . | "$ENGINE" build --network none - >"$FILE_DIR/log-$name" 2>&1 3>&- && return 1
    not grep -q "secret-$name" "$FILE_DIR/log-$name"
}

@test "the caller's environment does not get into the image or its history" {
    export LEAK=leaked-$name
    context <<-X
	FROM $IMAGE
	RUN env > /env
	X
    build
    in_image cat /env
    [[ $output != *leaked-* ]]
    berth image inspect "localhost/$name"
    [[ $output != *leaked-* ]]
}
