#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# Partial container files: composition, publishing and reuse, as users see them. The rules of the
# format are tested by the Go tests of build/partial; the numbers are those of the acceptance list.

load helpers
load partial

setup_file() {
    store_setup
    is_berth || return 0
    start_registry
    make_bases
    standard_parts
}

@test "A2 compose writes the plain Containerfile and the lock" {
    source_file 'FROM localhost/debian:12' '#: use std/tool' 'CMD ["tool"]'
    berth_split partial compose
    assert_contains "$output" "FROM localhost/debian:12@sha256:"
    assert_contains "$output" "# >>> std/tz 1.0.0 sha256:"
    assert_contains "$output" "COPY --from=p-tool-made /opt/ /opt/"
    assert_contains "$output" 'LABEL dev.partials.format="1"'
    [[ -s Containerfile.lock ]]
    jq -e '.lock == 1 and (.parts | length) == 2 and .bases["localhost/debian:12"].os.id == "debian"' Containerfile.lock
    # The lock fits: nothing changes.
    cp Containerfile.lock before
    berth partial compose --locked --offline -o out
    cmp before Containerfile.lock
    [[ $output == "" ]] && [[ -s out ]]
}

@test "A6 A10 errors name the line and have their exit codes" {
    source_file 'FROM localhost/debian:12' '#: use std/app-user uid=abc'
    berth 1 partial compose
    assert_contains "$output" 'Containerfile:2: P009: std/app-user: uid="abc" is not a whole number; example: 10001'
    source_file 'FROM localhost/debian:12' '#: use std/tool@^9'
    berth 2 partial compose
    assert_contains "$output" "std/tool has no version matching ^9; newest is 2.0.0"
    source_file 'FROM localhost/debian:12' '#: uses std/tool'
    berth 1 partial compose
    assert_contains "$output" 'unknown directive "uses"; did you mean "use"?'
    source_file 'FROM localhost/debian:12' '#: use acme/tool'
    berth 1 partial compose
    assert_contains "$output" 'alias "acme" is not defined'
}

@test "A5 a plain builder stops at the guard" {
    source_file 'FROM localhost/debian:12' 'CMD ["tool"]'
    berth partial add std/tool
    run head -n1 Containerfile
    assert_equal "$output" 'ARG COMPOSED=${USES_PARTIALS_COMPOSE_OR_EJECT_FIRST:?}'
    run buildah --root "$FILE_DIR/bud" --runroot "$FILE_DIR/bud-run" --storage-driver vfs bud .
    echo "$output"
    [[ $status -ne 0 ]]
    assert_contains "$output" USES_PARTIALS_COMPOSE_OR_EJECT_FIRST
    rm -rf "$FILE_DIR/bud" "$FILE_DIR/bud-run"
}

@test "add, tree, why and remove edit a source and its lock" {
    source_file 'FROM localhost/debian:12 AS app' 'CMD ["tool"]'
    berth partial add std/tool
    berth partial tree
    assert_contains "$output" $'app\n  std/tool 2.0.0\n    std/tz 1.0.0'
    berth partial why std/tz
    assert_contains "$output" "std/tool"
    berth 2 partial add std/tool
    berth 1 partial add std/app-user uid=x
    berth partial add std/app-user 'uid=77'
    grep -q '#: use std/app-user uid=77' Containerfile
    berth partial remove std/app-user
    berth partial remove tool
    assert_equal "$(cat Containerfile)" $'FROM localhost/debian:12 AS app\nCMD ["tool"]'
    berth 2 partial remove tool
}

@test "A25 a changed source with --locked, and a lock with conflict markers" {
    source_file 'FROM localhost/debian:12' '#: use std/app-user uid=5'
    berth partial compose -o /dev/null
    source_file 'FROM localhost/debian:12' '#: use std/app-user uid=6'
    berth 1 partial compose --locked
    assert_contains "$output" $'P050: Containerfile.lock is out of date (std/app-user, line 2 changed)\nHint: berth partial update -f Containerfile'
    berth partial update
    berth partial compose --locked -o /dev/null
    sed -i '3i <<<<<<< HEAD' Containerfile.lock
    berth 1 partial compose
    assert_contains "$output" "P053: Containerfile.lock has merge conflict markers at line 3"
}

@test "init begins a part that lints and packs to the same digest" {
    berth partial init acme/greeting
    berth partial lint greeting
    berth partial pack greeting
    first=$output
    berth partial pack -o layout greeting
    assert_equal "$output" "$first"
    [[ -f layout/blobs/sha256/${first#sha256:} ]]
    berth 1 partial init acme/UPPER
    sed -i 's/"\$GREETING_GREETING"/$GREETING_GREETING/' greeting/Containerfile
    berth 1 partial lint greeting
    assert_contains "$output" 'P007: $GREETING_GREETING is used outside double quotes'
}

@test "A22 A23 a published part composes offline once it is pulled" {
    berth partial push --index "$FILE_DIR/parts/tz" "$REGISTRY/parts/tz"
    berth partial push --index "$FILE_DIR/parts/tool" "$REGISTRY/parts/tool"
    printf '[aliases]\nstd = "%s/parts"\n' "$REGISTRY" >partials.conf
    berth partial search tool
    assert_contains "$output" "std/tool"
    source_file 'FROM localhost/debian:12' '#: use std/tool@^2'
    berth partial compose -o one
    berth partial ls
    assert_contains "$output" "$REGISTRY/parts/tool"
    berth partial compose --locked --offline -o two
    cmp one two
    rm -rf "$GRAPHROOT/berth/parts"
    berth 4 partial compose --locked --offline
    assert_contains "$output" "offline: missing std/tool 2.0.0"
    assert_contains "$output" "berth partial pull --lock Containerfile.lock"
    berth partial pull --lock Containerfile.lock
    berth partial compose --locked --offline -o three
    cmp one three
}

@test "A22 with a lock and warm storage nothing is asked of the network" {
    start_registry # one of its own, to be ended
    berth partial push "$FILE_DIR/parts/tz" "$REGISTRY/parts/tz"
    berth partial push "$FILE_DIR/parts/tool" "$REGISTRY/parts/tool"
    printf '[aliases]\nstd = "%s/parts"\n' "$REGISTRY" >partials.conf
    source_file 'FROM localhost/debian:12' '#: use std/tool'
    berth build -q -t "localhost/$name:1" .
    stop_registry
    berth build -q --locked -t "localhost/$name:2" .
    berth partial compose -o /dev/null
    berth 4 partial verify
}

@test "a part in a folder that is not what is locked: P051 until update, and with another version a note" {
    part edited 1.0.0 '' 'RUN echo one > /edited'
    source_file 'FROM localhost/debian:12' '#: use std/edited'
    berth partial compose -o /dev/null
    cp Containerfile.lock before
    part edited 1.0.0 '' 'RUN echo two > /edited'
    for command in "partial compose" "partial compose --locked" "build -q ." "build -q --locked ." "partial tree" "partial add std/tz" "partial verify"; do
        # shellcheck disable=SC2086
        berth 3 $command
        assert_contains "$output" "P051: std/edited 1.0.0"
        assert_contains "$output" "was edited in"
        [[ $output != *tampered* ]]
        assert_contains "$output" "berth partial update"
        cmp before Containerfile.lock
    done
    berth partial update
    assert_contains "$output" "! part std/edited 1.0.0 has another digest"
    berth partial compose --locked
    assert_contains "$output" "RUN echo two"
    part edited 1.1.0 '' 'RUN echo three > /edited'
    berth 1 partial compose --locked
    assert_contains "$output" $'P050: Containerfile.lock is out of date (std/edited is 1.1.0 by now, the lock has 1.0.0)\nHint: berth partial update -f Containerfile'
    berth 1 partial verify
    assert_contains "$output" "BAD   part std/edited 1.0.0: is not in"
    berth_split partial compose
    assert_contains "$output" "RUN echo three"
    assert_contains "$stderr" "Note: Containerfile.lock changes: ~ part std/edited 1.0.0 -> 1.1.0"
}

@test "a lock with another digest, and a registry with other content, are P051 whatever else has changed" {
    part other 1.0.0 '' 'RUN true'
    part mine 1.0.0 '' 'RUN echo one > /mine'
    for n in other mine; do berth partial push "$FILE_DIR/parts/$n" "$REGISTRY/pin/$n"; done
    printf '[aliases]\nstd = "%s/pin"\n' "$REGISTRY" >partials.conf
    source_file 'FROM localhost/debian:12' '#: use std/mine'
    berth partial compose -o /dev/null
    part mine 1.0.0 '' 'RUN echo two > /mine'
    berth partial pack -o layout "$FILE_DIR/parts/mine"
    skopeo copy -q --dest-tls-verify=false oci:layout:1.0.0 "docker://$REGISTRY/pin/mine:1.0.0"
    rm -rf "$GRAPHROOT/berth/parts"
    cp Containerfile.lock before
    # The lock no longer fits the source, so versions are chosen again: but the locked one is not another.
    source_file 'FROM localhost/debian:12' '#: use std/mine' '#: use std/other'
    for command in "partial compose" "build -q ." "partial compose --locked" "partial update std/other"; do
        # shellcheck disable=SC2086
        berth 3 $command
        assert_contains "$output" "P051: std/mine 1.0.0: digest is sha256:"
        cmp before Containerfile.lock
    done
    berth partial update
    berth partial compose
    assert_contains "$output" "echo two"
    # The digest of another part, of none, and of nothing that a registry has.
    for digest in "$(printf 0%.0s {1..64})" "$(jq -r '.parts[1].digest[7:]' Containerfile.lock)"; do
        cp Containerfile.lock good
        jq --arg d "sha256:$digest" '.parts[0].digest = $d' good >Containerfile.lock
        cp Containerfile.lock before
        rm -rf "$GRAPHROOT/berth/parts"
        for command in "partial compose" "build -q ." "build -q --locked ."; do
            # shellcheck disable=SC2086
            berth 3 $command
            assert_contains "$output" "P051"
            cmp before Containerfile.lock
        done
        cp good Containerfile.lock
    done
}

@test "A24 A25 a tag that was overwritten is noticed, and push does not overwrite" {
    part mine 1.0.0 '' 'RUN echo one > /mine'
    berth partial push "$FILE_DIR/parts/mine" "$REGISTRY/parts/mine"
    printf '[aliases]\nstd = "%s/parts"\n' "$REGISTRY" >partials.conf
    source_file 'FROM localhost/debian:12' '#: use std/mine'
    berth partial compose -o /dev/null
    part mine 1.0.0 '' 'RUN echo two > /mine'
    berth 3 partial push "$FILE_DIR/parts/mine" "$REGISTRY/parts/mine"
    assert_contains "$output" "P064: $REGISTRY/parts/mine 1.0.0 already exists with another digest; raise the version"
    # Somebody with other means.
    berth partial pack -o layout "$FILE_DIR/parts/mine"
    skopeo copy -q --dest-tls-verify=false oci:layout:1.0.0 "docker://$REGISTRY/parts/mine:1.0.0"
    berth 3 partial verify
    assert_contains "$output" "BAD   part std/mine 1.0.0"
    assert_contains "$output" "P051: std/mine 1.0.0: digest is sha256:"
    rm -rf "$GRAPHROOT/berth/parts"
    berth 3 partial compose
    assert_contains "$output" "P051: std/mine 1.0.0: digest is sha256:"
}

@test "A27 build composes; the extracted file builds the same image, the ejected file the same layers" {
    source_file 'FROM localhost/debian:12' '#: use std/tool' 'USER app' '#: use std/app-user name=web uid=77' 'RUN id -u > /tmp/uid' 'COPY file /file' 'CMD ["tool"]'
    echo content >file
    berth build -q --timestamp 0 -t "localhost/$name:1" .
    first=$output
    berth run --rm --network none "localhost/$name:1"
    assert_equal "$output" "tool works"
    berth run --rm --network none "localhost/$name:1" cat /tmp/uid /etc/timezone
    assert_equal "$output" $'1000\nUTC'
    berth build --print .
    printed=$output
    # Through an archive, into the file, into an image again.
    berth save -q -o saved.tar "localhost/$name:1"
    berth untag "localhost/$name:1"
    berth load -q -i saved.tar
    berth_split partial extract "localhost/$name:1"
    assert_equal "$output" "$printed"
    berth partial extract -o Extracted "localhost/$name:1"
    berth build -q --timestamp 0 -f Extracted -t "localhost/$name:2" .
    assert_equal "$output" "$first"
    berth partial eject
    assert_equal "$(tail -n +2 Containerfile)" "$(tail -n +2 <<<"$printed" | head -n -1)"
    berth build -q --timestamp 0 -t "localhost/$name:3" .
    for image in 1 3; do
        berth image inspect --format '{{json .RootFS.Layers}} {{json .Config.Cmd}} {{json .Config.Env}} {{.Config.User}}' "localhost/$name:$image"
        [[ $image == 1 ]] && first=$output
    done
    assert_equal "$output" "$first"
    berth image inspect --format '{{json .Labels}}' "localhost/$name:3"
    [[ $output != *dev.partials* ]]
}

@test "A17 user, directory and shell are the source's after a block" {
    part shell 1.0.0 '' 'WORKDIR /opt
USER app
SHELL ["/bin/sh", "-ec"]
RUN id -u > /tmp/part'
    source_file 'FROM localhost/debian:12' 'WORKDIR /tmp/w' 'USER 1000' 'SHELL ["/bin/sh", "-xc"]' '#: use std/shell' 'RUN echo "$(id -u) $(pwd) $-" > /tmp/source'
    berth build -q -t "localhost/$name:1" --format docker .
    berth run --rm --network none "localhost/$name:1" cat /tmp/part /tmp/source
    assert_equal "${lines[0]}" 1000
    # The shell's own flag -x is the last of what $- has.
    [[ ${lines[1]} =~ ^"1000 /tmp/w "[a-z]*x ]]
}

@test "A11 A12 values of parameters stay data in the shell" {
    part any 1.0.0 'params: {text: {type: string, pattern: ".*", default: ""}}' 'ARG ANY_TEXT
RUN printf %s "$ANY_TEXT" > /any'
    # shellcheck disable=SC1003,SC2016
    for value in 'x"; touch /pwned; echo "' 'a\' '$(touch /pwned)' '${HOME} `id`'; do
        printf 'FROM localhost/debian:12\n#: use std/any\n' >Containerfile
        berth build -q --param "any.text=$value" -t "localhost/$name:1" .
        berth run --rm --network none "localhost/$name:1" sh -c 'cat /any; ls /pwned 2>/dev/null || true'
        assert_equal "$output" "$value"
    done
    berth 1 build --param $'any.text=x\nRUN touch /pwned' .
    assert_contains "$output" "P010: std/any: text contains a control character (byte 0x0a at 1)"
}

@test "A35 files travel byte for byte and leave no copy" {
    part files 1.0.0 '' 'COPY --from=files /usr/ /usr/' 'FROM scratch AS files
COPY files/ /
'
    mkdir -p "$FILE_DIR/parts/files/files/usr/share"
    printf '"x" '\''y'\'' $HOME \\ \\\\ `id`\n\ttab\nPARTIAL_EOF\n' >"$FILE_DIR/parts/files/files/usr/share/awkward"
    source_file 'FROM localhost/debian:12' '#: use std/files'
    berth build -q -t "localhost/$name:1" .
    berth run --rm --network none "localhost/$name:1" cat /usr/share/awkward
    assert_equal "$output" "$(cat "$FILE_DIR/parts/files/files/usr/share/awkward")"
}

@test "A28 A30 an image built on it, and one without a label, are extracted and build" {
    source_file 'FROM localhost/debian:12' '#: use std/tz'
    berth build -q -t "localhost/$name:1" .
    echo extra >extra
    printf 'FROM localhost/%s:1\nCOPY extra /srv/extra\nRUN echo child > /child\n' "$name" >Childfile
    berth build -q -f Childfile -t "localhost/$name:child" .
    berth_split partial extract "localhost/$name:child" -o out
    assert_contains "$stderr" "the rest is reconstructed"
    grep -q "NOT exact" out
    berth build -q -f out -t "localhost/$name:again" "$FILE_DIR/run"
    berth run --rm --network none "localhost/$name:again" cat /srv/extra /child
    assert_equal "$output" $'extra\nchild'
    # No label at all.
    printf 'FROM localhost/debian:12\nCOPY extra /srv/extra\nRUN echo plain > /plain\nENV A="b c"\nCMD ["cat", "/plain"]\n' >Plainfile
    berth build -q -f Plainfile -t "localhost/$name:plain" .
    berth_split partial extract "localhost/$name:plain" -o plain
    assert_contains "$(head -n1 plain)" "NOT exact: 1 COPY source lost"
    berth build -q -f plain -t "localhost/$name:plain2" "$FILE_DIR/run"
    berth run --rm --network none "localhost/$name:plain2" sh -c 'cat /srv/extra /plain; echo "$A"'
    assert_equal "$output" $'extra\nplain\nb c'
}

@test "verify checks a source and an image" {
    source_file 'FROM localhost/debian:12' '#: use std/tz'
    berth build -q -t "localhost/$name:1" .
    berth partial verify
    assert_contains "$output" "ok    part std/tz 1.0.0"
    berth partial verify "localhost/$name:1"
    assert_contains "$output" "ok    label"
    assert_contains "$output" "ok    base layers"
    echo '# changed' >>Containerfile
    berth 1 partial verify
    assert_contains "$output" "BAD   source"
}

@test "test runs the check of a part" {
    part checked 1.0.0 'check: {argv: [echo, fine], match: "^fine$"}' 'RUN true'
    berth partial test "$FILE_DIR/parts/checked"
    assert_contains "$output" "ok  std/checked on localhost/debian:12, composed, check passed"
    part checked 1.0.0 'check: {argv: [echo, fine], match: "^good$"}' 'RUN true'
    berth 1 partial test "$FILE_DIR/parts/checked"
    assert_contains "$output" 'the check printed "fine", which does not match'
}

@test "A32 A33 rebase swaps the base under detached layers, and refuses what it cannot" {
    part det 1.0.0 'layer: detached
env: {PATH: {prepend: [/opt/det]}}' 'COPY --link --from=made /opt/ /opt/' 'FROM base AS made
RUN mkdir -p /opt/det && echo det > /opt/det/file
'
    make_base debian 12.9
    echo data >data
    source_file 'FROM localhost/debian:12' '#: use std/det' 'COPY data /srv/data' 'USER app' 'ENV A=b' 'CMD ["cat", "/srv/data"]'
    berth build -q --timestamp 0 -t "localhost/$name:1" .
    berth partial rebase --onto localhost/debian:12.9 -t "localhost/$name:2" "localhost/$name:1"
    berth run --rm --network none "localhost/$name:2" sh -c '. /etc/os-release; echo $VERSION_ID $A $PATH; cat /srv/data /opt/det/file'
    assert_contains "$output" "12.9 b /opt/det:"
    assert_contains "$output" $'data\ndet'
    # As a clean rebuild on the new base.
    sed -i 's/debian:12/debian:12.9/' Containerfile
    rm Containerfile.lock
    berth build -q --timestamp 0 -t "localhost/$name:3" .
    berth image inspect --format '{{json .RootFS.Layers}} {{json .Config}}' "localhost/$name:3"
    clean=$output
    berth image inspect --format '{{json .RootFS.Layers}} {{json .Config}}' "localhost/$name:2"
    assert_equal "$output" "$clean"
    berth_split partial extract "localhost/$name:3"
    want=$output
    berth_split partial extract "localhost/$name:2"
    assert_equal "$output" "$want"
    berth 2 partial rebase --onto localhost/alpine:3.20.3 "localhost/$name:1"
    assert_contains "$output" "is debian 12"
    assert_contains "$output" "is alpine 3.20.3"
    source_file 'FROM localhost/debian:12' '#: use std/det' '#: rebase safe' 'RUN echo safe > /safe' 'RUN echo may depend > /x'
    berth build -q -t "localhost/$name:4" .
    berth 2 partial rebase --onto localhost/debian:12.9 "localhost/$name:4"
    assert_contains "$output" "P090: cannot rebase: RUN echo may depend > /x (line"
    berth partial rebase --unsafe --onto localhost/debian:12.9 "localhost/$name:4"
}

@test "update --base moves the last stage to another base and shows what changes" {
    make_base debian 12.8
    source_file 'FROM localhost/debian:12' '#: use std/tz'
    berth partial update
    berth partial update --base localhost/debian:12.8 --dry-run
    assert_contains "$output" "+ base localhost/debian:12.8"
    assert_contains "$(cat Containerfile)" "FROM localhost/debian:12"
    berth partial update --base localhost/debian:12.8
    assert_contains "$(cat Containerfile)" "FROM localhost/debian:12.8"
    berth partial compose --locked -o /dev/null
    part tz 1.1.0 'env: {TZ: {set: UTC}}' 'RUN echo Etc/UTC > /etc/timezone'
    berth partial outdated
    assert_contains "$output" "std/tz"
    berth partial update tz
    assert_contains "$output" "~ part std/tz 1.0.0 -> 1.1.0"
    part tz 1.0.0 'env: {TZ: {set: UTC}}' 'RUN echo UTC > /etc/timezone'
}

@test "with CI=true in the environment a build wants the lock as it is, unless told otherwise" {
    source_file 'FROM localhost/debian:12' '#: use std/tz'
    export CI=true
    berth 1 build -q -t "localhost/$name:1" .
    assert_contains "$output" "P050"
    assert_contains "$output" "berth partial update"
    berth build -q --locked=false -t "localhost/$name:1" .
    berth build -q -t "localhost/$name:2" .
}

@test "A29 A31 push attaches the record, and extract gives source and lock back" {
    source_file 'ARG COMPOSED=${USES_PARTIALS_COMPOSE_OR_EJECT_FIRST:?}' 'FROM localhost/debian:12' '#: use std/tool@^2' '#: use std/app-user uid=5' 'CMD ["tool"]'
    berth build -q -t "$REGISTRY/app:$name" .
    berth push -q "$REGISTRY/app:$name"
    berth build --print .
    printed=$output
    cp Containerfile source && cp Containerfile.lock lock
    berth_split partial extract --uncompose -o back "$REGISTRY/app:$name"
    assert_contains "$stderr" "exact, from the image's label"
    cmp back source
    cmp back.lock lock
    mkdir again && cp back again/Containerfile && cp lock again/Containerfile.lock && cp partials.conf again/
    berth partial compose --locked -f again/Containerfile
    assert_equal "$output" "$printed"
    # Without the text in the label, the record has it.
    sed -i '1i #: option embed=none' Containerfile
    berth build -q -t "$REGISTRY/app:$name-none" .
    berth push -q "$REGISTRY/app:$name-none"
    berth build --print .
    printed=$output
    berth_split partial extract "$REGISTRY/app:$name-none"
    assert_contains "$stderr" "exact, from the image's record"
    assert_equal "$output" "$printed"
}

@test "A34 rebase --part replaces the layers of one detached part" {
    helper='FROM base AS made
RUN mkdir -p /opt/swap && echo VERSION > /opt/swap/file
'
    detached='layer: detached
env: {PATH: {prepend: [/opt/swap]}}'
    part swap 1.0.0 "$detached" 'COPY --link --from=made /opt/ /opt/' "${helper/VERSION/one}"
    echo data >data
    source_file 'FROM localhost/debian:12' '#: use std/tz' '#: use std/swap' 'RUN echo mine > /mine' 'COPY data /srv/data' 'CMD ["sh"]'
    berth build -q -t "localhost/$name:1" .
    part swap 1.1.0 "$detached" 'COPY --link --from=made /opt/ /opt/' "${helper/VERSION/two}"
    berth 2 partial rebase --part std/swap@9.9.9 "localhost/$name:1"
    berth partial rebase --part std/swap@1.1.0 -t "localhost/$name:2" "localhost/$name:1"
    berth run --rm --network none "localhost/$name:2" cat /opt/swap/file /mine /srv/data
    assert_equal "$output" $'two\nmine\ndata'
    berth image inspect --format '{{range .RootFS.Layers}}{{println .}}{{end}}' "localhost/$name:1"
    one=$output
    berth image inspect --format '{{range .RootFS.Layers}}{{println .}}{{end}}' "localhost/$name:2"
    [[ $(diff <(echo "$one") <(echo "$output") | grep -c '^>') -eq 1 ]]
    berth_split partial extract "localhost/$name:2"
    assert_contains "$output" "# >>> std/swap 1.1.0"
    berth 2 partial rebase --part std/tz "localhost/$name:1"
    assert_contains "$output" "std/tz: it is not detached"
}
