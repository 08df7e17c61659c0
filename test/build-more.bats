#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# build: what is used less often than what build.bats has: SSH agents, reproducible times, several
# platforms, contexts from elsewhere, equal stages, room on the disk.

load helpers
load build

teardown() {
    [[ ! -s $FILE_DIR/servers-$name ]] || xargs kill <"$FILE_DIR/servers-$name" 2>/dev/null || true
    test_teardown
    timeout 60 "$ENGINE" rmi -f "localhost/$name" >/dev/null 2>&1 3>&- || true
}

# --- instructions -----------------------------------------------------------------------

@test "ADD of a git repository, with a branch, and its checksum" {
    is_berth || skip "needs buildah 1.33"
    local repo=$FILE_DIR/git-$name port
    git init -q -b main "$repo/work" 3>&-
    echo from-git >"$repo/work/f"; mkdir "$repo/work/sub"; echo deep >"$repo/work/sub/g"
    git -C "$repo/work" add . && git -C "$repo/work" -c user.name=t -c user.email=t@example.org commit -qm x
    git clone -q --bare "$repo/work" "$repo/repo.git" 3>&-
    port=$(free_port)
    "$HELPERS_DIR/tools/git-http" "$port" "$repo" >/dev/null 2>&1 3>&- &
    echo $! >>"$FILE_DIR/servers-$name"
    wait_for 10 git ls-remote -q "http://127.0.0.1:$port/repo.git" HEAD
    context <<-X
	FROM $IMAGE
	ADD http://127.0.0.1:$port/repo.git#main /got/
	X
    build
    in_image cat /got/f /got/sub/g
    assert_equal "$output" $'from-git\ndeep'
}

@test "a context from a URL: a tar, and a Containerfile alone" {
    local port
    context <<-X
	FROM $IMAGE
	COPY f /f
	X
    echo from-url >"$CTX/f"
    mkdir "$FILE_DIR/www-$name"
    tar -C "$CTX" -czf "$FILE_DIR/www-$name/ctx.tar.gz" .
    printf 'FROM %s\nRUN echo alone > /f\n' "$IMAGE" >"$FILE_DIR/www-$name/Containerfile"
    port=$(free_port)
    python3 -m http.server -b 127.0.0.1 -d "$FILE_DIR/www-$name" "$port" >/dev/null 2>&1 3>&- &
    echo $! >>"$FILE_DIR/servers-$name"
    wait_for 10 curl -sf -o /dev/null "http://127.0.0.1:$port/"
    berth build --network none -t "localhost/$name" "http://127.0.0.1:$port/ctx.tar.gz"
    in_image cat /f
    assert_equal "$output" from-url
    berth build --network none -t "localhost/$name" "http://127.0.0.1:$port/Containerfile"
    in_image cat /f
    assert_equal "$output" alone
    berth build --network none -t "localhost/$name" -f "http://127.0.0.1:$port/Containerfile" "$CTX"
    in_image cat /f
    assert_equal "$output" alone
}

@test "ARG: each stage its own, those before FROM by name only, defaults, in the cache's key" {
    context <<-'X'
	ARG GLOBAL=g
	ARG BASE=localhost/busybox
	FROM $BASE AS one
	ARG ONE=1
	RUN echo "[$GLOBAL][$ONE]" > /one
	FROM ${BASE}:latest
	ARG GLOBAL
	ARG ONE
	ARG TWO=${ONE:-none}-${GLOBAL}
	ENV KEPT=$TWO
	COPY --from=one /one /one
	RUN echo "[$GLOBAL][$ONE][$TWO]" > /two
	X
    build
    in_image sh -c 'cat /one /two; echo $KEPT'
    assert_equal "$output" $'[][1]\n[g][][none-g]\nnone-g'
    build --build-arg ONE=x --build-arg GLOBAL=y
    in_image sh -c 'cat /one /two; echo $KEPT'
    assert_equal "$output" $'[][x]\n[y][x][x-y]\nx-y'
    printf 'ONE=file\nGLOBAL=of-args\n' >"$FILE_DIR/args-$name"
    ! is_berth || { build --build-arg-file "$FILE_DIR/args-$name"; in_image cat /two; assert_equal "$output" "[of-args][file][file-of-args]"; }
    build --build-arg UNKNOWN=1
    assert_contains "$output" "UNKNOWN"
}

@test "FROM --platform, and the arguments that tell the platforms" {
    context <<-X
	FROM --platform=\$BUILDPLATFORM $IMAGE AS tools
	ARG TARGETARCH
	ARG BUILDARCH
	ARG TARGETPLATFORM
	RUN echo "\$BUILDARCH \$TARGETARCH \$TARGETPLATFORM" > /which; busybox uname -m > /ran-on
	FROM scratch
	COPY --from=tools /which /ran-on /
	X
    berth build --network none --platform linux/arm64 --output "type=local,dest=$FILE_DIR/out-$name" "$CTX"
    assert_equal "$(cat "$FILE_DIR/out-$name/which")" "amd64 arm64 linux/arm64"
    assert_equal "$(cat "$FILE_DIR/out-$name/ran-on")" "$(uname -m)"
}

@test "SHELL counts for the steps after it; RUN in the exec form takes none" {
    context <<-X
	FROM $IMAGE
	RUN echo "\$0" > /before
	SHELL ["/bin/sh", "-euc", "echo set by SHELL >> /shell; eval \"\$0\""]
	RUN echo ran >> /shell
	RUN ["/bin/sh", "-c", "echo exec > /exec"]
	X
    build --format docker
    in_image cat /before /shell /exec
    assert_equal "$output" $'/bin/sh\nset by SHELL\nran\nexec'
}

@test "ONBUILD: COPY, ENV and several of them, in their order, and only once" {
    context <<-X
	FROM $IMAGE
	ONBUILD COPY f /f
	ONBUILD ENV FROM_BASE=yes
	ONBUILD RUN echo "\$FROM_BASE" >> /f
	X
    berth build --network none --format docker -t "localhost/$name-base" "$CTX"
    printf 'FROM localhost/%s-base\nRUN echo own >> /f\n' "$name" >"$CTX/Containerfile"
    echo copied >"$CTX/f"
    build --format docker
    in_image cat /f
    assert_equal "$output" $'copied\nyes\nown'
    printf 'FROM localhost/%s\nRUN true\n' "$name" >"$CTX/Containerfile"
    berth build --network none --format docker -t "localhost/$name-again" "$CTX"
    berth run --rm --network none "localhost/$name-again" cat /f
    assert_equal "$output" $'copied\nyes\nown'
    berth rmi -f "localhost/$name-again" "localhost/$name" "localhost/$name-base"
}

@test "RUN --network and RUN --mount=type=cache with its options: mode, owner, readonly, locked, from a stage" {
    context <<-X
	FROM $IMAGE AS filled
	RUN mkdir /c && echo from-stage > /c/f
	FROM $IMAGE
	RUN --mount=type=cache,id=$name,target=/c,mode=0700,uid=1000,gid=1000,sharing=locked stat -c '%a %u:%g' /c > /stat; echo kept > /c/k
	RUN --mount=type=cache,id=$name,target=/c,uid=1000,gid=1000,ro cat /c/k > /k; ! touch /c/no 2>/dev/null
	RUN --mount=type=cache,target=/d,from=filled,source=/c cat /d/f > /f
	RUN --network=none ip -o link | wc -l > /links
	X
    build
    in_image cat /stat /k /f /links
    assert_equal "$output" $'700 1000:1000\nkept\nfrom-stage\n1'
}

@test "RUN --mount=type=tmpfs with a size, --mount of the command for each RUN" {
    is_berth || skip "needs buildah 1.35"
    context <<-X
	FROM $IMAGE
	RUN --mount=type=tmpfs,target=/t,tmpfs-size=1m ! dd if=/dev/zero of=/t/f bs=1M count=2 2>/dev/null
	RUN df /each | grep -q tmpfs && echo 1 > /1
	X
    build --mount type=tmpfs,target=/each
    in_image sh -c 'cat /1; ls /t /each 2>/dev/null; true'
    assert_equal "$output" 1
}

@test "RUN --mount=type=secret: as a file with mode and owner, as a variable, from the environment" {
    context <<-X
	FROM $IMAGE
	RUN --mount=type=secret,id=a,target=/s,mode=0440,uid=1000,gid=1000 stat -c '%a %u:%g' /s > /stat
	RUN --mount=type=secret,id=b wc -c < /run/secrets/b > /length
	X
    if is_berth; then printf 'RUN --mount=type=secret,id=b,env=TOKEN echo "${#TOKEN}" > /env\n' >>"$CTX/Containerfile"; fi
    echo secret >"$FILE_DIR/s-$name"
    export FROM_ENV=12345
    build --secret "id=a,src=$FILE_DIR/s-$name" --secret id=b,env=FROM_ENV
    in_image cat /stat /length
    assert_equal "$output" $'440 1000:1000\n5'
    if is_berth; then in_image cat /env; assert_equal "$output" 5; fi
}

@test "RUN --mount=type=ssh: an agent of the caller's, and a key" {
    local agent
    agent=$(ssh-agent -s -a "$FILE_DIR/a-$name" 3>&-)
    eval "$agent" >/dev/null
    echo "$SSH_AGENT_PID" >>"$FILE_DIR/servers-$name"
    ssh-keygen -q -t ed25519 -N '' -C "key-of-$name" -f "$FILE_DIR/key-$name" 3>&-
    ssh-add -q "$FILE_DIR/key-$name" 3>&-
    context <<-X
	FROM $IMAGE
	RUN --mount=type=ssh printf '\0\0\0\1\13' | nc "local:\$SSH_AUTH_SOCK" > /agent 2>/dev/null || test -S "\$SSH_AUTH_SOCK" && echo there > /socket
	RUN --mount=type=ssh,id=other,target=/my.sock,mode=0666 test -S /my.sock && ls -l /my.sock | cut -c1-10 > /mode
	RUN test -z "\$SSH_AUTH_SOCK" && test ! -e /my.sock && echo gone > /gone
	X
    build --ssh default --ssh "other=$FILE_DIR/key-$name"
    in_image cat /socket /mode /gone
    assert_equal "$output" $'there\nsrw-rw-rw-\ngone'
    # Without --ssh there is none, and that is an error where it is required.
    printf 'FROM %s\nRUN --mount=type=ssh,id=none,required=true true\n' "$IMAGE" >"$CTX/Containerfile"
    build 125 --ssh default
    kill "$SSH_AGENT_PID"
    unset SSH_AUTH_SOCK SSH_AGENT_PID
}

# --- results ------------------------------------------------------------------------------

@test "flags that are not supported are refused by name, with the reason" {
    is_berth || skip "podman takes them, or knows them not"
    context <<<"FROM scratch"
    for flag in --cw=type=snp --sign-by=me; do
        build 125 "$flag"
        assert_contains "$output" "${flag%%=*}"
    done
    build 125 --cw=type=snp
    assert_contains "$output" "is not supported"
}

@test "--source-date-epoch and --rewrite-timestamp: the same image twice, and the times that are wanted" {
    is_berth || skip "needs buildah 1.41"
    local first
    context <<-X
	FROM $IMAGE
	RUN echo 1 > /1
	COPY f /f
	X
    echo f >"$CTX/f"
    berth_split build -q --network none --no-cache --source-date-epoch 1000000000 --rewrite-timestamp -t "localhost/$name" "$CTX"
    first=$output
    touch "$CTX/f"; sleep 1.1
    berth_split build -q --network none --no-cache --source-date-epoch 1000000000 --rewrite-timestamp -t "localhost/$name" "$CTX"
    assert_equal "$output" "$first"
    in_image stat -c %Y /1 /f
    assert_equal "$output" $'1000000000\n1000000000'
    berth image inspect --format '{{.Created.Unix}}' "localhost/$name"
    assert_equal "$output" 1000000000
    SOURCE_DATE_EPOCH=1100000000 berth build -q --network none --no-cache -t "localhost/$name" "$CTX"
    berth image inspect --format '{{.Created.Unix}}' "localhost/$name"
    assert_equal "$output" 1100000000
    build 125 --timestamp 1 --source-date-epoch 1
}

@test "--platform several times into one index, pushed as one; images are added to an index that is there" {
    is_berth || skip "the flags of podman's manifest differ"
    start_registry
    context <<-X
	FROM scratch
	ARG TARGETARCH
	COPY \$TARGETARCH /
	LABEL arch=\$TARGETARCH
	X
    for a in amd64 arm64 riscv64; do mkdir "$CTX/$a"; echo "$a" >"$CTX/$a/which"; done
    berth build --platform linux/amd64 --platform linux/arm64 --manifest "localhost/$name" "$CTX"
    berth build --platform linux/riscv64 --manifest "localhost/$name" "$CTX"
    berth push -q "localhost/$name" "$REGISTRY/$name"
    assert_equal "$(skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/$name" 3>&- | jq -r '[.manifests[].platform.architecture] | sort | join(" ")')" "amd64 arm64 riscv64"
    assert_equal "$(skopeo inspect --config --override-arch riscv64 --tls-verify=false "docker://$REGISTRY/$name" 3>&- | jq -r .config.Labels.arch)" riscv64
    # Several platforms and one name: what they would overwrite is refused.
    berth 125 build --platform linux/amd64,linux/arm64 --iidfile "$FILE_DIR/iid-$name" "$CTX"
    stop_registry
}

@test "--cache-from and --cache-to with several stages over a registry" {
    is_berth || skip "the formats differ between buildah's versions"
    start_registry
    context <<-X
	FROM $IMAGE AS one
	RUN head -c 8 /dev/urandom | md5sum > /one
	FROM $IMAGE
	COPY --from=one /one /one
	RUN head -c 8 /dev/urandom | md5sum > /two
	X
    local first
    build --cache-to "$REGISTRY/cache/$name" --cache-from "$REGISTRY/cache/$name"
    in_image cat /one /two
    first=$output
    berth rmi -f "localhost/$name"
    berth builder prune --force
    build --cache-to "$REGISTRY/cache/$name" --cache-from "$REGISTRY/cache/$name"
    in_image cat /one /two
    assert_equal "$output" "$first"
    build 125 --cache-from "$REGISTRY/cache/$name:tag"
    stop_registry
}

# --- stages, the store -------------------------------------------------------------------------

@test "equal stages are built once, one after the other and at once, without the cache too" {
    context <<-X
	FROM $IMAGE AS one
	RUN head -c 8 /dev/urandom | md5sum > /r; echo ran
	FROM $IMAGE AS two
	RUN head -c 8 /dev/urandom | md5sum > /r; echo ran
	FROM $IMAGE
	COPY --from=one /r /1
	COPY --from=two /r /2
	X
    build --jobs 1
    assert_equal "$(grep -c '^\(\[./3\] \)\?ran$' <<<"$output")" 1
    if is_berth; then build --jobs 4 --no-cache; assert_equal "$(grep -c '^\(\[./3\] \)\?ran$' <<<"$output")" 1; fi
    in_image cmp /1 /2
    # What differs in a word, or would trigger something, is not one.
    context <<-X
	FROM $IMAGE AS one
	ARG A=1
	RUN echo \$A > /r; echo ran
	FROM $IMAGE AS two
	ARG A=2
	RUN echo \$A > /r; echo ran
	FROM $IMAGE
	COPY --from=one /r /1
	COPY --from=two /r /2
	X
    build --jobs 4 --no-cache
    in_image cat /1 /2
    assert_equal "$output" $'1\n2'
}

@test "FROM hello: the image that the program carries" {
    is_berth || skip "podman carries none"
    context <<-X
	FROM hello
	LABEL from=hello
	X
    berth rmi -f --ignore hello
    build
    berth_split run --rm --network none "localhost/$name"
    [[ -n $output ]]
    berth image inspect --format '{{index .Config.Labels "from"}}' "localhost/$name"
    assert_equal "$output" hello
    berth rmi -f hello
    printf 'FROM %s\nCOPY --from=hello / /hello/\n' "$IMAGE" >"$CTX/Containerfile"
    build
    in_image ls /hello
    [[ -n $output ]]
    berth rmi -f hello
    build 125 --no-cache --pull=never
}

@test "system df: images, containers, volumes and the build cache, with --format and -v" {
    context <<-X
	FROM $IMAGE
	RUN --mount=type=cache,id=$name,target=/c head -c 3000000 /dev/urandom > /c/f
	RUN head -c 2000000 /dev/urandom > /f
	X
    build
    berth run --name "$name" --network none -v "vol-$name:/v" "localhost/$name" sh -c 'head -c 1000000 /dev/urandom > /g; head -c 500000 /dev/urandom > /v/f'
    berth system df
    assert_equal "$(head -n 1 <<<"$output" | tr -s ' ')" "TYPE TOTAL ACTIVE SIZE RECLAIMABLE"
    assert_contains "$output" "Local Volumes"
    berth system df --format '{{.Type}} {{.Total}} {{.Active}} {{.RawSize}}'
    assert_contains "$output" "Local Volumes 1 1 "
    [[ $(awk '/^Containers/ { print $4 }' <<<"$output") -ge 1000000 ]]
    [[ $(awk '/^Local Volumes/ { print $5 }' <<<"$output") -ge 500000 ]]
    [[ $(awk '/^Images/ { print $4 }' <<<"$output") -ge 4000000 ]]
    if is_berth; then
        [[ $(awk '/^Build Cache/ { print $5 }' <<<"$output") -ge 3000000 ]]
        berth system df --format json
        jq -e '.[] | select(.Type == "Containers") | .Total == 1 and .Active == 0 and (.Size | endswith("MB"))' <<<"$output"
    fi
    berth system df -v
    assert_contains "$output" "vol-$name"
    assert_contains "$output" "localhost/$name"
    berth rm "$name"
    berth volume rm "vol-$name"
}
