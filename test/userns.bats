#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Who owns what in containers with each --userns, and who their users are by name.
load helpers

OWNED=localhost/owned

setup_file() {
    store_setup
    mkdir "$FILE_DIR/context"
    cat >"$FILE_DIR/context/Containerfile" <<C
FROM $IMAGE
RUN mkdir -p /data/sub /empty /work /anonymous && echo one >/data/one && ln /data/one /data/hard && cp /bin/busybox /suid && \
    chown -R 1000:2000 /data /empty /work /anonymous && chmod 4755 /suid && chmod 1775 /data && chmod 700 /empty
VOLUME /anonymous
C
    berth build -q -t "$OWNED" "$FILE_DIR/context"
}

# modes: the values of --userns that are accepted.
modes() {
    printf '%s\n' "" host keep-id keep-id:uid=7,gid=8 keep-id:uid=1000
    ! is_berth || echo keep-id:uid=0,gid=0 # podman 4.3 makes a map of it that the kernel refuses
}

# nested: those of them that give the image's files to other IDs, and the default.
nested() { printf '%s\n' "" keep-id keep-id:uid=7,gid=8; }

# owners ARG...: "PATH UID:GID MODE" of what a container made with these arguments sees, and who it runs as.
owners() {
    # shellcheck disable=SC2016
    berth run --rm "$@" -w /work -v "$name-named:/data" --mount "type=volume,src=$name-mount,dst=/empty" -v "$name-new:/missing" --tmpfs /scratch \
        "$OWNED" sh -c 'for f in / /bin/sh /suid /etc /etc/passwd /root /tmp /work /dev /dev/shm /dev/pts /scratch /etc/hosts /etc/resolv.conf \
            /etc/hostname /run/.containerenv /data /data/one /data/sub /empty; do stat -c "%n %u:%g %a" $f; done
        echo "user $(id -u):$(id -g)"; stat -c "%n %u:%g" /missing /anonymous'
}

@test "image files, volumes, tmpfs, /dev and working directory belong to the same IDs with every --userns" {
    local mode want as
    owners
    want=$(grep -v '^user\|^/missing' <<<"$output")
    for line in "/etc/passwd 0:0 644" "/suid 0:0 4755" "/work 1000:2000 755" "/dev 0:0 755" "/data 1000:2000 1775" "/data/one 1000:2000 644" "/empty 1000:2000 700" \
        "/etc/hosts 0:0 644" "/anonymous 1000:2000"; do
        grep -qx "$line" <<<"$want"
    done
    while read -r mode; do
        berth volume rm "$name-named" "$name-mount" "$name-new"
        owners --userns "$mode"
        assert_equal "$mode: $(grep -v '^user\|^/missing' <<<"$output")" "$mode: $want"
        # a new volume where the image has nothing is the user's
        as=$(sed -n 's/^user //p' <<<"$output")
        grep -qx "/missing $as" <<<"$output"
    done < <(modes)
}

@test "who a container runs as, and what its user may not change, with every --userns" {
    local mode want id
    id=$(id -u)
    while read -r mode; do
        case $mode in
        keep-id) want=$id:$(id -g) ;;
        keep-id:uid=7,gid=8) want=7:8 ;;
        keep-id:uid=1000) want=1000:$(id -g) ;;
        *) want=0:0 ;;
        esac
        # shellcheck disable=SC2016
        berth run --rm --userns "$mode" "$OWNED" sh -c 'echo $(id -u):$(id -g); sh -c "echo x >>/etc/passwd" 2>/dev/null && echo written; exit 0'
        if [[ $want == 0:* ]]; then want+=" written"; fi
        assert_equal "$mode ${lines[*]}" "$mode $want"
    done < <(modes)
}

@test "the caller's own files, and what a container writes to them, with every --userns" {
    local mode
    is_rootless || skip "root owns what root's containers write"
    mkdir "$FILE_DIR/$name"
    while read -r mode; do
        rm -f "$FILE_DIR/$name/file"
        berth run --rm --userns "$mode" -v "$FILE_DIR/$name:/own" "$OWNED" sh -c 'touch /own/file; stat -c %u /own/file; id -u'
        assert_equal "$mode ${lines[0]}" "$mode ${lines[1]}"
        assert_equal "$mode $(stat -c %u "$FILE_DIR/$name/file")" "$mode $(id -u)"
    done < <(nested)
}

@test "--mount and -v with U give a directory, a volume and a tmpfs to the user inside, with every --userns" {
    local mode n=0 args
    while read -r mode; do
        n=$((n + 1))
        for args in "--userns=$mode" "--userns=$mode --user 1000:2000"; do
            mkdir -p "$FILE_DIR/$name-$n"
            # shellcheck disable=SC2086
            berth run --rm $args -v "$FILE_DIR/$name-$n:/own:U" -v "$name-$n:/data:U" "$OWNED" sh -c 'stat -c %u:%g /own /data /data/one; echo $(id -u):$(id -g)'
            assert_equal "$args ${lines[*]}" "$args ${lines[3]} ${lines[3]} ${lines[3]} ${lines[3]}"
            berth volume rm "$name-$n"
        done
    done < <(nested)
}

@test "commit and start again: files keep their IDs with every --userns" {
    local mode want
    while read -r mode; do
        berth run --name "$name" --userns "$mode" "$OWNED" sh -c 'touch /tmp/mine; echo $(id -u):$(id -g)'
        want=$output
        berth commit -q "$name" "localhost/$name"
        berth start -a "$name"
        berth run --rm --user 0 "localhost/$name" stat -c '%n %u:%g' /tmp/mine /etc/passwd /data/one /suid
        assert_equal "$mode ${lines[*]}" "$mode /tmp/mine $want /etc/passwd 0:0 /data/one 1000:2000 /suid 0:0"
        berth run --rm --user 0 --userns "$mode" "localhost/$name" stat -c '%n %u:%g' /tmp/mine /etc/passwd /data/one /
        assert_equal "$mode ${lines[*]}" "$mode /tmp/mine $want /etc/passwd 0:0 /data/one 1000:2000 / 0:0"
        berth rm "$name"
        berth rmi "localhost/$name"
    done < <(nested)
}

@test "an image's working directory that is missing belongs to the container's user, those above it to root" {
    local mode user
    berth create --name "$name" "$OWNED" true
    berth commit -q --change "WORKDIR /no/work" "$name" "localhost/$name"
    while read -r mode; do
        # podman 4.3 gives it to an ID of the host's
        is_berth || [[ -z $mode ]] || continue
        for user in "" "--user 1000:2000"; do
            # shellcheck disable=SC2086
            berth run --rm --userns "$mode" $user "localhost/$name" sh -c 'pwd; stat -c "%u:%g %a" . ..; id -u; id -g'
            assert_equal "$mode $user: ${lines[0]} ${lines[1]} ${lines[2]}" "$mode $user: /no/work ${lines[3]}:${lines[4]} 755 0:0 755"
        done
    done < <(nested)
    # below a volume, the volume's
    berth run --rm -v "$name:/no" "localhost/$name" stat -c %u:%g /no
    berth rmi -f "localhost/$name"
}

@test "values of --userns that mean nothing are refused by name" {
    is_berth || skip "podman says it in other words"
    local mode
    for mode in auto:size=x auto:uid=1 container:x ns:relative private keep-id:uid=x keep-id:size=0 host:uid=1 nonsense; do
        berth 125 run --rm --userns "$mode" "$OWNED" true
        assert_contains "$output" "--userns"
        assert_contains "$output" "${mode%%[:=]*}"
    done
    berth ps -aq
    assert_equal "$output" ""
}

@test "the copy of an image for other IDs is counted by system df, and goes with the image" {
    is_berth || skip "podman does not count it"
    is_rootless || skip "root's containers have every ID, and need no copy"
    local before after layers
    layers() { find "$GRAPHROOT/overlay" -mindepth 1 -maxdepth 1 -not -name l -not -name tempdirs -type d | wc -l; }
    berth tag "$OWNED" "localhost/$name"
    berth unshare du -s -B1 "$GRAPHROOT/overlay"
    before=${output%%[[:space:]]*}
    berth run --rm --userns keep-id:uid=77 "localhost/$name" true
    berth unshare du -s -B1 "$GRAPHROOT/overlay"
    after=${output%%[[:space:]]*}
    berth system df --format '{{.Type}} {{.RawSize}}'
    # all of the copy, give or take its directories
    [[ $(sed -n 's/^Images //p' <<<"$output") -gt $((after - before)) ]]
    berth system check
    assert_equal "$output" ""
    berth rmi -f "localhost/$name" "$OWNED" "$IMAGE"
    berth image prune -af
    assert_equal "$(layers)" 0
    berth load -q -i "$FIXTURES/busybox.tar"
    berth build -q -t "$OWNED" "$FILE_DIR/context"
}

@test "keep-id with vfs, with fuse-overlayfs, and with an image of a read-only store" {
    is_rootless || skip "root's containers have every ID"
    is_berth || skip "podman 4.3 refuses these options beside storage.conf's"
    local n=0 options want store=()
    "$ENGINE" save -q -o "$FILE_DIR/$name.tar" "$OWNED" 3>&-
    while read -r options; do
        n=$((n + 1))
        # shellcheck disable=SC2206
        store=(--root "$FILE_DIR/$name-$n" $options)
        [[ $options == *imagestore* ]] || berth "${store[@]}" load -q -i "$FILE_DIR/$name.tar"
        berth "${store[@]}" run --name "$name" --userns keep-id:uid=9,gid=10 -v v:/data -v w:/missing "$OWNED" \
            sh -c 'touch /tmp/mine; stat -c "%n %u:%g" / /etc/passwd /suid /data /data/one /missing /tmp/mine; tail -n 1 /etc/passwd'
        want="/ 0:0 /etc/passwd 0:0 /suid 0:0 /data 1000:2000 /data/one 1000:2000 /missing 9:10 /tmp/mine 9:10"
        assert_equal "$options: ${lines[*]}" "$options: $want 9:*:9:10:container user:/:/bin/sh"
        berth "${store[@]}" start -a "$name"
        assert_equal "$options: ${lines[*]}" "$options: $want 9:*:9:10:container user:/:/bin/sh"
        berth "${store[@]}" commit -q "$name" "localhost/$name"
        berth "${store[@]}" run --rm --user 0 "localhost/$name" stat -c '%n %u:%g' /etc/passwd /suid /tmp/mine
        assert_equal "$options: ${lines[*]}" "$options: /etc/passwd 0:0 /suid 0:0 /tmp/mine 9:10"
        berth "${store[@]}" rm "$name"
        berth "${store[@]}" system check
        assert_equal "$options: $output" "$options: "
    done <<T
--storage-driver vfs
--storage-opt overlay.mount_program=/usr/bin/fuse-overlayfs
--storage-opt overlay.imagestore=$GRAPHROOT
T
}

@test "the host's mounts are the same before and after runs that map IDs" {
    local before
    # of this file's directories, and any with mapped IDs: other tests mount at the same time
    mounts() { findmnt -n -T "$FILE_DIR" -o TARGET,OPTIONS,PROPAGATION; grep -e "$FILE_DIR" -e idmapped /proc/self/mountinfo | cut -d' ' -f 4- | sort; }
    before=$(mounts)
    berth run --rm --userns keep-id -v "$name:/data:U" -v "$FILE_DIR/context:/c:ro" --tmpfs /t "$OWNED" true
    berth 1 run --rm --userns keep-id:uid=7,gid=8 -v "$FILE_DIR/context:/c" "$OWNED" false
    berth run -d --name "$name" --userns keep-id "$OWNED" sleep 1000
    assert_equal "$(mounts | diff - <(echo "$before"))" ""
    berth exec "$name" true
    berth rm -f -t 0 "$name"
    assert_equal "$(mounts | diff - <(echo "$before"))" ""
}

# entries ARG...: the last lines of /etc/passwd and /etc/group, HOME and the user's name.
entries() {
    # shellcheck disable=SC2016
    berth run --rm "$@" sh -c 'tail -n 1 /etc/passwd; tail -n 1 /etc/group; echo "$HOME $(id -un)"; stat -c "%u:%g %a" /etc/passwd'
}

@test "a user given by number, and keep-id's, have a name, a home and a shell" {
    local me group
    me=$(id -un) group=$(id -gn)
    local last="nobody:x:65534:65534::/:/bin/false" lastgroup="nogroup:x:65534:"
    while IFS='|' read -r args passwd groups home; do
        # shellcheck disable=SC2086
        entries $args "$IMAGE"
        assert_equal "$args: ${lines[0]}|${lines[1]}|${lines[2]}|${lines[3]}" "$args: $passwd|$groups|$home|0:0 644"
    done <<T
--user 0|$last|$lastgroup|/root root
--user user|$last|$lastgroup|/home/user user
--user 1000|$last|$lastgroup|/home/user user
--user 1234|1234:*:1234:0:container user:/:/bin/sh|1234:x:1234:1234|/ 1234
--user 1234:77|1234:*:1234:77:container user:/:/bin/sh|77:x:77:1234|/ 1234
--user 1234:extra|1234:*:1234:2000:container user:/:/bin/sh|$lastgroup|/ 1234
--user 1000:77|$last|77:x:77:1000|/home/user user
--user 1234 -w /tmp|1234:*:1234:0:container user:/tmp:/bin/sh|1234:x:1234:1234|/tmp 1234
--user 1234 --read-only|1234:*:1234:0:container user:/:/bin/sh|1234:x:1234:1234|/ 1234
--userns keep-id:uid=4321,gid=4322|4321:*:4321:4322:container user:/:/bin/sh|4322:x:4322:4321|/ 4321
--userns keep-id:uid=1000,gid=2000|$last|$lastgroup|/home/user user
T
    is_rootless || return 0
    entries --userns keep-id "$IMAGE"
    [[ ${lines[0]} == "$me:*:$(id -u):$(id -g):"*":/:/bin/sh" || $(id -u) == 1000 ]]
    [[ ${lines[1]} == "$group:x:$(id -g):$me" || $(id -u) == 1000 ]]
    assert_contains "${lines[2]}" "$me"
    # with his home directory in the container he is at home there
    mkdir -p "$HOME/in"
    home=$(getent passwd "$(id -u)" | cut -d: -f6)
    berth run --rm --userns keep-id -v "$HOME/in:$home" "$IMAGE" sh -c 'echo $HOME'
    [[ $output == "$home" || $(id -u) == 1000 ]]
}

@test "--passwd, --passwd-entry and --group-entry" {
    local last="nobody:x:65534:65534::/:/bin/false" lastgroup="nogroup:x:65534:"
    berth run --rm --user 1234 --passwd=false "$IMAGE" tail -q -n 1 /etc/passwd /etc/group
    assert_equal "${lines[*]}" "$last $lastgroup"
    # shellcheck disable=SC2016
    berth run --rm --user 1234:77 --passwd-entry 'me:*:$UID:$GID:$NAME:/my$HOME:/bin/ash' --group-entry 'us:x:$GID:$USERLIST' "$IMAGE" tail -q -n 1 /etc/passwd /etc/group
    assert_equal "${lines[*]}" "me:*:1234:77:container user:/my/:/bin/ash us:x:77:1234"
    is_berth || return 0 # podman 4.3 adds two lines
    berth 125 run --rm --user 1234 --passwd-entry $'a:*:1:1::/:/bin/sh\nb:*:0:0::/:/bin/sh' "$IMAGE" true
    assert_contains "$output" "--passwd-entry"
    berth 125 run --rm --user 1234 --group-entry $'a:x:1:\nb:x:0:me' "$IMAGE" true
    assert_contains "$output" "--group-entry"
}

@test "entries for the user: HOME of image and flags stays a field, files that lack stay away, starting again adds nothing" {
    is_berth || skip "podman 4.3 writes HOME as it is, or the working directory"
    entries --user 1234 -e HOME=/h "$IMAGE"
    assert_equal "${lines[0]} ${lines[2]}" "1234:*:1234:0:container user:/h:/bin/sh /h 1234"
    for bad in $'/h\nroot2:x:0:0::/:/bin/sh' '/h:/bin/evil' 'relative'; do
        berth run --rm --user 1234 -e "HOME=$bad" "$IMAGE" sh -c 'tail -n 1 /etc/passwd; wc -l </etc/passwd'
        assert_equal "${lines[*]}" "1234:*:1234:0:container user:/:/bin/sh 4"
    done
    berth run --name "$name" --user 1234 "$IMAGE" cat /etc/passwd /etc/group
    first=$output
    berth start -a "$name"
    assert_equal "$output" "$first"
    # no /etc/passwd: none is made; one without a last line break, and links, are as the image means them
    mkdir -p "$FILE_DIR/$name"
    printf 'FROM %s\nRUN rm /etc/passwd /etc/group\n' "$IMAGE" >"$FILE_DIR/$name/Containerfile"
    berth build -q -t "localhost/$name" "$FILE_DIR/$name"
    berth run --rm --user 1234 "localhost/$name" ls /etc/passwd /etc/group || [[ $status -ne 0 ]]
    assert_contains "$output" "No such file"
    printf 'FROM %s\nRUN mkdir /x && printf root:x:0:0:root:/root:/bin/sh >/x/p && ln -sf ../x/p /etc/passwd && rm /etc/group && ln -s /dev/null /etc/group\n' "$IMAGE" >"$FILE_DIR/$name/Containerfile"
    berth build -q -t "localhost/$name-2" "$FILE_DIR/$name"
    berth run --rm --user 1234 "localhost/$name-2" cat /x/p
    assert_equal "$output" $'root:x:0:0:root:/root:/bin/sh\n1234:*:1234:0:container user:/:/bin/sh'
    berth rmi -f "localhost/$name" "localhost/$name-2"
}
