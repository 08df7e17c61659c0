#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Secrets: kept so that nobody else reads them, given to containers as files on a tmpfs or as variables, and shown nowhere.
load helpers

# podman 5 knows more than the podman that Debian has.
podman5() { is_berth || [[ $("$ENGINE" --version) == *" 5."* ]]; }
podman5_or_skip() { podman5 || skip "this podman is too old for it"; }

# make NAME TEXT [ARG...]: a secret.
make_secret() { printf %s "$2" | "$ENGINE" secret create "${@:3}" "$1" - 3>&-; }

test_teardown() {
    timeout 60 "$ENGINE" rm -fa -t 0 >/dev/null 2>&1 3>&- || true
    timeout 60 "$ENGINE" secret rm --all >/dev/null 2>&1 3>&- || true
}
teardown() { test_teardown; }

@test "create from a file, standard input and a variable; ls, inspect, exists, rm" {
    local id
    printf 'from a file\n' >"$FILE_DIR/$name"
    berth secret create "$name" "$FILE_DIR/$name"
    id=$output
    assert_equal "${#id}" 25
    berth secret ls --format '{{.ID}} {{.Name}} {{.Driver}}'
    assert_contains "$output" "$id $name file"
    berth secret inspect --format '{{.Spec.Name}} {{.Spec.Driver.Name}}' "${id:0:10}"
    assert_equal "$output" "$name file"
    not grep -q "from a file" <<<"$("$ENGINE" secret inspect "$name")"
    berth secret rm "$name"
    assert_equal "$output" "$id"
    berth 125 secret rm "$name"
    assert_contains "$output" "no such secret"
    podman5_or_skip
    berth 1 secret exists "$name"
    make_secret "$name" "from standard input"
    berth secret exists "$name"
    berth secret inspect --showsecret --format '{{.SecretData}}' "$name"
    assert_equal "$output" "from standard input"
    VALUE="from a variable" berth secret create --env "$name-e" VALUE
    berth secret inspect --showsecret "$name-e"
    assert_equal "$(jq -r '.[0].SecretData' <<<"$output")" "from a variable"
    berth secret inspect --pretty --showsecret "$name"
    assert_contains "$output" "Secret Data:     from standard input"
    berth 125 secret create --env "$name-f" NO_SUCH_VARIABLE
    berth 125 secret inspect --pretty --format json "$name"
    # what is there is shown, and then what is not
    berth_split 125 secret inspect "$name" "$name-no"
    assert_equal "$(jq -r '.[].Spec.Name' <<<"$output")" "$name"
    assert_contains "$stderr" "no such secret"
}

@test "ls: heading, columns, filters, quiet, json" {
    podman5_or_skip
    make_secret "$name-a" 1
    make_secret "$name-b" 2
    berth secret ls
    [[ ${lines[0]} =~ ^ID\ +NAME\ +DRIVER\ +CREATED\ +UPDATED ]]
    berth secret ls --noheading
    assert_equal "${#lines[@]}" 2
    berth secret ls --filter "name=$name-a" --format '{{.Name}}'
    assert_equal "$output" "$name-a"
    berth secret ls -q --filter "name=$name-b"
    id=$output
    berth secret ls --noheading --filter "id=$id" --format '{{.Name}} {{.CreatedAt}}'
    [[ $output == "$name-b "*" ago" ]]
    berth secret ls --format json
    assert_equal "$(jq -r '.[].name' <<<"$output" | sort | paste -sd' ')" "$name-a $name-b"
    berth 125 secret ls --filter nokey=1
    berth secret rm --all
    assert_equal "${#lines[@]}" 2
    berth secret rm --ignore "$name-a"
}

@test "a name in use: refused, replaced or left; labels" {
    podman5_or_skip
    make_secret "$name" one --label team=a -l x
    berth 125 secret create "$name" "$FILE_DIR/conf/auth.json"
    assert_contains "$output" "$name: secret name in use"
    berth secret create --ignore "$name" "$FILE_DIR/conf/auth.json"
    berth secret inspect --showsecret --format '{{.SecretData}} {{.Spec.Labels.team}}' "$name"
    assert_equal "$output" "one a"
    created=$("$ENGINE" secret inspect --format '{{.CreatedAt}}' "$name")
    make_secret "$name" two --replace
    berth secret inspect --showsecret --format '{{.SecretData}}{{range $k, $v := .Spec.Labels}}{{$k}}{{end}}' "$name"
    assert_equal "$output" "two"
    is_berth || return 0
    assert_equal "$("$ENGINE" secret inspect --format '{{.CreatedAt}}' "$name")" "$created"
    berth 125 secret create --ignore --replace "$name" "$FILE_DIR/conf/auth.json"
}

@test "names and sizes that are refused" {
    local bad
    for bad in a/b a,b a=b ""; do
        berth 125 secret create "$bad" "$FILE_DIR/conf/auth.json"
    done
    is_berth && for bad in . .. $'a\nb'; do
        berth 125 secret create "$bad" "$FILE_DIR/conf/auth.json"
        assert_contains "$output" "invalid secret name"
    done
    : >"$FILE_DIR/empty"
    berth 125 secret create "$name" "$FILE_DIR/empty"
    assert_contains "$output" "secret data must be larger than 0 and less than 512000 bytes"
    head -c 512000 /dev/zero >"$FILE_DIR/big"
    berth 125 secret create "$name" "$FILE_DIR/big"
    assert_contains "$output" "512000"
    head -c 511999 /dev/zero >"$FILE_DIR/big"
    berth secret create "$name" "$FILE_DIR/big"
    berth 125 secret create "$name-2" "$FILE_DIR/no/such/file"
    berth 125 secret create --driver nosuch "$name-2" "$FILE_DIR/big"
    assert_contains "$output" "invalid driver"
}

@test "run --secret: a file on a tmpfs with owner and mode, read-only; a variable" {
    make_secret "$name" "top secret"
    berth run --rm --secret "$name" "$IMAGE" cat "/run/secrets/$name"
    assert_equal "$output" "top secret"
    berth run --rm --secret "$name" "$IMAGE" stat -c '%u:%g %a' "/run/secrets/$name"
    assert_equal "$output" "0:0 444"
    berth run --rm --secret "source=$name,type=mount,target=/opt/key,uid=100,gid=101,mode=0400" "$IMAGE" stat -c '%u:%g %a' /opt/key
    assert_equal "$output" "100:101 400"
    berth run --rm --user 100 --secret "$name,target=key,uid=100,mode=400" "$IMAGE" cat /run/secrets/key
    assert_equal "$output" "top secret"
    make_secret "plain_$$" "top secret"
    berth run --rm --secret "plain_$$,type=env" --secret "$name,type=env,target=PASSWORD" "$IMAGE" sh -c 'echo "$PASSWORD"; env | grep -c "top secret"'
    assert_equal "${lines[*]}" "top secret 2"
    is_berth || return 0
    # read-only, nothing of it is on a disk that the container sees, and it can be given to one with a read-only root
    berth run --rm --read-only --secret "$name" "$IMAGE" sh -c "echo x >/run/secrets/$name || grep ' /run/secrets/$name ' /proc/mounts"
    assert_contains "$output" "tmpfs /run/secrets/$name tmpfs ro,"
    # a variable takes the place of the one that is there
    berth run --rm -e "A=visible" --secret "$name,type=env,target=A" "$IMAGE" sh -c 'echo $A; env | grep -c ^A='
    assert_equal "${lines[*]}" "top secret 1"
    # exec and health checks have it too
    berth run -d --name "$name" --secret "$name,type=env,target=PASSWORD" "$IMAGE" sleep 1000
    berth exec "$name" sh -c 'echo $PASSWORD'
    assert_equal "$output" "top secret"
}

@test "run --secret: with a user namespace of its own" {
    is_berth || skip "podman 4.3 as root has no keep-id"
    make_secret "$name" data
    berth run --rm --userns keep-id --secret "$name,uid=$(id -u),mode=400" "$IMAGE" cat "/run/secrets/$name"
    assert_equal "$output" data
}

@test "values of --secret that are refused" {
    local value want
    make_secret "$name" x
    while IFS='|' read -r value want; do
        berth 125 run --rm --secret "$value" "$IMAGE" true
        assert_contains "$output" "$want"
    done <<T
$name,type=bad|type bad is invalid
$name,type=env,mode=400|UID, GID, Mode options cannot be set with secret type env
$name,uid=x|invalid
$name,nokey=1|invalid
$name,word|must be in form option=value
target=x|no source found
$name-no|no such secret
T
    is_berth || return 0
    while IFS='|' read -r value want; do
        berth 125 run --rm --secret "$value" "$IMAGE" true
        assert_contains "$output" "$want"
    done <<T
$name,target=../../etc/passwd|outside of /run/secrets
$name,target=..|outside of /run/secrets
$name,target=/proc/self/exe|must not be in /proc
$name,target=/|must not be /
$name,type=env,target=A=B|name of a variable
T
    berth 125 run --rm --secret "$name" --secret "$name" "$IMAGE" true
    assert_contains "$output" "duplicate mount destination"
    berth 125 create --name "$name" --secret "$name-no" "$IMAGE" true
    berth 1 container exists "$name"
    printf 'a\0b' | "$ENGINE" secret create "$name-nul" -
    berth 125 run --rm --secret "$name-nul,type=env" "$IMAGE" true
    assert_contains "$output" "NUL byte"
    [[ $output != *a*b*"\\x00"* ]]
}

@test "a container keeps the secret that it was made with" {
    make_secret "$name" one
    berth create --name "$name" --secret "$name" "$IMAGE" cat "/run/secrets/$name"
    berth secret rm "$name"
    make_secret "$name" two
    berth start -a "$name"
    assert_equal "$output" one
    berth secret rm "$name"
    berth start -a "$name"
    assert_equal "$output" one
    is_berth || return 0 # podman reads variables at each start
    make_secret "$name" one
    berth create --name "$name-e" --secret "$name,type=env,target=A" "$IMAGE" sh -c 'echo $A'
    berth secret rm "$name"
    berth start -a "$name-e"
    assert_equal "$output" one
}

@test "it is in no inspect, image, commit, log or event, and no other user reads it" {
    local value=s3cr3t-$RANDOM$RANDOM file
    make_secret "$name" "$value"
    berth run -d --name "$name" --secret "$name" --secret "$name,type=env,target=PASSWORD" "$IMAGE" sleep 1000
    for args in "inspect $name" "container inspect $name" "secret inspect $name" "secret ls" "events --since 1h --until 0s" "ps -a --format json"; do
        # shellcheck disable=SC2086
        berth $args
        [[ $output != *"$value"* ]] || { echo "$args shows it"; false; }
    done
    berth inspect --format '{{range .Config.Secrets}}{{.Name}} {{.UID}} {{.GID}} {{.Mode}}{{end}}' "$name"
    assert_equal "$output" "$name 0 0 292"
    berth commit -q "$name" "localhost/$name"
    berth save -q -o "$FILE_DIR/$name.tar" "localhost/$name"
    mkdir "$FILE_DIR/$name.d"
    tar -C "$FILE_DIR/$name.d" -xf "$FILE_DIR/$name.tar"
    for file in "$FILE_DIR/$name.d"/*; do
        [[ -d $file ]] || not grep -q "$value" <(cat "$file"; gzip -dc <"$file" 2>/dev/null; tar -xOf "$file" 2>/dev/null)
    done
    berth image inspect "localhost/$name"
    [[ $output != *"$value"* ]]
    berth rmi -f "localhost/$name"
    is_berth || return 0
    # whatever holds it is below directories that are the user's alone
    while read -r file; do
        mode=$(stat -c %a "$file")
        [[ $mode == ?00 ]] || { echo "$file has mode $mode"; false; }
    done < <(grep -rl -F -e "$value" -e "$(printf %s "$value" | base64)" "$GRAPHROOT" "$RUNROOT" 2>/dev/null)
    [[ $(stat -c %a "$GRAPHROOT/secrets") == 700 ]]
    # nothing is left when the container is
    berth secret rm "$name"
    berth rm -f -t 0 "$name"
    not grep -rqsF "$value" "$GRAPHROOT" "$RUNROOT"
}

@test "an image's links at /run/secrets lead nowhere but into the container" {
    is_berth || skip "podman's are its own"
    make_secret "$name" data
    mkdir "$FILE_DIR/host-$name"
    mkdir -p "$FILE_DIR/ctx-$name"
    cat >"$FILE_DIR/ctx-$name/Containerfile" <<C
FROM $IMAGE
RUN mkdir -p /run && rm -rf /run/secrets && ln -s $FILE_DIR/host-$name /run/secrets
C
    berth build -q -t "localhost/$name" "$FILE_DIR/ctx-$name"
    "$ENGINE" run --rm --secret "$name" "localhost/$name" cat "/run/secrets/$name" 3>&- || true
    assert_equal "$(ls -A "$FILE_DIR/host-$name")" ""
    cat >"$FILE_DIR/ctx-$name/Containerfile" <<C
FROM $IMAGE
RUN mkdir -p /run/secrets && ln -s $FILE_DIR/host-$name/file /run/secrets/$name
C
    echo mine >"$FILE_DIR/host-$name/file"
    berth build -q -t "localhost/$name" "$FILE_DIR/ctx-$name"
    "$ENGINE" run --rm --secret "$name" "localhost/$name" sh -c "echo changed >/run/secrets/$name" 3>&- || true
    assert_equal "$(cat "$FILE_DIR/host-$name/file")" mine
    berth rmi -f "localhost/$name"
}

@test "the drivers shell and pass" {
    podman5_or_skip
    local dir=$FILE_DIR/shell-$name
    mkdir "$dir"
    opts="list=ls $dir,lookup=cat $dir/\$SECRET_ID,store=cat >$dir/\$SECRET_ID,delete=rm $dir/\$SECRET_ID"
    berth 125 secret create -d shell "$name" "$FILE_DIR/conf/auth.json"
    assert_contains "$output" "missing config value"
    make_secret "$name" shelled -d shell --driver-opts "$opts"
    assert_equal "$(cat "$dir"/*)" shelled
    berth run --rm --secret "$name" "$IMAGE" cat "/run/secrets/$name"
    assert_equal "$output" shelled
    # one that cannot be deleted stays
    chmod 500 "$dir"
    if is_rootless; then
        berth 125 secret rm "$name"
        berth secret inspect "$name"
    fi
    chmod 700 "$dir"
    berth secret rm "$name"
    assert_equal "$(ls -A "$dir")" ""
    # what cannot be kept is no secret
    berth 125 secret create -d shell --driver-opts "list=true,lookup=true,store=exit 3,delete=true" "$name" "$FILE_DIR/conf/auth.json"
    berth 1 secret exists "$name"
    is_berth || return 0
    berth system check
    # gpg is told where, for whom and what
    mkdir -p "$FILE_DIR/bin" "$FILE_DIR/store"
    echo someone >"$FILE_DIR/store/.gpg-id"
    cat >"$FILE_DIR/bin/gpg" <<'X'
#!/bin/sh
while [ $# -gt 0 ]; do case $1 in -o) out=$2; shift ;; -r) [ "$2" = someone ] || exit 2; shift ;; --encrypt) do=e ;; --decrypt) do=d; in=$2; shift ;; esac; shift; done
if [ $do = e ]; then rev >"$out"; else rev <"$in"; fi
X
    chmod +x "$FILE_DIR/bin/gpg"
    export PATH=$FILE_DIR/bin:$PATH
    make_secret "$name" passed -d pass --driver-opts "root=$FILE_DIR/store"
    assert_equal "$(cat "$FILE_DIR/store"/*.gpg)" dessap
    berth run --rm --secret "$name,type=env,target=A" "$IMAGE" sh -c 'echo $A'
    assert_equal "$output" passed
    berth secret rm "$name"
    assert_equal "$(ls "$FILE_DIR/store")" ""
}

@test "a killed create, replace or rm leaves a whole secret or none, and no data" {
    is_berth || skip "podman rewrites its files in place"
    command -v strace >/dev/null || skip "strace is missing"
    local n cmd
    for cmd in "create $name-n" "create --replace $name" "rm $name"; do
        for n in 1 2 3 4 5 6 7; do
            berth secret rm --all
            make_secret "$name" before
            # the n-th rename or unlink is its last
            printf after | strace -f -qq -o /dev/null -e trace=renameat,renameat2,rename,unlinkat,unlink -e "inject=renameat,renameat2,rename,unlinkat,unlink:signal=KILL:when=$n" \
                "$ENGINE" secret ${cmd/create/create} ${cmd:+$([[ $cmd == create* ]] && echo -)} >/dev/null 2>&1 3>&- || true
            berth system check
            assert_equal "$output" ""
            for s in $("$ENGINE" secret ls -q); do
                berth secret inspect --showsecret --format '{{.SecretData}}' "$s"
                [[ $output == before || $output == after ]]
            done
            if [[ $cmd != rm* ]]; then "$ENGINE" secret exists "$name"; fi
            # the driver has what the secrets have, and no more
            assert_equal "$(jq length "$GRAPHROOT/secrets/filedriver/secretsdata.json")" "$("$ENGINE" secret ls -q | wc -l)"
            [[ ! -e $GRAPHROOT/secrets/berth-doubtful.json ]]
        done
    done
}

@test "many at once" {
    is_berth || skip "podman waits for its own locks"
    local i
    for i in 1 2 3 4 5 6; do make_secret "$name-$i" "$i" >/dev/null & done
    for i in 1 2 3; do make_secret "$name" "$i" --replace >/dev/null & done
    wait
    berth secret ls -q
    assert_equal "${#lines[@]}" 7
    for i in 1 2 3 4 5 6; do
        berth secret inspect --showsecret --format '{{.SecretData}}' "$name-$i"
        assert_equal "$output" "$i"
    done
}

@test "postgres' idiom: a password as a file, and a health check that uses it" {
    is_berth || skip "podman 4.3 wants systemd for health checks"
    make_secret "$name" hunter2
    berth run -d --name "$name" --secret "$name,target=pg-password,mode=0444" -e PASSWORD_FILE=/run/secrets/pg-password \
        --health-cmd 'test "$(cat $PASSWORD_FILE)" = hunter2' --health-interval 1s "$IMAGE" sleep 1000
    wait_for 20 sh -c "[ \$($ENGINE inspect --format '{{.State.Health.Status}}' $name) = healthy ]"
    berth restart -t 0 "$name"
    berth exec "$name" cat /run/secrets/pg-password
    assert_equal "$output" hunter2
}
