#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# User namespaces with IDs of their own: --userns auto, --uidmap and --gidmap, and those of other containers.
load helpers

setup_file() {
    store_setup
    # Root's come from the ranges of the user "containers", which not every host has.
    is_rootless || printf '[storage.options]\nroot-auto-userns-user = "%s"\n' "$(head -n 1 /etc/subuid | cut -d: -f1)" >>"$CONTAINERS_STORAGE_CONF"
}

@test "--userns auto: every container has a range of its own, its root owns the image's files, and the range is free again after it" {
    local a b
    berth run -d --name "$name-a" --userns auto:size=1000 $IMAGE sleep 60
    berth run -d --name "$name-b" --userns auto:size=1000 $IMAGE sleep 60
    berth exec "$name-a" sh -c 'cat /proc/self/uid_map'
    read -r _ a n <<<"$output"
    assert_equal "$n" 1000
    berth exec "$name-b" sh -c 'cat /proc/self/uid_map'
    read -r _ b _ <<<"$output"
    [[ $((b - a)) -ge 1000 || $((a - b)) -ge 1000 ]]
    berth exec "$name-a" sh -c 'id -u; stat -c "%n %u:%g" / /bin/sh /etc /etc/passwd /etc/hosts; echo x >/etc/new; stat -c %u:%g /etc/new'
    assert_equal "${lines[*]}" "0 / 0:0 /bin/sh 0:0 /etc 0:0 /etc/passwd 0:0 /etc/hosts 0:0 0:0"
    berth exec --user 5:6 "$name-a" sh -c 'id -u; id -g'
    assert_equal "${lines[*]}" "5 6"
    berth restart -t 0 "$name-a"
    berth exec "$name-a" sh -c 'cat /proc/self/uid_map; stat -c %u:%g /etc/new'
    read -r _ again _ <<<"${lines[0]}"
    assert_equal "$again ${lines[1]}" "$a 0:0"
    berth rm -f -t 0 "$name-a" "$name-b"
    berth run --rm --userns auto:size=1000 $IMAGE sh -c 'cat /proc/self/uid_map'
    read -r _ again _ <<<"$output"
    [[ $again == "$a" || $again == "$b" ]]
}

@test "--userns auto without a size has room for the image's users; a volume belongs to the container's" {
    printf 'FROM %s\nRUN echo "big:x:2000:2001::/:/bin/sh" >>/etc/passwd && echo "big:x:2001:" >>/etc/group && mkdir /data && chown 2000:2001 /data\n' $IMAGE >"$FILE_DIR/Containerfile"
    berth build -q -t "localhost/$name" -f "$FILE_DIR/Containerfile" "$FILE_DIR/conf"
    berth run --rm --userns auto --user big -v "$name:/data" "localhost/$name" sh -c 'id -u; touch /data/x; stat -c %u:%g /data /data/x'
    assert_equal "${lines[*]}" "2000 2000:2001 2000:2001"
    berth volume rm "$name"
    berth rmi "localhost/$name"
}

@test "--userns auto: a link in the place of the image's /etc/passwd leads nowhere outside (CVE-2024-9676)" {
    is_berth || skip "podman 4.3 has that fault"
    mkfifo "$FILE_DIR/fifo-$name"
    local target
    for target in "$FILE_DIR/fifo-$name" ../../../../../../../../../dev/zero /proc/self/fd/0; do
        printf 'FROM %s\nRUN rm /etc/passwd /etc/group; ln -s %s /etc/passwd; ln -s %s /etc/group\n' $IMAGE "$target" "$target" >"$FILE_DIR/Containerfile"
        berth build -q -t "localhost/$name" -f "$FILE_DIR/Containerfile" "$FILE_DIR/conf"
        BERTH_TIMEOUT=30 berth run --rm --userns auto "localhost/$name" true
        berth rmi "localhost/$name"
    done
}

@test "--uidmap and --gidmap: with and without the caller's own ID, extended, and what is wrong" {
    is_berth || skip "podman 4.3 has no flags in maps"
    # the kernel takes no map across two of the parent's: the caller and his subordinate IDs
    berth run --rm --uidmap 0:0:500 $IMAGE sh -c 'for f in uid gid; do awk "{ n += \$3 } END { print n }" /proc/self/${f}_map; done; stat -c %u:%g /etc/passwd; touch /etc/x'
    assert_equal "${lines[*]}" "500 500 0:0"
    berth run --rm --uidmap 0:1:500 --gidmap 0:1:400 $IMAGE sh -c 'cat /proc/self/uid_map /proc/self/gid_map; stat -c %u:%g /etc/passwd; echo x >/etc/passwd'
    assert_equal "$(tr -s ' ' <<<"${lines[*]}")" " 0 1 500 0 1 400 0:0"
    berth run --rm --user 7 --uidmap +u7:0 $IMAGE sh -c 'grep -c "^ *7 *0 *1\$" /proc/self/uid_map; id -u'
    assert_equal "${lines[*]}" "1 7"
    berth 125 run --rm --uidmap 0:0:5 --userns keep-id $IMAGE true
    assert_contains "$output" "--userns and --uidmap cannot be used together"
    berth 125 run --rm --uidmap 0:x $IMAGE true
    assert_contains "$output" "--uidmap"
    berth 125 run --rm --uidmap 0:0:5 --uidmap 3:9:5 $IMAGE true
    assert_contains "$output" "two maps have the same ID"
    berth 125 run --rm --subuidname no-such-name $IMAGE true
    assert_contains "$output" "no-such-name"
}

@test "--userns keep-id:size, container: and ns:" {
    is_berth || skip "podman 4.3 has no size"
    if is_rootless; then
        berth run --rm --userns keep-id:uid=7,gid=8,size=100 $IMAGE sh -c 'awk "{ n += \$3 } END { print n }" /proc/self/uid_map; id -u'
        assert_equal "${lines[*]}" "100 7"
    fi
    berth run -d --name "$name" --userns auto:size=500 $IMAGE sleep 60
    berth run --rm --userns "container:$name" $IMAGE sh -c 'readlink /proc/self/ns/user; stat -c %u:%g /etc/passwd; id -u'
    local ns=${lines[0]}
    assert_equal "${lines[1]} ${lines[2]}" "0:0 0"
    berth exec "$name" readlink /proc/self/ns/user
    assert_equal "$output" "$ns"
    berth run --rm --userns "ns:/proc/$(berth_pid "$name")/ns/user" $IMAGE sh -c 'readlink /proc/self/ns/user; stat -c %u:%g /etc/passwd'
    assert_equal "${lines[*]}" "$ns 0:0"
    berth 125 run --rm --userns container:no-such $IMAGE true
    berth 125 run --rm --userns ns:/no/such $IMAGE true
}

@test "--userns nomap: the caller is nobody inside" {
    is_berth || skip "podman 4.3 needs a cgroup for it"
    if ! is_rootless; then
        berth 125 run --rm --userns nomap $IMAGE true
        assert_contains "$output" nomap
        return
    fi
    mkdir -m 755 "$FILE_DIR/$name"
    berth run --rm --userns nomap -v "$FILE_DIR/$name:/mine" $IMAGE sh -c 'stat -c %u:%g /etc/passwd /mine; id -u; touch /etc/x'
    assert_equal "${lines[*]}" "0:0 65534:65534 0"
}

@test "--hostuser lists users of the host" {
    berth run --rm --hostuser "$(id -un)" $IMAGE grep -c "^$(id -un):" /etc/passwd
    assert_equal "$output" 1
    berth 125 run --rm --hostuser no-such-user-here $IMAGE true
    assert_contains "$output" no-such-user-here
}

berth_pid() { "$ENGINE" inspect --format '{{.State.Pid}}' "$1" 3>&-; }
