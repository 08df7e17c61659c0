#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# Partial container files: records of builds, the verbs around images and registries, machine-readable output.

load helpers
load partial

setup_file() {
    store_setup
    make_bases
    standard_parts
    start_registry
}

@test "a build's record says which block made which layers, and verify compares an image with it" {
    source_file 'FROM localhost/debian:12' '#: use std/tool' 'RUN echo mine > /mine' '#: use std/app-user uid=7'
    image=$REGISTRY/verbs/app:1
    berth build -q -t "$image" .
    berth partial verify "$image"
    assert_contains "$output" "ok    layers: 5, as the build's record has them"
    berth push -q "$image"
    # From the registry, by somebody else.
    rm -rf "$GRAPHROOT/berth/part-records"
    digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$image")
    curl -sf -H 'Accept: application/vnd.oci.image.index.v1+json' "http://$REGISTRY/v2/verbs/app/manifests/${digest/:/-}" >referrers
    record=$(jq -r '.manifests[0].digest' referrers)
    blob=$(curl -sf -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$REGISTRY/v2/verbs/app/manifests/$record" |
        jq -r '.layers[] | select(.mediaType == "application/vnd.partials.build.layers.v1+json") | .digest')
    curl -sfL "http://$REGISTRY/v2/verbs/app/blobs/$blob" >layers
    cat layers
    jq -e '.layers == 1 and .base == 1 and (.diffIDs | length) == 5 and ([.blocks[].name] == ["std/tz", "std/tool", "std/app-user"])
        and .blocks[1].diffIDs == [.diffIDs[2]] and .blocks[2].diffIDs == [.diffIDs[4]]' layers
    berth partial verify "$image"
    assert_contains "$output" "ok    layers: 5, as the build's record has them"
    # The same label over other layers.
    dir=other && berth save -q --format oci-dir -o "$dir" "$image"
    manifest=$(jq -r '.manifests[0].digest[7:]' "$dir/index.json")
    config=$(jq -r '.config.digest[7:]' "$dir/blobs/sha256/$manifest")
    # The last layer becomes the second once more, in config and manifest.
    jq -c '.rootfs.diff_ids[-1] = .rootfs.diff_ids[1]' "$dir/blobs/sha256/$config" >changed
    new=$(sha256sum <changed | cut -d' ' -f1)
    jq -c --arg d "sha256:$new" --argjson s "$(stat -c %s changed)" '.config.digest = $d | .config.size = $s | .layers[-1] = .layers[1]' "$dir/blobs/sha256/$manifest" >list
    mv changed "$dir/blobs/sha256/$new"
    m=$(sha256sum <list | cut -d' ' -f1)
    jq -c --arg d "sha256:$m" --argjson s "$(stat -c %s list)" --arg n "$image" '.manifests[0] |= (.digest = $d | .size = $s | .annotations = {"org.opencontainers.image.ref.name": $n})' "$dir/index.json" >index
    mv list "$dir/blobs/sha256/$m" && mv index "$dir/index.json"
    berth load -q -i "$dir"
    berth tag "$new" "$image"
    berth push -q "$image"
    record_of() { curl -sf -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$REGISTRY/v2/verbs/app/manifests/$1"; }
    # Somebody attaches the old record to it.
    digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$image")
    size=$(record_of 1 | wc -c)
    record_of "$record" | jq -c --arg d "$digest" --argjson s "$size" '.subject |= (.digest = $d | .size = $s)' | tr -d '\n' >moved
    moved=sha256:$(sha256sum <moved | cut -d' ' -f1)
    put_manifest verbs/app "$moved" moved
    jq -cn --arg d "$moved" --argjson s "$(stat -c %s moved)" '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [{mediaType: "application/vnd.oci.image.manifest.v1+json", artifactType: "application/vnd.partials.build.v1", digest: $d, size: $s}]}' >index
    put_manifest verbs/app "${digest/:/-}" index application/vnd.oci.image.index.v1+json
    berth 3 partial verify "$image"
    assert_contains "$output" "BAD   layers: layer 5, of std/app-user: the record has sha256:"
}

@test "after a build, files that two parts wrote are named" {
    part one 1.0.0 'owns: [/opt/one]' 'RUN mkdir -p /opt/one && echo 1 > /opt/one/conf && echo 1 > /etc/common && echo x >> /etc/passwd'
    part two 1.0.0 '' 'RUN echo 2 > /opt/one/conf && echo 2 > /etc/common && echo y >> /etc/passwd'
    source_file 'FROM localhost/debian:12' '#: use std/one' '#: use std/two' 'RUN echo mine > /etc/common'
    berth_split build -q -t "localhost/$name:1" .
    assert_equal "$stderr" $'Note: /etc/common was written by std/one and then by std/two\nNote: /opt/one/conf was written by std/one and then by std/two'
    # Two owners are not built at all.
    part two 1.0.0 'owns: [/opt/one/conf]' 'RUN true'
    rm Containerfile.lock
    berth 2 build -q .
    assert_contains "$output" "P042: std/one and std/two both own /opt/one/conf"
}

@test "compose --push publishes a container file by itself, and extract finds it" {
    source_file 'ARG COMPOSED=${USES_PARTIALS_COMPOSE_OR_EJECT_FIRST:?}' 'FROM localhost/debian:12' '#: use std/tool@^2' 'CMD ["tool"]'
    berth_split partial compose --push "$REGISTRY/files/web:7" -o composed
    [[ $output =~ ^sha256:[0-9a-f]{64}$ ]]
    cp Containerfile source
    berth_split partial extract -o back "$REGISTRY/files/web:7"
    assert_contains "$stderr" "exact, from the image's record"
    cmp back composed
    cmp back.lock Containerfile.lock
    berth partial extract --uncompose -o back "$REGISTRY/files/web:7"
    cmp back source
    berth 4 partial compose --offline --push "$REGISTRY/files/web:8"
}

@test "embed: the text is in the label, in a file, or only in the record" {
    for embed in label file none; do
        source_file "#: option embed=$embed" 'FROM localhost/debian:12' '#: use std/tz'
        berth build -q -t "localhost/$name:$embed" .
        berth build --print .
        printed=$output
        berth_split image containerfile "localhost/$name:$embed"
        assert_equal "$output" "$printed"
        case $embed in none) from=record ;; *) from=$embed ;; esac
        assert_contains "$stderr" "exact, from the image's $from"
        # Somewhere else there is only the image.
        rm -rf "$GRAPHROOT/berth/part-records"
        berth_split image containerfile "localhost/$name:$embed"
        if [[ $embed == none ]]; then assert_contains "$stderr" "reconstructed from the history, not exact"; else assert_equal "$output" "$printed"; fi
    done
    berth run --rm --network none "localhost/$name:file" cat /usr/share/containerfile/Containerfile
    assert_contains "$output" "# >>> std/tz 1.0.0"
    not grep -q 'dev.partials.text' <<<"$output"
    berth run --rm --network none "localhost/$name:none" sh -c 'ls /usr/share/containerfile 2>/dev/null; true'
    assert_equal "$output" ""
}

@test "verify --run-checks runs each part's check in the image" {
    part failing 1.0.0 'params: {word: {type: string, pattern: "[a-z]+", default: good}}
check: {argv: [cat, /opt/failing], match: "^${word}$"}' 'ARG FAILING_WORD
RUN mkdir -p /opt && echo "$FAILING_WORD" > /opt/failing'
    source_file 'FROM localhost/debian:12 AS build' '#: use std/failing word=unused' 'FROM localhost/debian:12' '#: use std/tool' '#: use std/failing word=other' 'USER app'
    berth build -q -t "localhost/$name:1" .
    berth partial verify --run-checks "localhost/$name:1"
    assert_contains "$output" 'ok    check of std/tool: passed: ["tool"]'
    assert_contains "$output" 'ok    check of std/failing: passed: ["cat","/opt/failing"]'
    assert_contains "$output" 'note  check of std/tz: it has none'
    # Without the record, the parameters are those of the use lines.
    rm -rf "$GRAPHROOT/berth/part-records"
    berth partial verify --run-checks "localhost/$name:1"
    assert_contains "$output" 'ok    check of std/failing'
    printf 'FROM localhost/%s:1\nUSER root\nRUN echo changed > /opt/failing\n' "$name" >Childfile
    berth build -q -f Childfile -t "localhost/$name:2" .
    berth 3 partial verify --run-checks --format json "localhost/$name:2"
    assert_contains "$output" 'the check printed \"changed\", which does not match ^other$'
    berth 125 partial verify --run-checks
}

@test "init --from makes a part of a container file, and of an image" {
    # shellcheck disable=SC2016
    printf 'FROM localhost/debian:12\nARG WORD=hi\nENV A=b\nRUN echo "$WORD" > /word\nCOPY conf /etc/conf\nCMD ["cat", "/word"]\n' >Plainfile
    echo conf >conf
    berth_split partial init --from Plainfile acme/web "$FILE_DIR/parts/web"
    assert_contains "$stderr" "COPY conf /etc/conf is left out: it reads the build context"
    berth partial lint "$FILE_DIR/parts/web"
    sed -i 's/^# name: acme/# name: std/' "$FILE_DIR/parts/web/Containerfile"
    source_file 'FROM localhost/debian:12' '#: use std/web word="good day"'
    berth build -q -t "localhost/$name:1" .
    berth run --rm --network none "localhost/$name:1"
    assert_equal "$output" "good day"
    source_file 'FROM localhost/debian:12' '#: use std/tool' 'RUN echo own > /own'
    berth build -q -t "localhost/$name:2" .
    berth partial init --from "localhost/$name:2" acme/again --format json
    jq -e '.Directory == "again"' <<<"$output"
    grep -q '^# requires: \["std/tool"\]' again/Containerfile
    grep -q '^RUN echo own > /own' again/Containerfile
    berth partial lint again
    berth 1 partial init acme/again
    assert_contains "$output" "again/Containerfile is there already"
}

@test "the record of a rebased image names the image that it was made from" {
    part detb 1.0.0 'layer: detached' 'COPY --link --from=made /opt/ /opt/' 'FROM base AS made
RUN mkdir -p /opt/detb && echo detb > /opt/detb/file
'
    make_base debian 12.9
    # shellcheck disable=SC2016
    source_file 'ARG COMPOSED=${USES_PARTIALS_COMPOSE_OR_EJECT_FIRST:?}' 'FROM localhost/debian:12' '#: use std/detb' 'CMD ["cat", "/opt/detb/file"]'
    berth build -q -t "$REGISTRY/rebased/app:1" .
    old=$("$ENGINE" image inspect --format '{{.Digest}}' "$REGISTRY/rebased/app:1")
    berth partial rebase --onto localhost/debian:12.9 --format json -t "$REGISTRY/rebased/app:2" "$REGISTRY/rebased/app:1"
    jq -e '.ID | startswith("sha256:")' <<<"$output"
    berth partial verify "$REGISTRY/rebased/app:2"
    assert_contains "$output" "ok    layers: 2, as the build's record has them"
    berth push -q "$REGISTRY/rebased/app:2"
    digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$REGISTRY/rebased/app:2")
    record=$(curl -sf -H 'Accept: application/vnd.oci.image.index.v1+json' "http://$REGISTRY/v2/rebased/app/manifests/${digest/:/-}" | jq -r '.manifests[0].digest')
    curl -sf -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$REGISTRY/v2/rebased/app/manifests/$record" >found
    cat found
    [[ $(jq -r '.annotations["dev.partials.previous"]' found) == "$old" ]]
    # What it gives back composes to the same.
    rm -rf "$GRAPHROOT/berth/part-records"
    mkdir again
    berth partial extract --uncompose -o again/Containerfile "$REGISTRY/rebased/app:2"
    grep -q '^FROM localhost/debian:12.9$' again/Containerfile
    cp partials.conf again/
    berth partial compose --locked -f again/Containerfile -o composed
    berth_split partial extract "$REGISTRY/rebased/app:2"
    assert_equal "$(cat composed)" "$output"
}

@test "extract reads the file in BuildKit's provenance" {
    printf 'FROM localhost/debian:12\nCOPY x /x\nCMD ["cat", "/x"]\n' >Dockerfile
    echo x >x
    berth build -q -t "$REGISTRY/kit/app:1" .
    berth push -q "$REGISTRY/kit/app:1"
    api=http://$REGISTRY/v2/kit/app
    arch=$("$ENGINE" image inspect --format '{{.Architecture}}' "$REGISTRY/kit/app:1")
    digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$REGISTRY/kit/app:1")
    size=$(curl -sf -H 'Accept: application/vnd.oci.image.manifest.v1+json' "$api/manifests/$digest" | wc -c)
    for version in 0.2 1; do
        # As buildx build --provenance=mode=max writes it.
        info=$(jq -cn --arg d "$(base64 -w0 Dockerfile)" '{source: {locations: {}, infos: [{filename: "other", language: "Go", data: "eA=="}, {filename: "Dockerfile", language: "Dockerfile", data: $d}]}}')
        if [[ $version == 1 ]]; then
            jq -cn --argjson i "$info" '{_type: "https://in-toto.io/Statement/v0.1", predicateType: "https://slsa.dev/provenance/v1", predicate: {buildDefinition: {externalParameters: {configSource: {path: "Dockerfile"}}}, runDetails: {metadata: {buildkit_metadata: $i}}}}' >statement
        else
            jq -cn --argjson i "$info" '{_type: "https://in-toto.io/Statement/v0.1", predicateType: "https://slsa.dev/provenance/v0.2", predicate: {invocation: {configSource: {entryPoint: "Dockerfile"}}, metadata: {"https://mobyproject.org/buildkit@v1#metadata": $i}}}' >statement
        fi
        echo '{}' >config
        jq -cn --arg c "$(put_blob kit/app config)" --argjson cs "$(stat -c %s config)" --arg s "$(put_blob kit/app statement)" --argjson ss "$(stat -c %s statement)" --arg t "https://slsa.dev/provenance/v$version" \
            '{schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $c, size: $cs}, layers: [{mediaType: "application/vnd.in-toto+json", digest: $s, size: $ss, annotations: {"in-toto.io/predicate-type": $t}}]}' | tr -d '\n' >attestation
        attestation=sha256:$(sha256sum <attestation | cut -d' ' -f1)
        put_manifest kit/app "$attestation" attestation
        jq -cn --arg d "$digest" --argjson s "$size" --arg a "$attestation" --argjson asize "$(stat -c %s attestation)" --arg arch "$arch" \
            '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [
                {mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $d, size: $s, platform: {os: "linux", architecture: $arch}},
                {mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $a, size: $asize, platform: {os: "unknown", architecture: "unknown"}, annotations: {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": $d}}]}' >index
        put_manifest kit/app "v$version" index application/vnd.oci.image.index.v1+json
        berth rmi -f "$REGISTRY/kit/app:1" "$REGISTRY/kit/app:v0.2" >/dev/null 2>&1 || true
        berth_split partial extract "$REGISTRY/kit/app:v$version"
        assert_contains "$stderr" "exact, from the provenance that BuildKit attached"
        assert_equal "$output" "$(cat Dockerfile)"
    done
}

@test "a relative alias is relative to its partials.conf, from everywhere" {
    mkdir -p project/parts/x/files project/sub
    cp "$FILE_DIR/parts/tz/Containerfile" project/parts/x/Containerfile
    sed -i 's/std\/tz/own\/x/' project/parts/x/Containerfile
    for alias in ./parts ../project/parts; do
        printf '[aliases]\nown = "%s"\n' "$alias" >project/partials.conf
        printf 'FROM localhost/debian:12\n#: use own/x\n' >project/Containerfile
        rm -f project/Containerfile.lock
        berth partial compose -f project/Containerfile -o /dev/null
        (cd project && berth partial compose --locked -o /dev/null)
        (cd project/sub && berth build -q --locked -f ../Containerfile -t "localhost/$name:1" .)
        berth build -q --locked -f project/Containerfile -t "localhost/$name:1" project
        # A change in a folder is work, not tampering.
        echo '# a comment' >>project/parts/x/Containerfile
        berth 3 partial compose -f project/Containerfile -o /dev/null
        assert_contains "$output" "was edited in"
        berth partial update -f project/Containerfile
        berth partial compose --locked -f project/Containerfile -o /dev/null
    done
    for alias in parts . ''; do
        printf '[aliases]\nown = "%s"\n' "$alias" >project/parts/partials.conf
        printf 'FROM localhost/debian:12\n#: use own/x\n' >project/parts/Containerfile
        rm -f project/parts/Containerfile.lock
        if [[ $alias == . ]]; then
            berth partial compose -f project/parts/Containerfile -o /dev/null
            echo '# a comment' >>project/parts/x/Containerfile
            berth partial update -f project/parts/Containerfile
            berth partial compose --locked -f project/parts/Containerfile -o /dev/null
        else
            berth 125 partial compose -f project/parts/Containerfile
            assert_contains "$output" "alias \"own\""
            assert_contains "$output" "./"
        fi
    done
}

@test "a yanked version is not chosen any more, until that is undone" {
    for v in 1.0.0 1.1.0; do
        part yanked "$v" '' "RUN echo $v > /yanked"
        berth partial push "$FILE_DIR/parts/yanked" "$REGISTRY/yank/yanked"
    done
    printf '[aliases]\nstd = "%s/yank"\n' "$REGISTRY" >partials.conf
    berth partial yank --reason "it breaks" --format json std/yanked@1.1.0
    jq -e '.Yanked and .Version == "1.1.0"' <<<"$output"
    source_file 'FROM localhost/debian:12' '#: use std/yanked'
    berth partial compose
    assert_contains "$output" "std/yanked 1.0.0"
    berth partial yank --undo std/yanked@1.1.0
    berth partial update
    assert_contains "$output" "std/yanked 1.0.0 -> 1.1.0"
    berth 2 partial yank --undo std/yanked@1.1.0
    assert_contains "$output" "P022: std/yanked 1.1.0 is not yanked"
}

@test "prune removes parts that no image and no lock here needs" {
    for n in tz app-user; do berth partial push "$FILE_DIR/parts/$n" "$REGISTRY/prune/$n"; done
    printf '[aliases]\nstd = "%s/prune"\n' "$REGISTRY" >partials.conf
    source_file 'FROM localhost/debian:12' '#: use std/tz'
    berth partial update
    berth partial pull std/app-user
    berth partial prune --force
    assert_contains "$output" "$REGISTRY/prune/app-user 1.1.0"
    [[ $output != *prune/tz* ]]
    berth partial compose --locked --offline -o /dev/null
    # An image's record counts too, without the lock.
    berth build -q -t "localhost/$name:1" .
    mkdir elsewhere && cd elsewhere
    berth partial prune --force
    [[ $output != *prune/tz* ]]
    berth partial prune --force --all --format json
    jq -e '.Freed > 0 and ([.Removed[].Location] | any(endswith("prune/tz")))' <<<"$output"
    berth partial ls
    [[ $output != *prune* ]]
}

@test "every verb writes JSON" {
    source_file 'FROM localhost/debian:12' 'CMD ["tool"]'
    json() { # json FILTER CODE ARG...
        local filter=$1
        shift
        berth_split "$@" --format json
        jq -e "$filter" <<<"$output" >/dev/null || { echo "no: $filter"; return 1; }
    }
    json '.Use == "std/tool" and .Line == 3' 0 partial add std/tool
    json '.Text and (.Blocks | length) == 2' 0 partial compose
    json 'length == 2' 0 partial tree
    json 'length > 0' 0 partial why std/tz
    json '.name == "std/tool" and .digest' 0 partial inspect std/tool
    json '. == []' 0 partial outdated
    json '. == []' 0 partial update
    json 'any(.[]; .What == "composed" and (.Bad | not))' 0 partial verify
    json '.[0].Path == "Containerfile" and .[0].Warnings == null' 0 partial lint Containerfile
    json '.Name == "std/tz" and .Digest' 0 partial pack "$FILE_DIR/parts/tz"
    json '.Version == "1.0.0" and .Digest' 0 partial push "$FILE_DIR/parts/tz" "$REGISTRY/json/tz"
    json '.Parts[0].Name == "std/tz"' 0 partial pull "$REGISTRY/json/tz"
    json 'any(.[]; .Location | endswith("json/tz"))' 0 partial ls
    json 'any(.[]; .name == "std/tool")' 0 partial search tool
    json '.[0].Alone and .[0].Checked' 0 partial test "$FILE_DIR/parts/tool"
    json '.Directory == "greeting"' 0 partial init acme/greeting
    mkdir feature
    printf '{"id":"f","version":"1.0.0","name":"F","privileged":true}' >feature/devcontainer-feature.json
    printf '#!/bin/sh\n' >feature/install.sh
    json '.Directory == "f" and (.Warnings | length) == 1' 0 partial import --name dev/f feature
    berth build -q -t "localhost/$name:1" .
    json '.Exact and .From == "label"' 0 partial extract "localhost/$name:1"
    json '.Exact and .From == "label"' 0 image containerfile "localhost/$name:1"
    json '.File == "Containerfile" and .Part == "std/tool"' 0 partial remove std/tool
    berth partial add std/tz
    json '.File == "Containerfile" and .Digest' 0 partial eject
    berth 125 partial pack --format yaml "$FILE_DIR/parts/tz"
}
