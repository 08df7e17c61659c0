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

# layers: makes an image of three layers.
layers() {
    mkdir -p "$FILE_DIR/layers"
    printf 'FROM %s\nRUN mkdir /l && echo one >/l/one && echo two >/l/two\nRUN rm /l/two && echo three >/l/three\n' "$IMAGE" >"$FILE_DIR/layers/Containerfile"
    berth build -q -t localhost/layers "$FILE_DIR/layers"
}

@test "diff: the last layer of an image, two images, a container and an image, two containers" {
    layers
    berth diff localhost/layers
    assert_equal "$output" $'C /l\nA /l/three\nD /l/two'
    berth image diff --format json localhost/layers
    assert_equal "$(jq -c . <<<"$output")" '{"changed":["/l"],"added":["/l/three"],"deleted":["/l/two"]}'
    berth diff "$IMAGE"
    assert_contains "$output" "A /bin/busybox"
    berth image diff localhost/layers "$IMAGE"
    assert_equal "$(grep /l <<<"$output")" $'A /l\nA /l/one\nA /l/three'
    berth diff "$IMAGE" localhost/layers
    assert_equal "$(grep /l <<<"$output")" 'D /l'
    berth run -d --name "$name" localhost/layers sh -c 'echo four >/l/four; rm /l/one; exec sleep 1000'
    wait_for 10 berth exec "$name" test -e /l/four
    berth diff "$name" localhost/layers
    assert_equal "$(grep /l <<<"$output")" $'C /l\nA /l/four\nD /l/one'
    berth create --name "$name-2" "$IMAGE" true
    for c in diff "container diff"; do
        # shellcheck disable=SC2086
        berth $c "$name" "$name-2"
        assert_equal "$(grep /l <<<"$output")" $'A /l\nA /l/four\nA /l/three'
    done
    berth diff "$name" "$name"
    assert_equal "$output" ""
    berth 125 container diff "$IMAGE"
    berth 125 image diff "$name"
    berth 125 diff "$name" "none-$name"
    assert_contains "$output" "none-$name not found"
    berth 125 diff "$name" a b
}

@test "diff: a container with IDs of its own and its image" {
    layers
    berth run --name "$name" "$(is_rootless && echo --userns=keep-id || echo --uidmap=0:100000:65536)" -u 0 localhost/layers touch /l/new
    berth diff "$name" localhost/layers
    assert_equal "$(grep /l <<<"$output")" $'C /l\nA /l/new'
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

@test "diff and export of a container whose monitor was killed" {
    is_berth || skip "podman has no monitor that takes over"
    berth run -d --name "$name" "$IMAGE" sh -c 'echo new >/new; exec sleep 1000'
    wait_for 10 berth exec "$name" test -e /new
    kill -9 "$("$ENGINE" inspect --format '{{.State.ConmonPid}}' "$name" 3>&-)"
    berth diff "$name" "$IMAGE"
    assert_contains "$output" "A /new"
    [[ $output != *"D /bin"* ]]
    "$ENGINE" export "$name" 3>&- | tar xO new >"$D/new"
    assert_equal "$(cat "$D/new")" new
}
