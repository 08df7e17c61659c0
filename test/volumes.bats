#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Volumes: what a new one gets from the image, who owns it, and who removes it.
load helpers

OWNED=localhost/owned

setup_file() {
    store_setup
    mkdir "$FILE_DIR/context"
    cat >"$FILE_DIR/context/Containerfile" <<C
FROM $IMAGE
RUN mkdir -p /data/sub /empty /rootdir && echo one >/data/one && ln /data/one /data/hard && ln -s one /data/soft && ln -s /etc/passwd /data/abs && \
    mkfifo /data/fifo && echo s >/data/suid && echo r >/rootdir/file && chown -R 1000:2000 /data /empty && chown -h 1000:2000 /data/soft /data/abs && \
    chmod 4755 /data/suid && chmod 1775 /data && chmod 700 /empty && ln -s /data /link && echo f >/file
USER 1000:2000
C
    berth build -q -t "$OWNED" "$FILE_DIR/context"
}

# look ARG...: owner and mode of the volume $name mounted as the last word of ARG says, and what is in it.
# shellcheck disable=SC2016
look() { berth run --rm "$@" "$OWNED" sh -c 'd=$(grep -o " /v[a-z/]* \| /data \| /empty \| /rootdir \| /missing \| /link \| /home/deep/er " /proc/mounts | head -n 1); stat -c "%u:%g %a" $d; ls $d | tr "\n" " "'; }

@test "a volume's first use: files, owner and mode, made before or not, over what the image has or lacks" {
    local where want all="abs fifo hard one soft sub suid "
    while IFS='|' read -r options where want; do
        for made in no yes; do
            [[ $made == no ]] || berth volume create "$name"
            # shellcheck disable=SC2086
            look $options -v "$name:$where"
            assert_equal "$options $where, made before: $made: ${lines[*]}" "$options $where, made before: $made: $want"
            berth volume rm "$name"
        done
    done <<T
|/data|1000:2000 1775 $all
|/data:ro|1000:2000 1775 $all
|/data:nocopy|1000:2000 1775
|/empty|1000:2000 700
|/rootdir|0:0 755 file 
|/missing|1000:2000 755
|/home/deep/er|1000:2000 755
--user 0|/missing|0:0 755
--user 0|/empty|1000:2000 700
--user 7:8|/missing|7:8 755
--read-only|/data|1000:2000 1775 $all
T
    # by --mount, and of an anonymous one
    look --mount "type=volume,src=$name,dst=/data"
    assert_equal "${lines[*]}" "1000:2000 1775 $all"
    look -v /data
    assert_equal "${lines[*]}" "1000:2000 1775 $all"
    look -v /missing
    assert_equal "${lines[*]}" "1000:2000 755"
}

@test "copy-up keeps links, FIFOs, modes, times and attributes" {
    local there
    # shellcheck disable=SC2016
    there='cd /data; stat -c "%n %F %a %u:%g %s %Y" one hard soft abs fifo suid sub; [ one -ef hard ] && echo same; readlink soft; readlink abs'
    berth run --rm "$OWNED" sh -c "$there"
    want=$output
    berth run --rm -v "$name:/data" "$OWNED" sh -c "$there"
    assert_equal "$output" "$want"
}

@test "a volume that is not empty, or was filled before, is left alone" {
    # what somebody put there before the first use
    berth volume create "$name"
    berth volume inspect --format '{{.Mountpoint}}' "$name"
    echo mine >"$output/mine"
    chmod 750 "$output"
    look --user 0 -v "$name:/data"
    assert_equal "${lines[*]}" "0:0 750 mine "
    # what was emptied after it was filled
    berth run --rm --user 0 -v "$name-2:/data" "$OWNED" sh -c 'rm -r /data/*; chown 5:6 /data'
    look -v "$name-2:/data"
    assert_equal "${lines[*]}" "5:6 1775"
    # a first use over a path that the image lacks does not spend the volume
    look --user 0 -v "$name-3:/missing"
    look -v "$name-3:/missing"
    look -v "$name-3:/data"
    assert_equal "${lines[*]}" "1000:2000 1775 abs fifo hard one soft sub suid "
}

@test "an owner or mode that a user gave to an empty volume stays" {
    is_berth || skip "podman gives an empty volume to the next container's user"
    berth run --rm --user 0 -v "$name:/missing" "$OWNED" sh -c 'chown 5:6 /missing; chmod 711 /missing'
    look --user 0 -v "$name:/missing"
    assert_equal "${lines[*]}" "5:6 711"
}

@test "two containers that first use a volume at once both see all of the image's files" {
    local i pids=() want="abs fifo hard one soft sub suid"
    for i in 1 2 3 4; do
        "$ENGINE" run --rm -v "$name:/data" "$OWNED" sh -c 'ls /data' >"$FILE_DIR/$name-$i" 2>&1 3>&- & pids+=($!)
    done
    for i in 0 1 2 3; do wait "${pids[$i]}"; done
    for i in 1 2 3 4; do assert_equal "$(tr '\n' ' ' <"$FILE_DIR/$name-$i")" "$want "; done
    is_berth || return 0 # podman 4.3 waits for ever for what follows
    # two volumes, in either order: nobody waits for the other
    pids=()
    for i in 1 2 3 4; do
        if [[ $((i % 2)) == 0 ]]; then set -- "$name-a:/data" "$name-b:/rootdir"; else set -- "$name-b:/data" "$name-a:/rootdir"; fi
        timeout 60 "$ENGINE" run --rm -v "$1" -v "$2" "$OWNED" true 3>&- & pids+=($!)
    done
    for i in 0 1 2 3; do wait "${pids[$i]}"; done
}

@test "a volume over a link of the image is filled from where the link leads; over a file it cannot be" {
    is_berth || skip "podman looks at the link itself, and does not fill"
    berth run --rm -v "$name:/link" "$OWNED" ls /link/one
    berth run --rm --user 0 -v "$name-f:/file" "$OWNED" true || [[ $status -eq 126 || $status -eq 127 || $status -eq 125 ]]
}

@test "one destination given twice is refused, a flag wins over the image" {
    local args
    mkdir -p "$FILE_DIR/$name"
    while read -r args; do
        # shellcheck disable=SC2086
        berth 125 run --rm $args "$OWNED" true
        assert_contains "$output" "duplicate mount destination"
    done <<T
-v $name:/d -v $name-2:/d
-v $name:/d -v $name:/d/
-v $name:/d -v $FILE_DIR/$name:/d
-v $name:/d --mount type=volume,dst=/d
-v $name:/d --tmpfs /d
-v /d --tmpfs /d
--mount type=tmpfs,dst=/d --tmpfs /d
T
    berth volume ls -q
    [[ $output != *"$name"* ]]
    # the same volume at two destinations is one
    berth run --rm -v "$name:/a" -v "$name:/b" "$OWNED" sh -c 'echo x >/a/x && cat /b/x'
    assert_equal "$output" x
    berth run --rm -v "$FILE_DIR/context:/data" "$OWNED" ls /data
    assert_equal "$output" Containerfile
}

@test "a read-only volume is filled, and cannot be written to" {
    berth run --rm -v "$name:/data:ro" "$OWNED" sh -c 'cat /data/one; touch /data/x 2>/dev/null || echo refused'
    assert_equal "${lines[*]}" "one refused"
    berth run --rm -v "$name:/data" "$OWNED" touch /data/x
}

@test "a mount point's parents: those of the image keep owner and mode, new ones are root's" {
    local args
    for args in "-v $name:/data/sub/a/b" "--tmpfs /data/sub/a/b" "-v $FILE_DIR/context:/data/sub/a/b:ro"; do
        # shellcheck disable=SC2086
        berth run --name "$name" $args "$OWNED" stat -c '%n %u:%g %a' / /data /data/sub /data/sub/a /data/one
        # crun makes new ones sticky, runc does not
        assert_equal "$args: $(sed '1d; s/ 1755$/ 755/' <<<"$output" | paste -sd' ')" "$args: /data 1000:2000 1775 /data/sub 1000:2000 755 /data/sub/a 0:0 755 /data/one 1000:2000 644"
        # the same after a commit
        berth commit -q "$name" "localhost/$name"
        berth run --rm "localhost/$name" stat -c '%n %u:%g %a' /data /data/sub /data/sub/a
        assert_equal "$args: $(sed 's/ 1755$/ 755/' <<<"$output" | paste -sd' ')" "$args: /data 1000:2000 1775 /data/sub 1000:2000 755 /data/sub/a 0:0 755"
        berth rm "$name"
        berth rmi "localhost/$name"
    done
}

@test "anonymous volumes: rm leaves them, rm -v and --rm take them, another container keeps them" {
    local volume
    anonymous() { berth inspect --format '{{range .Mounts}}{{.Name}}{{end}}' "$1"; volume=$output; }
    berth create --name "$name" -v /data "$OWNED" true
    anonymous "$name"
    berth rm -f "$name"
    berth volume exists "$volume"
    berth volume rm "$volume"
    berth create --name "$name" -v /data "$OWNED" true
    anonymous "$name"
    berth rm -f -v "$name"
    berth 1 volume exists "$volume"
    berth run --rm -v /data "$OWNED" true
    berth create --name "$name" -v /data "$OWNED" true
    anonymous "$name"
    berth create --name "$name-2" -v "$volume:/data" "$OWNED" true
    berth rm -v "$name"
    berth volume exists "$volume"
    berth rm -v "$name-2"
}

@test "system check calls no volume a leak, and --repair keeps them" {
    is_berth || skip "podman's check does not look at volumes"
    berth create --name "$name" -v /data "$OWNED" true
    berth inspect --format '{{range .Mounts}}{{.Name}}{{end}}' "$name"
    volume=$output
    berth rm -f "$name"
    berth system check
    assert_equal "$output" ""
    berth system check --repair
    berth volume exists "$volume"
    # what a killed command was making is no volume yet
    mkdir -p "$GRAPHROOT/berth/volumes/half/new-1" "$GRAPHROOT/berth/volumes/$volume/new-2"
    berth 1 system check
    assert_contains "$output" "volume half is half-made"
    assert_contains "$output" "$volume/new-2"
    berth system check --repair
    berth system check
    [[ ! -e $GRAPHROOT/berth/volumes/half ]]
    berth volume exists "$volume"
    berth volume prune -f
    berth 1 volume exists "$volume"
}

@test "a failed create leaves no volume, and does not remove another's" {
    berth create --name "$name" "$OWNED" true
    before=$("$ENGINE" volume ls -q | wc -l)
    berth 125 create --name "$name-2" -v "$name:/data" -v /data/x -v "$FILE_DIR/no/such:/d" "$OWNED" true
    berth 125 create --name "$name-2" -v "$name:/data" --cidfile /no/such/dir/file "$OWNED" true
    berth volume ls -q --filter "name=$name"
    assert_equal "$output" ""
    assert_equal "$("$ENGINE" volume ls -q | wc -l)" "$before"
    berth volume create "$name"
    berth 125 create --name "$name-2" -v "$name:/data" --cidfile /no/such/dir/file "$OWNED" true
    berth volume ls -q --filter "name=$name"
    assert_equal "$output" "$name"
}

@test "volume ls and prune: labels and filters" {
    berth volume create --label team=a --label env "$name-a"
    berth volume create -l team=b "$name-b"
    berth create --name "$name" -v "$name-c:/c" -v /d "$OWNED" true
    while IFS='|' read -r filters want; do
        args=()
        for f in $filters; do args+=(--filter "$f"); done
        berth volume ls -q "${args[@]}"
        assert_equal "$filters: $(grep "^$name" <<<"$output" | paste -sd' ')" "$filters: $want"
    done <<T
label=team=a|$name-a
label=team|$name-a $name-b
label!=team|$name-c
name=$name-[bc]|$name-b $name-c
name=$name-a name=$name-b|$name-a $name-b
dangling=true driver=local|$name-a $name-b
dangling=false|$name-c
label=team=a label=env|$name-a
label=team=b label=env|
since=$name-a|$name-b $name-c
until=1h|
T
    berth volume prune -f --filter label=team=b
    assert_equal "$output" "$name-b"
    berth volume prune -f
    assert_contains "$output" "$name-a"
    berth volume exists "$name-c"
}

@test "volume exists: a volume whose record cannot be read is an error, not a volume that is not there" {
    is_berth || skip "of Berth's records"
    berth volume create --label a=b "$name"
    berth volume exists "$name"
    cp "$GRAPHROOT/berth/volumes/$name/volume.json" "$BATS_TEST_TMPDIR/volume.json"
    echo '{' >"$GRAPHROOT/berth/volumes/$name/volume.json"
    berth 125 volume exists "$name"
    assert_contains "$output" "volume \"$name\""
    cp "$BATS_TEST_TMPDIR/volume.json" "$GRAPHROOT/berth/volumes/$name/volume.json"
    berth volume rm "$name"
    berth 1 volume exists "$name"
}
