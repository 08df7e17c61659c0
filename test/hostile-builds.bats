#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: root
# Images that a build asks for in a way that cannot be told before: each passes the same guard as those of pull and load
# (hostile-images.bats). bin/badregistry has one attack in each repository.

load helpers
load build

setup_file() {
    store_setup
    "$HELPERS_DIR/../bin/badregistry" >"$FILE_DIR/bad" 2>&1 </dev/null 3>&- &
    echo $! >"$FILE_DIR/bad.pid"
    wait_for 10 test -s "$FILE_DIR/bad"
    BAD=$(cat "$FILE_DIR/bad")
    export BAD
    printf '[[registry]]\nlocation = "%s"\ninsecure = true\n' "$BAD" >>"$CONTAINERS_REGISTRIES_CONF"
    openssl genrsa -out "$FILE_DIR/key.pem" 1024 2>/dev/null
}

teardown_file() {
    kill "$(cat "$FILE_DIR/bad.pid")"
    store_teardown
}

# limited [CODE] ARG...: build $CTX within 60 s, and with files of at most 256 MiB.
limited() {
    local want=125
    if [[ $1 =~ ^[0-9]+$ ]]; then want=$1; shift; fi
    run timeout -k 5 60 bash -c 'ulimit -f 262144; exec "$@"' _ "$ENGINE" build --retry 0 -t "localhost/$name" "$@" "$CTX"
    echo "build $*: $status: $output"
    assert_equal "$status" "$want"
}

# refused TEXT ARG...: of the build, and nothing is kept but what was there before.
refused() {
    local text=$1 before
    shift
    before=$(berth images -aq | sort)
    limited "$@"
    assert_contains "$output" "$text"
    assert_equal "$(berth images -aq | sort)" "$before"
    run find "$TMPDIR" -mindepth 1 -name '*image*'
    assert_equal "$output" ""
}

@test "several platforms" {
    context <<<"FROM $BAD/endless-blob"
    refused "more bytes come" --platform linux/amd64,linux/arm64
    context <<<"FROM $BAD/layers-500"
    refused "500 layers" --platform linux/amd64,linux/arm64
}

@test "--all-platforms: the lists of the base images" {
    context <<<"FROM $BAD/list-many"
    refused "2000 images" --all-platforms
    context <<<"FROM $BAD/endless-manifest"
    refused "exceeded maximum" --all-platforms
    context <<<"FROM $BAD/silent-manifest"
    BERTH_STALL_TIMEOUT=1s refused "has come for 1s" --all-platforms
    context <<<"FROM scratch AS one
FROM --platform=linux/amd64 $BAD/list-ok AS two
FROM $BAD/silent-manifest"
    BERTH_STALL_TIMEOUT=1s refused "has come for 1s" --all-platforms
    context <<<"FROM $BAD/ok"
    refused "no list of images" --all-platforms
    # One without a fault. What its list says of the third image is no platform.
    context <<<"FROM $BAD/list-ok
LABEL a=b"
    limited 0 --all-platforms --manifest "localhost/$name-list"
    assert_equal "$(grep -c ' COMMIT' <<<"$output")" 2
}

@test "--from" {
    context <<<"FROM scratch"
    refused "more bytes come" --from "$BAD/endless-blob"
}

@test "--source-policy-file" {
    context <<<"FROM $IMAGE"
    jq -n --arg from "docker-image://$IMAGE" --arg to "docker-image://$BAD/endless-blob" \
        '{rules: [{action: "CONVERT", selector: {identifier: $from}, updates: {identifier: $to}}]}' >"$FILE_DIR/policy.json"
    refused "more bytes come" --source-policy-file "$FILE_DIR/policy.json"
}

@test "--decryption-key" {
    context <<<"FROM $BAD/endless-blob"
    refused "more bytes come" --decryption-key "$FILE_DIR/key.pem"
}

@test "ONBUILD of a base image" {
    context <<END
FROM $IMAGE
ONBUILD COPY --from=$BAD/endless-blob / /x
END
    berth build -q --format docker -t "localhost/$name-base" "$CTX"
    context <<<"FROM localhost/$name-base"
    refused "more bytes come"
    berth rmi "localhost/$name-base"
}

@test "a variable that only the build knows" {
    context <<END
FROM $IMAGE
ARG A=$BAD/endless-blob
ARG B=\$A
COPY --from=\$B / /x
END
    refused "more bytes come" --layers=false
    # shellcheck disable=SC2016
    printf 'ARG R=%s/\nFROM ${R}endless-${TARGETOS:+blob}\n' "$BAD" >"$CTX/Containerfile"
    refused "more bytes come"
}

@test "FROM docker://, COPY --from=docker://, RUN --mount=from=docker://" {
    context <<<"FROM docker://$BAD/endless-blob"
    refused "more bytes come"
    context <<<"FROM $IMAGE
COPY --from=docker://$BAD/endless-blob / /x"
    refused "more bytes come"
    context <<<"FROM $IMAGE
RUN --mount=type=bind,from=docker://$BAD/endless-blob,target=/x true"
    refused "more bytes come"
}

@test "a registry that stops: the build gives up" {
    local repo
    for repo in silent-manifest silent-blob stuck-blob; do
        context <<<"FROM $BAD/$repo"
        BERTH_STALL_TIMEOUT=1s refused "has come for 1s" --platform linux/amd64,linux/arm64
    done
}

@test "a registry that says nothing: Ctrl-C ends the build" {
    local pid rc=0
    context <<<"FROM docker://$BAD/stuck-blob"
    "$ENGINE" build -q "$CTX" >"$FILE_DIR/$name" 2>&1 3>&- &
    pid=$!
    wait_for 20 pull_began
    kill -INT "$pid"
    wait_for 20 gone "$pid"
    wait "$pid" || rc=$?
    [[ $rc -ne 0 ]]
    assert_contains "$(cat "$FILE_DIR/$name")" interrupted
}

pull_began() { find "$FILE_DIR" -path '*/builds/*' -name '*image*' 2>/dev/null | grep -q .; }
gone() { ! kill -0 "$1" 2>/dev/null || [[ $(ps -o stat= -p "$1") == Z* ]]; }

@test "--cache-from: what is hostile there is not taken" {
    context <<<"FROM $IMAGE
RUN true"
    BERTH_STALL_TIMEOUT=1s limited 0 --layers --cache-from "$BAD/endless-blob"
    context <<<"FROM $IMAGE
RUN true && true"
    BERTH_STALL_TIMEOUT=1s limited 0 --layers --cache-from "$BAD/stuck-blob"
    context <<<"FROM $IMAGE
RUN true && true && true"
    BERTH_STALL_TIMEOUT=1s limited 0 --layers --cache-from "$BAD/silent-manifest"
    berth rmi "localhost/$name"
    berth image prune -f
}

# layout DIR JQ: an OCI layout with an image that the store does not have, its manifest changed by a program for jq.
layout() {
    local dir=$1 m sum
    rm -rf "$dir"
    date +%N >"$FILE_DIR/file"
    tar -cf "$FILE_DIR/file.tar" -C "$FILE_DIR" file
    berth import -q "$FILE_DIR/file.tar" "localhost/$name"
    berth save --format oci-dir -o "$dir" "localhost/$name"
    berth rmi "localhost/$name"
    m=$dir/blobs/sha256/$(jq -r '.manifests[0].digest | sub("sha256:"; "")' "$dir/index.json")
    jq -c "$2" "$m" >"$dir/m"
    sum=$(sha256sum <"$dir/m" | cut -d' ' -f1)
    jq -c --arg d "sha256:$sum" --argjson s "$(stat -c %s "$dir/m")" '.manifests[0].digest = $d | .manifests[0].size = $s' "$dir/index.json" >"$dir/i"
    mv "$dir/m" "$dir/blobs/sha256/$sum"
    mv "$dir/i" "$dir/index.json"
}

@test "FROM oci: and oci-archive:: the same bounds" {
    context <<<"FROM oci:layout"
    layout "$CTX/layout" '.layers[0].size = 10'
    refused "its manifest says"
    tar -cf "$CTX/layout.tar" -C "$CTX/layout" .
    context <<<"FROM oci-archive:layout.tar"
    refused "its manifest says"
    layout "$CTX/layout" '.layers = [range(500) as $i | .layers[0]]'
    context <<<"FROM oci:layout"
    refused "500 layers"
}

@test "FROM oci: and dir: with a manifest that is a FIFO, a device, or large" {
    local how f
    context <<<"FROM oci:layout"
    for how in fifo device large; do
        rm -rf "$CTX/layout"
        layout "$CTX/layout" .
        for f in index.json "blobs/sha256/$(jq -r '.manifests[0].digest | sub("sha256:"; "")' "$CTX/layout/index.json")"; do
            cp -a "$CTX/layout" "$FILE_DIR/whole"
            spoil "$CTX/layout/$f" "$how"
            refused "$(why "$how")"
            rm -rf "$CTX/layout"
            mv "$FILE_DIR/whole" "$CTX/layout"
        done
    done
    context <<<"FROM dir:dir"
    for how in fifo device large; do
        berth save --format docker-dir -o "$CTX/dir" "$IMAGE"
        spoil "$CTX/dir/manifest.json" "$how"
        refused "$(why "$how")"
        rm -rf "$CTX/dir"
    done
}

why() { case $1 in large) echo "are the most that is taken" ;; fifo) echo "disallowed entry type" ;; esac; }

# spoil FILE HOW: replaces it.
spoil() {
    rm -f "$1"
    case $2 in
    fifo) mkfifo "$1" ;;
    device) ln -s /dev/zero "$1" ;;
    large) { printf '{"schemaVersion":2,"a":"' && head -c 100000000 /dev/zero | tr '\0' a && echo '"}'; } >"$1" ;;
    esac
}

@test "FROM oci:, dir:, docker-archive: and oci-archive: of files with a hole of 8 TiB, and where only the build knows the name" {
    local kind f
    context <<<"FROM scratch"
    layout "$CTX/layout" .
    berth save --format docker-dir -o "$CTX/dir" "$IMAGE"
    for kind in layout dir; do
        truncate -s 8T "$CTX/$kind/$(printf 'a%.0s' {1..64})"
    done
    truncate -s 8T "$FILE_DIR/holes"
    tar -C "$FILE_DIR" --sparse -cf "$CTX/image.tar" holes
    gzip -k "$CTX/image.tar"
    rm "$FILE_DIR/holes"
    for kind in oci:layout dir:dir docker-archive:image.tar docker-archive:image.tar.gz oci-archive:image.tar; do
        context <<<"FROM $kind"
        refused "8 TiB"
        # shellcheck disable=SC2016
        printf 'ARG A=%s\nARG B=${A}${TARGETOS:+%s}\nFROM $B\n' "${kind:0:8}" "${kind:8}" >"$CTX/Containerfile"
        refused "8 TiB"
    done
    for kind in fifo device; do
        for f in layout/index.json dir/manifest.json image.tar; do
            rm "$CTX/$f"
            [[ $kind = device ]] && ln -s /dev/zero "$CTX/$f" || mkfifo "$CTX/$f"
        done
        for f in oci:layout dir:dir docker-archive:image.tar; do
            # shellcheck disable=SC2016
            printf 'ARG A=%s\nFROM ${A}${TARGETOS:+%s}\n' "${f:0:4}" "${f:4}" >"$CTX/Containerfile"
            limited 125
        done
    done
}

@test "what such an image unpacks to is bounded" {
    head -c 3000000 /dev/zero >"$FILE_DIR/zeros"
    tar -czf "$FILE_DIR/zeros.tgz" -C "$FILE_DIR" zeros
    berth import -q "$FILE_DIR/zeros.tgz" "localhost/$name-big"
    context <<<"FROM oci:layout"
    berth save --format oci-dir -o "$CTX/layout" "localhost/$name-big"
    berth save -o "$CTX/image.tar" "localhost/$name-big"
    gzip -k "$CTX/image.tar"
    berth rmi "localhost/$name-big"
    BERTH_UNPACK_LIMIT=1m refused BERTH_UNPACK_LIMIT
    context <<<"FROM docker-archive:image.tar"
    BERTH_UNPACK_LIMIT=1m refused BERTH_UNPACK_LIMIT
    context <<<"FROM docker-archive:image.tar.gz"
    BERTH_UNPACK_LIMIT=1m refused BERTH_UNPACK_LIMIT
}

@test "an archive with an image, of more than there is room for" {
    truncate -s 8T "$FILE_DIR/holes"
    context <<<"FROM docker-archive:image.tar"
    tar -C "$FILE_DIR" --sparse -cf "$CTX/image.tar" holes
    refused "8 TiB"
    gzip -c "$CTX/image.tar" >"$CTX/image.tar.gz"
    context <<<"FROM $IMAGE
COPY --from=docker-archive:image.tar.gz / /x"
    refused "8 TiB"
    context <<<"FROM scratch"
    refused "8 TiB" --from oci-archive:image.tar
    rm "$FILE_DIR/holes"
}

@test "images without a fault are taken in each of these ways" {
    local ref
    layout "$FILE_DIR/layout" .
    tar -cf "$FILE_DIR/layout.tar" -C "$FILE_DIR/layout" .
    berth save -q -o "$FILE_DIR/image.tar" "$IMAGE"
    gzip "$FILE_DIR/image.tar"
    for ref in "docker://$BAD/ok" oci:layout oci-archive:layout.tar docker-archive:image.tar.gz; do
        context <<<"FROM $ref"
        cp -a "$FILE_DIR/layout" "$FILE_DIR/layout.tar" "$FILE_DIR/image.tar.gz" "$CTX/"
        limited 0
        context <<<"FROM $IMAGE
COPY --from=$ref / /x/
RUN --mount=type=bind,from=$ref,target=/y test -d /y"
        limited 0 --network none
    done
    context <<<"FROM $BAD/ok:1"
    limited 0 --platform linux/amd64,linux/arm64
    limited 0 --platform linux/amd64,linux/arm64 # now it is there
    limited 0 --decryption-key "$FILE_DIR/key.pem"
    context <<<"FROM scratch"
    limited 0 --from "$BAD/ok:2"
    limited 0 --from "$BAD/ok:2" --pull=never
}

@test "the store is whole after all of it" { berth system check; }
