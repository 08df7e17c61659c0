#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# Rows of the acceptance list of partial container files that need a build, a second builder, a real
# base or a look at system calls. The rest is in build/partial's Go tests and in partial.bats.

load helpers
load partial

setup_file() {
    store_setup
    start_registry
    make_bases
    standard_parts
    publish_base debian:12
    export BASE=$REGISTRY/debian:12
}

@test "A1 a file without directives: the image that plain buildah makes, and no lock" {
    cat >Containerfile <<EOF
ARG V=1
FROM $BASE AS one
ARG V
RUN echo "one \$V" > /one
FROM $BASE
# : use std/tool
ENV A=b C="d e"
LABEL x=y
WORKDIR /srv
USER app
COPY --from=one --chmod=0600 /one ./
COPY file other/
COPY <<"HERE" /here
\$A
HERE
RUN --mount=type=bind,target=/context cat /context/file > /tmp/file
EXPOSE 80
CMD ["cat", "/here"]
EOF
    echo content >file
    berth build -q --timestamp 0 --layers -t "localhost/$name:1" .
    first=$output
    [[ ! -e Containerfile.lock ]]
    berth run --rm --network none "localhost/$name:1"
    assert_equal "$output" '$A'
    run plain_build Containerfile .
    assert_equal "$output" "$first"
}

@test "A3 the composed file is plain, and plain buildah makes the same image of it; the ejected one makes the same layers" {
    source_file "FROM $BASE AS build" '#: use std/tool as dev' "FROM $BASE" '#: use std/tool' 'USER app' '#: use std/app-user name=web uid=77' \
        'RUN id -u > /tmp/uid' 'COPY file /file' 'CMD ["tool"]'
    echo content >file
    berth build -q --timestamp 0 --layers -t "localhost/$name:1" .
    first=$output
    berth partial compose -o Composed
    not grep -q '^#:' Composed
    run plain_build Composed .
    assert_equal "$output" "$first"
    berth partial eject
    not grep -q '^#:' Containerfile
    not grep -q 'dev.partials' Containerfile
    berth build -q --timestamp 0 --layers -t "localhost/$name:2" .
    second=$output
    run plain_build Containerfile .
    assert_equal "$output" "$second"
    berth image inspect --format '{{json .RootFS.Layers}}' "localhost/$name:1"
    first=$output
    berth image inspect --format '{{json .RootFS.Layers}}' "localhost/$name:2"
    assert_equal "$output" "$first"
}

# node_images: what example 5.1 builds from, under the names it has there.
node_images() {
    local dir loader
    dir=$(base_tree debian 12)
    mkdir -p "$dir"/{lib,lib64,var/lib/apt/lists,usr/bin}
    for loader in lib64/ld-linux-x86-64.so.2 lib/ld-linux-aarch64.so.1; do echo >"$dir/$loader"; done
    printf '#!/bin/sh\necho "apt-get $*" >> /var/log.apt\n' >"$dir/bin/apt-get"
    # shellcheck disable=SC2016
    printf '#!/bin/sh\necho "$3:x:$2:" >> /etc/group\n' >"$dir/bin/groupadd"
    # shellcheck disable=SC2016
    printf '#!/bin/sh\necho "$8:x:$3:$5::/:$7" >> /etc/passwd\n' >"$dir/bin/useradd"
    chmod 755 "$dir"/bin/{apt-get,groupadd,useradd}
    import_tree "$dir" docker.io/library/debian:12-slim -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
    dir=$(base_tree debian 12)
    mkdir -p "$dir/usr/local/bin"
    printf '#!/bin/sh\necho v22.11.0\n' >"$dir/usr/local/bin/node"
    # shellcheck disable=SC2016
    printf '#!/bin/sh\nmkdir node_modules && echo "npm $*" > node_modules/log\n' >"$dir/usr/local/bin/npm"
    chmod 755 "$dir"/usr/local/bin/*
    import_tree "$dir" docker.io/library/node:22.11.0-bookworm-slim
}

@test "A2 example 5.1: the golden file, and the part's check passes in the image" {
    node_images
    printf '[aliases]\nstd = "%s"\n' "$HELPERS_DIR/../build/partial/testdata/parts" >partials.conf
    golden=$HELPERS_DIR/../build/partial/testdata/golden/node.containerfile
    cat >Containerfile <<'EOF'
ARG COMPOSED=${USES_PARTIALS_COMPOSE_OR_EJECT_FIRST:?}
FROM docker.io/library/debian:12-slim AS app
#: use std/nodejs@^1 version=22.11.0
#: use std/app-user@^1 name=web uid=10001
WORKDIR /srv/app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev
COPY --chown=web . .
USER web
CMD ["node", "server.js"]
EOF
    echo '{}' | tee package.json >package-lock.json
    # The bases of the golden file are others; the parts and every line are not.
    plain_text() { sed -E '/^FROM /s/@sha256:[0-9a-f]{64}/@DIGEST/; /^LABEL dev\.partials\./d' "$1"; }
    berth partial compose -o composed
    diff <(plain_text composed) <(plain_text "$golden")
    berth build -q -t "localhost/$name:1" .
    berth run --rm --network none "localhost/$name:1"
    assert_equal "$output" v22.11.0
    berth run --rm --network none "localhost/$name:1" sh -c 'id -u; cat /srv/app/node_modules/log /var/log.apt; ls -n /srv/app/package.json'
    assert_contains "$output" 10001
    assert_contains "$output" "npm ci --omit=dev"
    assert_contains "$output" "apt-get install -y --no-install-recommends ca-certificates"
}

@test "A14 a part for Debian on Alpine and on scratch" {
    part deb 1.0.0 'base: {os: ["debian>=11"], libc: glibc}' 'RUN true'
    berth tag localhost/alpine:3.20.3 localhost/alpine:edge
    source_file 'FROM localhost/alpine:edge' '#: use std/deb'
    berth 2 build .
    assert_contains "$output" "P030: std/deb 1.0.0 needs debian>=11; base localhost/alpine:edge is alpine 3.20.3"
    source_file 'FROM scratch' '#: use std/deb'
    berth 2 build .
    assert_contains "$output" "P032: base scratch has no os-release"
}

@test "A15 a part for amd64 alone is refused before anything is built for more" {
    part amd 1.0.0 'base: {arch: [amd64]}' 'RUN true'
    source_file 'FROM localhost/debian:12' 'RUN true' '#: use std/amd'
    berth 2 build --platform linux/amd64,linux/arm64 -t "localhost/$name:1" .
    assert_contains "$output" "P031: std/amd 1.0.0 supports amd64; this build asks for linux/arm64"
    [[ $output != *STEP* ]]
    berth 1 image exists "localhost/$name:1"
}

@test "A16 a base with the name of a parameter in its environment" {
    make_base debian 12.1 -c 'ENV APP_USER_UID=1'
    source_file 'FROM localhost/debian:12.1' '#: use std/app-user'
    berth 1 build .
    assert_contains "$output" "P011: base image sets ENV APP_USER_UID, which would override the parameter"
}

@test "A19 two values of a variable, settled by an override" {
    part cet 1.0.0 'env: {TZ: {set: CET}}' 'RUN true'
    source_file 'FROM localhost/debian:12' '#: use std/tz' '#: use std/cet'
    berth 2 build .
    assert_contains "$output" 'P040: TZ is set to "UTC" by std/tz and "CET" by std/cet'
    echo '#: override env.TZ=CET' >>Containerfile
    berth build -t "localhost/$name:1" .
    assert_contains "$output" "TZ is overridden"
    # shellcheck disable=SC2016
    berth run --rm --network none "localhost/$name:1" sh -c 'echo "$TZ"'
    assert_equal "$output" CET
}

@test "A20 one part with two sets of parameters: in one stage no, in two stages yes" {
    source_file 'FROM localhost/debian:12 AS a' '#: use std/app-user name=x uid=5' '#: use std/app-user name=y uid=6'
    berth 2 build .
    assert_contains "$output" "P026: std/app-user is used with name=x uid=5 (line 2) and name=y uid=6 (line 3) in stage a"
    source_file 'FROM localhost/debian:12 AS a' '#: use std/app-user name=x uid=5' 'FROM localhost/debian:12' '#: use std/app-user name=y uid=6' 'COPY --from=a /etc/passwd /a'
    berth build -q -t "localhost/$name:1" .
    berth run --rm --network none "localhost/$name:1" grep -h '[xy]:x' /a /etc/passwd
    assert_equal "$output" $'x:x:5:5::/:/bin/false\ny:x:6:6::/:/bin/false'
}

@test "A22 with a lock and warm storage a build opens no socket to anywhere" {
    berth partial push "$FILE_DIR/parts/tz" "$REGISTRY/a22/tz"
    berth partial push "$FILE_DIR/parts/tool" "$REGISTRY/a22/tool"
    printf '[aliases]\nstd = "%s/a22"\n' "$REGISTRY" >partials.conf
    source_file "FROM $BASE" '#: use std/tool' 'RUN echo mine > /mine'
    berth partial update
    traced socket,connect build --network none --locked -t "localhost/$name:1" .
    assert_contains "$output" "STEP"
    [[ -s trace ]] || { echo "strace saw nothing"; false; }
    # What is local may be asked: systemd, other berths (AF_UNIX), the kernel (AF_NETLINK). crun sets up the loopback
    # device of a RUN by an ioctl on a socket that is never connected.
    not grep -E 'connect\(.*AF_INET|AF_PACKET|SOCK_RAW' trace
    not grep -E 'socket\(AF_INET6?, SOCK_(STREAM|DGRAM\|SOCK_CLOEXEC)' trace
    # That it would be seen if there were one:
    traced socket,connect partial update
    grep -qE 'connect\(.*AF_INET' trace
    grep -qE 'socket\(AF_INET6?, SOCK_STREAM' trace
}

@test "A23 with a lock and cold storage, --offline names what is missing and how to have it" {
    berth partial push "$FILE_DIR/parts/tz" "$REGISTRY/a23/tz"
    make_base debian 12.7
    berth push -q localhost/debian:12.7 "$REGISTRY/a23/debian:12.7"
    printf '[aliases]\nstd = "%s/a23"\n' "$REGISTRY" >partials.conf
    source_file "FROM $REGISTRY/a23/debian:12.7" '#: use std/tz'
    berth partial update
    rm -r "$GRAPHROOT/berth/parts"
    berth rmi -f "$REGISTRY/a23/debian:12.7" localhost/debian:12.7
    missing="P052: offline: missing std/tz 1.0.0, base $REGISTRY/a23/debian:12.7"$'\nHint: run: berth partial pull --lock Containerfile.lock'
    berth 4 partial compose --offline
    assert_contains "$output" "$missing"
    berth 4 build --offline -t "localhost/$name:1" .
    assert_contains "$output" "$missing"
    berth partial pull --lock Containerfile.lock
    berth build -q --offline --network none -t "localhost/$name:1" .
}

@test "A26 a part without the signature that policy.json wants: nothing is run" {
    berth partial push "$FILE_DIR/parts/tz" "$REGISTRY/a26/tz"
    printf '[aliases]\nstd = "%s/a26"\n' "$REGISTRY" >partials.conf
    openssl ecparam -name prime256v1 -genkey -noout 2>/dev/null | openssl ec -pubout -out "$FILE_DIR/key.pub" 2>/dev/null
    policy=$HOME/.config/containers/policy.json
    cp "$policy" policy.kept
    printf '{"default":[{"type":"insecureAcceptAnything"}],"transports":{"docker":{"%s/a26":[{"type":"sigstoreSigned","keyPath":"%s"}]}}}' \
        "$REGISTRY" "$FILE_DIR/key.pub" >"$policy"
    source_file 'FROM localhost/debian:12' 'RUN touch /tmp/mine' '#: use std/tz'
    berth 5 build -t "localhost/$name:1" .
    built=$output
    berth 5 partial pull std/tz
    pulled=$output
    # What is in the store already was taken when the policy was another; verify tells.
    strict=$(cat "$policy")
    cp policy.kept "$policy"
    mkdir before && cp Containerfile partials.conf before/
    berth partial compose -f before/Containerfile -o /dev/null
    echo "$strict" >"$policy"
    berth 5 partial verify -f before/Containerfile
    verified=$output
    rm -rf "$GRAPHROOT/berth/parts"
    mv policy.kept "$policy"
    assert_contains "$verified" "BAD   part std/tz 1.0.0: signature required by policy.json"
    assert_contains "$built" "P061: std/tz"
    assert_contains "$built" "signature required by policy.json, none accepted"
    assert_contains "$pulled" "P061: std/tz"
    [[ $built != *STEP* && ! -e Containerfile.lock ]]
    berth 1 image exists "localhost/$name:1"
    # The list of allowed sources.
    printf '[aliases]\nstd = "%s/a26"\n[sources]\nallow = ["good.example/parts"]\n' "$REGISTRY" >partials.conf
    berth 5 build -t "localhost/$name:1" .
    assert_contains "$output" "P060: source $REGISTRY is not allowed by partials.conf"
    [[ $output != *STEP* && ! -e Containerfile.lock ]]
    berth 1 image exists "localhost/$name:1"
}

@test "A35 a script that is only mounted leaves no copy in the image" {
    part mounted 1.0.0 '' 'RUN --mount=type=bind,from=files,target=/mnt/files sh /mnt/files/opt/script > /result' 'FROM scratch AS files
COPY files/ /
'
    mkdir -p "$FILE_DIR/parts/mounted/files/opt"
    # shellcheck disable=SC2016
    printf 'cat <<"PARTIAL_EOF"\n"x" '\''y'\'' $HOME \\ \\\\ `id`\n\ttab\nPARTIAL_EOF\n' >"$FILE_DIR/parts/mounted/files/opt/script"
    sh "$FILE_DIR/parts/mounted/files/opt/script" >want
    source_file 'FROM localhost/debian:12' '#: use std/mounted'
    berth build -q -t "localhost/$name:1" .
    berth run --rm --network none "localhost/$name:1" cat /result
    assert_equal "$output" "$(cat want)"
    berth run --rm --network none "localhost/$name:1" sh -c 'ls /opt /mnt/files/* 2>/dev/null; grep -rl PARTIAL_EOF / --exclude-dir=proc --exclude-dir=sys 2>/dev/null; true'
    assert_equal "$output" ""
}

@test "A37 another project with the same base and parts takes every block from the cache" {
    source_file 'FROM localhost/debian:12' '#: use std/tool' '#: use std/app-user uid=7' 'COPY file /file'
    echo one >file
    berth build -q -t "localhost/$name:1" .
    mkdir other && cp Containerfile partials.conf other/ && echo two >other/file
    berth build --progress=json -t "localhost/$name:2" other
    berth build --print other
    steps=$(grep -cE '^(RUN|COPY|ENV|ARG) ' <<<"$(sed -n '/^# >>> /,/^# <<< /p' <<<"$output")")
    berth build --progress=plain -t "localhost/$name:3" --build-arg nothing=1 other
    echo "$steps steps in blocks"
    [[ $(grep -c 'Using cache' <<<"$output") -ge $steps ]]
}

@test "A39 a part is tested on each of its bases, and plain buildah builds it there too" {
    mkdir -p "$FILE_DIR/parts/tool/test"
    printf 'localhost/debian:12\nlocalhost/alpine:3.20.3\n' >"$FILE_DIR/parts/tool/test/bases"
    berth partial test "$FILE_DIR/parts/tool"
    for base in debian:12 alpine:3.20.3; do
        assert_contains "$output" "ok  std/tool on localhost/$base, built alone"
        assert_contains "$output" "ok  std/tool on localhost/$base, composed, check passed"
    done
    for base in debian:12 alpine:3.20.3; do
        berth save -q -o "${base%:*}.tar" "localhost/$base"
        debian_buildah pull -q "docker-archive:${base%:*}.tar"
        [[ $status -eq 0 ]]
        debian_buildah bud --isolation chroot --build-arg "BASE=localhost/$base" --target install -t "made-on-${base%:*}" "$FILE_DIR/parts/tool"
        [[ $status -eq 0 ]]
    done
}

@test "A40 a Feature that depends on another and has options is imported, lints and builds" {
    mkdir -p features/{hello,base}
    printf '{"id":"base","version":"2.1.0","name":"Base","options":{"place":{"type":"string","default":"/opt"}}}' >features/base/devcontainer-feature.json
    # shellcheck disable=SC2016
    printf '#!/bin/sh\nset -e\nmkdir -p "$PLACE"\necho base > "$PLACE/base"\n' >features/base/install.sh
    cat >features/hello/devcontainer-feature.json <<'EOF'
{"id": "hello", "version": "1.2.0", "name": "Hello", "description": "Says hello",
 "options": {"greeting": {"type": "string", "proposals": ["hi", "hello"], "default": "hi"}, "loud": {"type": "boolean", "default": false},
             "shellName": {"type": "string", "enum": ["sh", "ash"], "default": "sh"}},
 "containerEnv": {"HELLO_DIR": "/opt/hello", "PATH": "/opt/hello/bin:${PATH}"},
 "dependsOn": {"ghcr.io/devcontainers/features/base:2": {}},
 "privileged": true, "capAdd": ["SYS_PTRACE"], "mounts": [{"source": "x", "target": "/x", "type": "volume"}]}
EOF
    cat >features/hello/install.sh <<'EOF'
#!/bin/sh
set -e
grep -q base /opt/base
mkdir -p /opt/hello/bin
printf '#!/bin/%s\necho "%s %s %s"\n' "$SHELLNAME" "$GREETING" "$LOUD" "$_REMOTE_USER" > /opt/hello/bin/hello
chmod 755 /opt/hello/bin/hello
EOF
    mkdir parts
    berth partial import --name dev/base -o parts/base features/base
    berth partial import --name dev/hello -o parts/hello features/hello
    for dropped in privileged capAdd mounts; do assert_contains "$output" "$dropped is dropped"; done
    berth partial lint parts/base parts/hello
    printf '[aliases]\ndev = "./parts"\n' >partials.conf
    source_file 'FROM localhost/debian:12' "#: use dev/hello greeting='good  day; x' loud=true" 'CMD ["hello"]'
    berth build -t "localhost/$name:1" .
    berth run --rm --network none "localhost/$name:1"
    assert_equal "$output" "good  day; x true root"
    # shellcheck disable=SC2016
    berth run --rm --network none "localhost/$name:1" sh -c 'cat /opt/base; echo "$HELLO_DIR"; ls /tmp'
    assert_equal "$output" $'base\n/opt/hello'
    berth 1 partial compose --param hello.shell-name=bash
    assert_contains "$output" "is not one of"
}

@test "a build for another platform takes that platform's base, though one of the digest is here" {
    case $("$ENGINE" image inspect --format '{{.Architecture}}' localhost/debian:12) in amd64) other=arm64 ;; *) other=amd64 ;; esac
    # An index of two: the same layers, of which one image says that it is of the other architecture.
    berth push -q localhost/debian:12 "$REGISTRY/two/base:own"
    berth save -q --format oci-dir -o own localhost/debian:12
    manifest=$(jq -r '.manifests[0].digest[7:]' own/index.json)
    config=$(jq -r '.config.digest[7:]' "own/blobs/sha256/$manifest")
    jq -c --arg a "$other" '.architecture = $a' "own/blobs/sha256/$config" >theirs
    for blob in own/blobs/sha256/* theirs; do put_blob two/base "$blob"; done
    jq -c --arg d "sha256:$(sha256sum <theirs | cut -d' ' -f1)" --argjson s "$(stat -c %s theirs)" '.config.digest = $d | .config.size = $s' "own/blobs/sha256/$manifest" >changed
    put_manifest two/base theirs changed
    put_manifest two/base own "own/blobs/sha256/$manifest"
    own=$("$ENGINE" image inspect --format '{{.Architecture}}' localhost/debian:12)
    jq -cn --arg o "$own" --arg od "sha256:$manifest" --argjson os "$(stat -c %s "own/blobs/sha256/$manifest")" --arg t "$other" --arg td "sha256:$(sha256sum <changed | cut -d' ' -f1)" --argjson ts "$(stat -c %s changed)" \
        '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [
            {mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $od, size: $os, platform: {os: "linux", architecture: $o}},
            {mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $td, size: $ts, platform: {os: "linux", architecture: $t}}]}' >index
    put_manifest two/base 12 index application/vnd.oci.image.index.v1+json
    part note 1.0.0 'env: {NOTE: {set: x}}' 'COPY <<EOF /note
x
EOF'
    source_file "FROM $REGISTRY/two/base:12" '#: use std/note'
    berth build -q -t "localhost/$name:own" .
    berth build -q --platform "linux/$other" -t "localhost/$name:other" .
    [[ $("$ENGINE" image inspect --format '{{.Architecture}}' "localhost/$name:own") == "$own" ]]
    [[ $("$ENGINE" image inspect --format '{{.Architecture}}' "localhost/$name:other") == "$other" ]]
    # Both pin the index.
    grep -q "$(sha256sum <index | cut -d' ' -f1)" Containerfile.lock
}
