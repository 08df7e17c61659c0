#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: root
# The record of how a layer's archive was made, which the storage library keeps: its names are the image's. No image with names
# that lead out of the layer comes in, and none that is there already (another engine has taken it) has anything read but
# its own files when its archive is made again. See docs/security.md.

load helpers
load evil

setup() {
    test_setup
    victim
    T=$FILE_DIR/records-$name
    mkdir -p "$T"
}

teardown() {
    timeout 60 "$ENGINE" rmi -f "localhost/$name" >/dev/null 2>&1 3>&- || true
    timeout 60 "$ENGINE" image prune -f >/dev/null 2>&1 3>&- || true
    test_teardown
}

# claim TAR SIZE: the first entry of an archive gets this size in its header, whatever it is.
claim() {
    local sum
    printf '%011o\0' "$2" | dd of="$1" bs=1 seek=124 conv=notrunc status=none
    printf '        ' | dd of="$1" bs=1 seek=148 conv=notrunc status=none
    sum=$(head -c 512 "$1" | od -An -v -tu1 | tr -s ' \n' '+' | sed 's/^+//; s/+$//')
    printf '%06o\0 ' $((sum)) | dd of="$1" bs=1 seek=148 conv=notrunc status=none
}

# refused ARG...: the engine does not take what it is given, at once.
refused() {
    BERTH_TIMEOUT=60 berth 125 "$@"
    [[ $output == *"outside of the layer"* || $output == *" bytes, but is a "* ]]
    unharmed "localhost/$name"
    berth 1 image exists "localhost/$name"
}

# comes_in: neither load nor import takes the layer $T/l.tar.
comes_in() {
    "$HELPERS_DIR/tools/docker-archive" "$T/l.tar" "localhost/$name:latest" '{"Cmd":["true"]}' "$T/image.tar"
    refused load -q -i "$T/image.tar"
    refused import -q "$T/l.tar" "localhost/$name"
}

@test "load and import refuse layers whose names lead out of them" {
    for entries in "file $UP$UP$VICTIM/secret $SECRET" "file a/../$UP$UP$VICTIM/secret $SECRET" \
        "link a /|file a$VICTIM/secret $SECRET" "link a $UP$UP$VICTIM|file a/secret $SECRET" "link a $VICTIM|file a/secret $SECRET"; do
        IFS='|' read -ra lines <<<"$entries"
        evil_tar "$T/l.tar" "${lines[@]}"
        comes_in
    done
    berth system check
}

@test "load and import refuse links, FIFOs and devices that claim to have content" {
    kinds=("link a $VICTIM/secret" "link a /dev/zero" "fifo a")
    is_rootless || kinds+=("char a 1,5") # an ordinary user's store makes none
    for entry in "${kinds[@]}"; do
        evil_tar "$T/l.tar" "$entry"
        claim "$T/l.tar" $((${#SECRET} + 1))
        comes_in
    done
    berth system check
}

# taken NAME: the image $name, one layer with the file "file", which contains what the victim's secret does; $LAYER is its ID. In
# its record the file then has another name, as if another engine had taken it.
taken() {
    local record
    cp "$VICTIM/secret" "$T/file"
    tar -C "$T" --owner=0 --group=0 -cf "$T/l.tar" file
    "$HELPERS_DIR/tools/docker-archive" "$T/l.tar" "localhost/$name:latest" '{"Cmd":["true"]}' "$T/image.tar"
    berth load -q -i "$T/image.tar"
    berth image inspect --format '{{index .RootFS.Layers 0}}' "localhost/$name"
    LAYER=${output#sha256:}
    record=$GRAPHROOT/overlay-layers/$LAYER.tar-split.gz
    zcat "$record" | sed "s|\"name\":\"file\"|\"name\":\"$1\"|" | gzip >"$T/record"
    not cmp -s <(zcat "$record") <(zcat "$T/record")
    cat "$T/record" >"$record"
    DIFF=$GRAPHROOT/overlay/$LAYER/diff
    chmod u+w "$DIFF"
    rm -f "$DIFF/file"
}

# not_read: nothing that makes the layer's archive again reads the host's file, or hangs; it says what to remove, and that helps.
not_read() {
    local how
    for how in "save -o $T/out.tar" "save --format oci-archive -o $T/out.tar" "push -q NAME dir:$T/out" "push -q NAME oci-archive:$T/out.tar"; do
        rm -rf "$T/out" "$T/out.tar"
        # shellcheck disable=SC2086
        if [[ $how == push* ]]; then
            BERTH_TIMEOUT=60 berth 125 ${how//NAME/localhost/$name}
        else
            BERTH_TIMEOUT=60 berth 125 $how "localhost/$name"
        fi
        [[ $output == *"image localhost/$name:latest: layer ${LAYER:0:12}: file "* ]]
        [[ $output == *"berth rmi --force localhost/$name:latest"* ]]
        unharmed_files
    done
    BERTH_TIMEOUT=60 berth 1 system check
    [[ $output == *"layer ${LAYER:0:12}"* && $output == *"localhost/$name"* ]]
    BERTH_TIMEOUT=60 berth system check --repair
    berth 1 image exists "localhost/$name"
    berth image exists "$IMAGE"
    berth system check
}

unharmed_files() {
    not grep -aqrF "$SECRET" "$T"/out* 2>/dev/null
    [[ $(victim_state) == "$VICTIM_BEFORE" ]]
}

@test "a record with .. does not read the host's files" {
    taken "$UP$UP$UP$VICTIM/secret"
    not_read
}

@test "a record that leads through a link of the image does not read the host's files" {
    taken "a$VICTIM/secret"
    ln -s / "$DIFF/a"
    not_read
}

@test "a record that leads to an endless device, by .. or a link, does not read it" {
    taken "$UP$UP$UP/dev/zero"
    not_read
    taken "a"
    ln -s /dev/zero "$DIFF/a"
    not_read
}

@test "a file of a layer that has become a FIFO is not waited for" {
    taken "a"
    mkfifo "$DIFF/a"
    not_read
}

@test "a file of a layer that has grown is not read to its end" {
    taken "a"
    truncate -s 1T "$DIFF/a"
    not_read
}

@test "save of an image whose record leads elsewhere can be interrupted, and build and run end" {
    taken "$UP$UP$UP/dev/zero"
    printf 'FROM localhost/%s\nCOPY file /x\n' "$name" >"$T/Containerfile"
    echo x >"$T/file"
    for how in "" --squash --squash-all; do
        run timeout --foreground -k 5 60 "$ENGINE" build -q $how -t "localhost/$name-built" "$T" 3>&-
        [[ $status -lt 124 || $status -eq 125 ]]
        run timeout --foreground -k 5 60 "$ENGINE" save -o "$T/out.tar" "localhost/$name-built" 3>&-
        [[ $status -lt 124 || $status -eq 125 ]]
        unharmed_files
        rm -f "$T/out.tar"
    done
    timeout 60 "$ENGINE" rmi -f "localhost/$name-built" 3>&- || true
    BERTH_TIMEOUT=60 berth system check --repair
}

@test "a container that swaps directories for links while its layer is read: the host's files are not in it" {
    local round read=0
    berth run -d --name "$name" --network none $IMAGE sh -c \
        "mkdir -p /d/sub; echo mine >/d/secret; echo mine >/d/sub/secret; ln -s $VICTIM /l; ln -s $VICTIM/secret /d/f; touch /ready
        while :; do mv -T /d /t; mv -T /l /d; mv -T /d /l; mv -T /t /d; done"
    wait_for 20 "$ENGINE" exec "$name" test -e /ready 3>&-
    for round in {1..8}; do
        status=0
        output=$(timeout --foreground -k 5 60 "$ENGINE" commit -q --pause=false "$name" "localhost/$name" 2>&1 3>&-) || status=$?
        [[ $status -ne 124 && $status -ne 137 ]] || { echo "it hangs"; return 1; }
        unharmed "localhost/$name"
        [[ $status -ne 0 ]] || read=$((read + 1))
        output=$(timeout --foreground -k 5 60 "$ENGINE" ps --size --format '{{.Size}}' 2>&1 3>&-)
        unharmed "$IMAGE"
    done
    echo "$read of 8 were committed"
    berth rm -f -t 0 "$name"
    timeout 60 "$ENGINE" system check 3>&-
}
