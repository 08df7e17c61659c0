# SPDX-License-Identifier: Apache-2.0
# Directories that another user has made, or may write to, are not used: docs/security.md, "Other users of the machine".

load helpers

NO_IMAGE=1

setup() {
    test_setup
    is_berth || skip "of Berth's directories"
}

# refused TEXT ENV... -- ARG...: each of these commands says TEXT and what to do about it. Some enter the user namespace, others do not.
refused() {
    local text=$1 vars=() cmd
    shift
    while [[ $1 != -- ]]; do vars+=("$1"); shift; done
    shift
    for cmd in "ps -a" "images" "run --rm hello" "rm -fa" "volume ls"; do
        status=0
        # shellcheck disable=SC2086
        output=$(env "${vars[@]}" timeout 60 "$ENGINE" "$@" $cmd 2>&1 3>&-) || status=$?
        echo "$ berth $* $cmd: $output ($status)"
        [[ $status -eq 125 ]]
        assert_contains "$output" "$text"
        assert_contains "$output" "Hint: "
    done
}

@test "a store, records or a runtime directory that others may write to, or that are links, are refused" {
    mkdir "$FILE_DIR/open" "$FILE_DIR/mine" "$FILE_DIR/elsewhere"
    chmod 777 "$FILE_DIR/open"
    refused "other users may write" -- --root "$FILE_DIR/open" --runroot "$FILE_DIR/mine"
    refused "other users may write" -- --root "$FILE_DIR/mine" --runroot "$FILE_DIR/open"
    refused "other users may write" -- --root "$FILE_DIR/mine" --tmpdir "$FILE_DIR/open"
    ln -s ../elsewhere "$FILE_DIR/mine/berth"
    refused "symbolic link" -- --root "$FILE_DIR/mine" --runroot "$FILE_DIR/mine/run"
    chmod 1777 "$FILE_DIR/open" # as /tmp: what is made in it is one's own
    rm "$FILE_DIR/mine/berth"
    berth --root "$FILE_DIR/mine" --runroot "$FILE_DIR/open/run" ps
}

@test "an XDG_RUNTIME_DIR that others may write to is refused" {
    is_rootless || skip "root has none"
    mkdir -m 777 "$FILE_DIR/xdg"
    chmod 777 "$FILE_DIR/xdg"
    refused "XDG_RUNTIME_DIR" "XDG_RUNTIME_DIR=$FILE_DIR/xdg" --
    assert_contains "$output" 'Hint: make it yours alone with: chmod 700 "$XDG_RUNTIME_DIR"'
    # A link to it is no better, and one to a directory of one's own is as good as that.
    ln -s xdg "$FILE_DIR/xdg-link"
    refused "XDG_RUNTIME_DIR" "XDG_RUNTIME_DIR=$FILE_DIR/xdg-link" --
    chmod 700 "$FILE_DIR/xdg"
    XDG_RUNTIME_DIR=$FILE_DIR/xdg-link berth ps
    XDG_RUNTIME_DIR=$FILE_DIR/xdg-link berth run --rm hello
}

@test "directories that another user has made beforehand are refused" {
    [[ $(id -u) -eq 0 ]] || skip "needs root, to be two users"
    local uid made cmd engine=/srv/${ENGINE##*/} # where it is seen without the machine's /tmp
    uid=$(id -u "$BERTH_TEST_USER")
    chmod 755 "$FILE_DIR"
    mkdir "$FILE_DIR"/{tmp-dir,xdg-1,xdg-2}
    chmod 1777 "$FILE_DIR"/{tmp-dir,xdg-1,xdg-2}
    mkdir -m 700 "$FILE_DIR/tmp-dir/home"
    chown "$BERTH_TEST_USER:" "$FILE_DIR/tmp-dir/home"
    as_bin() { setpriv --reuid=bin --regid=bin --clear-groups --inh-caps=-all "$@"; }
    # as_user CODE PART VARIABLE... COMMAND...: as the user of the tests, who has neither XDG_RUNTIME_DIR nor /run/user/UID, and a /tmp of the test's.
    # shellcheck disable=SC2016
    as_user() {
        local want=$1 part=$2
        shift 2
        status=0
        output=$(timeout 60 unshare --mount --propagation private sh -c 'umount -l /run/user && mount --bind "$0" /mnt && mount --bind "$1" /srv && mount --bind /mnt/tmp-dir /tmp && shift && exec "$@"' "$FILE_DIR" "${ENGINE%/*}" \
            setpriv --reuid="$BERTH_TEST_USER" --regid="$BERTH_TEST_USER" --init-groups --inh-caps=-all env -i "PATH=$PATH" HOME=/tmp/home "$@" 2>&1 3>&-) || status=$?
        echo "$ $*: $output ($status)"
        [[ $status -eq $want ]]
        assert_contains "$output" "$part"
        [[ $want -eq 0 ]] || assert_contains "$output" "Hint: "
    }
    for made in "mkdir -m 777" "mkdir -m 700" "ln -s home"; do
        # shellcheck disable=SC2086
        as_bin $made "$FILE_DIR/tmp-dir/storage-run-$uid"
        as_user 125 "storage-run-$uid" "$engine" ps
        as_user 125 "storage-run-$uid" "$engine" run --rm hello
        rm -r "$FILE_DIR/tmp-dir/storage-run-$uid" "$FILE_DIR/tmp-dir/berth-run-$uid"
        # shellcheck disable=SC2086
        as_bin $made "$FILE_DIR/tmp-dir/berth-run-$uid"
        as_user 125 "berth-run-$uid" "$engine" run --rm hello
        rm -r "$FILE_DIR/tmp-dir/berth-run-$uid"
    done
    # XDG_RUNTIME_DIR is another's, or what would be used in it is.
    as_bin mkdir -m 755 "$FILE_DIR/xdg-1/anothers"
    as_user 125 "belongs to another user" XDG_RUNTIME_DIR=/mnt/xdg-1/anothers "$engine" ps
    as_user 125 "belongs to another user" XDG_RUNTIME_DIR=/mnt/xdg-1/anothers "$engine" run --rm hello
    as_bin mkdir -m 777 "$FILE_DIR/xdg-1/containers"
    as_user 125 "belongs to another user" XDG_RUNTIME_DIR=/mnt/xdg-1 "$engine" ps
    as_user 125 "belongs to another user" XDG_RUNTIME_DIR=/mnt/xdg-1 "$engine" run --rm hello
    as_bin mkdir -m 777 "$FILE_DIR/xdg-2/berth"
    as_user 125 "belongs to another user" XDG_RUNTIME_DIR=/mnt/xdg-2 "$engine" run --rm hello
    # Nothing was made in what is another's, and without those it all works.
    assert_equal "$(find "$FILE_DIR"/xdg-1/{anothers,containers} "$FILE_DIR/xdg-2" -mindepth 1 -not -user bin)" ""
    as_user 0 Hello "$engine" run --rm hello
    rm -rf "$FILE_DIR/tmp-dir"
}
