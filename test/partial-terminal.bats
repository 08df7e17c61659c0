#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# Texts of others, of parts, indexes, images and servers, do not drive the terminal of those who look at them.

load helpers
load partial

setup_file() {
    store_setup
    make_bases
    standard_parts
    start_registry
}

evil=$'\e]0;pwned\a\e[31mred' # a title, a colour

# harmless: $output has nothing that a terminal would obey.
harmless() {
    LC_ALL=C grep -aq $'[\x01-\x08\x0b-\x1f\x7f]' <<<"${output//$'\r'/}" && { echo "control characters: $(cat -v <<<"$output")"; return 1; }
    [[ $output != *$'\u202e'* && $output != *$'\u009b'* ]]
}

@test "search, errors and the words of the user" {
    entry() { jq -cn --arg s "$1" '[{part: "evil", name: "std/evil", version: "1.0.0", digest: ("sha256:" + "0" * 64), summary: $s, application: $s, provides: [$s]}]'; }
    entry "$evil"$'\u202e\u009b' >index.json
    echo '{}' >config
    blob=$(put_blob parts/index index.json) config=$(put_blob parts/index config)
    jq -cn --arg d "$blob" --argjson s "$(stat -c %s index.json)" --arg c "$config" '{schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", artifactType: "application/vnd.partials.index.v1",
        config: {mediaType: "application/vnd.oci.empty.v1+json", digest: $c, size: 3}, layers: [{mediaType: "application/vnd.partials.index.v1+json", digest: $d, size: $s}]}' | tr -d '\n' >manifest
    put_manifest parts/index latest manifest
    printf '[aliases]\nstd = "%s/parts"\n' "$REGISTRY" >partials.conf
    berth partial search
    assert_contains "$output" 'std/evil'
    assert_contains "$output" '\x1b]0;pwned\x07\x1b[31mred\u202e\u009b'
    harmless
    berth partial search --format json
    jq -e --arg s "$evil"$'\u202e\u009b' '.[0].summary == $s' <<<"$output"
    harmless
    printf '[aliases]\nstd = "%s"\n' "$FILE_DIR/parts" >partials.conf
    for command in inspect pull why "update" "remove" "extract" "verify" "add" "init" "pack" "lint"; do
        source_file 'FROM localhost/debian:12' '#: use std/tz'
        "$ENGINE" partial "$command" "std/x$evil" >out 2>&1 3>&- && { echo "$command takes it"; false; }
        output=$(cat out)
        echo "$command: $output"
        harmless
    done
}

@test "a part or a source with hidden text is refused" {
    part evil 1.0.0 '' "RUN echo $evil"
    berth 1 partial lint "$FILE_DIR/parts/evil"
    assert_contains "$output" "P010"
    harmless
    # In YAML an escape is enough.
    part evil 1.0.0 'licenses: "\e]0;pwned\a"' 'RUN true'
    berth 1 partial lint "$FILE_DIR/parts/evil"
    assert_contains "$output" "P010"
    part evil 1.0.0 '' $'# \u202e\nRUN true'
    berth 1 partial lint "$FILE_DIR/parts/evil"
    assert_contains "$output" "P010: the line contains a mark that changes the direction of text (U+202E"
    source_file 'FROM localhost/debian:12' '#: use std/evil'
    berth 1 build .
    harmless
    source_file 'FROM localhost/debian:12' "#: use std/app-user name=x$evil"
    berth 1 build .
    assert_contains "$output" "P010"
    harmless
    rm -rf "$FILE_DIR/parts/evil"
}

@test "extract: a file gets the bytes, a terminal sees them" {
    body=$'FROM scratch\n# '"$evil"$'\n'
    printf 'FROM localhost/debian:12\nLABEL dev.partials.format="1" dev.partials.digest="sha256:%s" dev.partials.text="%s"\n' \
        "$(printf %s "$body" | sha256sum | cut -d' ' -f1)" "$(printf %s "$body" | base64 -w0)" >Labelfile
    printf 'FROM scratch\nCOPY partials.conf /\nCMD ["%s"]\nLABEL dev.partials.format="1" dev.partials.digest="sha256:%s" dev.partials.text="%s"\n' 'x\u001b[31m' \
        "$(printf %s "$body" | sha256sum | cut -d' ' -f1)" "$(printf %s "$body" | base64 -w0)" >Labelfile
    berth build -q -f Labelfile -t "localhost/$name:1" .
    berth 3 partial verify "localhost/$name:1"
    harmless
    berth_split partial extract "localhost/$name:1"
    output=$stderr
    harmless
    output=$(script -qec "'$ENGINE' partial extract localhost/$name:1" /dev/null 3>&- </dev/null)
    assert_contains "$output" "FROM scratch"
    harmless
    # The text of a label that is true, on a terminal and in a file.
    printf 'FROM scratch\nLABEL dev.partials.format="1" dev.partials.digest="sha256:%s" dev.partials.text="%s"\n' \
        "$(printf %s "$body" | sha256sum | cut -d' ' -f1)" "$(printf %s "$body" | base64 -w0)" >Labelfile
    berth build -q -f Labelfile -t "localhost/$name:2" .
    "$ENGINE" partial extract -o out "localhost/$name:2" 3>&-
    assert_equal "$(head -n 2 out)" "${body%$'\n'}"
    "$ENGINE" partial extract "localhost/$name:2" >out 2>/dev/null 3>&-
    assert_equal "$(head -n 2 out)" "${body%$'\n'}"
    output=$(script -qec "'$ENGINE' image containerfile localhost/$name:2" /dev/null 3>&- </dev/null)
    assert_contains "$output" '# \x1b]0;pwned\x07\x1b[31mred'
    harmless
}

@test "tables show what a container's or an image's text would do" {
    berth create --name "$name" --network none "$IMAGE" sh -c "echo $evil"
    berth ps -a --no-trunc
    assert_contains "$output" '\x1b]0;pwned\x07'
    harmless
    berth rm "$name"
    printf 'FROM %s\nCMD ["x\\u001b[31m"]\nRUN echo "%s" >/dev/null\n' "$IMAGE" "$evil" >Plainfile
    berth build -q -f Plainfile -t "localhost/$name:3" .
    berth history --no-trunc "localhost/$name:3"
    harmless
}
