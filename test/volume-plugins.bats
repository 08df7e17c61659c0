#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Volume plugins of Docker's plugin API: bin/volumeplugin (make test-tools) is one.
load helpers

setup_file() {
    store_setup
    mkdir "$FILE_DIR/volumes"
    chmod 777 "$FILE_DIR/volumes"
    volumeplugin "$FILE_DIR/plugin.sock" "$FILE_DIR/volumes" "$FILE_DIR/calls" >/dev/null 2>&1 3>&- &
    export PLUGIN=$!
    wait_for 10 test -S "$FILE_DIR/plugin.sock"
    [[ -s $CONTAINERS_CONF ]] || echo '[engine]' >"$CONTAINERS_CONF"
    printf '[engine.volume_plugins]\ntest = "%s"\ngone = "%s"\n' "$FILE_DIR/plugin.sock" "$FILE_DIR/none.sock" >>"$CONTAINERS_CONF"
}

teardown_file() {
    "$ENGINE" rm -fa -t 0 >/dev/null 2>&1 3>&- || true
    "$ENGINE" volume rm -fa >/dev/null 2>&1 3>&- || true
    kill "$PLUGIN"
    store_teardown
}

teardown() {
    "$ENGINE" rm -fa -t 0 >/dev/null 2>&1 3>&- || true
    test_teardown
}

# calls VERB NAME: how often the plugin was called so.
calls() { grep -c "^$1 $2 " "$FILE_DIR/calls" || true; }

@test "a volume of a plugin: made, mounted for each container, unmounted, removed" {
    berth volume create --driver test -o size=3 "$name"
    assert_equal "$(grep "^Create $name" "$FILE_DIR/calls")" "Create $name  3"
    berth volume ls --filter driver=test -q
    assert_contains "$output" "$name"
    berth run --rm -v "$name:/v" "$IMAGE" sh -c 'echo kept >/v/file'
    assert_equal "$(cat "$FILE_DIR/volumes/$name/file")" kept
    is_berth || { berth volume rm "$name"; return 0; }
    assert_equal "$(calls Mount "$name") $(calls Unmount "$name")" "1 1"
    berth volume inspect --format '{{.Driver}} {{.Scope}} {{.Mountpoint}} {{.Status.healthy}}' "$name"
    assert_equal "$output" "test global $FILE_DIR/volumes/$name true"
    # two containers, one of them in two places, and one that is started again by its policy
    berth run -d --name "$name-1" -v "$name:/a" -v "$name:/b" "$IMAGE" sh -c 'cat /a/file /b/file; sleep 1000'
    berth run --name "$name-2" --restart on-failure:2 -v "$name:/v:ro" "$IMAGE" sh -c 'cat /v/file; exit 1' || [[ $status -eq 1 ]]
    wait_for 20 sh -c "[ \$('$ENGINE' inspect --format '{{.State.Status}}' $name-2) = exited ]"
    wait_for 10 sh -c "[ \$(grep -c '^Unmount $name ' '$FILE_DIR/calls') = 2 ]"
    assert_equal "$(calls Mount "$name") $(calls Unmount "$name")" "3 2"
    berth 2 volume rm "$name"
    berth volume stats --no-stream --format '{{.Known}}' "$name"
    assert_equal "$output" true
    berth stop -t 0 "$name-1"
    assert_equal "$(calls Unmount "$name")" 3
    berth 125 volume export "$name"
    assert_contains "$output" "volume plugin test"
    berth 125 volume rename "$name" "$name-x"
    berth rm "$name-1" "$name-2"
    berth volume rm "$name"
    [[ ! -e $FILE_DIR/volumes/$name ]]
    berth system check
}

@test "parts of a plugin's volume, overlays on it, and the image's files in it, once" {
    is_berth || skip "podman 4.3 has no subpath"
    berth volume create --driver test "$name"
    berth run --rm -v "$name:/etc" "$IMAGE" sh -c 'ls /etc/passwd; mkdir -p /etc/a/b; echo part >/etc/a/b/file; ln -s / /etc/out'
    assert_equal "$output" /etc/passwd
    [[ -s $FILE_DIR/volumes/$name/passwd ]]
    berth run --rm --mount "type=volume,src=$name,dst=/x,subpath=a/b" "$IMAGE" sh -c 'cat /x/file; echo more >/x/more'
    assert_equal "$output $(cat "$FILE_DIR/volumes/$name/a/b/more")" "part more"
    berth 126 run --rm --mount "type=volume,src=$name,dst=/x,subpath=out/bin" "$IMAGE" true # a link leads nowhere but into the volume
    berth run --rm -v "$name:/x:O" "$IMAGE" sh -c 'cat /x/a/b/more; echo lost >/x/lost'
    [[ $output == more && ! -e $FILE_DIR/volumes/$name/lost ]]
    berth run --rm -v "$name:/v" "$IMAGE" sh -c 'rm -r /v/*'
    berth run --rm -v "$name:/etc" "$IMAGE" sh -c 'ls -A /etc | grep passwd || echo none'
    assert_equal "$output" none
    wait_for 10 sh -c "[ \$(grep -c '^Unmount $name ' '$FILE_DIR/calls') = $(calls Mount "$name") ]"
    berth volume rm "$name"
}

@test "a plugin that refuses, does not answer, or is not there" {
    is_berth || skip "podman says it otherwise"
    berth 125 volume create -d test "bad-$name"
    assert_contains "$output" "on /VolumeDriver.Create on volume bad-$name in volume plugin test: no room for bad-$name"
    berth 1 volume exists "bad-$name"
    berth 125 volume create -d gone "$name"
    assert_contains "$output" "no volume plugin with name gone available: required plugin missing"
    berth 125 volume create -d nosuch "$name"
    assert_contains "$output" "required plugin missing"
    berth 1 volume exists "$name"
    berth volume create -d test "slow-$name"
    berth 126 run --rm -v "slow-$name:/v" "$IMAGE" true
    assert_contains "$output" "it has not answered in 5s"
    # engine.volume_plugin_timeout is in test/containersconf.bats
    berth volume rm "slow-$name"
    berth system check
}

@test "a killed monitor does not lose the plugin's unmount" {
    is_berth || skip "it is Berth's monitor"
    berth volume create -d test "$name"
    berth run -d --name "$name" -v "$name:/v" "$IMAGE" sleep 1000
    kill -KILL "$("$ENGINE" inspect --format '{{.State.ConmonPid}}' "$name")"
    berth exec "$name" touch /v/x
    berth stop -t 0 "$name"
    wait_for 10 sh -c "grep -q '^Unmount $name ' '$FILE_DIR/calls'"
    assert_equal "$(calls Mount "$name") $(calls Unmount "$name")" "1 1"
    berth rm "$name"
    berth volume rm "$name"
}

@test "volume reload takes up what plugins have, and forgets what they have no more" {
    is_berth || skip "podman 4.3 counts a plugin that is gone as an error otherwise"
    mkdir "$FILE_DIR/volumes/$name-a" "$FILE_DIR/volumes/$name-b"
    berth 125 volume reload # the plugin that is gone
    assert_contains "$output" "Added:"
    assert_contains "$output" "$name-a"
    assert_contains "$output" "no volume plugin with name gone available"
    berth volume inspect --format '{{.Driver}}' "$name-a"
    assert_equal "$output" test
    berth create --name "$name" -v "$name-b:/v" "$IMAGE" true
    rmdir "$FILE_DIR/volumes/$name-a" "$FILE_DIR/volumes/$name-b"
    berth 125 volume reload
    assert_contains "$output" "Removed:"
    assert_contains "$output" "$name-b\" but containers" || assert_contains "$output" "containers still require it"
    berth 1 volume exists "$name-a"
    berth volume exists "$name-b"
    berth rm "$name"
    berth 125 volume reload
    berth 1 volume exists "$name-b"
    assert_equal "$(calls Remove "$name-a")" 0
    # with plugins that are all there it succeeds
    sed -i '/^gone/d' "$CONTAINERS_CONF"
    berth volume reload
    assert_equal "$output" ""
}
