#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# only: root
# Each verb on a disk that is full: it works or says so, gives back what it took, and containers and images can be removed
# there. It takes root to mount a disk.
load ../helpers

setup() {
    test_setup
    SMALL=$FILE_DIR/small
    mkdir "$SMALL"
    mount -t tmpfs -o size=24m small "$SMALL"
    ARGS=(--root "$SMALL/store" --runroot "$FILE_DIR/small-run")
    small load -q -i "$FIXTURES/busybox.tar"
}

teardown() {
    timeout 60 "$ENGINE" "${ARGS[@]}" rm -fa -t 0 >/dev/null 2>&1 3>&- || true
    umount -l "$SMALL"
    rmdir "$SMALL"
    discard "$FILE_DIR/small-run"
}

# small [CODE] ARG...: the engine with its store on that disk.
small() {
    local want=()
    if [[ $1 =~ ^[0-9]+$ ]]; then want=("$1"); shift; fi
    berth "${want[@]}" "${ARGS[@]}" "$@"
}

used() { df -B1 --output=used "$SMALL" | tail -n 1; }
fill() { dd if=/dev/zero of="$SMALL/fill" bs=4k 2>/dev/null || true; [[ $(df -B1 --output=avail "$SMALL" | tail -n 1) -eq 0 ]]; }

# as_records_say: the store holds what its records name, and du says what system df says.
as_records_say() {
    local walk df
    small system check --repair
    walk=$("$HELPERS_DIR/tools/storewalk" "$SMALL/store" "$FILE_DIR/small-run" "$TMPDIR") || { echo "$walk"; return 1; }
    df=$("$ENGINE" "${ARGS[@]}" system df --format '{{.RawSize}}' 3>&- | paste -sd' ')
    assert_equal "$df" "$(tail -n 1 <<<"$walk" | cut -d' ' -f2-5)"
    small system check
}

# big: an archive of an image with a layer that fits and many that do not.
big() {
    local i
    mkdir -p "$FILE_DIR/big"
    [[ ! -e $FILE_DIR/big.tar ]] || return 0
    { echo "FROM $IMAGE"; for i in 1 2 3 4 5 6 7 8 9; do head -c 3000000 /dev/urandom >"$FILE_DIR/big/$i"; echo "COPY $i /$i"; done; } >"$FILE_DIR/big/Containerfile"
    berth build -q --network none -t localhost/big "$FILE_DIR/big"
    berth save -q -o "$FILE_DIR/big.tar" localhost/big
    berth rmi -f localhost/big
    berth image prune -f
}

@test "a load and a pull that do not fit leave nothing; after room was made they work" {
    big
    start_registry
    skopeo copy -q --dest-tls-verify=false "docker-archive:$FILE_DIR/big.tar" "docker://$REGISTRY/big:1" 3>&-
    local before
    before=$(used)
    for cmd in "load -q -i $FILE_DIR/big.tar" "pull -q $REGISTRY/big:1"; do
        image=${cmd##* }
        [[ $image == "$REGISTRY"* ]] || image=localhost/big
        # shellcheck disable=SC2086
        small 125 $cmd
        assert_contains "$output" "no space left"
        [[ $(used) -le $((before + 200000)) ]] || { echo "$(used) bytes used, before $before"; find "$SMALL" -size +100k; false; }
        as_records_say
        mount -o remount,size=60m "$SMALL"
        # shellcheck disable=SC2086
        small $cmd
        small run --rm --network none "$image" true
        small rmi "$image"
        small image prune -f
        mount -o remount,size=24m "$SMALL"
        as_records_say
    done
    stop_registry
}

@test "rm, rmi, image prune and volume rm work on a disk without a free block" {
    small create --name "$name" "$IMAGE" true
    small run --name "$name-2" -v /data --network none "$IMAGE" sh -c 'head -c 100000 /dev/zero >/f; head -c 100000 /dev/zero >/data/f'
    small run -d --name "$name-3" --network none "$IMAGE" sleep 300
    small volume create "$name-v"
    small tag "$IMAGE" "localhost/$name"
    printf 'FROM %s\nCOPY Containerfile /c\n' "$IMAGE" >"$FILE_DIR/Containerfile"
    mkdir -p "$FILE_DIR/ctx"
    cp "$FILE_DIR/Containerfile" "$FILE_DIR/ctx/"
    small build -q --network none "$FILE_DIR/ctx"
    fill
    for verb in "rm $name" "rm -v $name-2" "rm -f -t 0 $name-3" "volume rm $name-v" "image prune -f" "rmi localhost/$name"; do
        # shellcheck disable=SC2086
        small $verb
        # What was given back is used up before the next one.
        dd if=/dev/zero of="$SMALL/fill-${verb//[ \/]/-}" bs=4k 2>/dev/null || true
    done
    small ps -aq
    assert_equal "$output" ""
    small rmi "$IMAGE"
    rm "$SMALL"/fill*
    as_records_say
    small load -q -i "$FIXTURES/busybox.tar"
    small run --rm --network none "$IMAGE" true
}

@test "run, run -d, create, build, commit and import on a disk without room: an error that says so, and nothing is left" {
    local before cmd
    small run --name "$name" --network none "$IMAGE" sh -c 'head -c 3000000 /dev/urandom >/f'
    mkdir -p "$FILE_DIR/ctx"
    head -c 3000000 /dev/urandom >"$FILE_DIR/ctx/f"
    printf 'FROM %s\nCOPY f /f\n' "$IMAGE" >"$FILE_DIR/ctx/Containerfile"
    tar -C "$FILE_DIR/ctx" -cf "$FILE_DIR/f.tar" f
    fill
    small run --rm --network none "$IMAGE" true # on the disk it makes directories only, which take no room on a tmpfs
    for cmd in "run --network none $IMAGE true" "run -d --network none $IMAGE sleep 300" "create $IMAGE true" \
        "build -q --network none $FILE_DIR/ctx" "commit -q $name localhost/$name" "import -q $FILE_DIR/f.tar localhost/$name"; do
        # shellcheck disable=SC2086
        small 125 $cmd
        assert_contains "${output,,}" "no space left"
        [[ $output != *panic* ]]
        small ps -aq
        assert_equal "${#lines[@]}" 1
    done
    rm "$SMALL"/fill*
    as_records_say
    small run --rm --network none "$IMAGE" true
    small commit -q "$name" "localhost/$name"
    small rm "$name"
    as_records_say
}

@test "update, rename, secret create, volume create and commit on a full disk: an error that says so, what was there stays, and with room they work" {
    local cmd before
    head -c 100000 /dev/urandom | base64 >"$FILE_DIR/secret"
    small run --name "$name" --network none "$IMAGE" sh -c 'head -c 1000000 /dev/urandom >/f'
    small run -d --name "$name-up" --network none -e A=old "$IMAGE" sleep 300
    small secret create "$name-first" - <<<first
    small volume create "$name-first"
    before=$(small_facts)
    fill
    for cmd in "update -e A=$(printf %020000d 1) $name-up" "update --restart always $name" "secret create $name $FILE_DIR/secret" "volume create $name" "commit -q $name localhost/$name"; do
        # shellcheck disable=SC2086
        small 125 $cmd
        assert_contains "${output,,}" "no space left"
        [[ $output != *panic* && $output == *Hint:* ]]
        dd if=/dev/zero of="$SMALL/fill-2" bs=4k 2>/dev/null || true
    done
    # Without a block for the state, a rename does all or nothing.
    small rename "$name" "$name-new" || small rename "$name" "$name-new" || true
    rm "$SMALL"/fill*
    small container exists "$name-new" || small rename "$name" "$name-new"
    small rename "$name-new" "$name"
    assert_equal "$(small_facts)" "$before"
    as_records_say
    small update -e A=new "$name-up"
    small secret create "$name" "$FILE_DIR/secret"
    small volume create "$name"
    small commit -q "$name" "localhost/$name"
    small run --rm --network none --secret "$name" -v "$name:/v" "localhost/$name" sh -c "cat /run/secrets/$name"
    assert_equal "$output" "$(cat "$FILE_DIR/secret")"
    small rm -ft0 "$name" "$name-up"
    as_records_say
}

@test "cp, volume import, container clone, export and diff with a full disk: an error that says so, what was there stays, and with room they work" {
    local cmd
    head -c 3000000 /dev/urandom >"$FILE_DIR/big-$name"
    mkdir "$FILE_DIR/in-$name"
    mv "$FILE_DIR/big-$name" "$FILE_DIR/in-$name/big"
    tar -C "$FILE_DIR/in-$name" -cf "$FILE_DIR/big-$name.tar" big
    small volume create "$name"
    small run -d --name "$name-up" --network none -v "$name:/v" "$IMAGE" sh -c 'echo old >/big; echo old >/v/old; sleep 300'
    small create --name "$name" --network none "$IMAGE" sleep 300
    fill
    for cmd in "cp $FILE_DIR/in-$name/big $name-up:/tmp/big" "cp $FILE_DIR/in-$name/big $name:/tmp/big" "volume import $name $FILE_DIR/big-$name.tar" "container clone $name $name-2"; do
        # shellcheck disable=SC2086
        small 125 $cmd
        assert_contains "${output,,}" "no space left"
        [[ $output != *panic* ]]
        dd if=/dev/zero of="$SMALL/fill-2" bs=4k 2>/dev/null || true
    done
    small export -o "$FILE_DIR/out-$name.tar" "$name-up" # which needs no room there
    small diff "$name-up"
    small 1 container exists "$name-2"
    small exec "$name-up" cat /big /v/old
    assert_equal "${lines[*]}" "old old"
    rm "$SMALL"/fill*
    small cp "$FILE_DIR/in-$name/big" "$name-up:/tmp/big"
    small volume import "$name" "$FILE_DIR/big-$name.tar"
    small container clone "$name" "$name-2"
    small init "$name"
    small exec "$name-up" cmp /tmp/big /v/big
    small rm -ft0 "$name" "$name-2" "$name-up"
    small volume rm "$name"
    as_records_say
}

# small_facts: what inspect and ls say of what the test has made.
small_facts() {
    "$ENGINE" "${ARGS[@]}" inspect -f '{{.Name}} {{.State.Status}} {{.Config.Env}} {{.HostConfig.RestartPolicy.Name}}' "$name" "$name-up" 3>&-
    "$ENGINE" "${ARGS[@]}" secret inspect --showsecret -f '{{.Spec.Name}} {{.SecretData}}' "$name-first" 3>&-
    "$ENGINE" "${ARGS[@]}" secret ls -q --format '{{.Name}}' 3>&-
    "$ENGINE" "${ARGS[@]}" volume ls -q 3>&-
    "$ENGINE" "${ARGS[@]}" images --format '{{.Repository}}' 3>&-
}
