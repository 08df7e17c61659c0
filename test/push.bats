#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# push, to Debian's docker-registry on loopback and to archives and directories; commit.

load helpers

setup_file() {
    store_setup
    start_registry
}

# skopeo_digest REF: the digest that the registry has for it.
skopeo_digest() { skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$REGISTRY/$1" 3>&-; }

@test "push to a registry, with a digest file, and pull it back" {
    berth push -q --digestfile "$FILE_DIR/digest-$name" "$IMAGE" "$REGISTRY/team/$name:1"
    assert_equal "$(cat "$FILE_DIR/digest-$name")" "$(skopeo_digest "team/$name:1")"
    berth pull -q "$REGISTRY/team/$name:1"
    berth run --rm --network none "$REGISTRY/team/$name:1" true
    berth rmi "$REGISTRY/team/$name:1"
}

@test "push by the image's own name, after a build" {
    printf 'FROM %s\nRUN echo %s > /f\n' "$IMAGE" "$name" | berth build -q --network none -t "$REGISTRY/team/$name" -
    berth push -q "$REGISTRY/team/$name"
    berth rmi "$REGISTRY/team/$name"
    berth run --rm --network none "$REGISTRY/team/$name" cat /f
    assert_contains "$output" "$name"
    berth rmi "$REGISTRY/team/$name"
}

@test "formats and compression" {
    local mime
    for f in oci v2s2; do
        berth push -q --format "$f" "$IMAGE" "$REGISTRY/team/$name:$f"
        mime=$(skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/team/$name:$f" 3>&- | jq -r .mediaType)
        case $f in
        oci) assert_equal "$mime" application/vnd.oci.image.manifest.v1+json ;;
        v2s2) assert_equal "$mime" application/vnd.docker.distribution.manifest.v2+json ;;
        esac
    done
    berth push -q --format oci --compression-format zstd "$IMAGE" "$REGISTRY/team/$name:zstd"
    # podman 4.3 leaves layers alone that the registry has compressed otherwise
    ! is_berth || assert_contains "$(skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/team/$name:zstd" 3>&-)" "tar+zstd"
    if is_berth; then berth push -q --compression-format gzip --compression-level 9 "$IMAGE" "$REGISTRY/team/$name:9"; fi
    berth 125 push -q --format frob "$IMAGE" "$REGISTRY/team/$name:x"
    berth 125 push -q --compression-format frob "$IMAGE" "$REGISTRY/team/$name:x"
}

@test "archives and directories" {
    local t
    for t in "oci:$FILE_DIR/oci-$name:tag" "oci-archive:$FILE_DIR/oci-$name.tar:tag" "docker-archive:$FILE_DIR/docker-$name.tar" "dir:$FILE_DIR/dir-$name"; do
        berth push -q "$IMAGE" "$t"
        skopeo inspect "${t}" >/dev/null 3>&-
    done
    berth load -q -i "$FILE_DIR/docker-$name.tar"
}

@test "passwords: refused without, refused with a wrong one, taken from --creds and --authfile" {
    local open=$REGISTRY auth=$FILE_DIR/auth-$name.json
    start_registry --auth joe:secret
    berth 125 push -q "$IMAGE" "$REGISTRY/team/$name"
    if is_berth; then assert_contains "$output" "Hint: log in with: berth login $REGISTRY"; fi
    berth 125 push -q --creds joe:wrong "$IMAGE" "$REGISTRY/team/$name"
    berth push -q --creds joe:secret "$IMAGE" "$REGISTRY/team/$name"
    printf '{"auths":{"%s":{"auth":"%s"}}}' "$REGISTRY" "$(printf joe:secret | base64)" >"$auth"
    berth push -q --authfile "$auth" "$IMAGE" "$REGISTRY/team/$name"
    berth 125 push -q --authfile "$FILE_DIR/none-such" "$IMAGE" "$REGISTRY/team/$name"
    stop_registry
    REGISTRY=$open
}

@test "TLS: a certificate nobody knows is refused; --cert-dir and --tls-verify=false help" {
    local open=$REGISTRY certs=$FILE_DIR/certs-$name
    start_registry --tls
    mv "$HOME/.config/containers/certs.d/$REGISTRY" "$certs"
    berth 125 push -q "$IMAGE" "$REGISTRY/team/$name"
    assert_contains "$output" "certificate"
    berth push -q --cert-dir "$certs" "$IMAGE" "$REGISTRY/team/$name"
    berth push -q --tls-verify=false "$IMAGE" "$REGISTRY/team/$name:2"
    stop_registry
    REGISTRY=$open
}

@test "errors: no such image, a bad name, nobody listens" {
    berth 125 push -q "localhost/none-such-$name" "$REGISTRY/team/$name"
    berth 125 push -q "$IMAGE" "$REGISTRY/team/UPPER"
    local start=$SECONDS
    berth 125 push -q "$IMAGE" "127.0.0.1:1/team/$name"
    if is_berth; then
        assert_contains "$output" "nothing listens there"
        [[ $((SECONDS - start)) -lt 5 ]]
    fi
}

@test "an index is pushed with all its images" {
    is_berth || skip "podman has it in manifest push"
    printf 'FROM scratch\nARG TARGETARCH\nLABEL a=$TARGETARCH\n' | berth build -q --platform linux/amd64,linux/arm64 --manifest "localhost/$name" -
    berth push -q "localhost/$name" "$REGISTRY/team/$name"
    assert_equal "$(skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/team/$name" 3>&- | jq -r '[.manifests[].platform.architecture] | sort | join(" ")')" "amd64 arm64"
    berth rmi -f "localhost/$name"
}

@test "--cache-to and --cache-from carry steps over a registry" {
    is_berth || skip "the formats differ between buildah's versions"
    local ctx=$FILE_DIR/ctx-$name first
    mkdir "$ctx"
    printf 'FROM %s\nRUN head -c 8 /dev/urandom | md5sum > /r\n' "$IMAGE" >"$ctx/Containerfile"
    berth_split build -q --network none --cache-to "$REGISTRY/cache/$name" -t "localhost/$name" "$ctx"
    berth run --rm --network none "localhost/$name" cat /r
    first=$output
    berth rmi -f "localhost/$name"
    berth image prune -f
    berth build --network none --cache-from "$REGISTRY/cache/$name" -t "localhost/$name" "$ctx"
    assert_contains "$output" "Cache pulled from remote"
    berth run --rm --network none "localhost/$name" cat /r
    assert_equal "$output" "$first"
    berth rmi -f "localhost/$name"
}

# --- commit ---------------------------------------------------------------------------------

@test "commit of a running container: files, removals, settings, changes" {
    berth run -d --name "$name" --network none -e FOO=bar --label who=me "$IMAGE" sh -c 'echo new > /new; rm /etc/group; touch /ready; exec sleep 1000'
    wait_for 10 "$ENGINE" exec "$name" test -e /ready 3>&-
    berth commit -q -a "Jane" -c 'CMD cat /new' -c 'ENV BAZ=1' "$name" "localhost/$name"
    berth run --rm --network none "localhost/$name"
    assert_equal "$output" new
    berth run --rm --network none "localhost/$name" sh -c 'echo $FOO $BAZ; ls /etc/group 2>&1'  || true
    assert_contains "$output" "bar 1"
    assert_contains "$output" "No such file"
    berth image inspect --format '{{.Author}} {{index .Config.Labels "who"}}' "localhost/$name"
    assert_equal "$output" "Jane me"
    berth exec "$name" true
    berth rm -f -t 0 "$name"
    berth rmi "localhost/$name"
}

@test "commit of a stopped container; --squash, --iidfile, --message; without a name" {
    berth run --name "$name" --network none "$IMAGE" sh -c 'echo x > /x'
    berth commit -q --squash --message "why $name" --format docker --iidfile "$FILE_DIR/iid-$name" "$name" "localhost/$name"
    berth image inspect --format '{{len .RootFS.Layers}} {{.Id}}' "localhost/$name"
    assert_equal "${output#1 }" "$(cat "$FILE_DIR/iid-$name")"
    if is_berth; then berth history --no-trunc "localhost/$name"; assert_contains "$output" "why $name"; fi
    berth_split commit -q "$name"
    berth run --rm --network none "$output" cat /x
    assert_equal "$output" x
    berth rm "$name"
    berth rmi "localhost/$name"
}

@test "commit: errors" {
    berth 125 commit -q "none-such-$name" localhost/x
    berth create --name "$name" --network none "$IMAGE" true
    berth 125 commit -q "$name" "localhost/UPPER"
    berth 125 commit -q -c 'FROB x' "$name"
    berth 125 commit -q --format frob "$name"
    if is_berth; then berth system check; assert_equal "$output" ""; fi
}
