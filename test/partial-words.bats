#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# Partial container files: what messages call things. Names that are nearly right, lines and files that the user has, what is
# a registry's and what is not.

load helpers
load partial

setup_file() {
    store_setup
    make_bases
    standard_parts
}

@test "a name that is nearly right is suggested: parts, aliases, parameters, stages, roles" {
    local code use want command
    while IFS='|' read -r code use want; do
        source_file 'FROM localhost/debian:12 AS app' "#: use $use"
        berth "$code" partial compose
        assert_contains "$output" "Containerfile:2: P0"
        assert_contains "$output" "did you mean \"$want\"?"
    done <<'T'
2|std/app-usr|std/app-user
1|sdt/app-user|std
1|std/app-user nmae=x|name
1|std/app-user as devv|dev
T
    source_file 'FROM localhost/debian:12 AS app' '#: use std/app-user'
    berth partial compose -o /dev/null
    while IFS='|' read -r code command want; do
        # shellcheck disable=SC2086
        berth "$code" $command
        assert_contains "$output" "did you mean \"$want\"?"
    done <<'T'
2|partial remove app-usr|app-user
1|partial add --stage apq std/tool|app
2|partial add std/tol|std/tool
2|partial inspect std/tol|std/tool
2|partial pull std/tol|std/tool
2|partial why std/app-usr|std/app-user
2|partial update std/app-usr|std/app-user
1|partial compose --target apq|app
1|build --target apq .|app
1|partial compose --param app-usr.uid=5|app-user
1|partial compose --param app-user.udi=5|uid
T
    # The line that could not be added is none of the file's.
    berth 2 partial add std/tol
    [[ $output == "Error: P022: part std/tol not found"* || ${lines[0]} == "Error: P022: part std/tol not found"* ]]
}

@test "build names a Containerfile as the user does: standard input, a pipe, a context from elsewhere, a relative path" {
    # shellcheck disable=SC2016
    printf '%s\n' 'FROM localhost/debian:12' '#: use std/app-user uid=x' >Containerfile
    fed() { # fed CODE ARG...: berth with the Containerfile on standard input
        status=0
        output=$(timeout 100 "$ENGINE" "${@:2}" <"$source" 2>&1 3>&-) || status=$?
        echo "$ berth ${*:2}"; echo "$output"; echo "exit code $status, want $1"
        [[ $status -eq $1 ]]
    }
    source=Containerfile
    fed 1 build -f - .
    assert_contains "$output" "Error: standard input:2: P009"
    tar -cf context.tar Containerfile partials.conf
    source=context.tar
    fed 1 build -
    assert_contains "$output" "Error: Containerfile:2: P009"
    berth 1 build .
    assert_contains "$output" "Error: Containerfile:2: P009"
    (mkdir sub && cd sub && berth 1 build .. && assert_contains "$output" "Containerfile:2: P009")
    sed -i s/uid=x/uid=7/ Containerfile
    source=Containerfile
    fed 0 build --print -f - .
    assert_contains "$output" "# composed from standard input (partial format 1)"
    fed 0 build -q -f - -t "localhost/$name:1" .
    berth partial verify "localhost/$name:1"
    [[ ! -e Containerfile.lock ]]
    fed 1 build --locked -f - .
    assert_contains "$output" "P050: standard input is not a file that has a lock"
}

@test "images that only the store has are asked for in no registry" {
    source_file 'FROM localhost/debian:12' '#: use std/tz'
    berth build -q -t "localhost/$name:1" .
    for command in "partial verify" "partial verify localhost/$name:1" "partial outdated" "partial update" "partial extract localhost/$name:1"; do
        # shellcheck disable=SC2086
        berth $command
        [[ $output != *https://* ]]
    done
    for command in "partial verify localhost/nothing:1" "partial extract localhost/nothing"; do
        # shellcheck disable=SC2086
        berth 125 $command
        assert_contains "$output" "image not known"
        [[ $output != *https://* ]]
    done
    # A registry that does not answer is the network's fault.
    berth 4 partial verify 127.0.0.1:1/x/y:1
    # A base without os-release.
    printf 'FROM scratch\nCOPY partials.conf /\n' >Scratchfile
    berth build -q -f Scratchfile -t localhost/scratch:1 .
    part any 1.0.0 'env: {TZ: {set: UTC}}' 'COPY --from=localhost/debian:12 /etc/os-release /os'
    source_file 'FROM localhost/scratch:1' '#: use std/any'
    berth build -q -t "localhost/$name:2" .
    berth partial verify "localhost/$name:2"
    assert_contains "$output" "ok    part std/any: 1.0.0 fits a system without os-release"
    [[ $output != *nil* ]]
}

@test "files that the system shares are not noted, parameters that nothing uses are" {
    part one 1.0.0 '' 'RUN echo > /etc/.pwd.lock && echo x > /etc/group'
    part two 1.0.0 '' 'RUN echo 2 > /etc/.pwd.lock && echo y > /etc/group'
    source_file 'FROM localhost/debian:12' '#: use std/one' '#: use std/two'
    berth_split build -q .
    assert_equal "$stderr" ""
    part one 1.0.0 'params: {word: {type: int, default: 1}}' 'RUN true'
    berth partial lint "$FILE_DIR/parts/one"
    assert_contains "$output" 'the parameter "word" is not used: its variable is ONE_WORD'
    # shellcheck disable=SC2016
    part one 1.0.0 'params: {word: {type: int, default: 1}}' 'ARG ONE_WORD
RUN echo "$ONE_WROD"'
    berth 1 partial lint "$FILE_DIR/parts/one"
    assert_contains "$output" 'P007: $ONE_WROD is no parameter of the part, and nothing sets it; did you mean "ONE_WORD"?'
    berth_split partial init acme/greeting
    assert_equal "$output" greeting
    assert_contains "$stderr" "berth partial lint greeting && berth partial test greeting"
    berth 125 partial lint nothing
}
