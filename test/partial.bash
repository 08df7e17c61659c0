# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the files on partial container files share, besides helpers.bash: `load partial`. Bases are
# small images of busybox with an os-release of one's choice; parts are folders in $FILE_DIR/parts, alias std.

# base_tree ID VERSION: the root file system of a base; prints its directory.
base_tree() {
    local dir
    dir=$(mktemp -d "$FILE_DIR/base-XXXXXX")
    mkdir -p "$dir"/{bin,etc,tmp}
    cp /bin/busybox "$dir/bin/busybox"
    for a in sh cat echo id pwd mkdir mv cp chmod printf ls env rm cmp grep; do ln "$dir/bin/busybox" "$dir/bin/$a"; done
    chmod 755 "$dir"
    chmod 1777 "$dir/tmp"
    printf 'ID=%s\nVERSION_ID="%s"\n' "$1" "$2" >"$dir/etc/os-release"
    printf 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/:/bin/sh\n' >"$dir/etc/passwd"
    echo "$dir"
}

# import_tree DIR NAME [OPTION...]: an image of a directory, the same each time.
import_tree() {
    tar -cf "$1.tar" --sort=name --mtime=@1704067200 --owner=0 --group=0 --numeric-owner -C "$1" .
    berth import "${@:3}" "$1.tar" "$2"
}

# make_base ID VERSION [OPTION...]: an image localhost/ID:VERSION of busybox and an os-release.
make_base() { import_tree "$(base_tree "$1" "$2")" "localhost/$1:$2" -c 'CMD sh' "${@:3}"; }

# part NAME VERSION METADATA INSTALL [STAGES]: a part std/NAME in $FILE_DIR/parts.
part() {
    local dir=$FILE_DIR/parts/$1
    mkdir -p "$dir"
    {
        printf '# /// partial\n# name: std/%s\n# version: %s\n# summary: for a test\n' "$1" "$2"
        printf '# %s\n' "${3//$'\n'/$'\n# '}"
        printf '# ///\nARG BASE=localhost/debian:12\nFROM ${BASE} AS base\n%sFROM base AS install\n%s\n' "${5:-}" "$4"
    } >"$dir/Containerfile"
}

setup() {
    test_setup
    DIR=$FILE_DIR/$name
    mkdir "$DIR"
    cd "$DIR" || return
    printf '[aliases]\nstd = "%s"\n' "$FILE_DIR/parts" >partials.conf
}

source_file() { printf '%s\n' "$@" >Containerfile; }

# make_bases: localhost/debian:12 and localhost/alpine:3.20.3.
make_bases() {
    make_base debian 12
    make_base alpine 3.20.3
    mkdir -p "$FILE_DIR/parts"
}

# standard_parts: std/tz, std/app-user, and std/tool, which requires std/tz and has a helper stage and a check.
standard_parts() {
    part tz 1.0.0 'env: {TZ: {set: UTC}}' 'RUN echo UTC > /etc/timezone'
    part app-user 1.1.0 'params: {name: {type: string, pattern: "[a-z]+", default: app}, uid: {type: int, min: 1, max: 65533, default: 10001}}' \
        'ARG APP_USER_NAME
ARG APP_USER_UID
RUN echo "$APP_USER_NAME:x:$APP_USER_UID:$APP_USER_UID::/:/bin/false" >> /etc/passwd'
    part tool 2.0.0 'requires: ["std/tz@^1"]
env: {PATH: {prepend: [/opt/tool]}}
check: {argv: [tool], match: "^tool works$"}' \
        'COPY --from=made /opt/ /opt/' 'FROM base AS made
RUN mkdir /opt && printf "#!/bin/sh\necho tool works\n" > /opt/tool && mkdir /opt/tool.d && mv /opt/tool /opt/tool.d/tool && mv /opt/tool.d /opt/tool && chmod 755 /opt/tool/tool
'
}

# publish_base NAME: puts localhost/NAME into the registry as $REGISTRY/NAME and takes it from there, so that its digest is
# one that others can have too; also into the store of plain_build.
publish_base() {
    berth push -q "localhost/$1" "$REGISTRY/$1"
    berth pull -q "$REGISTRY/$1"
    plainbuild "$FILE_DIR/plain" load "docker://$REGISTRY/$1" 3>&-
}

# plain_build FILE CONTEXT: prints the ID of the image that buildah's library, without Berth, makes of a file, with
# --timestamp 0 --layers. It has a store of its own.
plain_build() {
    timeout 100 plainbuild "$FILE_DIR/plain" build "$1" "$2" localhost/plain 2>"$FILE_DIR/plain.log" 3>&- || { cat "$FILE_DIR/plain.log"; return 1; }
}

# debian_buildah ARG...: Debian's buildah, with a store of its own.
debian_buildah() {
    run timeout 100 buildah --root "$FILE_DIR/bud" --runroot "$FILE_DIR/bud-run" --storage-driver vfs "$@" 3>&-
    echo "$ buildah $*"; echo "$output"; echo "exit code $status"
}

# traced CALLS ARG...: berth under strace, its system calls CALLS in the file trace. An ordinary user's runs in a namespace that
# is there: newuidmap has no rights under strace.
traced() {
    local out rc
    if is_rootless; then berth run -d --name "$name-keep" --network none "$IMAGE" sleep 100; fi
    run timeout 100 strace -f -qq -e signal=none -e "trace=$1" -o trace "$ENGINE" "${@:2}" 3>&-
    out=$output rc=$status
    echo "$ strace berth ${*:2}"; echo "$out"; echo "exit code $rc"
    if is_rootless; then berth rm -f -t 0 "$name-keep"; fi
    output=$out
    [[ $rc -eq 0 ]]
}

# rewrite IMAGE FILTER: changes the config of an image by a jq filter, drops what the builder noted elsewhere, and names the
# result IMAGE-rewritten.
rewrite() {
    local dir=rewritten-$RANDOM manifest config new
    berth save -q --format oci-dir -o "$dir" "$1"
    manifest=$(jq -r '.manifests[0].digest[7:]' "$dir/index.json")
    config=$(jq -r '.config.digest[7:]' "$dir/blobs/sha256/$manifest")
    jq -c "$2" "$dir/blobs/sha256/$config" >"$dir/config"
    new=$(sha256sum <"$dir/config" | cut -d' ' -f1)
    jq -c --arg d "sha256:$new" --argjson s "$(stat -c %s "$dir/config")" '.config.digest = $d | .config.size = $s | del(.annotations)' \
        "$dir/blobs/sha256/$manifest" >"$dir/manifest"
    mv "$dir/config" "$dir/blobs/sha256/$new"
    manifest=$(sha256sum <"$dir/manifest" | cut -d' ' -f1)
    jq -c --arg d "sha256:$manifest" --argjson s "$(stat -c %s "$dir/manifest")" --arg n "$1-rewritten" \
        '.manifests[0] |= (.digest = $d | .size = $s | .annotations = {"org.opencontainers.image.ref.name": $n})' "$dir/index.json" >"$dir/index"
    mv "$dir/manifest" "$dir/blobs/sha256/$manifest"
    mv "$dir/index" "$dir/index.json"
    berth load -q -i "$dir"
    berth tag "$new" "$1-rewritten"
}

# put_blob REPOSITORY FILE: uploads it to $REGISTRY/REPOSITORY, and prints its digest.
put_blob() {
    local digest location
    digest=sha256:$(sha256sum <"$2" | cut -d' ' -f1)
    location=$(curl -si -X POST "http://$REGISTRY/v2/$1/blobs/uploads/" | tr -d '\r' | sed -n 's/^Location: //p')
    curl -sf -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$2" "$location&digest=$digest" >/dev/null
    echo "$digest"
}

# put_manifest REPOSITORY TAG FILE [TYPE]: uploads a manifest.
put_manifest() {
    curl -sf -X PUT -H "Content-Type: ${4:-application/vnd.oci.image.manifest.v1+json}" --data-binary "@$3" "http://$REGISTRY/v2/$1/manifests/$2"
}
