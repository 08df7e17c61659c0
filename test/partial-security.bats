#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# Parts that try to reach what is not theirs: the host's files, the consumer's context, the composed file. What can be
# told from texts alone is tested in build/partial (escape_test.go, lint_test.go) and in build/partial/registry (crafted_test.go).

load helpers
load partial

setup_file() {
    store_setup
    make_bases
    start_registry
    echo secret >"$FILE_DIR/host-secret"
}

# refused CODE WORDS: compose and build end with that finding, and nothing is run.
refused() {
    source_file 'FROM localhost/debian:12' '#: use std/evil'
    local code=$1
    shift
    berth "$code" partial compose
    assert_contains "$output" "$1"
    berth "$code" build -t "localhost/$name:evil" .
    assert_contains "$output" "$1"
    [[ $output != *STEP* && ! -e Containerfile.lock ]]
    berth 1 image exists "localhost/$name:evil"
}

teardown() {
    rm -rf "$FILE_DIR/parts/evil"
    test_teardown
}

@test "links in a part's folder lead nowhere" {
    stages='FROM scratch AS files
COPY files/ /
'
    part evil 1.0.0 '' 'COPY --from=files / /' "$stages"
    mkdir -p "$FILE_DIR/parts/evil/files"
    ln -s "$FILE_DIR/host-secret" "$FILE_DIR/parts/evil/files/secret"
    refused 1 "P070"
    rm "$FILE_DIR/parts/evil/files/secret"
    ln -s ../../.. "$FILE_DIR/parts/evil/files/up"
    refused 1 "P070"
    rm -r "$FILE_DIR/parts/evil/files"
    mkdir "$FILE_DIR/elsewhere" && cp "$FILE_DIR/host-secret" "$FILE_DIR/elsewhere/"
    ln -s "$FILE_DIR/elsewhere" "$FILE_DIR/parts/evil/files"
    source_file 'FROM localhost/debian:12' '#: use std/evil'
    run timeout 60 "$ENGINE" build -t "localhost/$name:evil" . 3>&-
    echo "$output"
    [[ $status -ne 0 && $output != *STEP* && $output != *secret* ]]
    rm -r "$FILE_DIR/elsewhere"
}

@test "mounts and cache ids that lead out are refused" {
    part evil 1.0.0 '' 'RUN --mount=type=bind,source=/,target=/c cat /c/data'
    refused 1 "P006: bind mount of \"/\" reads the consumer's build context"
    part evil 1.0.0 '' 'RUN --mount=type=cache,id=../../../../etc,target=/c ls /c'
    refused 1 'P006: cache id "../../../../etc"'
    part evil 1.0.0 '' 'RUN --mount=type=bind,from=made,from=,target=/c ls /c' 'FROM base AS made
'
    refused 1 "from is there twice"
    part evil 1.0.0 '' 'COPY --from=dir:/etc passwd /x'
    refused 1 "P006: from=dir:/etc is no stage of the part"
    part evil 1.0.0 '' 'RUN --mount=type=secret,id=token cat /run/secrets/token'
    refused 1 'P005: secret mount "token" is not listed under "needs"'
    part evil 1.0.0 'needs: ["secret:token"]' 'RUN --mount=type=secret,id=token cat /run/secrets/token'
    refused 1 'P006: std/evil needs secret:token; grant it: #: use std/evil allow=secret:token'
}

@test "links in a helper stage stay in it: bind mounts, caches and copies from it see no host" {
    helper="FROM base AS made
RUN mkdir /made && echo made > /made/file && ln -s / /made/root && ln -s ../../../../../../../../../../.. /made/up && ln -s $FILE_DIR /made/host
"
    look="for d in /c/root /c/up /c/host /c; do cat \\\"\\\$d$FILE_DIR/host-secret\\\" \\\"\\\$d/host-secret\\\" 2>/dev/null; touch \\\"\\\$d/pwned\\\" 2>/dev/null; done; true"
    for mount in bind,from=made,source=/made,rw bind,from=made,source=made/up,rw bind,from=made,source=/made/root,rw bind,from=made,source=/made/host,rw bind,from=made,source=../../..,rw \
        cache,from=made,source=/made cache,from=made,source=/made/up cache,from=made,source=/made/host; do
        part evil 1.0.0 '' "RUN --mount=type=$mount,target=/c sh -c \"$look\" > /found" "$helper"
        source_file 'FROM localhost/debian:12' '#: use std/evil'
        run timeout 60 "$ENGINE" build -t "localhost/$name:evil" . 3>&-
        echo "$mount: exit code $status"
        [[ ! -e /pwned && ! -e $FILE_DIR/pwned ]]
        if [[ $status -eq 0 ]]; then
            berth run --rm --network none "localhost/$name:evil" cat /found
            assert_equal "$output" ""
        fi
    done
    for source in /made/root/ /made/up/ /made/host/ ../../made/host/; do
        part evil 1.0.0 '' "COPY --from=made $source /copied/" "$helper"
        source_file 'FROM localhost/debian:12' '#: use std/evil'
        run timeout 60 "$ENGINE" build -t "localhost/$name:evil" . 3>&-
        echo "$source: exit code $status"
        if [[ $status -eq 0 ]]; then
            berth run --rm --network none "localhost/$name:evil" sh -c "ls /copied/host-secret /copied$FILE_DIR 2>/dev/null; true"
            assert_equal "$output" ""
        fi
    done
}

@test "an artifact with links, devices or names that lead out, and one whose blobs were exchanged" {
    mkdir -p tree/opt
    echo good >tree/opt/file
    stages='FROM scratch AS files
COPY files/ /
'
    part evil 1.0.0 '' 'COPY --from=files / /' "$stages"
    cp -r tree "$FILE_DIR/parts/evil/files"
    berth partial pack -o layout "$FILE_DIR/parts/evil"
    good=$(jq -r '.manifests[0].digest[7:]' layout/index.json)
    for blob in layout/blobs/sha256/*; do put_blob evil/evil "$blob"; done
    printf '[aliases]\nstd = "%s/evil"\n' "$REGISTRY" >partials.conf
    crafted() { # crafted TAR-ARGUMENT...: publishes version 1.0.0 with that archive of files
        tar -cf crafted.tar --format=pax "$@"
        put_blob evil/evil crafted.tar
        jq -c --arg d "sha256:$(sha256sum <crafted.tar | cut -d' ' -f1)" --argjson s "$(stat -c %s crafted.tar)" '.layers[1] |= (.digest = $d | .size = $s)' "layout/blobs/sha256/$good" >list
        put_manifest evil/evil 1.0.0 list
    }
    ln -s /etc tree/link
    ln tree/opt/file tree/hard
    crafted -C tree link
    refused 1 "P070: part std/evil is not as parts are"
    crafted -C tree hard opt/file
    refused 1 "is a link, a device or another special file"
    crafted -P "$PWD/tree/opt/file"
    refused 1 "is not a plain relative path"
    crafted -C tree -P opt/file --transform 's,^,../../,'
    refused 1 "is not a plain relative path"
    crafted -C tree opt/file --transform 's,file,a\nRUN touch /pwned\n,'
    refused 1 "P070"
    # The good one.
    put_manifest evil/evil 1.0.0 "layout/blobs/sha256/$good"
    source_file 'FROM localhost/debian:12' '#: use std/evil'
    berth build -q -t "localhost/$name:1" .
    berth run --rm --network none "localhost/$name:1" cat /opt/file
    assert_equal "$output" good
    # Somebody changes a blob where it is stored.
    files=$(jq -r '.layers[1].digest[7:]' "layout/blobs/sha256/$good")
    stored=$REGISTRY_DIR/docker/registry/v2/blobs/sha256/${files:0:2}/$files/data
    sed -i 's/good/evil/' "$stored"
    rm -r "$GRAPHROOT/berth/parts" Containerfile.lock
    berth 3 build -t "localhost/$name:2" .
    assert_contains "$output" "P051: part std/evil: blob sha256:"
    [[ $output != *STEP* ]]
    # Somebody changes the local store: it is as good as missing, and fetched again.
    sed -i 's/evil/good/' "$stored"
    berth build -q -t "localhost/$name:2" .
    sed -i 's/good/evil/' "$GRAPHROOT/berth/parts/blobs/sha256/$files"
    berth build -q -t "localhost/$name:3" .
    berth run --rm --network none "localhost/$name:3" cat /opt/file
    assert_equal "$output" good
}
