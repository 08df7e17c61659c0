#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Images, as podman's users know them.

load helpers

@test "images lists what load put into the store" {
    berth images
    assert_contains "$output" "localhost/busybox"
    berth images -q --no-trunc
    [[ $output =~ ^sha256:[0-9a-f]{64}$ ]]
    berth images --format '{{.Repository}}:{{.Tag}}'
    assert_equal "$output" "$IMAGE"
    berth images --noheading
    [[ ${#lines[@]} -eq 1 ]]
    berth images --format json
    assert_equal "$(jq -r '.[0].Names[0]' <<<"$output")" "$IMAGE"
    berth images nothing-of-this-name -q
    assert_equal "$output" ""
}

@test "images filters and sorts, and refuses what it does not know" {
    berth tag "$IMAGE" "localhost/$name:1"
    berth images --filter "reference=localhost/$name:1" --format '{{.Repository}}:{{.Tag}}'
    assert_equal "$output" "localhost/$name:1"
    berth images --sort repository --format '{{.Repository}}'
    assert_equal "$output" "$(sort <<<"$output")"
    berth 125 images --filter color=red
    berth 125 images --sort color
    berth untag "localhost/$name:1" "localhost/$name:1"
}

@test "image exists answers with its exit code" {
    berth image exists "$IMAGE"
    berth image exists busybox
    berth 1 image exists "no-such-$name"
}

@test "image inspect shows the configuration" {
    berth image inspect --format '{{.Id}} {{.Config.Cmd}} {{.Os}}' "$IMAGE"
    [[ $output =~ ^[0-9a-f]{64}\ \[sh\]\ linux$ ]]
    berth image inspect "$IMAGE"
    assert_equal "$(jq -r '.[0].RepoTags[0]' <<<"$output")" "$IMAGE"
    [[ $(jq -r '.[0].Size' <<<"$output") -gt 100000 ]]
    berth 125 image inspect "no-such-$name"
    assert_contains "$output" "image not known"
}

@test "tag and untag, and rmi of one name of several" {
    berth tag busybox "$name:a" "reg.example/x/$name"
    berth image exists "localhost/$name:a"
    berth rmi "$name:a"
    assert_contains "$output" "Untagged: localhost/$name:a"
    [[ $output != *Deleted* ]]
    berth untag "$IMAGE" "reg.example/x/$name"
    berth 1 image exists "reg.example/x/$name"
    berth image exists "$IMAGE"
    berth 125 tag "no-such-$name" x
    berth 125 untag "$IMAGE" "no-such-$name"
    berth 125 tag "$IMAGE" "UPPER/$name"
}

@test "save and load each format, through files and pipes" {
    local id format
    berth tag "$IMAGE" "localhost/$name:1"
    berth images -q --no-trunc "localhost/$name:1"
    id=${output#sha256:}
    for format in docker-archive oci-archive; do
        berth save -q --format "$format" -o "$FILE_DIR/$name-$format" "localhost/$name:1"
        command "$ENGINE" save -q --format "$format" "localhost/$name:1" | gzip >"$FILE_DIR/$name-$format.gz"
        berth untag "localhost/$name:1" "localhost/$name:1"
        berth load -q -i "$FILE_DIR/$name-$format"
        assert_contains "$output" "Loaded image: localhost/$name:1"
        berth untag "localhost/$name:1" "localhost/$name:1"
        berth load -i "$FILE_DIR/$name-$format.gz"
        berth untag "localhost/$name:1" "localhost/$name:1"
        run command "$ENGINE" load -q <"$FILE_DIR/$name-$format.gz"
        [[ $status -eq 0 ]]
        berth image exists "localhost/$name:1"
    done
    for format in oci-dir docker-dir; do
        berth save -q --format "$format" -o "$FILE_DIR/$name-$format" "localhost/$name:1"
        berth load -q -i "$FILE_DIR/$name-$format"
    done
    berth 125 save -q --format oci-dir "$IMAGE"
    berth 125 save -q --format nonsense "$IMAGE"
    berth 125 save -q -o "$FILE_DIR/none" "no-such-$name"
    [[ ! -e $FILE_DIR/none ]]
    berth rmi -f "localhost/$name:1"
    # The OCI formats may give the image another ID.
    berth image prune -f
    berth image exists "$IMAGE"
}

@test "import makes an image of a file system, and changes its configuration" {
    mkdir "$FILE_DIR/$name"
    echo data >"$FILE_DIR/$name/file"
    tar -C "$FILE_DIR/$name" -cf "$FILE_DIR/$name.tar" .
    berth_split import -q -c 'CMD ["/x"]' -c 'ENV A=b' -m 'made here' "$FILE_DIR/$name.tar" "$name:1"
    [[ $output =~ ^sha256:[0-9a-f]{64}$ ]]
    berth image inspect --format '{{.Config.Cmd}} {{.Config.Env}}' "$name:1"
    assert_equal "$output" "[/x] [A=b]"
    berth history "$name:1"
    assert_contains "$output" "made here"
    berth rmi "$name:1"
    run command "$ENGINE" import -q - "$name:2" <"$FILE_DIR/$name.tar"
    [[ $status -eq 0 ]]
    berth rmi "$name:2"
    berth 125 import "$FILE_DIR/none.tar"
}

@test "rmi refuses an image that a container uses" {
    berth tag "$IMAGE" "$name:1"
    echo "$name" >"$FILE_DIR/$name"
    tar -C "$FILE_DIR" -cf "$FILE_DIR/$name.tar" "$name"
    berth import -q "$FILE_DIR/$name.tar" "$name:2"
    berth create --name "$name" --network none "$name:2" "/$name"
    berth 2 rmi "$name:2"
    berth image exists "$name:2"
    berth rmi -f "$name:2"
    berth 1 image exists "$name:2"
    berth ps -aq
    assert_equal "$output" ""
    berth rmi "$name:1"
}

@test "rmi exit codes: 1 for an image that is not there" {
    berth 1 rmi "no-such-$name"
    assert_contains "$output" "image not known"
    berth rmi -i "no-such-$name"
    berth rmi -f "no-such-$name"
    berth 125 rmi
}

@test "image prune removes images without a name, and with -a those without containers" {
    echo "$name" >"$FILE_DIR/$name"
    tar -C "$FILE_DIR" -cf "$FILE_DIR/$name.tar" "$name"
    berth import -q "$FILE_DIR/$name.tar"
    local id=${output#sha256:}
    berth images -q --filter dangling=true --no-trunc
    assert_contains "$output" "$id"
    berth image prune -f
    assert_contains "$output" "$id"
    berth import -q -c "LABEL test=$name" "$FILE_DIR/$name.tar" "$name:1"
    berth image prune -af --filter "label=test=other"
    berth image exists "$name:1"
    berth image prune -af --filter "label=test=$name"
    berth 1 image exists "$name:1"
    berth image exists "$IMAGE"
}

@test "history and tree show the layers" {
    berth history --format '{{.ID}}' "$IMAGE"
    [[ ${lines[0]} =~ ^[0-9a-f]{12}$ ]]
    berth history --format json "$IMAGE"
    [[ $(jq length <<<"$output") -ge 1 ]]
    berth image tree "$IMAGE"
    assert_contains "$output" "Top Layer of: [$IMAGE]"
}

@test "images --format: what an image is made for, what it shares, its summary; history's layers" {
    local c=$FILE_DIR/shared-$name
    mkdir "$c"
    head -c 50000 /dev/urandom >"$c/f"
    printf 'FROM %s\nCOPY f /f\n' "$IMAGE" >"$c/Containerfile"
    berth build -q --network none -t "localhost/$name:1" "$c"
    local arch
    arch=$("$ENGINE" image inspect -f '{{.Architecture}}/{{.Os}}' "$IMAGE" 3>&-)
    if is_berth; then # podman's list leaves them empty
        berth images --filter "reference=localhost/$name:1" --format '{{.Arch}}/{{.Os}} {{.IsManifestList}} {{.SharedSize}}'
        assert_equal "$output" "$arch false $("$ENGINE" images --filter "reference=$IMAGE" --format '{{.SharedSize}}' 3>&-)"
        not assert_equal "${output##* }" "0 B"
    fi
    berth images --filter "reference=localhost/$name:1" --format '{{.IsDangling}} {{.IsReadOnly}} {{.ImageSummary.Dangling}} {{.ImageSummary.RepoTags}} {{.ImageSummary.Containers}}'
    assert_equal "$output" "false false false [localhost/$name:1] 0"
    berth images --filter "reference=localhost/$name:1" --format '{{.ImageSummary.ID}} {{.ImageSummary.Size}}'
    assert_equal "$output" "$("$ENGINE" image inspect -f '{{.Id}} {{.Size}}' "localhost/$name:1" 3>&-)"
    berth history --format '{{.ImageHistoryLayer.Created.Year}} {{.ImageHistoryLayer.Size}} {{.ImageHistoryLayer.CreatedBy}}' "localhost/$name:1"
    [[ ${lines[0]} == "$(date +%Y) "[5-9]*"COPY file:"* || ${lines[0]} == "$(date +%Y) "*"COPY f "* ]]
    berth rmi "localhost/$name:1"
}
