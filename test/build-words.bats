#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# build: words of a Containerfile that mean what Docker's reference says: RUN --mount in the cache, names of stages, ports.

load helpers
load build

test_teardown() { timeout 60 "$ENGINE" rmi -f "localhost/$name" "localhost/$name-base" >/dev/null 2>&1 3>&- || true; }
teardown() { end_servers; test_teardown; }

# changes FILE ARG...: builds, changes a file, builds again; RUN has to see the change. Once more, with nothing changed, it has
# to come out of the cache.
changes() {
    local file=$1
    shift
    echo first >"$file"
    build "$@"
    in_image cat /seen
    assert_equal "$output" first
    echo second >"$file"
    build "$@"
    in_image cat /seen
    assert_equal "$output" second
    rm -rf "$GRAPHROOT/berth/buildmemos"
    build "$@"
    assert_contains "$output" "Using cache"
    in_image cat /seen
    assert_equal "$output" second
}

@test "RUN --mount: what is mounted is part of the cache's key, however the mount is written" {
    is_berth || skip "podman has stale layers"
    local words
    while IFS='|' read -r words; do
        [[ -n $words ]] || continue
        context <<-X
	FROM $IMAGE
	RUN $words
	X
        mkdir -p "$CTX/dir"
        ln -s dir "$CTX/link"
        echo "# $words"
        changes "$CTX/dir/f"
        rm -r "$CTX"
    done <<'X'
--mount=target=/m cat /m/dir/f > /seen
--mount=dst=/m,src=dir cat /m/f > /seen
--mount=source=dir/f,target=/m/g,ro=true cat /m/g > /seen
--mount=type=cache,target=/c --mount=destination=/m,source=./dir cp /m/f /seen
--mount=target=/m ["cp", "/m/dir/f", "/seen"]
--mount=source=link,target=/m cat /m/f > /seen
--mount=type=bind,source=link/f,target=/m/f cat /m/f > /seen
X
}

@test "RUN --mount from a here-document, a stage, a context and an image" {
    is_berth || skip "podman has stale layers"
    context <<-X
	FROM $IMAGE
	RUN --mount=target=/m <<E
	cat /m/f > /seen
	E
	X
    changes "$CTX/f"
    context <<-X
	FROM scratch AS Src
	COPY f /f
	FROM $IMAGE
	RUN --mount=from=SRC,target=/m cat /m/f > /seen
	X
    changes "$CTX/f"
    sed -i 's/from=SRC/from=0/' "$CTX/Containerfile"
    changes "$CTX/f"
    sed -i 's/^RUN/ARG FROM=src\nRUN/; s/from=0/from=$FROM/' "$CTX/Containerfile"
    changes "$CTX/f"
    sed -i '/^ARG/d' "$CTX/Containerfile"
    build 125
    assert_contains "$output" 'from=$FROM'
    context <<-X
	FROM $IMAGE
	RUN --mount=from=other,target=/m cat /m/f > /seen
	X
    mkdir "$CTX-other"
    changes "$CTX-other/f" --build-context other="$CTX-other"
    mkdir "$CTX-image"
    printf 'FROM scratch\nCOPY f /\n' >"$CTX-image/Containerfile"
    context <<-X
	FROM $IMAGE
	RUN --mount=from=localhost/$name-base,target=/m cat /m/f > /seen
	X
    local word
    for word in one two; do
        echo "$word" >"$CTX-image/f"
        berth build -q -t "localhost/$name-base" "$CTX-image"
        build
        in_image cat /seen
        assert_equal "$output" "$word"
    done
}

@test "RUN --mount of the context sees files that are ignored, and their changes" {
    context <<-X
	FROM $IMAGE
	RUN --mount=type=bind,target=/m cat /m/f > /seen
	X
    echo f >"$CTX/.dockerignore"
    local word
    for word in one two; do
        echo "$word" >"$CTX/f"
        sleep 0.2 # an equal build is not remembered right after a change
        build
        in_image cat /seen
        assert_equal "$output" "$word"
    done
}

@test "names of stages have no case, and of those with the same name the last counts" {
    is_berth || skip "podman's have"
    context <<-X
	FROM $IMAGE AS Base
	RUN echo first > /which
	FROM base AS Mid
	RUN echo mid > /mid
	FROM $IMAGE AS BASE
	RUN echo second > /which
	FROM bAsE
	COPY --from=MID /mid /which /got/
	COPY --from=base /which /last
	RUN --mount=from=mid,target=/m cp /m/mid /mounted
	X
    build
    in_image cat /which /got/mid /got/which /last /mounted
    assert_equal "$output" $'second\nmid\nfirst\nsecond\nmid'
    local target want
    for target in base:second BASE:second mid:first 0:first; do
        want=${target#*:}
        build --target "${target%:*}"
        in_image cat /which
        assert_equal "$output" "$want"
    done
    build 125 --target nobody
    assert_contains "$output" nobody
}

@test "EXPOSE: ranges, protocols, mappings, variables; what is no port is refused" {
    is_berth || skip "podman keeps a range as one word"
    context <<-X
	FROM $IMAGE
	ARG MORE=9000-9001
	EXPOSE 80 8000-8002 53/UDP 2000-2001/sctp 8443:443 \$MORE
	X
    build
    berth image inspect -f '{{range $p, $x := .Config.ExposedPorts}}{{$p}} {{end}}' "localhost/$name"
    assert_equal "$output" "2000/sctp 2001/sctp 443/tcp 53/udp 80/tcp 8000/tcp 8001/tcp 8002/tcp 9000/tcp 9001/tcp "
    local bad
    for bad in 70000 5-4 80/icmp http 1-2:3-5 80-; do
        printf 'FROM %s\n\nEXPOSE %s\n' "$IMAGE" "$bad" >"$CTX/Containerfile"
        build 125
        assert_contains "$output" ":3: "
        assert_contains "$output" "$bad"
    done
}

@test "ONBUILD keeps words that every builder reads the same" {
    context <<-X
	FROM $IMAGE
	ONBUILD RUN --mount=target=/m cat /m/f > /seen
	ONBUILD COPY f /f
	X
    berth build -q --format docker -t "localhost/$name-base" "$CTX"
    printf 'FROM localhost/%s-base\n' "$name" >"$CTX/Containerfile"
    changes "$CTX/f"
    berth image inspect "localhost/$name-base"
    [[ $output != *berth-copy* ]]
}

@test "Containerfiles from a URL and through the C preprocessor mean the same" {
    is_berth || skip "podman's stages have a case"
    context <<-X
	#define BASE $IMAGE
	FROM BASE AS One
	RUN --mount=target=/m cat /m/f > /seen
	FROM ONE
	EXPOSE 7-8
	X
    mv "$CTX/Containerfile" "$CTX/c.in"
    printf 'FROM %s AS Two\nRUN --mount=target=/m cat /m/f > /seen\nFROM TWO\nEXPOSE 7-8\n' "$IMAGE" >"$CTX/url"
    serve "$CTX"
    local file
    for file in "$CTX/c.in" "http://127.0.0.1:$port/url"; do
        changes "$CTX/f" -f "$file"
        berth image inspect -f '{{range $p, $x := .Config.ExposedPorts}}{{$p}} {{end}}' "localhost/$name"
        assert_equal "$output" "7/tcp 8/tcp "
    done
    build 125 -f "http://127.0.0.1:$port/nothing"
    assert_contains "$output" "404"
    printf 'FROM %s\nEXPOSE x\n' "$IMAGE" >"$CTX/url"
    build 125 -f "http://127.0.0.1:$port/url"
    assert_contains "$output" "http://127.0.0.1:$port/url:2: EXPOSE x"
    printf '#error no\n' >"$CTX/c.in"
    build 125 -f "$CTX/c.in"
}
