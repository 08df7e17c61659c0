#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# Partial container files and images: what an image tells of the file it was made of, records next to it in a
# registry, verification and rebase. The numbers are those of the acceptance list.

load helpers
load partial

setup_file() {
    store_setup
    make_bases
    standard_parts
    start_registry
}

@test "A28 an image that another tool built on a composed one: the parent's text is exact, the rest is reconstructed" {
    source_file 'FROM localhost/debian:12' '#: use std/tz'
    berth build -q -t "localhost/$name:1" .
    berth build --print .
    printed=$output
    berth save -q -o parent.tar "localhost/$name:1"
    debian_buildah pull -q docker-archive:parent.tar
    [[ $status -eq 0 ]]
    echo extra >extra
    printf 'FROM localhost/%s:1\nCOPY extra /srv/extra\nRUN echo child > /child\n' "$name" >Childfile
    debian_buildah bud --isolation chroot -q -f Childfile -t "localhost/$name:child" .
    [[ $status -eq 0 ]]
    debian_buildah push -q "localhost/$name:child" "oci-archive:child.tar:localhost/$name:child"
    berth load -q -i child.tar
    berth_split partial extract -o out "localhost/$name:child"
    assert_contains "$stderr" "exact up to the label; the rest is reconstructed"
    assert_equal "$(head -n "$(wc -l <<<"$printed")" out)" "$printed"
    assert_contains "$(tail -n +"$(($(wc -l <<<"$printed") + 1))" out)" "NOT exact"
    mkdir empty
    berth build -q -f out -t "localhost/$name:again" empty
    berth run --rm --network none "localhost/$name:again" cat /srv/extra /child /etc/timezone
    assert_equal "$output" $'extra\nchild\nUTC'
    # A label that somebody has altered.
    printf 'FROM localhost/%s:1\nLABEL dev.partials.text="RlJPTSBzY3JhdGNoCg=="\n' "$name" >Alteredfile
    debian_buildah bud --isolation chroot -q -f Alteredfile -t "localhost/$name:altered" .
    debian_buildah push -q "localhost/$name:altered" "oci-archive:altered.tar:localhost/$name:altered"
    berth load -q -i altered.tar
    berth 3 partial extract "localhost/$name:altered"
    assert_contains "$output" "P082: label text does not match its digest; the image's metadata was altered"
}

@test "A29 push attaches the record where the registry has the referrers API, and where it has not" {
    bin=$HELPERS_DIR/../bin/ociregistry
    [[ -x $bin ]] || { echo "bin/ociregistry is missing: make test-tools"; false; }
    "$bin" "$FILE_DIR/ociregistry" >port 2>/dev/null </dev/null 3>&- & pid=$!
    wait_for 10 grep -q : port
    modern=$(cat port)
    printf '[[registry]]\nlocation = "%s"\ninsecure = true\n' "$modern" >>"$CONTAINERS_REGISTRIES_CONF"
    source_file '#: option embed=none' 'FROM localhost/debian:12' '#: use std/tool@^2' 'CMD ["tool"]'
    rc=0
    for host in "$modern" "$REGISTRY"; do
        image=$host/a29/app:1
        berth build -q -t "$image" . && berth push -q "$image" && berth build --print . || rc=1
        printed=$output
        digest=$(curl -sI -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$host/v2/a29/app/manifests/1" | tr -d '\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p')
        if [[ $host == "$modern" ]]; then
            curl -sf "http://$host/v2/a29/app/referrers/$digest" >referrers || rc=1
        else
            # Without the API there is a tag in its place.
            [[ $(curl -s -o /dev/null -w '%{http_code}' "http://$host/v2/a29/app/referrers/$digest") == 404 ]] || rc=1
            curl -sf -H 'Accept: application/vnd.oci.image.index.v1+json' "http://$host/v2/a29/app/manifests/${digest/:/-}" >referrers || rc=1
        fi
        jq -e '[.manifests[] | select(.artifactType == "application/vnd.partials.build.v1")] | length == 1' referrers || { cat referrers; rc=1; }
        # Somebody who has not built it.
        rm -rf "$GRAPHROOT/berth/part-records"
        berth_split partial extract "$image" || rc=1
        [[ $stderr == *"exact, from the image's record"* && $output == "$printed" ]] || rc=1
    done
    kill "$pid"
    wait_for 10 not test -d "/proc/$pid"
    [[ $rc -eq 0 ]]
}

# histories of one image, as three builders write them.
@test "A30 an image without a label is reconstructed from the history of buildah, BuildKit and the classic builder, and builds" {
    echo extra >extra
    # shellcheck disable=SC2016
    printf 'FROM localhost/debian:12\nCOPY extra /srv/extra\nRUN echo plain > /plain && echo "$HOME" > /home.txt\nENV A="b c"\nWORKDIR /srv\nEXPOSE 80\nCMD ["cat", "/plain"]\n' >Containerfile
    berth build -q --layers -t "localhost/$name:1" .
    # shellcheck disable=SC2016
    run='echo plain > /plain && echo \"$HOME\" > /home.txt'
    steps() { # steps COPY RUN ENV WORKDIR EXPOSE CMD: a jq filter that rewrites the last steps of the history
        printf '.history |= (.[0:1] + ([ .[1:][] | del(.comment) ] as $h | [%s] as $by | [range(0; $h | length) as $i | $h[$i] + {created_by: $by[$i], comment: "%s"}]))' "$1" "$2"
    }
    berth image inspect --format '{{len .History}}' "localhost/$name:1"
    assert_equal "$output" 7
    berth tag "localhost/$name:1" "localhost/$name:kit"
    rewrite "localhost/$name:kit" "$(steps '"COPY extra /srv/extra # buildkit", "RUN /bin/sh -c '"$run"' # buildkit", "ENV A=b c", "WORKDIR /srv", "EXPOSE [80/tcp]", "CMD [\"cat\" \"/plain\"]"' buildkit.dockerfile.v0)"
    berth tag "localhost/$name:1" "localhost/$name:classic"
    rewrite "localhost/$name:classic" "$(steps '"/bin/sh -c #(nop) COPY file:0123456789abcdef in /srv/extra ", "/bin/sh -c '"$run"'", "/bin/sh -c #(nop)  ENV A=b c", "/bin/sh -c #(nop) WORKDIR /srv", "/bin/sh -c #(nop)  EXPOSE 80", "/bin/sh -c #(nop)  CMD [\"cat\" \"/plain\"]"' '')"
    mkdir empty
    for image in "$name:1" "$name:kit-rewritten" "$name:classic-rewritten"; do
        berth_split partial extract -o out "localhost/$image"
        assert_contains "$stderr" "not exact"
        assert_contains "$(head -n1 out)" "NOT exact: 1 COPY source lost"
        grep -q '^# lost: COPY .* ; taken from the image itself$' out
        grep -qE "^COPY --from=localhost/$image@sha256:[0-9a-f]+ /srv /srv|^COPY --from=localhost/$image@sha256:[0-9a-f]+ /srv/extra /srv/extra" out
        grep -q '^FROM localhost/debian:12@sha256:' out
        berth build -q -f out -t "localhost/$name:again" empty
        berth run --rm --network none "localhost/$name:again"
        assert_equal "$output" plain
        # shellcheck disable=SC2016
        berth run --rm --network none "localhost/$name:again" sh -c 'pwd; cat /srv/extra /home.txt; echo "$A"'
        assert_equal "$output" $'/srv\nextra\n/root\nb c'
    done
}

@test "A32 a rebase runs no process" {
    part deta 1.0.0 'layer: detached' 'COPY --link --from=made /opt/ /opt/' 'FROM base AS made
RUN mkdir -p /opt/deta && echo deta > /opt/deta/file
'
    make_base debian 12.9
    source_file 'FROM localhost/debian:12' '#: use std/deta' 'CMD ["cat", "/opt/deta/file"]'
    berth build -q --timestamp 0 -t "localhost/$name:1" .
    traced execve partial rebase --onto localhost/debian:12.9 -t "localhost/$name:2" "localhost/$name:1"
    # Itself, its keeper, and the storage library's helpers, which are itself too.
    grep -q 'execve(' trace
    others=$(grep 'execve(' trace | grep -vF -e "execve(\"$ENGINE\"" -e "execve(\"$ENGINE-full\"" -e "execve(\"$ENGINE-monitor\", [\"berth-keeper\"" -e 'execve("/proc/self/exe"' || true)
    assert_equal "$others" ""
    berth run --rm --network none "localhost/$name:2"
    assert_equal "$output" deta
}
