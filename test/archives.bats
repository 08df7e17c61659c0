#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: root
# Crafted archives (CVE-2026-17106 and its kind): as layers of an image that is loaded, as a file system that is imported, and as
# the archive of an image itself. They may be refused or not; nothing of the host is read or written. Contexts and ADD are in
# build-security.bats.

load helpers
load evil

setup() {
    test_setup
    victim
    T=$FILE_DIR/evil-$name
    CTX=$FILE_DIR/ctx-$name
    mkdir -p "$CTX"
}

teardown() {
    [[ ! -e $FILE_DIR/server-$name ]] || kill "$(cat "$FILE_DIR/server-$name")" || true
    # What stands for a file that is not where its archive says is damaged for `system check`.
    timeout 60 "$ENGINE" rmi -f "localhost/$name" >/dev/null 2>&1 3>&- || true
    timeout 60 "$ENGINE" image prune -f >/dev/null 2>&1 3>&- || true
    test_teardown
}

# attempt ARG...: runs the engine; it may fail, but not hang or crash.
attempt() {
    status=0
    output=$(timeout --foreground -k 5 60 "$ENGINE" "$@" 2>&1 3>&-) || status=$?
    echo "$ $*"; echo "$output"; echo "exit code $status"
    [[ $status -lt 124 || $status -eq 125 ]] || { echo "it hangs or crashes"; return 1; }
    [[ $output != *panic:* && $output != *goroutine\ * ]] || { echo "it crashes"; return 1; }
    unharmed "localhost/$name"
}

@test "these tests can fail: a secret in what is imported, and a change" {
    tar -C "$VICTIM" -cf "$T" secret
    attempt import -q "$T" "localhost/$name" && return 1
    : >"$VICTIM/new"
    status=1 output=""
    not unharmed "localhost/$name"
}

@test "import and load of layers with .., absolute names, links, hard links, whiteouts and devices" {
    local line entries
    while IFS= read -r line; do
        IFS='|' read -ra entries <<<"$line"
        evil_tar "$T" "file plain" "${entries[@]}"
        attempt import -q "$T" "localhost/$name"
        "$ENGINE" rmi -f "localhost/$name" >/dev/null 2>&1 3>&- || true
        "$HELPERS_DIR/tools/docker-archive" "$T" "localhost/$name:latest" '{"Cmd":["true"]}' "$T.image"
        attempt load -q -i "$T.image"
        rm -f "$T.image"
    done < <(evil_lines)
    berth import -q - "localhost/$name" < <(tar -C "$CTX" -c .)
}

# refused WHAT ARG...: the engine says that WHAT is too much, soon, and keeps nothing.
refused() {
    local what=$1; shift
    attempt "$@"
    [ "$status" = 125 ] || { echo "it is taken"; return 1; }
    [[ $output == *"$what"* ]] || { echo "it does not say: $what"; return 1; }
    ! "$ENGINE" image exists "localhost/$name" 3>&- || { echo "there is an image"; return 1; }
}

@test "a file that is said to have 8 TiB: import, load, pull and FROM end at once, and keep nothing" {
    local kind
    for kind in 0.0 0.1 1.0 gnu nothing; do
        bomb "$kind" $((8 << 40)) "$T"
        refused '"big"' import -q "$T" "localhost/$name"
        refused '8 TiB' import -q - "localhost/$name" <"$T"
        if [[ $kind = nothing ]]; then
            BERTH_UNPACK_LIMIT=none refused '8 TiB' import -q "$T" "localhost/$name"
            [[ $output == *"are free on the disk"* ]] || { echo "a full disk is not what it says"; return 1; }
        else
            # holes take no room: it is taken by who allows it
            BERTH_UNPACK_LIMIT=none berth import -q "$T" "localhost/$name"
            sparse big $((8 << 40))
            berth rmi "localhost/$name"
        fi
        "$HELPERS_DIR/tools/docker-archive" "$T" "localhost/$name:latest" '{"Cmd":["true"]}' "$T.image"
        refused '8 TiB' load -q -i "$T.image"
        refused '8 TiB' load -q <"$T.image"
        refused '8 TiB' pull -q "docker-archive:$T.image"
        ln -f "$T.image" "$CTX/base.image"
        echo "FROM docker-archive:base.image" >"$CTX/Containerfile"
        refused '8 TiB' build -q -t "localhost/$name" "$CTX"
        rm -f "$T.image"
    done
}

@test "a file that is said to have 8 TiB: in ADD, and in the archive of an image" {
    # in ADD
    bomb 1.0 $((8 << 40)) "$CTX/evil.tar"
    printf 'FROM scratch\nADD evil.tar /\n' >"$CTX/Containerfile"
    refused '8 TiB' build -q -t "localhost/$name" "$CTX"
    # an archive of an image whose layer is a file with holes, plain and packed; and one that is packed too well
    printf '[{"Config":"c.json","RepoTags":["localhost/%s:latest"],"Layers":["big"]}]' "$name" >"$CTX/manifest.json"
    echo '{"rootfs":{"type":"layers","diff_ids":["sha256:0000000000000000000000000000000000000000000000000000000000000000"]}}' >"$CTX/c.json"
    tar -C "$CTX" -cf "$T" manifest.json c.json
    bomb 1.0 $((8 << 40)) "$T.big"
    tar -Af "$T" "$T.big"
    refused '"big" is larger than the archive' load -q -i "$T"
    refused '"big" is larger than the archive' pull -q "docker-archive:$T"
    gzip "$T"
    refused '8 TiB' load -q <"$T.gz"
    head -c 3000000 /dev/zero >"$CTX/zeros"
    tar -C "$CTX" -czf "$T" manifest.json c.json zeros
    BERTH_UNPACK_LIMIT=2m refused 'more than 2 MiB is not taken' load -q -i "$T"
}

# sparse NAME SIZE: there is one such file in the layers of the store; it has that size, and takes at most 64 KiB.
sparse() {
    local root files
    root=$("$ENGINE" info --format '{{.Store.GraphRoot}}' 3>&-)
    mapfile -t files < <(find "$root/overlay" -path "*/diff/$1")
    [[ ${#files[@]} -eq 1 ]] || { printf 'not one file %s: %s\n' "$1" "${files[*]}"; return 1; }
    stat -c '%n: %s bytes, %b blocks' "${files[0]}"
    [[ $(stat -c %s "${files[0]}") -eq $2 && $(stat -c %b "${files[0]}") -le 128 ]]
}

@test "stores without holes (vfs, force_mask): a file with holes takes its size, and no more than is free" {
    local kind other
    for other in vfs mask; do
        mkdir -p "$FILE_DIR/$other"
        if [[ $other = vfs ]]; then
            printf '[storage]\ndriver = "vfs"\n' >"$FILE_DIR/$other.conf"
        else
            printf '[storage]\ndriver = "overlay"\n[storage.options.overlay]\nforce_mask = "shared"\nmount_program = "/usr/bin/fuse-overlayfs"\n' >"$FILE_DIR/$other.conf"
        fi
        sed -i "/^driver/a graphroot = \"$FILE_DIR/$other/root\"\nrunroot = \"$FILE_DIR/$other/run\"" "$FILE_DIR/$other.conf"
        local -x CONTAINERS_STORAGE_CONF=$FILE_DIR/$other.conf
        for kind in 0.0 0.1 1.0 gnu; do
            bomb "$kind" $((8 << 40)) "$T"
            BERTH_UNPACK_LIMIT=none refused "are free on the disk" import -q "$T" "localhost/$name"
            refused "8 TiB" import -q "$T" "localhost/$name"
            assert_equal "$(find "$FILE_DIR/$other" -name big)" ""
            berth system check
        done
        bomb 1.0 $((3 << 20)) "$T"
        berth import -q "$T" "localhost/$name"
        assert_equal "$(find "$FILE_DIR/$other" -name big -printf %s)" $((3 << 20))
        berth rmi "localhost/$name"
        assert_equal "$(find "$FILE_DIR/$other" -name big)" ""
        discard "$FILE_DIR/$other"
    done
}

@test "kill -9 in the middle of a layer with holes: the store is whole" {
    local pid i killed=0 pieces=1000
    mkdir "$CTX/t"
    truncate -s $((pieces * 200000)) "$CTX/t/big"
    for ((i = 0; i < pieces; i++)); do echo "$i"; done | python3 -c 'import os, sys
f = open(sys.argv[1], "r+b")
for i in sys.stdin:
    f.seek(int(i) * 200000)
    f.write(os.urandom(65536))' "$CTX/t/big"
    tar -C "$CTX/t" -cSf "$T" big
    "$HELPERS_DIR/tools/docker-archive" "$T" "localhost/$name:latest" '{"Cmd":["true"]}' "$T.image"
    for i in 0 1 2 4 6 8 12 16; do
        "$ENGINE" load -q -i "$T.image" >/dev/null 2>&1 3>&- &
        pid=$!
        # when the file is there, and then later and later
        wait_for 30 eval 'find "$GRAPHROOT/overlay" -name big | grep -q .'
        sleep "$(printf 0.%03d $((i * 50)))"
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" || killed=$((killed + 1))
        berth system check --repair
        berth system check
        "$ENGINE" rmi "localhost/$name" 3>&- || true
        assert_equal "$(find "$GRAPHROOT/overlay" -name big)" ""
    done
    echo "killed in the middle: $killed"
    [[ $killed -ge 2 ]]
    berth load -q -i "$T.image"
    berth save -q -o "$T.saved" "localhost/$name"
    tar -xOf "$T.saved" --wildcards '*.tar' | cmp - "$T"
    berth rmi "localhost/$name"
}

@test "holes stay holes: load, pull, import, FROM and ADD; save, check and push make the same layer" {
    local format id
    mkdir "$CTX/t"
    truncate -s 64M "$CTX/t/big"
    printf end >>"$CTX/t/big"
    for format in gnu posix; do
        tar --format="$format" -C "$CTX/t" -cSf "$T" big
        "$HELPERS_DIR/tools/docker-archive" "$T" "localhost/$name:latest" '{"Cmd":["true"]}' "$T.image"
        berth load -q -i "$T.image"
        sparse big $(((64 << 20) + 3))
        berth system check
        # what it is made of comes back
        berth save -q -o "$T.saved" "localhost/$name"
        tar -xOf "$T.saved" --wildcards '*.tar' | cmp - "$T"
        id=$("$ENGINE" image inspect --format '{{.Id}}' "localhost/$name" 3>&-)
        berth push -q "localhost/$name" "dir:$T.dir"
        berth rmi "localhost/$name"
        berth pull -q "dir:$T.dir"
        sparse big $(((64 << 20) + 3))
        berth rmi -f "$id" || berth rmi -f "$output"
        rm -rf "$T.saved" "$T.dir"

        ln -f "$T.image" "$CTX/base.image"
        printf 'FROM docker-archive:base.image\nENV a=b\n' >"$CTX/Containerfile"
        berth build -q -t "localhost/$name" "$CTX"
        sparse big $(((64 << 20) + 3))
        berth rmi -f "localhost/$name"
        berth image prune -f

        ln -f "$T" "$CTX/t.tar"
        printf 'FROM scratch\nADD t.tar /\n' >"$CTX/Containerfile"
        berth build -q -t "localhost/$name" "$CTX"
        sparse big $(((64 << 20) + 3))
        berth rmi -f "localhost/$name"
        gzip -c "$T" >"$T.gz"
        berth import -q - "localhost/$name" <"$T.gz"
        sparse big $(((64 << 20) + 3))
        berth rmi -f "localhost/$name"
    done
}

@test "commit and RUN of a file with a hole of 8 TiB end at once; of a small one it stays a hole" {
    berth run --name "$name" "$IMAGE" truncate -s $((8 << 40)) /big
    refused 'to commit it takes 16 TiB on the disk of ' commit -q "$name" "localhost/$name"
    [[ $output == *'Hint: '*'holes of files count in full'* ]]
    refused '8 TiB' commit -q --squash "$name" "localhost/$name"
    printf 'FROM %s\nRUN truncate -s 8796093022208 /big\n' "$IMAGE" >"$CTX/Containerfile"
    refused '8 TiB' build -q -t "localhost/$name" "$CTX"
    refused '8 TiB' build -q --squash -t "localhost/$name" "$CTX"
    refused '8 TiB' build -q --layers=false -t "localhost/$name" "$CTX"
    printf 'FROM %s AS one\nRUN truncate -s 8796093022208 /big\nFROM %s\nCOPY --from=one /big /\n' "$IMAGE" "$IMAGE" >"$CTX/Containerfile"
    refused '8 TiB' build -q -t "localhost/$name" "$CTX"
    berth rm "$name"
    berth run --name "$name" "$IMAGE" truncate -s 64M /big
    berth commit -q "$name" "localhost/$name"
    berth rm "$name"
    sparse big $((64 << 20))
}

@test "a context from standard input and from a URL: holes, zeros, no end; holes within bounds are taken" {
    local port kind from
    port=$(free_port)
    mkdir "$CTX/served"
    python3 - "$port" "$CTX/served" >/dev/null 2>&1 3>&- <<-'X' &
	import http.server, os, sys
	class H(http.server.SimpleHTTPRequestHandler):
	    def do_GET(self):
	        if self.path != "/endless":
	            return super().do_GET()
	        self.send_response(200); self.end_headers()
	        while True:
	            self.wfile.write(bytes(1 << 20))
	os.chdir(sys.argv[2])
	http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
	X
    echo $! >"$FILE_DIR/server-$name"
    wait_for 10 curl -sf -o /dev/null "http://127.0.0.1:$port/"
    for kind in 0.0 0.1 1.0 gnu nothing; do
        bomb "$kind" $((8 << 40)) "$CTX/served/t.tar"
        refused '8 TiB' build -q -t "localhost/$name" - <"$CTX/served/t.tar"
        refused '8 TiB' build -q -t "localhost/$name" "http://127.0.0.1:$port/t.tar"
        BERTH_UNPACK_LIMIT=none refused '8 TiB' build -q -t "localhost/$name" - <"$CTX/served/t.tar"
        printf 'FROM scratch\nCOPY --from=more /big /\n' >"$CTX/Containerfile"
        refused '8 TiB' build -q -t "localhost/$name" --build-context "more=http://127.0.0.1:$port/t.tar" "$CTX"
    done
    refused 'follow the end of the archive' build -q -t "localhost/$name" - </dev/zero
    refused 'too long for a Containerfile' build -q -t "localhost/$name" - < <(yes)
    refused 'follow the end of the archive' build -q -t "localhost/$name" "http://127.0.0.1:$port/endless"
    BERTH_UNPACK_LIMIT=100m refused 'is not taken' build -q -t "localhost/$name" - < <({ bomb nothing $((99 << 30)) "$T"; head -c 512 "$T"; cat /dev/zero; } | gzip)
    mkdir "$CTX/t"
    truncate -s 1M "$CTX/t/big"
    printf 'FROM scratch\nCOPY big /\n' >"$CTX/t/Containerfile"
    for kind in gnu posix; do
        tar --format="$kind" -C "$CTX/t" -cSf "$CTX/served/t.tar" .
        berth build -q -t "localhost/$name" - <"$CTX/served/t.tar"
        sparse big $((1 << 20))
        berth rmi "localhost/$name"
        berth build -q -t "localhost/$name" --build-context "more=http://127.0.0.1:$port/t.tar" - <<<$'FROM scratch\nCOPY --from=more /big /'
        sparse big $((1 << 20))
        berth rmi "localhost/$name"
    done
}

@test "the first use of a volume copies no more than the limit" {
    truncate -s 3M "$CTX/big"
    printf 'FROM %s\nCOPY big /data/\n' "$IMAGE" >"$CTX/Containerfile"
    berth build -q -t "localhost/$name" "$CTX"
    BERTH_UNPACK_LIMIT=2m berth 125 run --rm -v "$name:/data" "localhost/$name" true
    assert_contains "$output" 'more than 2 MiB is not taken'
    berth run --rm -v "$name:/data" "localhost/$name" ls -l /data/big
    berth volume rm "$name"
    berth rmi "localhost/$name"
}

@test "standard input without an end, or that is no archive: load and import stop, and keep nothing" {
    local verb
    export TMPDIR=$FILE_DIR/tmp-$name
    mkdir "$TMPDIR"
    head -c 100000 /dev/urandom >"$CTX/file"
    tar -C "$CTX" -cf "$T" file
    for verb in "load -q" "import -q - localhost/$name"; do
        # shellcheck disable=SC2086 # words
        refused 'follow the end of the archive' $verb </dev/zero
        refused 'not a tar archive' $verb < <(yes)
        refused 'not a tar archive' $verb </dev/urandom
        refused 'follow the end of the archive' $verb < <(cat "$T" /dev/zero)
        BERTH_UNPACK_LIMIT=100m refused 'more than 100 MiB is not taken' $verb < <({ bomb nothing $((99 << 30)) "$T.big"; head -c 512 "$T.big"; cat /dev/zero; } | gzip)
        refused 'follow the end of the archive' $verb < <(gzip </dev/zero)
    done
    [ -z "$(ls -A "$TMPDIR")" ] || { ls -lR "$TMPDIR"; return 1; }
}

@test "BERTH_UNPACK_LIMIT bounds what an image unpacks to, however it is packed" {
    local pack
    head -c 3000000 /dev/zero >"$CTX/zeros"
    tar -C "$CTX" -cf "$T" zeros
    for pack in gzip zstd xz bzip2 cat; do
        "$pack" <"$T" >"$T.packed"
        BERTH_UNPACK_LIMIT=2m refused 'more than 2 MiB is not taken' import -q "$T.packed" "localhost/$name"
        [[ $output == *'layer sha256:'*'"zeros"'*'Hint: '*BERTH_UNPACK_LIMIT* ]]
        BERTH_UNPACK_LIMIT=4m berth import -q "$T.packed" "localhost/$name"
        berth rmi "localhost/$name"
    done
    # all layers together
    BERTH_UNPACK_LIMIT=4m berth import -q "$T" "localhost/$name-base"
    printf 'FROM localhost/%s\nCOPY zeros /more\n' "$name-base" >"$CTX/Containerfile"
    BERTH_UNPACK_LIMIT=4m refused 'of the layers below' build -q -t "localhost/$name" "$CTX"
    berth rmi "localhost/$name-base"
    # packed twice
    gzip <"$T" | gzip >"$T.packed"
    attempt import -q "$T.packed" "localhost/$name"
    [ "$status" = 125 ]
    BERTH_UNPACK_LIMIT=lots refused 'BERTH_UNPACK_LIMIT="lots" is not a size' import -q "$T" "localhost/$name"
}

@test "the archive of an image that is itself crafted" {
    local line entries
    echo '[{"Config":"c.json","RepoTags":["localhost/x:1"],"Layers":["l.tar"]}]' >"$CTX/m"
    while IFS= read -r line; do
        IFS='|' read -ra entries <<<"$line"
        evil_tar "$T" "${entries[@]}"
        attempt load -q -i "$T"
        attempt load -q <"$T"
    done <<-X
	file manifest.json $(cat "$CTX/m")|file c.json {}|link l.tar $VICTIM/secret
	file manifest.json $(cat "$CTX/m")|link c.json $VICTIM/secret|file l.tar x
	file manifest.json $(sed "s|l.tar|$UP$VICTIM/secret|" "$CTX/m")|file c.json {}
	link manifest.json $VICTIM/secret|file c.json {}
	link oci-layout $VICTIM/secret|link index.json $VICTIM/secret
	file oci-layout {"imageLayoutVersion":"1.0.0"}|link index.json $VICTIM/secret|dir blobs
	file oci-layout {"imageLayoutVersion":"1.0.0"}|link blobs $VICTIM|file index.json {}|dir blobs/sha256|file blobs/new
	file oci-layout {"imageLayoutVersion":"1.0.0"}|file index.json {"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:$(sha256sum "$VICTIM/secret" | cut -c1-64)","size":10}]}|link blobs/sha256/$(sha256sum "$VICTIM/secret" | cut -c1-64) $VICTIM/secret
	X
}
