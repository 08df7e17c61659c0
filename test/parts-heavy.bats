#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# only: user
# The starter set, contrib/parts: the parts that install many packages, built on Debian 12 and used
# as their programs are. See parts.bats.

load helpers

PARTS=$HELPERS_DIR/../contrib/parts

# A build of these installs packages for minutes.
BERTH_TIMEOUT=600

setup_file() {
    NO_IMAGE=1 store_setup
    berth load -q -i "$FIXTURES/debian.tar"
    printf '[aliases]\nstd = "%s"\n' "$(realpath "$PARTS")" >"$FILE_DIR/partials.conf"
    # Its job runs when the minute is full: it has all the file's time to do it.
    enter cron
    source_file 'FROM localhost/debian:12' '#: use std/cron' 'COPY crontab /etc/crontabs/root'
    echo '* * * * * date >/proc/1/fd/1' >'crontab'
    berth build -q -t localhost/cron:1 .
    berth run -d --network none --name cron localhost/cron:1
}

setup() {
    test_setup
    enter "$name"
}

teardown() { timeout 60 "$ENGINE" rm -f -t 0 "$name" >/dev/null 2>&1 3>&- || true; }

# enter NAME: a directory with the alias std.
enter() {
    mkdir "$FILE_DIR/$1"
    cd "$FILE_DIR/$1" || return 1
    cp ../partials.conf .
}

source_file() { printf '%s\n' "$@" >Containerfile; }

# in_container ARG...: a command in $name, for wait_for.
in_container() { "$ENGINE" exec "$name" "$@" >/dev/null 2>&1 3>&-; }

@test "nginx serves a page on the port of its parameter, and stops with SIGQUIT" {
    source_file 'FROM localhost/debian:12' '#: use std/nginx port=8081 root=/srv/site' 'COPY index.html /srv/site/'
    echo "hello from a part" >index.html
    berth build -q -t "localhost/$name:1" .
    port=$(free_port)
    berth run -d --name "$name" -p "127.0.0.1:$port:8081" "localhost/$name:1"
    wait_for 20 curl -sfo page "http://127.0.0.1:$port/"
    assert_equal "$(cat page)" "hello from a part"
    berth logs "$name"
    assert_contains "$output" "GET / "
    berth stop "$name"
    berth inspect --format '{{.State.ExitCode}} {{.Config.StopSignal}}' "$name"
    assert_equal "$output" "0 SIGQUIT"
    # With its own defaults; the packages are those of above, from the cache.
    berth partial test --base localhost/debian:12 "$PARTS/nginx"
    assert_contains "$output" "built alone"
    assert_contains "$output" "composed, check passed"
}

@test "redis answers" {
    source_file 'FROM localhost/debian:12' '#: use std/redis'
    berth build -q -t "localhost/$name:1" .
    berth run -d --name "$name" --network none "localhost/$name:1"
    wait_for 20 in_container redis-cli set key value
    berth exec "$name" redis-cli get key
    assert_equal "$output" value
    berth stop "$name"
}

@test "PostgreSQL keeps a password and its data in the volume; the client connects" {
    source_file 'FROM localhost/debian:12' '#: option packages=merged' '#: use std/pg-server' '#: use std/pg-client'
    berth build -q -t "localhost/$name:1" .
    berth run -d --name "$name" --network none -e POSTGRES_PASSWORD=secret -v "$name:/var/lib/postgresql" "localhost/$name:1"
    wait_for 60 in_container pg_isready -h 127.0.0.1
    sql() { berth exec -e PGPASSWORD="${PW:-secret}" "$name" psql -h 127.0.0.1 -U postgres -tA -c "$1"; }
    sql "create table t as select 42 as answer"
    PW=wrong not sql "select 1"
    assert_contains "$output" "password authentication failed"
    berth stop "$name"
    berth inspect --format '{{.State.ExitCode}}' "$name"
    assert_equal "$output" 0
    berth rm "$name"
    # Another container on the same volume, whatever password it is given.
    berth run -d --name "$name" --network none -v "$name:/var/lib/postgresql" "localhost/$name:1" -c max_connections=7
    wait_for 60 in_container pg_isready -h 127.0.0.1
    sql "select answer, current_setting('max_connections') from t"
    assert_equal "$output" "42|7"
    berth rm -f -t 10 "$name"
    berth volume rm "$name"
}

@test "what a build stage compiles runs in the last one: C and Java" {
    printf '#include <stdio.h>\nint main(void) { puts("hello from C"); }\n' >hello.c
    echo 'class Hello { public static void main(String[] a) { System.out.println("hello from Java"); } }' >Hello.java
    source_file 'FROM localhost/debian:12 AS build' '#: option packages=merged' '#: use std/build-essential' '#: use std/jdk as dev' \
        'COPY hello.c Hello.java /' 'RUN make LDFLAGS=-static hello && javac Hello.java' \
        'FROM localhost/debian:12' '#: use std/jdk' '#: use std/tini' 'COPY --from=build /hello /Hello.class /'
    berth build -q -t "localhost/$name:1" .
    berth run --rm --network none "localhost/$name:1" sh -c '/hello && java Hello'
    assert_equal "$output" $'hello from C\nhello from Java'
    # tini is process 1, and reaps what others leave to it.
    berth run -d --network none --name "$name" "localhost/$name:1" sh -c '(sleep 0.1 & echo $! >/orphan); exec sleep 1000'
    reaped() { in_container sh -c '[ -s /orphan ] && ! [ -e /proc/$(cat /orphan) ]'; }
    wait_for 10 reaped
    berth exec "$name" cat /proc/1/comm
    assert_equal "$output" tini
}

@test "tools of one image, from packages that are merged, through another mirror" {
    # The base's own mirror does not answer.
    mirror=$(tar -xOf "$FIXTURES/debian.tar" --wildcards '*.tar' | tar -xOf - ./etc/apt/sources.list.d/debian.sources | sed -nE 's#^URIs: (https?://[^/]*).*#\1#p' | head -n 1)
    [[ -n $mirror ]]
    cat >requirements.txt <<<'/srv/greet-1.0-py3-none-any.whl'
    cat >Containerfile <<X
FROM localhost/debian:12 AS elsewhere
RUN sed -i -E 's|https?://[^/ ]+|http://127.0.0.1:9|' /etc/apt/sources.list.d/debian.sources
FROM elsewhere
#: option packages=merged
#: use std/apt-mirror url=$mirror
#: use std/git
#: use std/python
RUN <<EOF
python3 -c '
import zipfile
with zipfile.ZipFile("/srv/greet-1.0-py3-none-any.whl", "w") as z:
    z.writestr("greet.py", "print(\"hello from a wheel\")")
    d = "greet-1.0.dist-info/"
    z.writestr(d + "METADATA", "Metadata-Version: 2.1\nName: greet\nVersion: 1.0\n")
    z.writestr(d + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    z.writestr(d + "RECORD", "greet.py,,\n" + d + "METADATA,,\n" + d + "WHEEL,,\n" + d + "RECORD,,\n")
'
EOF
COPY requirements.txt /srv/
#: use std/pip-install file=/srv/requirements.txt venv=/opt/greet
#: use std/locale name=de_DE
#: use std/debug-tools
#: use std/app-user
USER app
WORKDIR /tmp
X
    berth build --progress=plain -t "localhost/$name:1" .
    assert_equal "$(grep -c 'apt-get install' <<<"$output")" 1
    berth partial verify --run-checks "localhost/$name:1"
    for part in app-user locale pip-install; do
        assert_contains "$output" "ok    check of std/$part: passed"
    done
    berth run -d --network none --name "$name" "localhost/$name:1" sleep 1000
    # The packages are merged: no block in the image's file says that these parts are in it.
    for part in ca-certs debug-tools git python; do
        berth partial inspect --format json "$PARTS/$part"
        meta=$output
        mapfile -t argv < <(jq -r '.check.argv[]' <<<"$meta")
        berth exec "$name" "${argv[@]}"
        grep -qE "$(jq -r '.check.match // ""' <<<"$meta")" <<<"$output"
    done
    berth exec "$name" python -m greet
    assert_equal "$output" "hello from a wheel"
    berth exec "$name" sh -c 'git init -q one && cd one && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m first && git clone -q . ../two && git -C ../two log --format=%s'
    assert_equal "$output" first
    berth exec "$name" bash -c 'echo $LANG; locale charmap; printf "%.1f\n" 1,5; test -s /etc/ssl/certs/ca-certificates.crt; curl -sS http://127.0.0.1:9/ 2>&1 | head -c 8; ps -o comm= -p 1'
    assert_equal "$output" $'de_DE.UTF-8\nUTF-8\n1,5\ncurl: (7sleep'
    # The mirror is put back, whatever it was.
    berth 2 exec "$name" sh -c 'grep ^URIs: /etc/apt/sources.list.d/debian.sources | cut -d/ -f1-3 | uniq; ls /etc/apt/debian.sources.orig'
    assert_contains "$output" $'URIs: http://127.0.0.1:9\nls: cannot access'
}

@test "cron ran its job" {
    logged() { "$ENGINE" logs cron 2>&1 3>&- | grep -q ' UTC 20'; }
    wait_for 70 logged
    berth rm -f -t 0 cron
}
