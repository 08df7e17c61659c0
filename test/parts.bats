#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# The starter set, contrib/parts: the parts that Debian's packages suffice for are built on Debian 12
# and used. Composed texts on all bases are tested by build/partial/starter_test.go; parts with
# many packages in parts-heavy.bats.

load helpers

PARTS=$HELPERS_DIR/../contrib/parts

setup_file() {
    NO_IMAGE=1 store_setup
    berth load -q -i "$FIXTURES/debian.tar"
}

setup() {
    test_setup
    mkdir "$FILE_DIR/$name"
    cd "$FILE_DIR/$name" || return 1
    printf '[aliases]\nstd = "%s"\n' "$(realpath "$PARTS")" >partials.conf
}

source_file() { printf '%s\n' "$@" >Containerfile; }

@test "a static server as an unprivileged user, with a health check, without set-user-ID programs" {
    for part in app-user harden; do
        berth partial test --base localhost/debian:12 "$PARTS/$part"
        assert_contains "$output" "ok  std/$part on localhost/debian:12, composed, check passed"
    done
    source_file 'FROM localhost/debian:12' '#: option packages=merged' '#: use std/app-user name=web uid=12345' '#: use std/static-server port=8000' \
        '#: use std/healthcheck-http url=http://localhost:8000/ interval=1s' '#: use std/tz zone=Europe/Berlin' '#: use std/harden' \
        'RUN useradd -s /bin/bash visitor && echo hello > /srv/www/index.html' 'USER web'
    berth build -q --format docker -t "localhost/$name:1" .
    berth run -d --name "$name" "localhost/$name:1"
    healthy() { [[ $("$ENGINE" inspect --format '{{.State.Health.Status}}' "$name" 3>&-) == healthy ]]; }
    wait_for 20 healthy
    berth exec "$name" sh -c 'id -un; id -u; wget -qO- http://localhost:8000/; date -d @0 +%H%Z; getent passwd visitor | cut -d: -f7'
    assert_equal "$output" $'web\n12345\nhello\n01CET\n/sbin/nologin'
    berth exec -u 0 "$name" find / -xdev -perm /6000 -type f
    assert_equal "$output" ""
}

@test "what official images hold is copied to its place, and the checks pass" {
    # Stand-ins with programs at the same places: the images themselves are in a registry that is not here.
    stand_in() { # stand_in PART PROGRAM OUTPUT
        local file=$PARTS/$1/Containerfile from
        from=$(sed -n 's/^FROM \(.*\) AS dist$/\1/p' "$file")
        mkdir "$1"
        printf '#!/bin/sh\necho "%s"\n' "$3" >"$1/program"
        chmod 755 "$1/program"
        printf 'FROM localhost/debian:12\nCOPY program %s\n' "$2" >"$1/Containerfile"
        berth build -q -t "${from/\$\{*\}/$(sed -n 's/^ARG [A-Z_]*_VERSION=//p' "$file")}" "$1"
    }
    stand_in nodejs /usr/local/bin/node v22.11.0
    stand_in go-toolchain /usr/local/go/bin/go "go version go1.23.4 linux/amd64"
    stand_in caddy /usr/bin/caddy "v2.8.4 h1:stand-in"
    source_file 'FROM localhost/debian:12' '#: use std/nodejs' '#: use std/go-toolchain' '#: use std/caddy' 'RUN node --version && go version'
    berth build -t "localhost/$name:1" .
    assert_contains "$output" "Updating certificates in /etc/ssl/certs" # std/ca-certs, which all of them need
    berth run --rm --network none --entrypoint sh "localhost/$name:1" -c 'node --version; go version; caddy version; echo $GOPATH'
    assert_equal "$output" $'v22.11.0\ngo version go1.23.4 linux/amd64\nv2.8.4 h1:stand-in\n/go'
    for part in nodejs go-toolchain caddy; do
        berth partial test --base localhost/debian:12 "$PARTS/$part"
        assert_contains "$output" "built alone"
        assert_contains "$output" "composed, check passed"
    done
}
