#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# Partial container files that somebody edits where he should not, or ejects and then may: what verify and extract say of
# the images, and what is left of the composition.

load helpers
load partial

setup_file() {
    store_setup
    make_bases
    standard_parts
}

# Lines of the composed file, as sed changes them, and what verify says.
edits=(
    's/^RUN echo mine.*/RUN echo yours > \/mine/|RUN echo yours'
    's/^RUN echo mine.*/&\nRUN echo more > \/more/|a step that the container file does not have: RUN echo more'
    's/^RUN echo mine.*//|has no step in the image: RUN echo mine'
    's/^USER app/USER root/|user is root, the container file makes it app'
    's/^EXPOSE 80/EXPOSE 80 22/|list of ports is ["22/tcp","80/tcp"]'
    's/^ENV MODE=.*/ENV MODE=evil/|environment variable MODE is "evil"'
    's/^COPY file .*/COPY file \/elsewhere/|COPY file:'
    's/^CMD .*/CMD ["sh"]/|command is ["sh"]'
)

@test "verify and extract compare every step and the configuration with what an edited composed file has made" {
    echo content >file
    source_file 'FROM localhost/debian:12' '#: use std/tool' 'ARG WORD=hello' 'ENV MODE=$WORD-mode' 'RUN echo mine > /mine' 'RUN <<EOF' 'echo heredoc' 'EOF' 'COPY file /file' 'USER app' 'EXPOSE 80' 'CMD ["tool"]'
    for options in "" --layers=false "--format docker" "--squash" "--timestamp 0" "--build-arg WORD=bye"; do
        # shellcheck disable=SC2086
        berth build -q $options -t "localhost/$name:1" .
        berth partial verify "localhost/$name:1"
        assert_contains "$output" "ok    history: every step as in the container file"
        assert_contains "$output" "ok    configuration: as the container file makes it"
    done
    berth_split partial extract -o /dev/null "localhost/$name:1"
    assert_equal "$stderr" "exact, from the image's label"
    [[ ! -e /dev/null.lock ]]
    berth partial compose -o composed
    for e in "${edits[@]}"; do
        sed "${e%%|*}" composed >edited
        berth build -q -f edited -t "localhost/$name:2" .
        berth 3 partial verify "localhost/$name:2"
        assert_contains "$output" "BAD"
        assert_contains "$output" "${e#*|}"
    done
    berth_split partial extract "localhost/$name:2"
    assert_contains "$stderr" "not exact: the image is not what the container file in its label makes"
    assert_contains "$stderr" 'command is ["sh"]'
    assert_contains "$output" "NOT exact"
    berth 2 partial rebase --onto localhost/debian:12 "localhost/$name:2"
    # Flags of the build change an image too, and are named.
    berth build -q -f composed --env EXTRA=1 -t "localhost/$name:3" .
    berth 3 partial verify "localhost/$name:3"
    assert_contains "$output" 'environment variable EXTRA is "1", the container file makes it none'
    berth build -q -f composed --label extra=1 -t "localhost/$name:4" .
    berth partial verify "localhost/$name:4"
    assert_contains "$output" "note  label: the image was extended by other means after it was composed"
}

@test "an ejected project is a plain one: no label, a header that is right, a lock that is a record" {
    source_file 'FROM localhost/debian:12' '#: use std/tool' 'CMD ["tool"]'
    chmod 600 Containerfile
    berth build -q -t "localhost/$name:1" .
    berth partial eject
    assert_equal "$(stat -c %a Containerfile)" 600
    assert_equal "$(head -n 1 Containerfile)" '# ejected from Containerfile (partial format 1); an ordinary Containerfile: edit it as you like'
    not grep -q dev.partials Containerfile
    jq -e --arg d "sha256:$(sha256sum <Containerfile | cut -d' ' -f1)" '.ejected == $d and (.parts | length) == 2' Containerfile.lock
    berth partial verify
    assert_contains "$output" "ok    ejected: sha256:"
    assert_contains "$output" "ok    part std/tool 2.0.0: sha256:"
    # It may be edited, and its image says nothing of another text.
    echo 'RUN echo mine > /mine' >>Containerfile
    berth partial verify
    assert_contains "$output" "note  ejected: Containerfile was edited since it was ejected"
    berth build -q --locked -t "localhost/$name:2" .
    berth image inspect --format '{{json .Labels}}' "localhost/$name:2"
    [[ $output != *dev.partials* ]]
    berth 1 partial verify "localhost/$name:2"
    assert_contains "$output" "P080"
    berth_split partial extract "localhost/$name:2"
    assert_contains "$stderr" "reconstructed from the history, not exact"
    berth 1 partial eject
    # A changed part is told, as before.
    sed -i 's/^RUN mkdir/RUN true \&\& mkdir/' "$FILE_DIR/parts/tool/Containerfile"
    berth 3 partial verify
    standard_parts
    # With a part again it is a source, and the record no lock of it.
    berth partial add std/app-user
    jq -e 'has("ejected") | not' Containerfile.lock
    berth partial verify
}

@test "a requirement file stays a source when it is ejected" {
    printf 'partials: 1\nstages:\n  - base: localhost/debian:12\n    steps: [{use: std/tz}]\n' >partials.yaml
    berth partial eject -f partials.yaml
    assert_contains "$(head -n 1 Containerfile)" "# ejected from partials.yaml"
    berth partial verify -f partials.yaml
    jq -e 'has("ejected") | not' partials.yaml.lock
    berth 1 partial eject -f partials.yaml
    assert_contains "$output" "Containerfile is there already"
}
