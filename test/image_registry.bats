#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# Images and Debian's docker-registry on loopback, with and without TLS and a password.

load helpers

setup_file() {
    store_setup
    start_registry
    push_fixture busybox "team/busybox:1"
    push_fixture busybox "team/busybox:2"
}

@test "pull over plain HTTP prints the ID, and only that" {
    berth_split pull -q "$REGISTRY/team/busybox:1"
    [[ $output =~ ^[0-9a-f]{64}$ ]]
    assert_equal "$stderr" ""
    berth run --rm --network none "$REGISTRY/team/busybox:1" true
    berth rmi "$REGISTRY/team/busybox:1"
}

@test "without consent, plain HTTP is refused" {
    CONTAINERS_REGISTRIES_CONF=/dev/null berth 125 pull -q "$REGISTRY/team/busybox:1"
    assert_contains "$output" "HTTPS"
    is_berth && assert_contains "$output" "Hint: "
    CONTAINERS_REGISTRIES_CONF=/dev/null berth pull -q --tls-verify=false "$REGISTRY/team/busybox:1"
    berth rmi "$REGISTRY/team/busybox:1"
}

@test "pull by digest, and all tags" {
    local digest
    digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$REGISTRY/team/busybox:1")
    berth pull -q "$REGISTRY/team/busybox@$digest"
    berth image inspect --format '{{.Digest}}' "$REGISTRY/team/busybox@$digest"
    assert_equal "$output" "$digest"
    berth rmi -f "$REGISTRY/team/busybox@$digest"
    berth load -q -i "$FIXTURES/busybox.tar"
    berth pull -q -a "$REGISTRY/team/busybox"
    berth image exists "$REGISTRY/team/busybox:1"
    berth image exists "$REGISTRY/team/busybox:2"
    berth rmi "$REGISTRY/team/busybox:1" "$REGISTRY/team/busybox:2"
}

@test "registries.conf: short names, aliases and mirrors" {
    local conf=$FILE_DIR/$name.conf
    cp "$CONTAINERS_REGISTRIES_CONF" "$conf"
    sed -i "s|^unqualified-search.*|unqualified-search-registries = [\"$REGISTRY\"]|" "$conf"
    printf '[[registry]]\nprefix = "mirrored.example"\nlocation = "nowhere.invalid"\n[[registry.mirror]]\nlocation = "%s"\ninsecure = true\n' "$REGISTRY" >>"$conf"
    printf '[aliases]\n"short-%s" = "%s/team/busybox"\n' "$name" "$REGISTRY" >>"$conf"
    CONTAINERS_REGISTRIES_CONF=$conf berth pull -q team/busybox:1
    berth rmi "$REGISTRY/team/busybox:1"
    CONTAINERS_REGISTRIES_CONF=$conf berth pull -q mirrored.example/team/busybox:1
    berth rmi mirrored.example/team/busybox:1
    CONTAINERS_REGISTRIES_CONF=$conf berth pull -q "short-$name:2"
    CONTAINERS_REGISTRIES_CONF=$conf berth image exists "short-$name:2"
    berth rmi "$REGISTRY/team/busybox:2"
}

@test "policy.json is obeyed" {
    local conf=$HOME/.config/containers/policy.json
    mv "$conf" "$conf.kept"
    echo '{"default":[{"type":"reject"}]}' >"$conf"
    berth 125 pull -q "$REGISTRY/team/busybox:1"
    mv "$conf.kept" "$conf"
    assert_contains "$output" "reject"
}

@test "TLS with the registry's own CA, and a password" {
    local plain=$REGISTRY
    start_registry --tls --auth user:secret
    skopeo copy -q --src-tls-verify=false --dest-creds user:secret "docker://$plain/team/busybox:1" "docker://$REGISTRY/private:1" 3>&-
    berth 125 pull -q "$REGISTRY/private:1"
    if is_berth; then assert_contains "$output" "Hint: log in with: berth login $REGISTRY"; fi
    berth pull -q --creds user:secret "$REGISTRY/private:1"
    berth rmi "$REGISTRY/private:1"
    berth 125 login -u user -p wrong "$REGISTRY"
    berth login -u user -p secret "$REGISTRY"
    berth login --get-login "$REGISTRY"
    assert_equal "$output" user
    berth pull -q "$REGISTRY/private:1"
    berth rmi "$REGISTRY/private:1"
    berth logout "$REGISTRY"
    berth 125 pull -q "$REGISTRY/private:1"
    mv "$HOME/.config/containers/certs.d" "$FILE_DIR/certs"
    berth 125 pull -q --creds user:secret "$REGISTRY/private:1"
    if is_berth; then assert_contains "$output" "certs.d"; fi
    berth pull -q --creds user:secret --cert-dir "$FILE_DIR/certs/$REGISTRY" "$REGISTRY/private:1"
    berth rmi "$REGISTRY/private:1"
    stop_registry
    REGISTRY=$plain
}

@test "skopeo, buildah and podman see what Berth pulled, and Berth what buildah committed" {
    is_berth || skip "two engines are compared"
    berth pull -q "$REGISTRY/team/busybox:2"
    local id=$output root="[${STORAGE_DRIVER:-overlay}@$GRAPHROOT+$RUNROOT]"
    run buildah images --no-trunc -q
    echo "$output"
    assert_contains "$output" "$id"
    run podman images --no-trunc -q
    echo "$output"
    assert_contains "$output" "$id"
    # Podman leaves a process that keeps its user namespace.
    if is_rootless; then kill "$(cat "$FILE_DIR/run/libpod/tmp/pause.pid")"; fi
    if is_rootless; then
        run buildah unshare skopeo inspect --config "containers-storage:$root$REGISTRY/team/busybox:2"
    else
        run skopeo inspect --config "containers-storage:$root$REGISTRY/team/busybox:2"
    fi
    echo "$output"
    [[ $status -eq 0 ]]
    local c
    c=$(buildah from --pull-never "$REGISTRY/team/busybox:2" 3>&-)
    buildah config --label "made=$name" "$c"
    buildah commit -q "$c" "localhost/$name:built" 3>&-
    buildah rm "$c"
    berth image inspect --format "{{index .Labels \"made\"}}" "$name:built"
    assert_equal "$output" "$name"
    berth run --rm --network none "$name:built" true
    berth rmi "$name:built" "$REGISTRY/team/busybox:2"
}
