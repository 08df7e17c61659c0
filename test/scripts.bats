#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Scripts of some ten lines as users write them, with docker's and podman's usual idioms. $CTR is the engine's name in them.
load helpers

# script NAME <SCRIPT: runs a shell script, with -eu, and shows what it said if it fails.
script() {
    cat >"$FILE_DIR/$1.sh"
    status=0
    output=$(cd "$BATS_TEST_TMPDIR" && CTR=$ENGINE NAME=$name IMAGE=$IMAGE timeout 120 bash -eu "$FILE_DIR/$1.sh" 2>&1 3>&-) || status=$?
    echo "$output"
    [[ $status -eq 0 ]]
}

@test "a web server with a configuration and a volume" {
    script web <<'EOS'
mkdir -p conf && echo 'Hello from the volume' >index.html && echo '.txt:text/plain' >conf/httpd.conf
$CTR volume create "$NAME-www" >/dev/null
$CTR run --rm -v "$NAME-www:/www" -v "$PWD/index.html:/in:ro" "$IMAGE" cp /in /www/index.html
$CTR rm -f "$NAME" >/dev/null 2>&1 || true
id=$($CTR run -d --name "$NAME" -v "$NAME-www:/www:ro" -v "$PWD/conf:/etc/httpd:ro" "$IMAGE" httpd -f -p 8080 -h /www -c /etc/httpd/httpd.conf)
[ "$($CTR ps -q --no-trunc --filter "name=$NAME")" = "$id" ]
for i in 1 2 3 4 5 6 7 8 9 10; do $CTR exec "$NAME" wget -qO- http://127.0.0.1:8080/ && break; sleep 0.5; done | grep 'Hello from the volume'
! $CTR exec "$NAME" touch /www/x 2>/dev/null
$CTR stop -t 1 "$NAME" >/dev/null && $CTR rm "$NAME" >/dev/null && $CTR volume rm "$NAME-www" >/dev/null
EOS
}

@test "a database with a secret and a health check: wait until it is healthy" {
    is_berth || [[ -d /run/systemd/system ]] || skip "podman's health checks need systemd"
    script database <<'EOS'
printf secret >password && $CTR secret create "$NAME-pw" password >/dev/null
$CTR run -d --name "$NAME" --secret "$NAME-pw" -e PASSWORD_FILE="/run/secrets/$NAME-pw" -v "$NAME-data:/data" \
    --health-cmd 'test -e /data/ready' --health-interval 1s --health-retries 3 --health-start-period 10s \
    "$IMAGE" sh -c 'sleep 1; cat "$PASSWORD_FILE" >/data/ready; exec sleep 1000' >/dev/null
until [ "$($CTR inspect -f '{{.State.Health.Status}}' "$NAME")" = healthy ]; do
    [ "$($CTR inspect -f '{{.State.Running}}' "$NAME")" = true ] || { $CTR logs "$NAME"; exit 1; }
    sleep 0.3
done
[ "$($CTR exec "$NAME" cat /data/ready)" = secret ]
$CTR rm -f -t 0 -v "$NAME" >/dev/null
$CTR volume rm "$NAME-data" >/dev/null && $CTR secret rm "$NAME-pw" >/dev/null
EOS
}

@test "a database with a secret and a health check that the script runs itself" {
    script ask <<'EOS'
printf secret >password && $CTR secret create "$NAME-pw" password >/dev/null
$CTR run -d --name "$NAME" --secret "$NAME-pw" -e PASSWORD_FILE="/run/secrets/$NAME-pw" -v "$NAME-data:/data" \
    --health-cmd 'test -e /data/ready' --health-interval disable \
    "$IMAGE" sh -c 'sleep 1; cat "$PASSWORD_FILE" >/data/ready; exec sleep 1000' >/dev/null
until $CTR healthcheck run "$NAME" >/dev/null; do sleep 0.3; done
[ "$($CTR inspect -f '{{.State.Health.Status}}' "$NAME")" = healthy ]
[ "$($CTR exec "$NAME" cat /data/ready)" = secret ]
$CTR rm -f -t 0 -v "$NAME" >/dev/null
$CTR volume rm "$NAME-data" >/dev/null && $CTR secret rm "$NAME-pw" >/dev/null
EOS
}

@test "a cron job with --rm: its output, its exit code, and nothing left" {
    script cron <<'EOS'
out=$($CTR run --rm --name "$NAME" -v "$PWD:/work" -w /work "$IMAGE" sh -c 'date +%Y >year; cat year')
[ "$out" = "$(cat year)" ]
rc=0; $CTR run --rm --name "$NAME" "$IMAGE" sh -c 'echo oops >&2; exit 42' 2>err || rc=$?
[ "$rc" = 42 ] && grep -qx oops err
if $CTR inspect "$NAME" >/dev/null 2>&1; then echo "it is left"; exit 1; fi
[ -z "$($CTR ps -aq --filter "name=$NAME")" ]
echo data | $CTR run -i --rm "$IMAGE" tr a-z A-Z | grep -qx DATA
$CTR run --rm "$IMAGE" false || echo "failed with $?" | grep -q 'failed with 1'
EOS
}

@test "a CI job: build, run with the sources, take the result out" {
    script ci <<'EOS'
mkdir -p src && echo 'echo compiled >"$1"' >src/build.sh
printf 'FROM %s\nCOPY src /src\nRUN sh /src/build.sh /artifact\n' "$IMAGE" >Containerfile
$CTR build -q -t "localhost/$NAME-ci" . >/dev/null
trap '$CTR rm -f -t 0 "$NAME" >/dev/null 2>&1; $CTR rmi -f "localhost/$NAME-ci" >/dev/null' EXIT
cid=$($CTR create --name "$NAME" "localhost/$NAME-ci" cat /artifact)
$CTR start -a "$cid" | grep -qx compiled
[ "$($CTR wait "$cid")" = 0 ]
[ "$($CTR inspect --format '{{.State.ExitCode}}' "$NAME")" = 0 ]
$CTR logs "$NAME" | grep -qx compiled
EOS
}

@test "a backup of a volume, and back" {
    script backup <<'EOS'
$CTR run --rm -v "$NAME-a:/data" "$IMAGE" sh -c 'mkdir /data/dir && echo precious >/data/dir/file && chmod 640 /data/dir/file'
$CTR run --rm -v "$NAME-a:/data:ro" -v "$PWD:/backup" "$IMAGE" tar -cf /backup/data.tar -C /data .
tar -tf data.tar | grep -q dir/file
$CTR volume rm "$NAME-a" >/dev/null
$CTR volume create "$NAME-b" >/dev/null
$CTR run --rm -i -v "$NAME-b:/data" "$IMAGE" tar -xf - -C /data <data.tar
[ "$($CTR run --rm -v "$NAME-b:/data" "$IMAGE" sh -c 'cat /data/dir/file; stat -c %a /data/dir/file')" = "$(printf 'precious\n640')" ]
$CTR volume ls -q | grep -qx "$NAME-b"
$CTR volume rm "$NAME-b" >/dev/null
EOS
}

@test "clean up: all of a label, whatever their state" {
    script clean <<'EOS'
for i in 1 2 3; do $CTR run -d --label "job=$NAME" --name "$NAME-$i" "$IMAGE" sleep 1000 >/dev/null; done
$CTR kill "$NAME-1" >/dev/null
ids=$($CTR ps -aq --filter "label=job=$NAME")
[ "$(echo "$ids" | wc -l)" = 3 ]
$CTR rm -f -t 0 $ids >/dev/null
[ -z "$($CTR ps -aq --filter "label=job=$NAME")" ]
$CTR rm -f "$NAME-1" 2>/dev/null || true
$CTR container exists "$NAME-2" && exit 1 || [ $? = 1 ]
EOS
}
