#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# build as docker users type it: the flags of `docker buildx build` that podman does not have, and values in Docker's words.

load helpers
load build

setup_file() {
    store_setup
    start_registry
}

test_teardown() { timeout 60 "$ENGINE" rmi -f "localhost/$name" >/dev/null 2>&1 3>&- || true; }
teardown() { test_teardown; }

plain() {
    context <<-X
	FROM $IMAGE
	RUN echo $name > /f
	X
}

@test "flags that change nothing here are taken: --load, --builder, --provenance=false, --attest …,disabled=true, --allow" {
    is_berth || skip "podman does not have them"
    plain
    local word
    for word in build "buildx build" "builder build" "image build"; do
        # shellcheck disable=SC2086 # words
        berth $word --network none --load --builder default --provenance=false --sbom=false --allow network.host --attest type=provenance,disabled=true \
            --provenance mode=max,disabled=true -t "localhost/$name" "$CTX"
        in_image cat /f
        assert_equal "$output" "$name"
    done
    berth_split build --progress quiet --network=default -t "localhost/$name" "$CTX"
    [[ $output =~ ^(sha256:)?[0-9a-f]{64}$ ]]
    berth build --add-host one=1.2.3.4 --add-host 'two=[::2]' --no-cache -t "localhost/$name" -f - "$CTX" <<X
FROM $IMAGE
RUN grep -h -e one -e two /etc/hosts > /f
X
    in_image cat /f
    assert_contains "$output" "1.2.3.4"
    assert_contains "$output" "::2"
}

@test "what Berth does not do is refused by name, before anything is built" {
    is_berth || skip "podman does not have them"
    plain
    local flag
    for flag in --provenance=true --provenance=mode=max "--attest=type=sbom" "--allow=security.insecure" "--no-cache-filter=x" --check "--call=outline" \
        --progress=rawjson "--cache-to=type=inline" "--cache-from=type=gha" "--cache-to=type=registry,ref=$REGISTRY/c,compression=zstd" "--cache-from=type=registry" \
        "--output=type=frob" "--output=type=oci" "--output=type=image,unpack=true" "--output=type=docker,context=x"; do
        build 125 "$flag"
        assert_contains "$output" "${flag%%=*}"
        assert_contains "$output" "build: "
        [[ $output != *STEP* ]]
    done
    berth 125 build --push "$CTX"
    assert_contains "$output" "no name"
}

@test "--push sends every name; --output type=image,push=true and type=registry do so too" {
    is_berth || skip "podman does not have them"
    plain
    local id
    berth build -q --network none --push --tls-verify=false -t "$REGISTRY/team/$name:1" -t "$REGISTRY/team/$name:2" "$CTX"
    id=$("$ENGINE" image inspect -f '{{.Id}}' "$REGISTRY/team/$name:1")
    local tag
    for tag in 1 2; do
        assert_contains "$(skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/team/$name:$tag" 3>&-)" "${id#sha256:}"
    done
    berth build -q --network none --tls-verify=false -o "type=image,\"name=$REGISTRY/team/$name:3,$REGISTRY/team/$name:4\",push=true" "$CTX"
    berth build -q --network none --tls-verify=false --output "type=registry,name=$REGISTRY/team/$name:5" "$CTX"
    for tag in 3 4 5; do
        skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/team/$name:$tag" >/dev/null 3>&-
    done
    # The same again comes out of what is kept, and is sent.
    berth build -q --network none --push --tls-verify=false -t "$REGISTRY/team/$name:6" "$CTX"
    skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/team/$name:6" >/dev/null 3>&-
    berth 125 build -q --network none --push -t "127.0.0.1:$(free_port)/x:1" "$CTX"
    berth rmi -f "$REGISTRY/team/$name:1"
}

@test "--push of several platforms sends an index" {
    is_berth || skip "podman does not have them"
    context <<-X
	FROM scratch
	COPY f /f
	X
    touch "$CTX/f"
    berth build --network none --push --tls-verify=false --platform linux/amd64,linux/arm64 -t "$REGISTRY/multi/$name:1" -t "$REGISTRY/multi/$name:2" "$CTX"
    local tag
    for tag in 1 2; do
        run skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/multi/$name:$tag"
        assert_contains "$output" arm64
        assert_contains "$output" amd64
    done
}

@test "--output type=docker and type=oci: archives, a directory, standard output, nothing" {
    is_berth || skip "podman does not have them"
    plain
    build --output type=docker
    in_image cat /f
    assert_equal "$output" "$name"
    build --output "type=docker,dest=$CTX-d.tar"
    tar -tf "$CTX-d.tar" | grep -q manifest.json
    build --output "type=docker,dest=$CTX-d.tar" --output "type=oci,dest=$CTX-o.tar" --output "type=oci,tar=false,dest=$CTX-oci"
    tar -tf "$CTX-o.tar" | grep -q index.json
    [[ -s $CTX-oci/index.json ]]
    berth rmi -f "localhost/$name"
    berth load -q -i "$CTX-d.tar"
    in_image cat /f
    assert_equal "$output" "$name"
    "$ENGINE" build --network none -o type=docker,dest=- "$CTX" 2>/dev/null 3>&- >"$CTX-s.tar"
    tar -tf "$CTX-s.tar" | grep -q manifest.json
    build --output type=cacheonly
    build 125 --output "type=oci,dest=/nowhere/x.tar"
    assert_contains "$output" "/nowhere"
}

@test "--cache-to and --cache-from as type=registry, with a tag" {
    is_berth || skip "podman takes repositories only"
    context <<-X
	FROM $IMAGE
	RUN echo a > /f
	RUN echo b > /g
	X
    berth build --network none --tls-verify=false --cache-to "type=registry,ref=$REGISTRY/cache/$name:buildcache,mode=max" -t "localhost/$name" "$CTX"
    berth rmi -f "localhost/$name"
    berth builder prune -f
    berth build --network none --tls-verify=false --cache-from "type=registry,ref=$REGISTRY/cache/$name:buildcache" -t "localhost/$name" "$CTX"
    assert_contains "$output" "Cache pulled from remote"
}

@test "build - < Containerfile, and a tar on standard input" {
    plain
    berth build -q --network none -t "localhost/$name" - <"$CTX/Containerfile"
    in_image cat /f
    assert_equal "$output" "$name"
    tar -C "$CTX" -c . | timeout 60 "$ENGINE" buildx build -q --network none -t "localhost/$name" - 3>&-
}
