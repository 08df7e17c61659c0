#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Known holes of container engines, as an attacker in a container would use them. docs/security.md lists where each class is tested.
load helpers

setup() {
    test_setup
    V=$FILE_DIR/victim-$name
    mkdir -p "$V/dir"
    echo "host's" >"$V/file"
    echo "host's" >"$V/dir/file"
}

# unharmed: nothing was changed, made or removed below the host's directory.
unharmed() {
    assert_equal "$(cd "$V" && find . | sort | xargs -r ls -ld --time-style=+ 2>&1 && cat file dir/file)" "$before"
}
remember() { before=$(cd "$V" && find . | sort | xargs -r ls -ld --time-style=+ 2>&1 && cat file dir/file); }

@test "a volume whose container swaps files for links while it is exported, copied and measured (CVE-2023-0778)" {
    berth run -d --name "$name" --network none -v "$name:/v" "$IMAGE" sh -c "mkdir /v/a && echo mine >/v/a/file && echo mine >/v/f && ln -s $V /v/b && ln -s $V/file /v/g && touch /ready
        while :; do mv -T /v/a /v/c; mv -T /v/b /v/a; mv -T /v/f /v/h; mv -T /v/g /v/f; mv -T /v/a /v/b; mv -T /v/c /v/a; mv -T /v/f /v/g; mv -T /v/h /v/f; done"
    wait_for 10 "$ENGINE" exec "$name" test -e /ready
    local i
    for i in {1..25}; do
        "$ENGINE" volume export "$name" 2>/dev/null 3>&- | tar -xO 2>/dev/null >"$FILE_DIR/seen-$name" || true
        "$ENGINE" cp "$name:/v/." - 2>/dev/null 3>&- | tar -xO 2>/dev/null >>"$FILE_DIR/seen-$name" || true
        "$ENGINE" export "$name" 2>/dev/null 3>&- | tar -xO 2>/dev/null | grep -a "host's" >>"$FILE_DIR/seen-$name" || true
        if grep -a "host's" "$FILE_DIR/seen-$name"; then false; fi
    done
    [[ -s $FILE_DIR/seen-$name ]]
    if is_berth; then "$ENGINE" system df -v >/dev/null 2>&1 3>&-; fi
    berth rm -ft0 "$name"
    berth volume rm "$name"
}

# links: a volume of that name in which a container has put links to the host's files.
links() {
    berth run --rm --network none -v "$1:/v" "$IMAGE" sh -c "ln -s $V/file /v/file; ln -s $V/dir /v/dir; ln -s $V/new /v/new; ln -s ../../../../../../../../..$V/dir /v/up; ln -s /proc/1/root$V/dir /v/proc"
}

@test "what is written to a volume that is there already goes through none of its links (CVE-2025-9566)" {
    local d f
    echo evil >"$FILE_DIR/evil"
    mkdir -p "$FILE_DIR/tree/dir" "$FILE_DIR/tree/up"
    for f in file new dir/file dir/new up/file; do cp "$FILE_DIR/evil" "$FILE_DIR/tree/$f"; done
    tar -C "$FILE_DIR/tree" -cf "$FILE_DIR/tree.tar" .
    berth secret create "$name" "$FILE_DIR/evil"
    remember

    links "$name-1"
    "$ENGINE" volume import "$name-1" "$FILE_DIR/tree.tar" 3>&- || true
    unharmed

    # A copy into a container: running, stopped, and as an archive.
    links "$name-2"
    berth run -d --name "$name" --network none -v "$name-2:/v" "$IMAGE" sleep 300
    for d in up down; do
        for f in file new dir/file dir/new up/file proc/file; do "$ENGINE" cp "$FILE_DIR/evil" "$name:/v/$f" 3>&- || true; done
        "$ENGINE" cp "$FILE_DIR/tree/." "$name:/v" 3>&- || true
        "$ENGINE" cp - "$name:/v" <"$FILE_DIR/tree.tar" 3>&- || true
        unharmed
        berth stop -t 0 "$name"
    done
    berth rm "$name"

    # What a start makes in it: the places of secrets, binds, volumes and tmpfs, and the working directory.
    links "$name-3"
    for f in file new dir/file dir/new up/file up/new proc/new; do
        "$ENGINE" run --rm --network none -v "$name-3:/v" --secret "$name,target=/v/$f" "$IMAGE" true 3>&- || true
        "$ENGINE" run --rm --network none -v "$name-3:/v" -v "$FILE_DIR/evil:/v/$f" "$IMAGE" sh -c "echo more >>/v/$f" 3>&- || true
        unharmed
    done
    for d in dir new up dir/x up/x proc/x; do
        "$ENGINE" run --rm --network none -v "$name-3:/v" -v "$name-4:/v/$d" "$IMAGE" touch "/v/$d/made" 3>&- || true
        "$ENGINE" run --rm --network none -v "$name-3:/v" --tmpfs "/v/$d" "$IMAGE" touch "/v/$d/made" 3>&- || true
        "$ENGINE" run --rm --network none -v "$name-3:/v" --workdir "/v/$d" "$IMAGE" true 3>&- || true
        "$ENGINE" run --rm --network none --mount "type=volume,src=$name-3,dst=/s,subpath=$d" "$IMAGE" touch /s/made 3>&- || true
        unharmed
    done

    # What an image fills a volume with that is there.
    links "$name-5"
    printf 'FROM %s\nCOPY tree /v\nVOLUME /v\n' "$IMAGE" >"$FILE_DIR/Containerfile"
    berth build -q --network none -t "localhost/$name" -f "$FILE_DIR/Containerfile" "$FILE_DIR"
    "$ENGINE" run --rm --network none -v "$name-5:/v" "localhost/$name" true 3>&- || true
    unharmed
    berth rmi -f "localhost/$name"
    berth volume rm -f "$name-1" "$name-2" "$name-3" "$name-4" "$name-5"
    berth secret rm "$name"
}

@test "no capability is inheritable, but those that a user other than root was given by name (CVE-2022-27649)" {
    local how user
    for how in "" "--user 7" "--cap-add SYS_ADMIN" "--privileged"; do
        # shellcheck disable=SC2086 # words
        berth run -d --name "$name" --network none $how "$IMAGE" sleep 300
        for user in "" "--user 0" "--user 9" "--user 0 --privileged"; do
            # shellcheck disable=SC2086 # words
            berth exec $user "$name" grep CapInh /proc/self/status /proc/1/status
            assert_equal "$(awk '{ print $2 }' <<<"$output" | sort -u)" 0000000000000000
        done
        berth rm -ft0 "$name"
    done
    berth run --rm --network none --user 7 --cap-add NET_RAW "$IMAGE" grep CapInh /proc/self/status
    assert_equal "$(tr -s '[:space:]' ' ' <<<"$output")" "CapInh: 0000000000002000 "
}
