#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# The words of the command line: unknown commands and flags, near words, help, templates.
load helpers

@test "an unknown command is named, not the flag behind it" {
    berth 125 stats-of --no-stream
    assert_contains "$output" 'unknown command "stats-of" for "berth"'
    berth 125 container lss --all
    assert_contains "$output" 'unknown command "lss" for "berth container"'
    assert_contains "$output" "did you mean: berth container ls"
    berth 125 --log-level error imagess
    assert_contains "$output" "did you mean: berth images"
}

@test "help: each command once, indented examples, global options only at the top" {
    berth --help
    assert_equal "$(grep -c '^  images ' <<<"$output")" 1
    assert_contains "$output" --cgroup-manager
    berth ps --help
    assert_contains "$output" "  berth ps -a"
    not grep -q 'cgroup-manager\|\[flags\]' <<<"$output"
    assert_contains "$output" "berth --help"
}

@test "logs --tail all" {
    berth run --name "$name" "$IMAGE" sh -c 'echo one; echo two'
    berth logs --tail all "$name"
    assert_equal "$output" $'one\ntwo'
    berth logs --tail 1 "$name"
    assert_equal "$output" two
    berth 125 logs --tail some "$name"
    assert_contains "$output" "some"
}

@test "ps --format: podman's fields, also in a table" {
    mkdir -p "$FILE_DIR/mnt"
    berth run -d --name "$name" --cidfile "$FILE_DIR/cid-$name" -v "$FILE_DIR/mnt:/data" --expose 80 --expose 5000-5001/udp --label org.example.team=red \
        "$IMAGE" sh -c 'head -c 2000 /dev/zero >/f; touch /ready; sleep 300'
    ready() { "$ENGINE" exec "$name" test -e /ready 3>&-; }
    wait_for 20 ready
    row() { berth ps --format "$1" --filter name="$name"; }
    row '{{.Mounts}}'; assert_equal "$output" '[/data]'
    row '{{.CIDFile}}'; assert_equal "$output" "$FILE_DIR/cid-$name"
    row '{{.Namespaces.MNT}} {{.MNT}}'; [[ $output =~ ^[0-9]+\ [0-9]+$ && ${output% *} == "${output#* }" ]]
    row '{{.Created.Unix}} {{.CreatedHuman}}'; [[ $output =~ ^[0-9]{10}\ .*ago$ ]]
    row '{{.ExposedPorts}}'; assert_equal "$output" 'map[80:[tcp] 5000:[udp] 5001:[udp]]'
    row '{{.ListContainer.Names}} {{.Label "org.example.team"}}'; assert_contains "$output" " red"
    row 'table {{.Names}}\t{{.Label "org.example.team"}}'
    [[ ${lines[0]} =~ ^NAMES\ +TEAM$ && ${lines[1]} =~ ^$name\ +red$ ]]
    berth ps --size --filter name="$name"
    [[ ${lines[0]} =~ SIZE$ && ${lines[1]} =~ 2kB\ \(virtual\ [0-9.]+MB\)$ ]]
    berth ps -s --format '{{.Size}} {{.ListContainer.Size.RwSize}}'
    [[ $output =~ ^2kB\ \(virtual\ .*\)\ 2000$ ]]
    berth ps -s --format json
    assert_equal "$(jq '.[0].Size.rwSize' <<<"$output")" 2000
    assert_equal "$(jq -c '.[0].Mounts' <<<"$output")" '["/data"]'
    # The global flags hold on the way into the user namespace, too.
    printf '[storage]\ndriver = "floppy"\n' >"$FILE_DIR/floppy.conf"
    CONTAINERS_STORAGE_CONF=$FILE_DIR/floppy.conf berth --storage-driver overlay --root "$FILE_DIR/other" --runroot "$FILE_DIR/other-run" ps -a -s --noheading
    assert_equal "$output" ""
    # Nothing is printed before an error.
    for wrong in 'table {{.Names}}\t{{.Nope}}' '{{.Names}} {{.Nope}}' '{{.Names}} {{slice .Names 99}}'; do
        berth_split 125 ps -a --format "$wrong"
        assert_equal "$output" ""
        assert_contains "$stderr" "--format"
    done
}

@test "load takes every image of an OCI archive and directory, with and without names" {
    export NAMES="localhost/one:1 localhost/two:2"
    printf 'FROM %s\nLABEL n=%s\n' "$IMAGE" "$name" | berth build -q -t localhost/two:2 -
    berth tag "$IMAGE" localhost/one:1
    for i in one:1 two:2; do skopeo_copy "localhost/$i" "oci:$FILE_DIR/layout:localhost/$i"; done
    tar -C "$FILE_DIR/layout" -cf "$FILE_DIR/layout.tar" .
    gzip -k "$FILE_DIR/layout.tar"
    for from in layout layout.tar layout.tar.gz; do
        berth rmi localhost/one:1 localhost/two:2
        berth load -i "$FILE_DIR/$from"
        for n in $NAMES; do assert_contains "$output" "Loaded image: $n"; done
        berth image inspect --format '{{index .Labels "n"}}' localhost/two:2
        assert_equal "$output" "$name"
    done
    berth rmi localhost/one:1 localhost/two:2
    berth load <"$FILE_DIR/layout.tar"
    assert_contains "$output" "Loaded image: localhost/two:2"
    # Without names: by their IDs.
    jq '.manifests |= map(del(.annotations))' "$FILE_DIR/layout/index.json" >"$FILE_DIR/index" && cp "$FILE_DIR/index" "$FILE_DIR/layout/index.json"
    berth load -i "$FILE_DIR/layout"
    assert_equal "$(grep -c 'Loaded image: sha256:' <<<"$output")" 2
}

@test "pull of a short name: which file names no registry" {
    echo 'unqualified-search-registries = []' >"$FILE_DIR/registries.conf"
    CONTAINERS_REGISTRIES_CONF=$FILE_DIR/registries.conf berth 125 pull nothing-like-it
    assert_contains "$output" "$FILE_DIR/registries.conf names no registry"
    assert_contains "$output" "Hint: name the registry"
    not grep -q "was found" <<<"$output"
}

@test "hints of login, logout and pull say what is wrong" {
    echo '{broken' >"$FILE_DIR/broken.json"
    # ARGUMENTS | part of the hint
    while IFS='|' read -r args want; do
        # shellcheck disable=SC2086
        REGISTRY_AUTH_FILE=$FILE_DIR/broken.json berth 125 $args </dev/null
        assert_contains "$(grep Hint: <<<"$output")" "$want"
    done <<X
login -u a -p b 127.0.0.1:1|$FILE_DIR/broken.json, cannot be read
login --get-login 127.0.0.1:1|$FILE_DIR/broken.json, cannot be read
logout 127.0.0.1:1|$FILE_DIR/broken.json, cannot be read
pull 127.0.0.1:1/x|$FILE_DIR/broken.json, cannot be read
login --authfile $FILE_DIR/other.json -u a -p b 127.0.0.1:1|nothing listens there
login --authfile $FILE_DIR/other.json 127.0.0.1:1|--password-stdin
X
    start_registry --auth me:secret
    REGISTRY_AUTH_FILE=$FILE_DIR/other.json berth 125 login --tls-verify=false -u me -p wrong "$REGISTRY"
    assert_contains "$output" "Hint: check user name and password"
    stop_registry
}

@test "buildx as docker's scripts call it" {
    berth buildx create --name ci --use --driver docker-container --bootstrap
    assert_equal "$output" ci
    berth buildx ls
    assert_contains "${lines[1]}" "default*"
    berth buildx inspect --bootstrap ci
    assert_contains "$output" "Platforms: linux/"
    berth 125 buildx create --driver kubernetes
    berth 125 buildx create --nodes 2
    berth buildx rm ci
}

# skopeo_copy IMAGE TO: an image of the store, in an archive first, since skopeo 1.9 does not know every store.
skopeo_copy() {
    rm -f "$FILE_DIR/one.tar"
    berth save -q -o "$FILE_DIR/one.tar" "$1"
    skopeo copy -q "docker-archive:$FILE_DIR/one.tar" "$2" 3>&-
}
