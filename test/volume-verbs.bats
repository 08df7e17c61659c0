#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What is done to volumes by name: owners, export and import, rename, mount, and links that attack them.
load helpers

podman5_or_skip() { is_berth || [[ $("$ENGINE" --version) == *" 5."* ]] || skip "this podman is too old for it"; }

test_teardown() {
    timeout 60 "$ENGINE" rm -fa -t 0 >/dev/null 2>&1 3>&- || true
    timeout 60 "$ENGINE" volume rm -fa >/dev/null 2>&1 3>&- || true
}
teardown() { test_teardown; }

# inside VOLUME COMMAND: runs it in a container that has the volume at /v.
inside() { berth run --rm -v "$1:/v" "$IMAGE" sh -c "$2"; }

@test "a backup of a volume through export, and its restore" {
    local look="cd /v; find . | sort | xargs stat -c '%n %F %a %u:%g'; cat dir/file; readlink link"
    berth volume create "$name"
    inside "$name" "mkdir -m 750 /v/dir; echo kept >/v/dir/file; chown 7:8 /v/dir/file; chmod 640 /v/dir/file; ln -s dir/file /v/link; chmod 1777 /v"
    inside "$name" "$look"
    want=$output
    berth volume export "$name" --output "$FILE_DIR/$name.tar"
    berth volume export "$name" >/dev/null
    berth volume rm "$name"
    berth volume create "$name"
    berth volume import "$name" "$FILE_DIR/$name.tar"
    inside "$name" "$look"
    assert_equal "$output" "$want"
    is_berth || return 0
    # through pipes, compressed, and into another volume, as a cron job does it
    berth volume create "$name-2"
    "$ENGINE" volume export "$name" 3>&- | gzip | "$ENGINE" volume import "$name-2" - 3>&-
    inside "$name-2" "$look"
    assert_equal "$output" "$want"
    [[ $(stat -c %a "$FILE_DIR/$name.tar") == 600 ]]
}

@test "export and import: what there is not, and what is no archive" {
    berth 125 volume export "$name" --output "$FILE_DIR/x.tar"
    assert_contains "$output" "no such volume"
    echo "no archive" >"$FILE_DIR/none"
    is_berth || return 0
    [[ ! -e $FILE_DIR/x.tar ]]
    berth 125 volume import "$name" "$FILE_DIR/none"
    assert_contains "$output" "no such volume"
    berth volume create "$name"
    berth 125 volume import "$name" "$FILE_DIR/none"
    berth 125 volume import "$name" "$FILE_DIR/no/such/file"
    berth 125 volume export --output "$FILE_DIR/no/such/file" "$name"
}

@test "links that attack export and import lead nowhere but into the volume" {
    is_berth || skip "it is Berth's files that are attacked"
    mkdir "$FILE_DIR/host-$name"
    echo secret >"$FILE_DIR/host-$name/file"
    # a volume whose links lead to the host: they are exported as links
    inside "$name" "ln -s $FILE_DIR/host-$name /v/out; ln -s ../../../../../../../../../..$FILE_DIR/host-$name /v/up; ln -s /etc/passwd /v/passwd"
    berth volume export -o "$FILE_DIR/$name.tar" "$name"
    not grep -q secret "$FILE_DIR/$name.tar"
    assert_equal "$(tar -tvf "$FILE_DIR/$name.tar" | grep -c -- '->')" 3
    # its own _data is no link that is followed
    # archives that write through links of their own, through those of the volume, and above the volume
    python3 - "$FILE_DIR/$name" "$FILE_DIR/host-$name" <<'P'
import io, sys, tarfile
out, host = sys.argv[1:]
def make(n, entries):
    with tarfile.open(f"{out}-{n}.tar", "w") as t:
        for name, kind, link in entries:
            i = tarfile.TarInfo(name)
            i.type, i.linkname = kind, link or ""
            data = b"evil" if kind == tarfile.REGTYPE else b""
            i.size = len(data)
            t.addfile(i, io.BytesIO(data))
F, L, H = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
make(1, [("own", L, host), ("own/file", F, None), ("own/new", F, None)])
make(2, [("out/file", F, None), ("out/new", F, None), ("up/new", F, None)])
make(3, [("../../../../evil", F, None)])
make(4, [("/evil", F, None)])
make(5, [("hard", H, host + "/file"), ("hard", F, None)])
make(6, [("hard", H, "../../../../../../../.." + host + "/file"), ("hard", F, None)])
P
    for n in 1 2 3 4 5 6; do
        timeout 60 "$ENGINE" volume import "$name" "$FILE_DIR/$name-$n.tar" 3>&- || true
        assert_equal "$n: $(cat "$FILE_DIR/host-$name/file") $(ls "$FILE_DIR/host-$name")" "$n: secret file"
    done
    assert_equal "$(find "$FILE_DIR/home" "$FILE_DIR/run" -name evil -not -path '*/_data/*' | wc -l)" 0
}

@test "export of a volume that is a directory: the directory, whatever a container has made of its name since" {
    is_berth || skip "podman follows it"
    mkdir -p "$FILE_DIR/top-$name/data" "$FILE_DIR/host-$name"
    echo mine >"$FILE_DIR/top-$name/data/file"
    echo secret >"$FILE_DIR/host-$name/file"
    chmod 755 "$FILE_DIR/host-$name"
    berth volume create -o type=none -o o=bind -o "device=$FILE_DIR/top-$name/data" "$name"
    berth run --rm -v "$FILE_DIR/top-$name:/top" "$IMAGE" sh -c "mv /top/data /top/moved; ln -s $FILE_DIR/host-$name /top/data"
    for path in "$FILE_DIR/$name.tar" -; do
        [[ $path != - ]] || path=/dev/stdout
        berth 125 volume export -o "$path" "$name"
        assert_contains "$output" "has become a symbolic link since volume $name was made"
        not grep -q secret <<<"$output"
    done
    [[ ! -e $FILE_DIR/$name.tar ]]
    tar -C "$FILE_DIR" -cf "$FILE_DIR/in.tar" conf
    berth 125 volume import "$name" "$FILE_DIR/in.tar"
    assert_equal "$(ls "$FILE_DIR/host-$name")" file
    # nor does a container that is made only now see what the link leads to
    berth 125 run --rm -v "$name:/v" "$IMAGE" cat /v/file
    assert_contains "$output" "since volume $name was made"
    rm "$FILE_DIR/top-$name/data"
    mv "$FILE_DIR/top-$name/moved" "$FILE_DIR/top-$name/data"
    berth volume export -o "$FILE_DIR/$name.tar" "$name"
    assert_equal "$(tar -xOf "$FILE_DIR/$name.tar" ./file 2>/dev/null || tar -xOf "$FILE_DIR/$name.tar" file)" mine
    # a link that was there before is as good as ever
    ln -s "top-$name/data" "$FILE_DIR/link-$name"
    berth volume create -o type=none -o o=bind -o "device=$FILE_DIR/link-$name" "$name-2"
    berth volume export -o "$FILE_DIR/$name-2.tar" "$name-2"
    inside "$name-2" "cat /v/file"
    assert_equal "$output" mine
}

@test "an export that fails leaves the archive of yesterday, and no half of one" {
    is_berth || skip "podman leaves half an archive"
    inside "$name" "dd if=/dev/urandom of=/v/big bs=64k count=64 2>/dev/null; mkdir /v/d; echo x >/v/d/x"
    mkdir "$FILE_DIR/out-$name"
    berth volume export -o "$FILE_DIR/out-$name/a.tar" "$name"
    before=$(sha256sum <"$FILE_DIR/out-$name/a.tar")
    # as on a full disk: SIGXFSZ, or EFBIG
    (ulimit -f 1024; trap '' XFSZ; timeout 60 "$ENGINE" volume export -o "$FILE_DIR/out-$name/a.tar" "$name" 3>&-) && return 1
    (ulimit -f 1024; trap '' XFSZ; timeout 60 "$ENGINE" volume export -o "$FILE_DIR/out-$name/new.tar" "$name" 3>&-) && return 1
    assert_equal "$(ls -A "$FILE_DIR/out-$name")" a.tar
    assert_equal "$(sha256sum <"$FILE_DIR/out-$name/a.tar")" "$before"
}

@test "an archive that would fill the disk is refused" {
    is_berth || skip "podman unpacks it"
    berth volume create "$name"
    truncate -s 8T "$FILE_DIR/huge" 2>/dev/null || skip "no such large files here"
    tar -C "$FILE_DIR" -S -cf "$FILE_DIR/huge.tar" huge
    rm "$FILE_DIR/huge"
    berth 125 volume import "$name" "$FILE_DIR/huge.tar"
    inside "$name" "ls -A /v"
    assert_equal "$output" ""
}

@test "rename: a volume that nobody uses; not over another" {
    podman5_or_skip
    is_berth || skip "podman 6.1 has it"
    inside "$name" "echo kept >/v/file"
    berth volume rename "$name" "$name-new"
    berth 1 volume exists "$name"
    inside "$name-new" "cat /v/file"
    assert_equal "$output" kept
    berth volume create "$name"
    berth 125 volume rename "$name-new" "$name"
    assert_contains "$output" "already exists"
    berth 125 volume rename "$name-new" "a/b"
    berth 125 volume rename "$name-no" "$name-x"
    assert_contains "$output" "no such volume"
    berth create --name "$name" -v "$name-new:/v" "$IMAGE" true
    berth 125 volume rename "$name-new" "$name-x"
    assert_contains "$output" "being used by the following container(s): $name"
    berth system check
}

@test "mount and unmount, inspect --all, mount counts, rm --time" {
    berth volume create -l a=b "$name"
    berth volume create "$name-2"
    berth volume inspect --format '{{.Mountpoint}}' "$name"
    path=$output
    if is_berth; then
        berth volume mount "$name"
        assert_equal "$output" "$path"
        berth volume unmount "$name"
        assert_equal "$output" "$name"
        berth 125 volume mount "$name-no"
        berth 125 volume inspect --all "$name"
    fi
    berth volume inspect --all --format '{{.Name}}'
    assert_equal "$(sort <<<"$output" | paste -sd' ')" "$name $name-2"
    is_berth || return 0
    berth run -d --name "$name" -v "$name:/v" "$IMAGE" sh -c 'trap "" TERM; sleep 1000'
    berth volume inspect --format '{{.MountCount}}' "$name" "$name-2"
    assert_equal "${lines[*]}" "1 0"
    berth volume ls --format '{{.Name}} {{.MountCount}} {{.VolumeConfigResponse.InspectVolumeData.Labels.a}}' --filter "name=$name\$"
    assert_equal "$output" "$name 1 b"
    berth volume rm --time 0 "$name"
    berth 1 container exists "$name"
}

@test "whom a volume belongs to: --uid, --gid, -o o=uid=,gid=" {
    is_berth || skip "podman 5.6 has the flags"
    local args
    while IFS='|' read -r args want; do
        # shellcheck disable=SC2086
        berth volume create $args "$name"
        inside "$name" "stat -c %u:%g /v"
        assert_equal "$args: $output" "$args: $want"
        # the first use of one that another user has keeps it
        berth run --rm --user 9 -v "$name:/v" "$IMAGE" stat -c %u:%g /v
        assert_equal "$args: $output" "$args: $want"
        berth volume rm "$name"
    done <<T
--uid 5|5:0
--gid 6|0:6
--uid 5 --gid 6|5:6
-o o=uid=5,gid=6|5:6
--opt o=gid=6,noquota|0:6
T
    # also over a directory that the image has files in
    berth volume create --uid 5 "$name"
    berth run --rm -v "$name:/etc" "$IMAGE" stat -c %u:%g /etc /etc/passwd
    assert_equal "${lines[*]}" "5:0 0:0"
    berth volume inspect --format '{{.UID}} {{.GID}}' "$name"
    assert_equal "$output" "5 0"
    berth volume create -o o=uid=5 "$name-2"
    berth volume ls -q --filter opt=o
    assert_equal "$output" "$name-2"
}

@test "create: what this version does not have is refused by name" {
    is_berth || skip "podman has it"
    local args want
    while IFS='|' read -r args want; do
        # shellcheck disable=SC2086
        berth 125 volume create $args "$name"
        assert_contains "$output" "$want"
        berth 1 volume exists "$name"
    done <<T
--driver nfs-plugin|required plugin missing
-o device=/tmp|a type is missing
-o type=none -o o=bind -o device=tmp|an absolute path
-o type=none -o o=bind,nosuch -o device=/tmp|a bind takes
-o type=tmpfs --uid 3|are for directories
-o type=tmpfs -o o=inodes=10|volume option inodes not supported on tmpfs filesystem
-o o=size=10m,noquota|volume options size and inodes cannot be used without quota
-o size=10m -o o=noquota|volume options size and inodes cannot be used without quota
-o type=nfs -o device=h:/p -o size=10m|Filesystem does not support Project Quota
-o o=size=many|not a size
-o inodes=0|not a number of inodes
-o nokey=1|invalid mount option nokey for driver 'local'
-o o=uid=x|not a number
T
    berth volume create "$name"
    berth 125 volume create "$name"
    assert_contains "$output" "already exists"
}

@test "limits of a volume: refused in podman's words where the file system has none, or an ordinary user asks" {
    [[ $(stat -f -c %T "$FILE_DIR") != xfs ]] || is_rootless || skip "this file system may have them"
    for limit in o=size=10m o=inodes=100 o=size=10m,inodes=100; do
        berth 125 volume create -o "$limit" "$name"
        assert_contains "$output" "volume options size and inodes not supported. Filesystem does not support Project Quota"
        berth 1 volume exists "$name"
    done
    is_berth || return 0
    berth 125 volume create -o size=10m "$name" # podman takes it, and does nothing
    [[ ! -e $GRAPHROOT/berth/volumes/backingFsBlockDev ]]
    # a tmpfs has its own
    for opts in "-o o=size=1m" "-o size=1m"; do
        # shellcheck disable=SC2086
        berth volume create -o type=tmpfs -o device=tmpfs $opts "$name"
        inside "$name" 'dd if=/dev/zero of=/v/big bs=64k count=32 2>/dev/null || echo full'
        assert_equal "$output" full
        berth volume rm "$name"
    done
    berth system check
}

@test "nocopy: a volume that takes no files of the image" {
    is_berth || skip "podman 5 has it"
    for opt in nocopy o=nocopy; do
        berth volume create -o "$opt" "$name"
        berth run --rm -v "$name:/etc" "$IMAGE" ls /etc
        not grep -q passwd <<<"$output"
        berth volume rm "$name"
    done
    berth volume create -o copy "$name"
    berth run --rm -v "$name:/etc" "$IMAGE" cat /etc/passwd
}

@test "nocreate: a volume that is not there is not made" {
    is_berth || skip "podman 6.1 has it"
    berth 125 run --rm -v "$name:/v:nocreate" "$IMAGE" true
    assert_contains "$output" "no such volume"
    berth 125 run --rm --mount "type=volume,src=$name,dst=/v,nocreate" "$IMAGE" true
    berth 1 volume exists "$name"
    berth volume create "$name"
    berth run --rm -v "$name:/v:nocreate" "$IMAGE" true
    berth run --rm --mount "type=volume,src=$name,dst=/v,nocreate" "$IMAGE" true
    berth 125 run --rm -v "/tmp:/v:nocreate" "$IMAGE" true
}

@test "events of volumes" {
    is_berth || skip "podman 4.3 has fewer"
    berth volume create "$name"
    berth volume export -o "$FILE_DIR/$name.tar" "$name"
    berth volume import "$name" "$FILE_DIR/$name.tar"
    berth volume rename "$name" "$name-2"
    berth volume rm "$name-2"
    berth events --stream=false --filter type=volume --format '{{.Status}} {{.Name}}' --since 1m
    for want in "create $name" "export $name" "import $name" "rename $name-2" "remove $name-2"; do assert_contains "$output" "$want"; done
}

@test "a killed import or rename leaves nothing that system check finds" {
    is_berth || skip "podman's check does not look at volumes"
    command -v strace >/dev/null || skip "strace is missing"
    inside "$name" "echo kept >/v/file"
    berth volume export -o "$FILE_DIR/$name.tar" "$name"
    for n in 1 2 3; do
        strace -f -qq -o /dev/null -e trace=renameat,renameat2 -e "inject=renameat,renameat2:signal=KILL:when=$n" "$ENGINE" volume rename "$name" "$name-2" >/dev/null 2>&1 3>&- || true
        "$ENGINE" volume exists "$name-2" && berth volume rename "$name-2" "$name"
        timeout -s KILL "0.0$n" "$ENGINE" volume import "$name" "$FILE_DIR/$name.tar" >/dev/null 2>&1 3>&- || true
        berth system check
        berth volume import "$name" "$FILE_DIR/$name.tar" # a file is replaced by removing it first
        inside "$name" "cat /v/file"
        assert_equal "$output" kept
    done
}

@test "a volume that is a directory of the host" {
    mkdir -p "$FILE_DIR/host-$name/sub"
    echo there >"$FILE_DIR/host-$name/file"
    berth volume create -o type=none -o "device=$FILE_DIR/host-$name" -o o=bind "$name"
    inside "$name" "cat /v/file; echo written >/v/new"
    assert_equal "$output" there
    assert_equal "$(cat "$FILE_DIR/host-$name/new")" written
    berth volume inspect --format '{{.Options.type}} {{.Options.o}} {{.Options.device}}' "$name"
    assert_equal "$output" "none bind $FILE_DIR/host-$name"
    berth volume rm "$name"
    [[ -e $FILE_DIR/host-$name/file ]]
    is_berth || return 0
    berth volume create -o type=none -o "device=$FILE_DIR/host-$name" -o o=bind,ro "$name"
    berth run --rm -v "$name:/v" "$IMAGE" sh -c "touch /v/x 2>/dev/null || echo refused"
    assert_equal "$output" refused
    berth volume export "$name" -o "$FILE_DIR/$name.tar"
    assert_contains "$(tar -tf "$FILE_DIR/$name.tar")" new
    # as with a bind, no link that has come since the container was made is followed
    berth create --name "$name" -v "$name:/v" "$IMAGE" ls /v
    mv "$FILE_DIR/host-$name" "$FILE_DIR/moved-$name"
    ln -s /etc "$FILE_DIR/host-$name"
    berth 125 start -a "$name"
    assert_contains "$output" "has become a symbolic link"
}

@test "a tmpfs volume: all its containers have the same, and it goes with the last" {
    is_berth || is_rootless || skip "podman as root would leave a mount"
    berth volume create -o type=tmpfs -o device=tmpfs -o o=size=1m,mode=1777 "$name"
    berth run -d --name "$name" -v "$name:/v" "$IMAGE" sh -c 'echo one >/v/one; sleep 1000'
    wait_for 10 "$ENGINE" exec "$name" test -s /v/one
    inside "$name" "cat /v/one; echo two >/v/two; grep ' /v ' /proc/mounts"
    assert_contains "$output" one
    assert_contains "$output" "tmpfs"
    assert_contains "$output" "size=1024k"
    berth exec "$name" cat /v/two
    assert_equal "$output" two
    berth run --rm -v "$name:/v" "$IMAGE" sh -c 'dd if=/dev/zero of=/v/big bs=1M count=2 2>/dev/null || echo full; rm /v/big'
    assert_equal "$output" full
    is_berth || return 0
    # a third that goes on after the first has stopped has it still, and gives it to a fourth
    berth run -d --name "$name-3" -v "$name:/a" -v "$name:/b" "$IMAGE" sleep 1000
    berth stop -t 0 "$name"
    inside "$name" "ls /v | paste -sd' '"
    assert_equal "$output" "one two"
    berth exec "$name-3" sh -c "echo x >/a/x; cat /b/x"
    assert_equal "$output" x
    berth restart -t 0 "$name-3"
    inside "$name" "ls /v"
    assert_equal "$output" ""
    # a killed monitor changes nothing
    berth exec "$name-3" touch /a/kept
    kill -KILL "$("$ENGINE" inspect --format '{{.State.ConmonPid}}' "$name-3")"
    inside "$name" "ls /v"
    assert_equal "$output" kept
    # and a container that mounts something else over it does not give that to others
    berth stop -t 0 "$name-3"
    berth run -d --name "$name-4" --privileged -v "$name:/v" "$IMAGE" sh -c 'mount -t tmpfs other /v && touch /v/other; sleep 1000'
    wait_for 10 "$ENGINE" exec "$name-4" test -e /v/other
    inside "$name" "ls /v"
    assert_equal "$output" ""
    berth 125 volume export "$name" -o "$FILE_DIR/x.tar"
    assert_contains "$output" "only its containers have mounted"
    # nor does cp put files where no container sees them
    berth create --name "$name-5" -v "$name:/v" "$IMAGE" true
    berth 125 cp "$0" "$name-5:/v/"
    assert_equal "$(ls "$("$ENGINE" volume inspect --format '{{.Mountpoint}}' "$name")")" ""
    berth 125 volume mount "$name"
    berth system check
}

@test "parts of a tmpfs volume, overlays on it, the image's files in it, and :U" {
    is_berth || skip "podman as root would leave a mount"
    berth volume create -o type=tmpfs -o o=size=1m "$name"
    # it begins with the image's files, and with the owner and mode of the directory
    berth run -d --name "$name" -v "$name:/etc" "$IMAGE" sh -c 'mkdir -p /etc/a/b; echo part >/etc/a/b/file; ln -s /bin /etc/out; sleep 1000'
    wait_for 10 "$ENGINE" exec "$name" test -e /etc/out
    berth exec "$name" sh -c 'cat /etc/berth-image; stat -c %a /etc'
    assert_equal "${lines[1]}" 755
    berth run --rm --mount "type=volume,src=$name,dst=/x,subpath=a/b" "$IMAGE" sh -c 'cat /x/file; echo more >/x/more'
    assert_equal "$output" part
    berth 126 run --rm --mount "type=volume,src=$name,dst=/x,subpath=out/sh" "$IMAGE" true
    assert_contains "$output" 'subpath "out/sh"'
    berth run --rm -v "$name:/x:O" "$IMAGE" sh -c 'cat /x/a/b/more; rm -r /x/a; echo lost >/x/lost; ls /x/a 2>&1; :'
    assert_contains "$output" more
    assert_contains "$output" "No such file"
    inside "$name" 'ls /v/lost 2>&1; ls /v/a/b | paste -sd" "'
    assert_contains "$output" "file more"
    not assert_contains "$output" /v/lost$'\n'
    # who has only a part of it keeps the whole for others
    berth run -d --name "$name-2" --mount "type=volume,src=$name,dst=/x,subpath=a" -v "$name:/y:O" "$IMAGE" sleep 1000
    berth stop -t 0 "$name"
    berth volume inspect --format '{{.MountCount}}' "$name"
    assert_equal "$output" 1
    inside "$name" 'cat /v/a/b/file; ls /v/passwd'
    assert_equal "${lines[*]}" "part /v/passwd"
    berth restart -t 0 "$name-2" || true # it is the last one: the part is gone with the rest
    berth rm -f -t 0 "$name" "$name-2"
    # each time it is mounted
    berth run --rm --user 5:6 -v "$name:/etc:U" "$IMAGE" stat -c %u:%g /etc /etc/passwd
    assert_equal "${lines[*]}" "5:6 5:6"
    berth volume create -o type=tmpfs -o nocopy -o o=mode=1777 "$name-2"
    berth run --rm -v "$name-2:/etc" "$IMAGE" sh -c 'ls /etc/passwd 2>/dev/null; stat -c %a /etc'
    assert_equal "$output" 1777
    berth volume rm "$name" "$name-2"
    berth system check
}

@test "two containers that first use a tmpfs volume at once have the same" {
    is_berth || skip "podman as root would leave a mount"
    local i
    berth volume create -o type=tmpfs "$name"
    for i in 1 2 3; do "$ENGINE" run -d --name "$name-$i" -v "$name:/v" "$IMAGE" sh -c "echo $i >/v/$i; sleep 1000" >/dev/null 3>&- & done
    wait
    for i in 1 2 3; do wait_for 10 sh -c "[ \$('$ENGINE' exec $name-$i ls /v | wc -l) = 3 ]"; done
    berth volume inspect --format '{{.MountCount}}' "$name"
    assert_equal "$output" 3
}

@test "a volume that is a directory of the host: the image's files, parts of it, :O and :U" {
    is_berth || skip "podman 4.3 copies, but has no subpath"
    mkdir -p "$FILE_DIR/dev-$name"
    chmod 751 "$FILE_DIR/dev-$name"
    owner=$(stat -c %u:%g "$FILE_DIR/dev-$name")
    berth volume create -o type=none -o o=bind -o "device=$FILE_DIR/dev-$name" "$name"
    berth volume inspect --format '{{.NeedsCopyUp}}' "$name"
    assert_equal "$output" true
    berth run --rm -v "$name:/etc" "$IMAGE" cat /etc/passwd
    assert_contains "$output" root:
    [[ -s $FILE_DIR/dev-$name/passwd ]]
    assert_equal "$(stat -c '%a %u:%g' "$FILE_DIR/dev-$name")" "751 $owner"
    # once only, also where it is empty again
    inside "$name" 'rm -rf /v/* && mkdir -p /v/a/b && echo part >/v/a/b/file'
    berth run --rm -v "$name:/etc" "$IMAGE" sh -c 'ls /etc | grep passwd || echo none'
    assert_equal "$output" none
    berth run --rm --mount "type=volume,src=$name,dst=/x,subpath=a/b" "$IMAGE" cat /x/file
    assert_equal "$output" part
    berth run --rm -v "$name:/x:O" "$IMAGE" sh -c 'cat /x/a/b/file; echo gone >/x/new'
    assert_equal "$output" part
    [[ ! -e $FILE_DIR/dev-$name/new ]]
    berth run --rm --user 5:6 -v "$name:/x:U" "$IMAGE" stat -c %u:%g /x /x/a/b/file
    assert_equal "${lines[*]}" "5:6 5:6"
    # one that has files, and nocopy
    mkdir "$FILE_DIR/dev2-$name"
    berth volume create -o type=none -o o=bind -o nocopy -o "device=$FILE_DIR/dev2-$name" "$name-2"
    berth run --rm -v "$name-2:/etc" "$IMAGE" true
    [[ ! -e $FILE_DIR/dev2-$name/passwd ]]
    echo mine >"$FILE_DIR/dev2-$name/file"
    berth volume create -o type=none -o o=bind -o "device=$FILE_DIR/dev2-$name" "$name-3"
    berth run --rm -v "$name-3:/etc" "$IMAGE" true
    [[ ! -e $FILE_DIR/dev2-$name/passwd ]]
}

@test "volume stats: sizes and inodes, of directories, mounts and limits" {
    is_berth || skip "podman has no volume stats"
    inside "$name" 'dd if=/dev/zero of=/v/big bs=64k count=32 2>/dev/null; ln /v/big /v/hard; mkdir /v/d; ln -s /etc /v/link'
    berth volume stats --no-stream "$name"
    assert_contains "${lines[0]}" "VOLUME NAME"
    assert_contains "${lines[1]}" "$name"
    berth volume stats --no-stream --format json
    read -r size inodes known <<<"$(jq -r '.[0] | "\(.Size) \(.Inodes) \(.Known)"' <<<"$output")"
    [[ $size -ge 2097152 && $size -lt 3000000 ]]
    assert_equal "$inodes $known" "4 true"
    berth volume stats --no-stream --format '{{.Name}} {{.SizePerc}} {{.InodesUsage}}' "$name"
    [[ $output == "$name "*%*" / "* ]]
    # a tmpfs only while a container runs
    berth volume create -o type=tmpfs -o o=size=4m "$name-t"
    berth volume stats --no-stream --format '{{.Known}} {{.SizeUsage}}' "$name-t"
    assert_equal "$output" "false --"
    berth run -d --name "$name" -v "$name-t:/v" "$IMAGE" sh -c 'dd if=/dev/zero of=/v/big bs=1M count=2; touch /v/done; sleep 1000'
    wait_for 10 "$ENGINE" exec "$name" test -e /v/done
    berth volume stats --no-stream --format '{{.Size}} {{.SizeLimit}} {{.Inodes}}' "$name-t"
    assert_equal "$output" "2097152 4194304 3"
    berth 125 volume stats --no-stream "$name-no"
    assert_contains "$output" "no such volume"
    # a stream ends when it is asked to
    timeout -s INT 3 "$ENGINE" volume stats -i 1 --no-reset --format '{{.Name}}' "$name" >"$FILE_DIR/stream" 3>&- || true
    [[ $(grep -c "$name" "$FILE_DIR/stream") -ge 2 ]]
}

@test "volume stats: an event when a volume is nearly full, once, until it is not" {
    is_berth || skip "podman has no volume stats"
    berth 125 volume create --label io.berth.warn-at=soon "$name"
    assert_contains "$output" "io.berth.warn-at=soon: want a share such as 90%"
    berth volume create --label io.berth.warn-at=1M "$name"
    warnings() { "$ENGINE" events --stream=false --filter "volume=$name" --filter event=near_limit --format '{{.Name}}' 3>&- | wc -l; }
    berth volume stats --no-stream --format '{{.NearLimit}}'
    assert_equal "$output $(warnings)" "false 0"
    inside "$name" 'dd if=/dev/zero of=/v/big bs=64k count=32 2>/dev/null'
    for _ in 1 2; do
        berth volume stats --no-stream --format '{{.NearLimit}}'
        assert_equal "$output $(warnings)" "true 1"
    done
    inside "$name" 'rm /v/big'
    berth volume stats --no-stream
    inside "$name" 'dd if=/dev/zero of=/v/big bs=64k count=32 2>/dev/null'
    berth volume stats --no-stream
    assert_equal "$(warnings)" 2
    # a share of what a tmpfs has
    berth volume create --label io.berth.warn-at=50% -o type=tmpfs -o size=1m "$name-t"
    berth run -d --name "$name" -v "$name-t:/v" "$IMAGE" sh -c 'dd if=/dev/zero of=/v/big bs=64k count=10; touch /v/done; sleep 1000'
    wait_for 10 "$ENGINE" exec "$name" test -e /v/done
    berth volume stats --no-stream --format '{{.NearLimit}}' "$name-t"
    assert_equal "$output" true
    berth system check
}

@test "volume stats of a volume whose container exchanges directories for links: the host's files do not count" {
    is_berth || skip "podman has no volume stats"
    mkdir "$FILE_DIR/host-$name"
    chmod 755 "$FILE_DIR/host-$name"
    dd if=/dev/zero of="$FILE_DIR/host-$name/big" bs=1M count=40 2>/dev/null
    berth volume create "$name"
    berth run -d --name "$name" -v "$name:/v" "$IMAGE" \
        sh -c "mkdir -p /v/d/e; while :; do mv /v/d /v/m; ln -s $FILE_DIR/host-$name /v/d; rm /v/d; mv /v/m /v/d; done"
    for _ in {1..20}; do
        berth volume stats --no-stream --format '{{.Size}}' "$name"
        [[ $output -lt 1000000 ]]
    done
    berth rm -f -t 0 "$name"
}

@test "a volume of the driver image has the image's files, and keeps what is written to it" {
    podman5_or_skip
    berth volume create --driver image --opt "image=$IMAGE" "$name"
    berth run --rm -v "$name:/v" "$IMAGE" sh -c 'stat -c "%u:%g %a" /v/bin/busybox /v/etc/passwd /v/tmp; cmp /v/bin/busybox /bin/busybox && echo same; echo new >/v/etc/new'
    want=$output
    berth run --rm "$IMAGE" sh -c 'stat -c "%u:%g %a" /bin/busybox /etc/passwd /tmp; echo same'
    assert_equal "$want" "$output"
    berth run --rm -v "$name:/v" "$IMAGE" cat /v/etc/new
    assert_equal "$output" new
    berth volume inspect --format '{{.Driver}} {{.Options.image}}' "$name"
    assert_equal "$output" "image $IMAGE"
    berth volume ls -q --filter driver=image
    assert_equal "$output" "$name"
    is_berth || return 0
    # parts of it, :O, and the image may go
    berth run --rm --mount "type=volume,src=$name,dst=/x,subpath=etc" "$IMAGE" cat /x/new
    assert_equal "$output" new
    berth run --rm -v "$name:/x:O" "$IMAGE" sh -c 'rm /x/etc/new; ls /x/etc/new 2>/dev/null || echo gone'
    assert_equal "$output" gone
    berth volume export -o "$FILE_DIR/$name.tar" "$name"
    assert_contains "$(tar -tf "$FILE_DIR/$name.tar")" etc/new
    berth volume create -d image -o image=localhost/none "$name-2" && return 1
    assert_contains "$output" "looking up image localhost/none to create volume failed"
    berth 125 volume create -d image "$name-2"
    assert_contains "$output" "must provide an image name when creating a volume with the image driver"
    berth 125 volume create -d image -o type=tmpfs -o "image=$IMAGE" "$name-2"
    assert_contains "$output" "invalid mount option type for driver 'image'"
    berth 1 volume exists "$name-2"
    berth volume rm "$name"
    berth system check
}

@test "a volume of the driver image has what every layer of the image says" {
    podman5_or_skip
    mkdir "$FILE_DIR/$name"
    printf 'FROM %s\nRUN echo one >/one && echo two >/two\nRUN rm /two && echo three >/one\n' "$IMAGE" >"$FILE_DIR/$name/Containerfile"
    for build in --layers=true --layers=false; do
        berth build -q $build -t "localhost/$name" "$FILE_DIR/$name"
        berth volume create --driver image --opt "image=localhost/$name" "$name"
        berth run --rm -v "$name:/v" "$IMAGE" sh -c 'cat /v/one; ls /v/two 2>/dev/null || echo gone'
        assert_equal "$output" $'three\ngone'
        berth volume rm "$name"
    done
}

@test "a volume of the driver image whose making is killed is not there, and is made again" {
    is_berth || skip "it is Berth's way to make it"
    for wait in 0.02 0.05 0.1 0.2; do
        timeout -s KILL "$wait" "$ENGINE" volume create -d image -o "image=$IMAGE" "$name" >/dev/null 2>&1 3>&- || true
        berth volume create --ignore -d image -o "image=$IMAGE" "$name"
        berth run --rm -v "$name:/v" "$IMAGE" cmp /v/bin/busybox /bin/busybox
        berth volume rm "$name"
    done
    berth system check
}

@test "nothing of a tmpfs volume is left when it is removed" {
    is_berth || skip "it is Berth's directory"
    berth volume create -o type=tmpfs "$name"
    inside "$name" true
    berth volume rename "$name" "$name-2"
    inside "$name-2" true
    berth volume rm "$name-2"
    assert_equal "$(find "$RUNROOT/berth/volumes" -name "$name*")" ""
}

@test "a volume whose mount hangs: another container with it is told whom it waits for, one without it starts" {
    is_berth || skip "it is Berth's way to mount"
    mkdir "$FILE_DIR/bin-$name"
    mkfifo "$FILE_DIR/bin-$name/go"
    printf '#!/bin/sh\nread x <%s\nexit 32\n' "$FILE_DIR/bin-$name/go" >"$FILE_DIR/bin-$name/mount"
    chmod +x "$FILE_DIR/bin-$name/mount"
    berth volume create -o type=nfs -o device=host:/path "$name"
    for n in 1 2; do PATH=$FILE_DIR/bin-$name:$PATH "$ENGINE" create --name "$name-$n" -v "$name:/v" "$IMAGE" true 3>&-; done
    "$ENGINE" start "$name-1" >"$FILE_DIR/first" 2>&1 3>&- &
    first=$!
    wait_for 10 test -e "$RUNROOT/berth/volumes/$name/.starting"
    berth 125 start "$name-2"
    assert_contains "$output" "volume $name"
    assert_contains "$output" "container \"$name-1\" has been mounting it"
    berth run --rm "$IMAGE" true
    echo >"$FILE_DIR/bin-$name/go"
    not wait "$first"
    cat "$FILE_DIR/first"
    assert_contains "$(cat "$FILE_DIR/first")" "mount -t nfs -- host:/path"
    berth rm -f "$name-1" "$name-2"
    berth system check
}

@test "a volume that cannot be mounted: the container does not start, and says why" {
    is_berth || skip "podman says it otherwise"
    berth volume create -o type=nosuchfs -o device=x "$name"
    berth 126 run --rm -v "$name:/v" "$IMAGE" true
    assert_contains "$output" "mount volume $name"
    assert_contains "$output" "nosuchfs"
    berth volume rm "$name"
    is_rootless || return 0
    berth volume create -o type=ext4 -o device=/dev/loop0 "$name"
    berth 126 run --rm -v "$name:/v" "$IMAGE" true
    assert_contains "$output" "Hint: the kernel lets an ordinary user mount"
    berth system check
}
