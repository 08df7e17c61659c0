#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# only: root
# Which store an ordinary user gets, without any configuration file and with those that distributions and administrators
# have: the one that podman, buildah and skopeo of the same user take.
load ../helpers
load on-host

setup_file() { user_store_setup; }
teardown_file() { user_store_teardown; }
teardown() { new_home; }

# new_home: the user has no store and no configuration but a policy.
new_home() {
    on_host true podman rm -fa >/dev/null || true
    pid=$(cat "$USER_DIR/run/libpod/tmp/pause.pid" 2>/dev/null) && kill "$pid" && wait_for 10 not test -d "/proc/$pid"
    rm -rf --one-file-system "$USER_DIR/home/.local" "$USER_DIR/home/.config/containers/storage.conf" "$USER_DIR"/run/{berth,containers,libpod,crun}
}

# No file below /etc/containers and /usr/share/containers; the user's policy.json is needed by every tool.
NOTHING='mount -t tmpfs n /etc/containers; mount -t tmpfs n /usr/share/containers; '

# etc FILE: the SETUP in which this storage.conf, from standard input, is the only file there.
etc() { printf '%smkdir -p "$(dirname /etc/containers/%s)"; printf %%s %q >/etc/containers/%s; ' "$NOTHING" "$1" "$(cat)" "$1"; }

copy() { # copy SETUP NAME: skopeo puts an image into the user's store
    on_host "$1" skopeo copy -q "docker-archive:$FIXTURES/busybox.tar" "containers-storage:localhost/$2:latest"
}

@test "no configuration at all, Berth first: every tool sees one store" {
    on_host "$NOTHING" berth load -q -i "$FIXTURES/busybox.tar"
    on_host "$NOTHING" berth info --format '{{.Store.GraphDriverName}} {{.Store.ConfigFile}}'
    assert_equal "$output" "overlay $USER_DIR/home/.config/containers/storage.conf"
    copy "$NOTHING" from-skopeo
    for tool in podman buildah berth; do
        on_host "$NOTHING" $tool images
        assert_contains "$output" localhost/from-skopeo
        assert_contains "$output" localhost/busybox
    done
    on_host "$NOTHING" berth run --rm --network none localhost/from-skopeo cat /etc/berth-image
    assert_equal "$output" busybox
    assert_equal "$(find "$USER_DIR/home/.local" -maxdepth 4 -name 'vfs*')" ""
}

@test "no configuration at all, another tool first: Berth takes the store that it made" {
    copy "$NOTHING" from-skopeo
    driver=overlay
    [[ ! -e $USER_DIR/home/.local/share/containers/storage/vfs-layers ]] || driver=vfs
    on_host "$NOTHING" berth info --format '{{.Store.GraphDriverName}}, {{.Store.GraphDriverReason}}'
    assert_equal "$output" "$driver, the store was made with it"
    on_host "$NOTHING" berth run --rm --network none localhost/from-skopeo cat /etc/berth-image
    assert_equal "$output" busybox
    on_host "$NOTHING" berth load -q -i "$FIXTURES/busybox.tar"
    on_host "$NOTHING" podman images
    assert_contains "$output" localhost/busybox
    [[ ! -e $USER_DIR/home/.config/containers/storage.conf ]]
}

@test "a storage.conf of the user's, however short, is not touched" {
    printf '[storage]\n' >"$USER_DIR/home/.config/containers/storage.conf"
    on_host "$NOTHING" berth load -q -i "$FIXTURES/busybox.tar"
    assert_equal "$(cat "$USER_DIR/home/.config/containers/storage.conf")" "[storage]"
}

@test "the storage.conf of a distribution names root's store: a user has one of his own, as with podman" {
    fedora=$(printf '[storage]\ndriver = "overlay"\nrunroot = "/run/containers/storage"\ngraphroot = "/var/lib/containers/storage"\nimagestore = "/var/lib/images"\n' | etc storage.conf)
    on_host "$fedora" berth load -q -i "$FIXTURES/busybox.tar"
    on_host "$fedora" berth run --rm --network none localhost/busybox cat /etc/berth-image
    on_host "$fedora" berth info --format '{{range .Config.NotUsed}}{{.Name}} {{end}}'
    assert_equal "$output" "storage.graphroot storage.imagestore storage.runroot "
    on_host "$fedora" berth info --format '{{.Store.GraphRoot}} {{.Store.RunRoot}} {{.Store.GraphRootReason}}'
    assert_equal "$output" "$USER_DIR/home/.local/share/containers/storage $USER_DIR/run/containers the roots that /etc/containers/storage.conf names are root's"
    on_host "$fedora" podman images
    assert_contains "$output" localhost/busybox
    [[ ! -e $USER_DIR/home/.config/containers/storage.conf ]]
}

@test "which graphroot counts for a user" {
    own=$USER_DIR/home/.local/share/containers/storage
    # FILE below /etc/containers (or USER: the user's own) | its lines | the store
    while IFS='|' read -r file text want; do
        setup=$NOTHING
        if [[ $file == USER ]]; then
            printf '[storage]\n%b' "$text" >"$USER_DIR/home/.config/containers/storage.conf"
        else
            setup=$(printf '[storage]\n%b' "$text" | etc "$file")
        fi
        on_host "$setup" berth info --format '{{.Store.GraphRoot}}'
        assert_equal "${lines[-1]}" "$want" || { echo "$file: $text"; return 1; }
        new_home
    done <<X
storage.conf|driver = "overlay"\n|$own
storage.conf|graphroot = "/srv/store"\n|$own
storage.conf|graphroot = "$USER_DIR/tmp/\$USER"\n|$USER_DIR/tmp/$USER_NAME
storage.conf|rootless_storage_path = "$USER_DIR/tmp/\$UID"\n|$USER_DIR/tmp/$(id -u "$USER_NAME")
storage.conf|graphroot = "/srv/store"\nrootless_storage_path = "$USER_DIR/tmp/r"\n|$USER_DIR/tmp/r
storage.conf.d/10-x.conf|graphroot = "/srv/store"\n|$own
storage.rootless.conf.d/10-x.conf|graphroot = "$USER_DIR/tmp/x"\n|$USER_DIR/tmp/x
USER|graphroot = "$USER_DIR/tmp/u"\n|$USER_DIR/tmp/u
X
}

@test "root has what its storage.conf says" {
    setup=$(printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "%s"\n' "$FILE_DIR/rootstore" "$FILE_DIR/run/rootrun" | etc storage.conf)
    run unshare --mount --propagation private bash -ec 'eval "$0"; exec env -u CONTAINERS_STORAGE_CONF "$@"' "$setup" "$ENGINE" info --format '{{.Store.GraphRoot}} {{.Store.RunRoot}}'
    assert_equal "$output" "$FILE_DIR/rootstore $FILE_DIR/run/rootrun"
}
