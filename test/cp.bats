#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# cp: between containers and the host, in every state of a container, and what it leads out of nobody.
load helpers

test_setup() { name=c-$(random_string); D=$(mktemp -d "$FILE_DIR/t-XXXXXX"); }

# states: makes $name from the command that prepares it, as a running, a stopped and a created container in turn, and calls CHECK.
in_each_state() {
    local prepare=$1 check=$2
    berth run -d --name "$name" --workdir /home "$IMAGE" sh -c "$prepare; touch /ready; exec sleep 1000"
    wait_for 10 berth exec "$name" test -e /ready
    $check running
    berth stop -t 0 "$name"
    $check stopped
    berth commit -q "$name" "localhost/$name"
    berth rm "$name"
    berth create --name "$name" --workdir /home "localhost/$name" sleep 1000
    $check created
    berth rm -f -t 0 "$name"
    berth rmi "localhost/$name"
}

# cat_in CONTAINER FILE: what is in a file of a container, in whatever state.
cat_in() { "$ENGINE" cp "$1:$2" - 3>&- | tar -xO; }

@test "files from the host: names, slashes, the working directory" {
    echo one >"$D/one"
    to() {
        local dest where
        while IFS='|' read -r dest where; do
            berth cp "$D/one" "$name:$dest"
            assert_equal "$1 $dest: $(cat_in "$name" "$where")" "$1 $dest: one"
        done <<'T'
/|/one
/other|/other
/tmp|/tmp/one
/tmp/|/tmp/one
/tmp/.|/tmp/one
/tmp/other|/tmp/other
.|/home/one
./|/home/one
other|/home/other
sub|/home/sub/one
/link|/home/sub/one
T
        berth 125 cp "$D/none" "$name:/tmp"
        assert_contains "$output" "Error: \"$D/none\" could not be found on the host: no such file or directory"
        berth 125 cp "$D/one" "$name:/none/"
        assert_contains "$output" "Error: \"/none/\" could not be found on container $name: no such file or directory"
        berth 125 cp "$D/one" "$name:/none/one"
        assert_contains "$output" "Error: \"/none/one\" could not be found on container $name: no such file or directory"
    }
    in_each_state 'mkdir -p /home/sub; ln -s /home/sub /link' to
}

@test "files to the host, and links that lead to them" {
    from() {
        local src dest where
        while IFS='|' read -r src dest where; do
            berth cp "$name:$src" "$D$dest"
            assert_equal "$1 $src $dest: $(cat "$D$where")" "$1 $src $dest: one"
            assert_equal "$(stat -c %u "$D$where")" "$(id -u)"
            rm "$D$where"
        done <<'T'
/tmp/one||/one
/tmp/one.||/one.
/tmp/one|/|/one
/tmp/one|/.|/one
/tmp/one|/new|/new
in-home|/|/in-home
sub/below|/|/below
/link|/|/one
/link|/new|/new
T
        berth 125 cp "$name:/none" "$D"
        assert_contains "$output" "Error: \"/none\" could not be found on container $name: no such file or directory"
        berth 125 cp "$name:/tmp/one" "$D/no/one"
        assert_contains "$output" "Error: \"$D/no/one\" could not be found on the host: no such file or directory"
        berth 125 cp "$name:/tmp/one" "$D/no/"
        assert_contains "$output" "Error: \"$D/no/\" could not be found on the host: no such file or directory"
        berth 125 cp "$name:/tmp/*" "$D"
        assert_contains "$output" "Error: \"/tmp/*\" could not be found on container $name"
        berth 125 cp "$name:/tmp/one" /dev/stdout
        assert_contains "$output" 'Error: invalid destination: "/dev/stdout" must be a directory or a regular file'
    }
    in_each_state 'mkdir -p /home/sub; for f in /tmp/one /tmp/one. in-home sub/below; do echo one >$f; done; ln -s /tmp/one /link' from
}

@test "directories, with and without their names" {
    mkdir -p "$D/src/dir/sub"
    echo one >"$D/src/dir/sub/one"
    cp -r "$D/src/dir" "$D/src/dir."
    dirs() {
        local src dest where
        while IFS='|' read -r src dest where; do
            berth cp "$D/src/$src" "$name:$dest"
            assert_equal "$1 $src $dest: $(cat_in "$name" "$where/one")" "$1 $src $dest: one"
        done <<T
dir|/|/dir/sub
dir.|/|/dir./sub
dir/|/tmp|/tmp/dir/sub
dir/.|/usr/|/usr/sub
dir/sub|.|/home/sub
dir/sub/.|sub/.|/home/sub
dir|/new-$1|/new-$1/sub
dir/|/new2-$1|/new2-$1/sub
dir/.|/new3-$1|/new3-$1/sub
T
        mkdir "$D/$1"
        while IFS='|' read -r src dest where; do
            berth cp "$name:$src" "$D/$1$dest"
            assert_equal "$1 $src $dest: $(cat "$D/$1$where/one")" "$1 $src $dest: one"
            rm -r "${D:?}/$1"
            mkdir "$D/$1"
        done <<'T'
/dir||/dir/sub
/dir|/new|/new/sub
/dir/||/dir/sub
/dir/.||/sub
/dir/.|/new|/new/sub
/dir/sub/.||
/dir.||/dir./sub
/to-dir|/new|/new/sub
T
        berth 125 cp "$D/src" "$name:/etc/passwd"
        assert_contains "$output" "Error: destination must be a directory when copying a directory"
        berth 125 cp "$name:/dir" "$D/src/dir/sub/one"
        assert_contains "$output" "Error: destination must be a directory when copying a directory"
    }
    in_each_state 'mkdir -p /home/sub; ln -s dir /to-dir' dirs
}

@test "between containers" {
    berth run -d --name "$name" "$IMAGE" sh -c 'mkdir -p /d/sub; echo one >/d/sub/one; sleep 1000'
    wait_for 10 berth exec "$name" test -e /d/sub/one
    berth create --name "$name-2" "$IMAGE" sleep 1000
    berth cp "$name:/d" "$name-2:/"
    berth cp "$name:/d/." "$name-2:/new"
    berth cp "$name:/d/sub/one" "$name-2:/two"
    berth start "$name-2"
    berth exec "$name-2" cat /d/sub/one /new/sub/one /two
    assert_equal "$output" $'one\none\none'
    berth cp "$name-2:/two" "$name:/d/three"
    berth exec "$name" cat /d/three
    assert_equal "$output" one
    berth 125 cp "$name:/d" "none-$name:/"
    assert_contains "$output" "Error: container \"none-$name\" does not exist"
}

@test "one container to itself, but no directory into itself" {
    is_berth || return 0
    berth run -d --name "$name" "$IMAGE" sh -c 'mkdir -p /d/sub; echo one >/d/sub/one; sleep 1000'
    wait_for 10 berth exec "$name" test -e /d/sub/one
    berth cp "$name:/d" "$name:/e"
    berth cp "$name:/d/sub/one" "$name:/d/sub/one"
    berth exec "$name" cat /e/sub/one /d/sub/one
    assert_equal "$output" $'one\none'
    berth 125 cp "$name:/d" "$name:/d/sub"
    assert_contains "$output" 'Error: copy "/d" into itself'
    berth 125 cp "$name:/d/." "$name:/d/sub/new"
    berth stop -t 0 "$name"
    berth cp "$name:/d" "$name:/f"
    assert_equal "$(cat_in "$name" /f/sub/one)" one
}

@test "archives: - on both sides, compressed or not, and what is none" {
    berth run -d --name "$name" "$IMAGE" sh -c 'mkdir -p /d; echo one >/d/one; ln -s one /d/link; ln /d/one /d/hard; sleep 1000'
    wait_for 10 berth exec "$name" test -e /d/hard
    "$ENGINE" cp "$name:/d" - 3>&- >"$D/out.tar"
    tar -xf "$D/out.tar" -C "$D"
    assert_equal "$(cat "$D/d/one") $(readlink "$D/d/link") $(stat -c %h "$D/d/hard")" "one one 2"
    mkdir -p "$D/a/b"
    echo two >"$D/a/b/two"
    tar -cf "$D/in.tar" -C "$D" a
    gzip -k "$D/in.tar"
    for archive in in.tar in.tar.gz; do
        berth exec "$name" rm -rf /tmp/a
        berth cp - "$name:/tmp" <"$D/$archive"
        berth exec "$name" cat /tmp/a/b/two
        assert_equal "$output" two
    done
    berth 125 cp - "$name:/tmp" <"$D/a/b/two"
    assert_contains "$output" "Error: source must be a (compressed) tar archive when copying from stdin"
    berth 125 cp - "$name:/d/one" <"$D/in.tar"
    assert_contains "$output" "Error: destination must be a directory when copying from stdin"
    berth 125 cp - "$name:/none" <"$D/in.tar"
    assert_contains "$output" "Error: destination must be a directory when copying from stdin"
}

@test "owners: the container's user, or with --archive=false whoever it was" {
    echo one >"$D/one"
    tar --owner=42 --group=43 -cf "$D/in.tar" -C "$D" one
    berth run -d --name "$name" --user 7:8 "$IMAGE" sleep 1000
    berth cp "$D/one" "$name:/tmp/one"
    berth cp -a=false - "$name:/home" <"$D/in.tar"
    berth cp - "$name:/var" <"$D/in.tar"
    berth exec "$name" stat -c '%u:%g' /tmp/one /home/one /var/one
    assert_equal "$output" $'7:8\n42:43\n7:8'
}

@test "owners in a user namespace of the container's own" {
    is_rootless || return 0
    echo one >"$D/one"
    berth run -d --name "$name" --userns keep-id "$IMAGE" sleep 1000
    berth cp "$D/one" "$name:/tmp/one"
    mkdir "$D/x"
    tar --owner=42 --group=43 -cf "$D/in.tar" -C "$D" x
    berth cp -a=false - "$name:/tmp/" <"$D/in.tar"
    berth exec "$name" stat -c '%u:%g' /tmp/one /tmp/x
    assert_equal "$output" "$(id -u):$(id -g)"$'\n42:43'
    berth cp "$name:/tmp/one" "$D/back"
    assert_equal "$(stat -c %u "$D/back")" "$(id -u)"
}

@test "--overwrite: a file in the place of a directory, and the other way round" {
    berth run -d --name "$name" "$IMAGE" sh -c 'mkdir -p /tmp/d/foo /tmp/f; echo one >/tmp/f/foo; echo in >/tmp/d/foo/in; sleep 1000'
    wait_for 10 berth exec "$name" test -e /tmp/d/foo/in
    mkdir -p "$D/f" "$D/d/foo"
    echo one >"$D/f/foo"
    echo in >"$D/d/foo/in"
    berth 125 cp "$D/f/foo" "$name:/tmp/d"
    [[ $output =~ error\ creating\ \"/tmp/d/foo\":\ .*:\ file\ exists ]]
    berth 125 cp "$D/d/foo" "$name:/tmp/f"
    [[ $output =~ error\ creating\ \"/tmp/f/foo\":\ .*:\ file\ exists ]]
    berth cp --overwrite "$D/f/foo" "$name:/tmp/d"
    berth cp --overwrite "$D/d/foo" "$name:/tmp/f"
    berth exec "$name" cat /tmp/d/foo /tmp/f/foo/in
    assert_equal "$output" $'one\nin'
    berth 125 cp "$name:/tmp/d/foo" "$D/d"
    [[ $output =~ error\ creating\ \".*/?foo\":\ .*:\ file\ exists ]]
    berth cp --overwrite "$name:/tmp/d/foo" "$D/d"
    berth cp --overwrite "$name:/tmp/f/foo" "$D/f"
    assert_equal "$(cat "$D/d/foo" "$D/f/foo/in")" $'one\nin'
}

@test "volumes, binds and tmpfs, one in another, running and not" {
    echo one >"$D/one"
    mkdir "$D/bind"
    berth volume create "$name-v"
    berth create --name "$name" -v "$name-v:/v" -v "$D/bind:/v/bind" --tmpfs /v/tmp "$IMAGE" sleep 1000
    berth cp "$D/one" "$name:/v/bind/created"
    berth cp "$D/one" "$name:/v/"
    assert_equal "$(cat "$D/bind/created")" one
    berth volume inspect --format '{{.Mountpoint}}' "$name-v"
    assert_equal "$(cat "$output/one")" one
    [[ ! -e $output/bind/created ]]
    berth start "$name"
    berth cp "$D/one" "$name:/v/bind/running"
    berth cp "$D/one" "$name:/v/tmp/running"
    berth cp "$name:/v/tmp/running" "$D/two"
    assert_equal "$(cat "$D/bind/running" "$D/two")" $'one\none'
    berth stop -t 0 "$name"
    assert_equal "$(cat_in "$name" /v/bind/running)" one
    berth rm "$name"
    berth volume rm "$name-v"
}

@test "what is read-only for the container is so for cp" {
    is_berth || return 0
    echo one >"$D/one"
    mkdir "$D/bind"
    berth run -d --name "$name" -v "$D/bind:/ro:ro" --read-only "$IMAGE" sleep 1000
    for state in running stopped; do
        berth 125 cp "$D/one" "$name:/ro/"
        assert_contains "$output" "read-only file system"
        [[ $state == stopped ]] || berth stop -t 0 "$name"
    done
    [[ ! -e $D/bind/one ]]
}

@test "modes, times, links, holes, attributes; no rights of another user on the host" {
    mkdir -m 750 "$D/src"
    echo one >"$D/src/one"
    chmod 640 "$D/src/one"
    ln -s /etc/passwd "$D/src/link"
    ln "$D/src/one" "$D/src/hard"
    mkfifo "$D/src/fifo"
    truncate -s 64M "$D/src/hole"
    echo end >>"$D/src/hole"
    touch -d 2001-02-03 "$D/src/one" "$D/src"
    berth run -d --name "$name" "$IMAGE" sleep 1000
    berth cp "$D/src" "$name:/"
    # shellcheck disable=SC2016
    berth exec "$name" sh -c 'cd /src; stat -c "%n %a %Y %F" . one; readlink link; [ one -ef hard ] && echo same; [ -p fifo ] && stat -c "%s" hole; [ $(stat -c %b hole) -lt 1000 ] && echo holes; chmod 4755 one'
    assert_equal "$output" ". 750 $(date -d 2001-02-03 +%s) directory
one 640 $(date -d 2001-02-03 +%s) regular file
/etc/passwd
same
67108868
holes"
    berth cp "$name:/src/." "$D/back"
    assert_equal "$(stat -c %a "$D/back/one") $(readlink "$D/back/link") $(stat -c %h "$D/back/hard")" "755 /etc/passwd 2"
    cmp "$D/src/hole" "$D/back/hole"
    [[ $(stat -c %b "$D/back/hole") -lt 1000 ]]
}

@test "a file that is mounted in the container is written over" {
    is_berth || return 0
    echo one >"$D/one"
    echo two >"$D/two"
    berth run -d --name "$name" -v "$D/two:/two" "$IMAGE" sleep 1000
    berth cp "$D/one" "$name:/two"
    berth cp "$D/one" "$name:/etc/hosts"
    berth exec "$name" cat /two /etc/hosts
    assert_equal "$output $(cat "$D/two")" $'one\none one'
    # and what is mounted is not removed with a directory
    mkdir -p "$D/d/v"
    echo p >"$D/p"
    berth run -d --name "$name-2" -v "$D/d:/p/q" "$IMAGE" sleep 1000
    berth cp "$D/one" "$name-2:/p/q/v"
    berth 125 cp --overwrite "$D/p" "$name-2:/"
    assert_contains "$output" "device or resource busy"
    assert_equal "$(cat "$D/d/v/one")" one
}

@test "links of a container lead nowhere on the host" {
    mkdir "$D/secret" "$D/out"
    echo secret >"$D/secret/file"
    echo new >"$D/new"
    lead() {
        berth 125 cp "$name:/file" "$D/out/"
        berth 125 cp "$name:/dir/file" "$D/out/"
        berth 125 cp "$name:/up/file" "$D/out/"
        berth 125 cp "$D/new" "$name:/dir/"
        assert_equal "$(ls "$D/out")" ""
        # what it leads to in the container is made there
        berth cp "$D/new" "$name:/near"
        assert_equal "$(cat_in "$name" /made)" new
        assert_equal "$(cat "$D/secret/file") $(ls "$D/secret")" "secret file"
    }
    in_each_state "ln -s $D/secret/file /file; ln -s $D/secret /dir; ln -s ../../../../../../..$D/secret /up; ln -s /made /near; true" lead
}

@test "what a container copies out is not followed on the host" {
    mkdir "$D/victim" "$D/out"
    ln -s "$D/victim" "$D/out/d"
    berth run -d --name "$name" "$IMAGE" sh -c 'mkdir -p /src/d; echo evil >/src/d/file; sleep 1000'
    wait_for 10 berth exec "$name" test -e /src/d/file
    berth 125 cp "$name:/src/." "$D/out"
    assert_equal "$(ls "$D/victim")" ""
    # an archive with a link and then a file behind it
    mkdir "$D/t"
    ln -s "$D/victim" "$D/t/d"
    tar -cf "$D/evil.tar" -C "$D/t" d
    rm "$D/t/d"
    mkdir "$D/t/d"
    echo evil >"$D/t/d/file"
    tar -rf "$D/evil.tar" -C "$D/t" d/file
    "$ENGINE" cp - "$name:/tmp" <"$D/evil.tar" 3>&- || true
    assert_equal "$(ls "$D/victim")" ""
}

@test "a container that exchanges links while it is copied from and to (CVE-2018-15664, CVE-2019-10152)" {
    is_berth || return 0
    mkdir "$D/secret" "$D/out"
    echo secret >"$D/secret/file"
    echo new >"$D/new"
    berth run -d --name "$name" "$IMAGE" sh -c "mkdir /a; echo mine >/a/file; ln -s $D/secret /b; while :; do mv -T /a /c; mv -T /b /a; mv -T /a /b; mv -T /c /a; done"
    sleep 0.3
    for _ in {1..40}; do
        "$ENGINE" cp "$name:/a/file" "$D/out/" >/dev/null 2>&1 3>&- || true
        "$ENGINE" cp "$D/new" "$name:/a/new" >/dev/null 2>&1 3>&- || true
        [[ ! -e $D/out/file || $(cat "$D/out/file") == mine ]]
        [[ ! -e $D/secret/new ]]
    done
    assert_equal "$(ls "$D/secret")" file
}

@test "copying runs no code of the container's (CVE-2019-14271)" {
    berth run -d --name "$name" "$IMAGE" sh -c 'mkdir -p /lib /lib64 /etc; for l in libnss_files.so.2 libc.so.6; do echo evil >/lib/$l; echo evil >/lib64/$l; done; echo "passwd: files" >/etc/nsswitch.conf; touch /f; sleep 1000'
    wait_for 10 berth exec "$name" test -e /f
    "$ENGINE" cp "$name:/f" - 3>&- | tar -t
    berth cp "$name:/f" "$D/f"
    [[ -e $D/f ]]
}

@test "arguments that cannot be" {
    berth create --name "$name" "$IMAGE"
    berth 125 cp "$name:" "$D"
    assert_contains "$output" "Error: invalid arguments \"$name:\", \"$D\": you must specify paths"
    berth 125 cp "$D/a" "$D/b"
    berth 125 cp "$name:/etc/passwd"
}
