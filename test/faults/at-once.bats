#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Commands at once on one thing: none is lost, each gets an answer, and system check has nothing to say afterwards (store_teardown).
load ../helpers

# together CMD...: runs each command line of the engine at once; their outputs are $FILE_DIR/out-N, their exit codes ${codes[@]}.
together() {
    local pids=() i
    for i in $(seq $#); do
        # shellcheck disable=SC2086 # words
        timeout -k 5 100 "$ENGINE" ${!i} >"$FILE_DIR/out-$i" 2>&1 3>&- </dev/null &
        pids+=($!)
    done
    codes=()
    for i in "${!pids[@]}"; do
        codes+=(0)
        wait "${pids[i]}" || codes[i]=$?
        echo "${codes[i]}: $(cat "$FILE_DIR/out-$((i + 1))")"
    done
}
# won: how many have succeeded.
won() { local n=0 c; for c in "${codes[@]}"; do [[ $c -ne 0 ]] || n=$((n + 1)); done; echo "$n"; }

@test "several update of one container at once: none is lost, and history has each" {
    local state i cmds
    for state in create "run -d"; do
        # shellcheck disable=SC2086 # words
        berth $state --name "$name" --network none "$IMAGE" sleep 300
        cmds=()
        for i in 1 2 3 4 5 6; do cmds+=("update -e V$i=$i $name"); done
        together "${cmds[@]}"
        assert_equal "$(won)" 6
        berth inspect -f '{{join .Config.Env "\n"}}' "$name"
        for i in 1 2 3 4 5 6; do assert_contains "$output" "V$i=$i"; done
        if is_berth; then
            berth container history "$name"
            for i in 1 2 3 4 5 6; do assert_contains "$output" "V$i=$i"; done
        fi
        berth rm -ft0 "$name"
    done
}

@test "several rename at once: one container has one name, and one name one container" {
    local i new cmds=()
    berth run -d --name "$name" --network none "$IMAGE" sleep 300
    for i in 1 2 3 4 5 6; do cmds+=("rename $name $name-$i"); done
    together "${cmds[@]}"
    [[ $(won) -ge 1 ]] # those that have found it by its old name rename it one after the other
    berth ps -a --filter "name=$name" --format '{{.Names}}'
    assert_equal "${#lines[@]}" 1
    new=$output
    assert_equal "${codes[${new##*-} - 1]}" 0
    for i in 1 2 3 4 5 6; do
        if [[ $name-$i == "$new" ]]; then berth exec "$new" true; else berth 1 container exists "$name-$i"; fi
    done
    berth 1 container exists "$name"
    berth rm -fat0
    cmds=()
    for i in 1 2 3 4 5 6; do berth create --name "$name-$i" "$IMAGE" true; cmds+=("rename $name-$i $name"); done
    together "${cmds[@]}"
    assert_equal "$(won)" 1
    berth ps -aq
    assert_equal "${#lines[@]}" 6
    berth start -a "$name"
}

@test "secret create and rm at once: one of a name wins, others are not lost" {
    local i cmds=() kept=()
    echo secret >"$FILE_DIR/secret"
    for i in 1 2 3 4; do cmds+=("secret create $name $FILE_DIR/secret" "secret create $name-$i $FILE_DIR/secret"); done
    together "${cmds[@]}"
    assert_equal "$(won)" 5
    berth secret ls --format '{{.Name}}'
    assert_equal "${#lines[@]}" 5
    cmds=()
    for i in 1 2 3 4; do cmds+=("secret rm $name" "secret rm $name-$i" "secret create $name-new-$i $FILE_DIR/secret"); done
    together "${cmds[@]}"
    assert_equal "$(won)" 9
    berth secret ls --format '{{.Name}}'
    assert_equal "$(sort <<<"$output")" "$(printf '%s\n' "$name"-new-{1,2,3,4})"
    berth run --rm --network none --secret "$name-new-3" "$IMAGE" cat "/run/secrets/$name-new-3"
    assert_equal "$output" secret
    berth secret rm -a
}

@test "system prune beside run: what runs is not touched, and each run has its exit code and volume" {
    local i cmds=("system prune -f --volumes" "system prune -f --volumes")
    berth run -d --name "$name-up" -v "$name-up:/v" --network none "$IMAGE" sleep 300
    berth exec "$name-up" touch /v/f
    for i in 1 2 3 4 5; do
        cmds+=("run --network none -v $name-$i:/v $IMAGE touch /v/f" "run --rm --network none $IMAGE true" "run -d --network none -v /v $IMAGE sleep 300" "system prune -f --volumes")
    done
    together "${cmds[@]}"
    assert_equal "$(won)" "${#cmds[@]}"
    berth exec "$name-up" ls /v/f
    berth ps -q
    assert_equal "${#lines[@]}" 6
    berth rm -fat0
    berth system prune -f --volumes
    berth volume ls -q
    assert_equal "$output" ""
}

@test "system reset beside run, and two at once: each ends, and what is left works" {
    local i cmds=()
    for i in 1 2 3 4; do berth run -d --network none -v "$name-$i:/v" "$IMAGE" sleep 300; done
    for i in 1 2 3; do cmds+=("run -d --network none $IMAGE sleep 300" "system reset --force"); done
    together "${cmds[@]}"
    for i in 2 4 6; do assert_equal "${codes[i - 1]}" 0; done
    if grep -l panic "$FILE_DIR"/out-*; then false; fi
    if is_berth; then berth system check; fi
    berth system reset --force
    berth images -q
    assert_equal "$output" ""
    berth ps -aq
    assert_equal "$output" ""
    berth load -q -i "$FIXTURES/busybox.tar"
    berth run --rm --network none "$IMAGE" true
}

@test "cp, export, diff and volume import of one container at once: each file is one of those that were copied, whole" {
    local i cmds=() d=$FILE_DIR/$name
    mkdir "$d"
    for i in 1 2 3; do head -c 3000000 /dev/zero | tr '\0' "$i" >"$d/$i"; mkdir "$d/v$i"; cp "$d/$i" "$d/v$i/file"; tar -C "$d/v$i" -cf "$d/$i.tar" file; done
    berth volume create "$name"
    berth run -d --name "$name" --network none -v "$name:/v" "$IMAGE" sleep 300
    berth cp "$d/1" "$name:/big"
    for i in 1 2 3; do cmds+=("cp $d/$i $name:/big" "cp $name:/big $d/out$i" "export -o $d/export$i $name" "diff $name" "volume import $name $d/$i.tar"); done
    together "${cmds[@]}"
    [[ $(won) -ge 9 ]]
    for i in 1 2 3; do tar -tf "$d/export$i" >/dev/null; done
    for i in big v/file; do
        berth exec "$name" sh -c "wc -c </$i; tr -d 123 </$i | wc -c; head -c 1 /$i"
        assert_equal "${lines[1]}" 0
        [[ $i != big ]] || assert_equal "${lines[0]}" 3000000
    done
    berth rm -ft0 "$name"
    berth volume rm "$name"
}

@test "kill -9 of cp, export, diff, clone and init at many points: given again each does its work, and nothing is left" {
    is_berth || skip "of Berth's"
    local verb i d=$FILE_DIR/$name
    mkdir "$d"
    head -c 8000000 /dev/urandom >"$d/big"
    berth create --name "$name" --network none "$IMAGE" sleep 300
    for verb in "cp $d/big $name:/big" "cp $name:/big $d/out" "export -o $d/out.tar $name" "diff $name" "container clone $name $name-2" "init $name"; do
        for i in 003 01 02 04 08; do
            # shellcheck disable=SC2086 # words
            timeout -s KILL "0.$i" "$ENGINE" $verb >/dev/null 2>&1 3>&- || true
        done
        [[ $verb != *clone* ]] || "$ENGINE" rm -f "$name-2" >/dev/null 2>&1 3>&- || true
        # shellcheck disable=SC2086 # words
        berth $verb || [[ $verb == init* && $output == *"already been created"* ]] # one that was killed had done it
        [[ $verb != "cp $name"* ]] || cmp "$d/big" "$d/out"
        [[ $verb != export* ]] || [[ $(tar -xOf "$d/out.tar" big | cmp - "$d/big" && echo same) == same ]]
        [[ $(compgen -G "$d/*" | wc -l) -le 3 ]] # no half of an archive is left
    done
    berth start "$name"
    berth exec "$name" ls /big
    berth rm -ft0 "$name" "$name-2"
    berth system check
}
