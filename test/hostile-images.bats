#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: root
# Images, and registries that send them, which attack whoever takes them: each is refused, in time, with an error that says why,
# and nothing of it stays. bin/badregistry (package test/badregistry, hostile.go) has one attack in each repository.

load helpers

setup_file() {
    store_setup
    start_badregistry
}

# limited ARG...: berth fails with 125 or 1 within 60 s and with at most 1 GiB of memory of its own.
limited() {
    run timeout -k 5 60 bash -c 'ulimit -f 262144; exec "$@"' _ "$HELPERS_DIR/../bin/berth" "$@"
    echo "berth $*: $status: $output"
    [[ $status = 125 || $status = 1 ]]
}

nothing_kept() {
    berth images -aq
    assert_equal "${#lines[@]}" 1
    run find "$TMPDIR" -mindepth 1 -name '*image*'
    assert_equal "$output" ""
}

# refused REPOSITORY TEXT: by every command that pulls.
refused() {
    limited pull -q --retry 0 "$BAD/$1"
    assert_contains "$output" "$2"
    assert_contains "$output" "Hint: "
    limited run --rm --retry 0 "$BAD/$1"
    assert_contains "$output" "$2"
    mkdir -p "$FILE_DIR/ctx"
    printf 'FROM %s/%s\n' "$BAD" "$1" >"$FILE_DIR/ctx/Containerfile"
    limited build -q --retry 0 "$FILE_DIR/ctx"
    assert_contains "$output" "$2"
    nothing_kept
}

@test "a size that is too small" { refused size-small "its manifest says 10"; refused size-less "its manifest says"; }
@test "a size that is too large" { refused size-more "its manifest says"; }
@test "a size that is absurd, or negative" { refused size-absurd 1000000000000; refused size-negative "has -1 bytes"; }
@test "two sizes of one blob" { refused size-two "has 26"; }
@test "a configuration of 100 MiB" { refused size-config 104857600; refused env-100 "are taken"; }
@test "a layer that does not end" { refused endless-blob "more bytes come"; }
@test "a configuration that does not end" { refused endless-config "more bytes come"; }
@test "a manifest that does not end" { limited pull -q --retry 0 "$BAD/endless-manifest"; nothing_kept; }
@test "500 layers" { refused layers-500 "500 layers"; }
@test "a manifest of a million empty descriptors" { refused manifest-empty-layers "1048577 layers"; }
@test "a list of 2000 images" { refused list-many "2000 images"; }
@test "a list that says of a manifest that it has 1 TiB" { refused list-size 1099511627776; }
@test "a list in a list" { refused list-nested "list of images in a list"; }
@test "a manifest of Docker's first kind" { refused schema1 "first"; }
@test "10000 volumes" { refused volumes "10000 volumes"; }
@test "variables that no process can have" { refused env "3145730 bytes"; }
@test "20000 labels" { refused labels "labels"; }
@test "20000 steps of history" { refused history "steps of history"; }
@test "redirects in a circle" { limited pull -q --retry 0 "$BAD/redirects"; assert_contains "$output" "stopped after 10 redirects"; nothing_kept; }

@test "128 layers are taken, and more where that is asked for" {
    berth pull -q "$BAD/layers-128"
    berth rmi "$BAD/layers-128"
    BERTH_MAX_LAYERS=127 limited pull -q "$BAD/layers-128"
    assert_contains "$output" "BERTH_MAX_LAYERS=128"
    BERTH_MAX_LAYERS=many limited pull -q "$BAD/layers-128"
    assert_contains "$output" 'BERTH_MAX_LAYERS="many" is not a number'
    nothing_kept
}

@test "128 layers take no more memory than a few" {
    # In kB, and of the largest process (249 MB once).
    run python3 -c 'import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)' "$ENGINE" pull -q "$BAD/layers-128"
    echo "$output"
    assert_equal "$status" 0
    ((${lines[-1]} < 150000))
    berth rmi "$BAD/layers-128"
    nothing_kept
}

@test "addresses in a manifest are not asked, but for foreign layers where that is asked for" {
    berth pull -q "$BAD/urls"
    berth rmi "$BAD/urls"
    refused foreign "not to be distributed"
    run curl -sS "http://$BAD/asked"
    assert_equal "$output" 0
    BERTH_FOREIGN_LAYERS=true berth pull -q "$BAD/foreign"
    berth rmi "$BAD/foreign"
    run curl -sS "http://$BAD/asked"
    assert_equal "$output" 1
    nothing_kept
}

@test "a registry that says nothing, or stops: the pull gives up" {
    local repo
    for repo in silent-manifest silent-blob stuck-blob; do
        BERTH_STALL_TIMEOUT=1s limited pull -q --retry 0 "$BAD/$repo"
        assert_contains "$output" "has come for 1s"
        assert_contains "$output" BERTH_STALL_TIMEOUT
    done
    nothing_kept
}

@test "a registry that says nothing when it is asked whether a tag has moved: what is there is taken" {
    local id
    id=$(berth images -q --no-trunc "$IMAGE" | grep -o 'sha256:[0-9a-f]*')
    berth tag "$IMAGE" "$BAD/silent-manifest"
    BERTH_STALL_TIMEOUT=1s BERTH_TIMEOUT=60 berth pull -q --policy newer --retry 0 "$BAD/silent-manifest"
    assert_contains "$id" "$output"
    mkdir -p "$FILE_DIR/ctx"
    echo "FROM $BAD/silent-manifest" >"$FILE_DIR/ctx/Containerfile"
    BERTH_STALL_TIMEOUT=1s BERTH_TIMEOUT=60 berth build -q --pull=newer --retry 0 "$FILE_DIR/ctx"
    berth rmi "$BAD/silent-manifest"
    nothing_kept
}

@test "a registry that says nothing: Ctrl-C ends the pull" {
    local pid rc repo
    for repo in silent-manifest stuck-blob; do
        "$HELPERS_DIR/../bin/berth" pull -q "$BAD/$repo" >"$FILE_DIR/$name" 2>&1 3>&- &
        pid=$! rc=0
        wait_for 20 scratch_made
        kill -INT "$pid"
        wait_for 20 gone "$pid"
        wait "$pid" || rc=$?
        assert_equal "$rc" 1
    done
    nothing_kept
}

scratch_made() { [[ -n $(find "$TMPDIR" -maxdepth 1 -name 'berth-image-*' 2>/dev/null) ]]; }
gone() { ! kill -0 "$1" 2>/dev/null || [[ $(ps -o stat= -p "$1") == Z* ]]; }

@test "a list of tags that does not end" {
    limited pull -q --retry 0 --all-tags "$BAD/endless-tags"
    assert_contains "$output" "list of tags does not end"
    BERTH_STALL_TIMEOUT=2s limited pull -q --retry 0 --all-tags "$BAD/endless-pages"
    assert_contains "$output" "does not answer"
    berth pull -q --all-tags "$BAD/ok"
    berth images --format '{{.Tag}}' "$BAD/ok"
    assert_equal "${#lines[@]}" 3
    berth rmi "$BAD/ok:1" "$BAD/ok:2" "$BAD/ok:latest"
    nothing_kept
}

# layout DIR JQ: an OCI layout with an image that the store does not have, its manifest changed by a program for jq.
layout() {
    local dir=$1 m
    rm -rf "$dir"
    date +%N >"$dir.file"
    tar -cf "$dir.tar" -C "${dir%/*}" "${dir##*/}.file"
    berth import -q "$dir.tar" "localhost/$name"
    berth save --format oci-dir -o "$dir" "localhost/$name"
    berth rmi "localhost/$name"
    m=$dir/blobs/sha256/$(jq -r '.manifests[0].digest | sub("sha256:"; "")' "$dir/index.json")
    jq -c "$2" "$m" >"$dir/m"
    local sum
    sum=$(sha256sum <"$dir/m" | cut -d' ' -f1)
    jq -c --arg d "sha256:$sum" --argjson s "$(stat -c %s "$dir/m")" '.manifests[0].digest = $d | .manifests[0].size = $s' "$dir/index.json" >"$dir/i"
    mv "$dir/m" "$dir/blobs/sha256/$sum"
    mv "$dir/i" "$dir/index.json"
}

@test "load and pull of layouts and archives: the same bounds" {
    local d=$FILE_DIR/layout change text
    while IFS='%' read -r change text; do
        layout "$d" "$change"
        tar -cf "$d.tar" -C "$d" .
        for what in "load -i $d" "load -i $d.tar" "pull -q oci:$d:x" "pull -q oci-archive:$d.tar:x"; do
            # shellcheck disable=SC2086
            limited ${what//:x/}
            assert_contains "$output" "$text"
        done
    done <<'END'
.layers[0].size = 10%its manifest says
.layers[0].size = 1000000000000%1000000000000
.layers[0].size = -1%-1 bytes
.config.size = -1%-1 bytes
.layers = [range(500) as $i | .layers[0]]%500 layers
END
    rm -rf "$d" "$d.tar" "$d.file"
    nothing_kept
}

# not_read TEXT: each way to take the image in $1 ends, with an error that has TEXT.
not_read() {
    local kind=$1 d=$2 what
    for what in "load -i $d" "pull -q $kind:$d"; do
        # shellcheck disable=SC2086
        limited $what
        assert_contains "$output" "$3"
        assert_contains "$output" "Hint: "
    done
}

# spoil FILE HOW: replaces it.
spoil() {
    rm -f "$1"
    case $2 in
    fifo) mkfifo "$1" ;;
    device) ln -s /dev/zero "$1" ;;
    proc) ln -s /proc/kmsg "$1" ;;
    endless) truncate -s 1T "$1" ;;
    esac
}

@test "directories with a manifest that is a FIFO, a device, or endless" {
    local d=$FILE_DIR/layout how f manifest
    layout "$d" .
    manifest=blobs/sha256/$(jq -r '.manifests[0].digest | sub("sha256:"; "")' "$d/index.json")
    for f in index.json "$manifest"; do
        for how in fifo device proc endless; do
            cp -a "$d" "$d.bad"
            spoil "$d.bad/$f" "$how"
            case $how in
            fifo) not_read oci "$d.bad" "is a FIFO" ;;
            device) not_read oci "$d.bad" "is a device" ;;
            proc) not_read oci "$d.bad" "is a file of the kernel's" ;;
            endless) not_read oci "$d.bad" "has 1099511627776 bytes" ;;
            esac
            rm -rf "$d.bad"
        done
    done
    # A list in between.
    cp -a "$d" "$d.bad"
    jq -c '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [.manifests[] | .platform = {os: "linux", architecture: "amd64"}]}' "$d/index.json" >"$d.list"
    f=$(sha256sum <"$d.list" | cut -d' ' -f1)
    mv "$d.list" "$d.bad/blobs/sha256/$f"
    jq -c --arg d "sha256:$f" '.manifests = [{mediaType: "application/vnd.oci.image.index.v1+json", digest: $d, size: 300}]' "$d/index.json" >"$d.bad/index.json"
    spoil "$d.bad/$manifest" endless
    not_read oci "$d.bad" "has 1099511627776 bytes"
    rm -rf "$d.bad" "$d" "$d.tar" "$d.file"

    berth save --format docker-dir -o "$d" "$IMAGE"
    for f in manifest.json version signature-1; do
        for how in fifo device proc endless; do
            cp -a "$d" "$d.bad"
            spoil "$d.bad/$f" "$how"
            not_read dir "$d.bad" "$f"
            rm -rf "$d.bad"
        done
    done
    rm -rf "$d"
    nothing_kept
}

@test "archives of a layout whose index or manifest is a FIFO, a link, or large" {
    local d=$FILE_DIR/layout f manifest
    layout "$d" .
    manifest=blobs/sha256/$(jq -r '.manifests[0].digest | sub("sha256:"; "")' "$d/index.json")
    for f in index.json "$manifest"; do
        cp -a "$d" "$d.bad"
        spoil "$d.bad/$f" fifo
        tar -cf "$d.tar" -C "$d.bad" .
        not_read oci-archive "$d.tar" "is no regular file"
        spoil "$d.bad/$f" device
        tar -cf "$d.tar" -C "$d.bad" .
        not_read oci-archive "$d.tar" "is no regular file"
        rm "$d.bad/$f"
        { printf '{"schemaVersion":2,"a":"' && head -c 100000000 /dev/zero | tr '\0' a && echo '"}'; } >"$d.bad/$f"
        tar -czf "$d.tar" -C "$d.bad" .
        not_read oci-archive "$d.tar" "are the most that is taken"
        rm -rf "$d.bad"
    done
    rm -rf "$d" "$d.tar" "$d.file"
    nothing_kept
}

@test "the store is whole after all of it" { berth system check; }
