#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# commit makes the same image of a container whose layer is Berth's own and of one whose layer is in the store: an older Berth made
# such containers, and one of a transient store is made so today (docs/decisions/0042).
load helpers

# What the containers do to their files: new ones, links, one name of a file in the image less, a directory that hides the image's.
CHANGES='set -e; mkdir -p /d/e; echo one >/d/f; ln /d/f /d/hard; ln -s f /d/soft; chmod 4750 /d/f; chown 5:6 /d/e; mkfifo /d/fifo
    rm /etc/berth-image; rm -rf /home; mkdir /home; echo new >/home/here; printf "%s" "$(seq 1000)" >/d/more'

transient() { printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "%s"\ntransient_store = true\n' "$GRAPHROOT" "$RUNROOT" >"$FILE_DIR/conf/transient.conf"; }

# image NAME: the image's layer on top of the base, entry by entry without times, what its files hold, and its configuration.
image() {
    local dir=$FILE_DIR/saved-$1 layer
    berth save -q --format oci-dir -o "$dir" "localhost/$1" >&2
    layer=$dir/blobs/sha256/$(jq -r '.manifests[0].digest' "$dir/index.json" | cut -d: -f2)
    jq -r '.layers | length' "$layer"
    jq -S '{config, history: [.history[] | del(.created)]}' "$dir/blobs/sha256/$(jq -r '.config.digest' "$layer" | cut -d: -f2)"
    layer=$dir/blobs/sha256/$(jq -r '.layers[-1].digest' "$layer" | cut -d: -f2)
    TZ=UTC tar --numeric-owner -tvf "$layer" | sed -E 's/ [0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{5}//'
    tar -xOf "$layer" | sha256sum
    rm -rf "$dir"
}

@test "commit: a layer of Berth's own and one in the store give the same image" {
    is_berth || skip "of Berth's layers"
    transient
    for kind in own stored; do
        conf=$CONTAINERS_STORAGE_CONF
        [[ $kind == own ]] || conf=$FILE_DIR/conf/transient.conf
        CONTAINERS_STORAGE_CONF=$conf berth run --name "$kind" --label of=both --env A=b --workdir /etc "$IMAGE" sh -c "$CHANGES"
        CONTAINERS_STORAGE_CONF=$conf berth inspect --format '{{.GraphDriver.Data.UpperDir}}' "$kind"
        case $kind in # the two are what this test is about
            own) assert_contains "$output" "/berth/rw/" ;;
            stored) not grep -q "/berth/rw/" <<<"$output" ;;
        esac
        CONTAINERS_STORAGE_CONF=$conf berth commit -q --message "by hand" "$kind" "localhost/$kind"
        CONTAINERS_STORAGE_CONF=$conf berth rm "$kind"
        image "$kind" >"$FILE_DIR/$kind"
    done
    assert_contains "$(cat "$FILE_DIR/own")" "d/hard link to d/f"
    assert_contains "$(cat "$FILE_DIR/own")" ".wh.berth-image"
    diff "$FILE_DIR/own" "$FILE_DIR/stored"
    # And what runs of them sees the same.
    for kind in own stored; do
        berth run --rm "localhost/$kind" sh -c 'ls -lan /d /home | sed "s/ [A-Z][a-z][a-z] .*:.. / /"; cat /d/f /home/here; test ! -e /etc/berth-image'
        echo "$output" >"$FILE_DIR/$kind"
    done
    diff "$FILE_DIR/own" "$FILE_DIR/stored"
    berth rmi localhost/own localhost/stored
    rm "$FILE_DIR/own" "$FILE_DIR/stored" "$FILE_DIR/conf/transient.conf"
}

@test "commit --config merges a configuration into the image's; --change comes after it" {
    is_berth || skip "podman 4.3 has no --config"
    berth create --name "$name" -e KEPT=1 "$IMAGE" sleep 1
    echo '{"Env": ["A=from config"], "User": "65534", "Cmd": ["id", "-u"], "Labels": {"x": "y"}}' >"$FILE_DIR/config.json"
    berth commit -q --config "$FILE_DIR/config.json" --change 'ENV B=2' "$name" "localhost/$name"
    berth image inspect -f '{{.User}} {{json .Config.Cmd}} {{.Config.Labels.x}} {{.Config.Env}}' "localhost/$name"
    assert_contains "$output" '65534 ["id","-u"] y'
    assert_contains "$output" "A=from config"
    assert_contains "$output" "B=2"
    berth run --rm "localhost/$name"
    assert_equal "$output" 65534
    # What OCI's format has no place for is kept in Docker's.
    echo '{"Healthcheck": {"Test": ["CMD", "true"]}}' >"$FILE_DIR/config.json"
    berth commit -q --config "$FILE_DIR/config.json" "$name" "localhost/$name-2"
    berth image inspect -f '{{json .Healthcheck}}' "localhost/$name-2"
    assert_contains "$output" '"CMD","true"'
    berth 125 commit -q --config "$FILE_DIR/none" "$name"
    assert_contains "$output" "--config: open"
    echo 'User: web' >"$FILE_DIR/config.json"
    berth 125 commit -q --config "$FILE_DIR/config.json" "$name"
    assert_contains "$output" "parsing configuration"
    berth rm "$name"
    berth rmi "localhost/$name" "localhost/$name-2"
}
