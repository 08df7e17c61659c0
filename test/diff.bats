#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# diff and export: what a container has made of its image's files.
load helpers

OWN=localhost/own

setup_file() {
    store_setup
    mkdir "$FILE_DIR/context"
    cat >"$FILE_DIR/context/Containerfile" <<C
FROM $IMAGE
RUN mkdir -p /d/sub /e /o && echo one >/d/one && echo two >/d/two && echo three >/d/sub/three && echo four >/o/four && ln -s /d /link
C
    berth build -q -t "$OWN" "$FILE_DIR/context"
}

test_setup() { name=c-$(random_string); D=$(mktemp -d "$FILE_DIR/t-XXXXXX"); }

CHANGE='echo new >/d/new; echo changed >/d/one; rm /d/two; rm -r /o; mkdir /o; echo five >/o/five; rm -r /e; mkdir /n; ln -s x /n/l; touch /ready'

@test "diff: files added, changed and deleted, while the container runs and after" {
    berth run -d --name "$name" "$OWN" sh -c "$CHANGE; exec sleep 1000"
    wait_for 10 berth exec "$name" test -e /ready
    for state in running stopped; do
        berth diff "$name"
        assert_equal "$state: $(grep -v ' /etc$' <<<"$output" | sort)" "$state: A /d/new
A /n
A /n/l
A /o/five
A /ready
C /d
C /d/one
C /o
D /d/two
D /e
D /o/four"
        [[ $state == stopped ]] || berth stop -t 0 "$name"
    done
    berth diff --format json "$name"
    assert_equal "$(jq -c '[.added, .deleted]' <<<"$output")" '[["/d/new","/n","/n/l","/o/five","/ready"],["/d/two","/e","/o/four"]]'
    berth diff -l
    assert_contains "$output" "A /d/new"
    berth 125 diff --format yaml "$name"
    assert_contains "$output" "only supported value for '--format' is 'json'"
    berth 125 diff "none-$name"
}

@test "diff: an image of one layer, a container that has done nothing, and mounts" {
    berth volume create "$name-v"
    echo hidden | "$ENGINE" secret create "$name-s" - 3>&-
    berth create --name "$name" -v "$name-v:/vol" --tmpfs /tm --secret "$name-s" "$IMAGE" true
    berth diff "$name"
    assert_equal "$(grep -v ' /etc$' <<<"$output" || true)" ""
    berth start -a "$name"
    berth diff "$name"
    assert_equal "$(grep -v ' /etc$' <<<"$output" || true)" ""
    berth run --name "$name-2" "$IMAGE" sh -c 'echo x >/bin/new; rm /home/* 2>/dev/null; true'
    berth diff "$name-2"
    assert_contains "$output" "A /bin/new"
    berth rm "$name"
    berth volume rm "$name-v"
    berth secret rm "$name-s"
}

@test "export: all files of a container, running and not, without its mounts" {
    mkdir "$D/bind"
    echo bind >"$D/bind/file"
    berth run -d --name "$name" -v "$D/bind:/b" "$OWN" sh -c "$CHANGE; exec sleep 1000"
    wait_for 10 berth exec "$name" test -e /ready
    for state in running stopped; do
        "$ENGINE" export "$name" 3>&- >"$D/$state.tar"
        berth export -o "$D/$state-2.tar" "$name"
        cmp "$D/$state.tar" "$D/$state-2.tar"
        assert_equal "$(tar -xOf "$D/$state.tar" d/one)" changed
        tar -tf "$D/$state.tar" >"$D/list"
        grep -qx "d/sub/three" "$D/list"
        grep -qx "b/" "$D/list"
        not grep -qx -e "d/two" -e "b/file" -e "proc/1/status" "$D/list"
        [[ $state == stopped ]] || berth stop -t 0 "$name"
    done
    berth import -q "$D/stopped.tar" "localhost/$name"
    berth run --rm "localhost/$name" cat /d/one /o/five
    assert_equal "$output" $'changed\nfive'
    berth rmi "localhost/$name"
    berth 125 export -o "$D/a:b" "$name"
    assert_contains "$output" "invalid filename (should not contain ':')"
    berth 125 export "none-$name"
}

@test "export: owners are the container's in a user namespace of its own" {
    is_rootless && is_berth || return 0
    berth run -d --name "$name" --userns keep-id "$OWN" sleep 1000
    berth exec -u 0 "$name" sh -c 'touch /root-owned; touch /user-owned; chown 5:6 /user-owned'
    "$ENGINE" export "$name" 3>&- | tar --numeric-owner -tvf - root-owned user-owned >"$D/list"
    grep -q ' 0/0 .* root-owned' "$D/list"
    grep -q ' 5/6 .* user-owned' "$D/list"
}
