#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `container checkpoint` and `restore`, where an OCI runtime and a CRIU play theirs: the processes begin anew. That they go on where they were is
# tested with the real ones in test/vm/checkpoint.sh: Debian's CRIU does not know every kernel.
load helpers

setup_file() {
    store_setup
    mkdir "$FILE_DIR/bin"
    export PATH=$FILE_DIR/bin:$PATH FAKE=$FILE_DIR/bin/fake
    fake_criu 3.17.1 0
    # The runtime: crun but for the two verbs, and with what crun --version says where it has CRIU.
    cat >"$FAKE" <<'F'
#!/bin/bash
FILE_DIR=DIR said=DIR/said
for w in "$@"; do case $w in checkpoint | restore | --version) verb=$w; break;; esac; done
id=${!#}
at() { local a; for a in "${words[@]}"; do [[ $before != "$1" ]] || { echo "$a"; return; }; before=$a; done; }
words=("$@")
case ${verb:-} in
--version) crun --version; echo "+CRIU" ;;
checkpoint)
    echo "$*" >>"$said"
    work=$(at --work-path) images=$(at --image-path)
    [[ ! -e $FILE_DIR/refuse ]] || {
        echo "(00.1) Error (criu/x.c:1): no such thing" >"$work/dump.log"
        echo "criu failed" >"$(at --log)"; exit 1
    }
    echo image >"$images/inventory.img"; echo "(00.1) Dumping finished successfully" >"$work/dump.log"
    [[ $* != *--parent-path* ]] || ln -s "$(at --parent-path)" "$images/parent"
    [[ $* == *--leave-running* || $* == *--pre-dump* ]] && exit 0
    exec crun --root "$(at --root)" kill --all "$id" KILL ;;
restore)
    echo "$*" >>"$said"
    [[ -s $(at --image-path)/inventory.img ]] || exit 1
    args=() skip=
    for w in "$@"; do
        case $w in
        restore) args+=(run) ;;
        --image-path | --work-path) skip=1 ;;
        --tcp-established | --tcp-close | --file-locks) ;;
        *) [[ -n $skip ]] || args+=("$w"); skip= ;;
        esac
    done
    exec crun "${args[@]}" ;;
*) exec crun "$@" ;;
esac
F
    sed -i "s|DIR=DIR said=DIR|DIR=$FILE_DIR said=$FILE_DIR|" "$FAKE" # the monitor's environment is its own
    chmod 755 "$FAKE"
    printf '[engine.runtimes]\nfake = ["%s"]\n' "$FAKE" >>"$CONTAINERS_CONF"
}

# fake_criu VERSION CHECK: CHECK is the exit code of criu check.
fake_criu() {
    printf '#!/bin/sh\ncase $1 in --version) echo "Version: %s";; check) [ %d = 0 ] || { echo "Error: vdso"; exit 1; };; esac\n' "$1" "$2" >"$FILE_DIR/bin/criu"
    chmod 755 "$FILE_DIR/bin/criu"
}

setup() { test_setup; rm -f "$FILE_DIR/said" "$FILE_DIR/refuse"; }
said() { tail -n 1 "$FILE_DIR/said"; }
as_root() { ! is_rootless || skip "root alone can checkpoint"; }
# made FLAG...: a container with a file that its image does not have, and without one that that has.
made() {
    berth --runtime fake run -d --name "$name" --network none "$@" "$IMAGE" sh -c 'test -e /changed || { echo mine >/changed; rm -f /etc/group; }; echo begun; exec sleep 1000'
    id=$output
    wait_for 10 begun
}
begun() { "$ENGINE" logs "$name" 2>/dev/null 3>&- | grep -q begun; }
inspected() { berth inspect --format "{{.State.Status}} {{.State.Checkpointed}} {{.State.Restored}}" "$1"; assert_equal "$output" "$2"; }

@test "checkpoint and restore are root's" {
    is_rootless || skip "for an ordinary user"
    berth 125 container checkpoint -l
    assert_contains "$output" "checkpointing a container requires root"
    berth 125 container restore -l
    assert_contains "$output" "restoring a container requires root"
}

@test "what is missing on the host is named" {
    as_root
    made
    fake_criu 3.10 0
    berth 125 container checkpoint "$name"
    assert_contains "$output" "checkpoint/restore requires at least CRIU 31100, current version is 31000"
    fake_criu 3.17.1 1
    berth 125 container checkpoint "$name"
    assert_contains "$output" "criu check: exit status 1: Error: vdso"
    mv "$FILE_DIR/bin/criu" "$FILE_DIR/bin/no-criu"
    if ! type -P criu; then
        berth 125 container checkpoint "$name"
        assert_contains "$output" "executable file not found in \$PATH"
        assert_contains "$output" "apt-get install criu"
    fi
    fake_criu 3.17.1 0
    inspected "$name" "running false false"
    berth --runtime crun run -d --name "$name-crun" --network none "$IMAGE" sleep 1000
    if ! crun --version | grep -q +CRIU; then
        berth 125 container checkpoint "$name-crun"
        assert_contains "$output" "configured runtime does not support checkpoint/restore"
        assert_contains "$output" "--runtime runc"
    fi
}

@test "a checkpoint ends the container, and a restore starts it" {
    as_root
    made
    berth container checkpoint --tcp-established --file-locks "$name"
    assert_equal "$output" "$name"
    assert_contains "$(said)" "--tcp-established --file-locks $id"
    inspected "$name" "exited true false"
    berth inspect --format '{{.State.CheckpointPath}} {{.State.CheckpointLog}}.' "$name"
    assert_contains "$output" "/bundle/checkpoint ."
    berth 125 container checkpoint "$name"
    assert_contains "$output" 'is not running, cannot checkpoint: container state improper'
    berth ps -a --format '{{.Status}}' --filter name="$name"
    assert_contains "$output" Exited
    berth container restore --tcp-established --file-locks "$name"
    assert_equal "$output" "$name"
    assert_contains "$(said)" "--tcp-established --file-locks"
    inspected "$name" "running false true"
    berth 125 container restore "$name"
    assert_contains "$output" "container $id is running or paused, cannot restore: container state improper"
    berth events --stream=false --since 10m --filter container="$name" --format '{{.Status}}'
    assert_contains "$(paste -sd' ' <<<"$output")" "checkpoint died restore"
    berth stop -t 0 "$name"
    berth 125 container restore "$name"
    assert_contains "$output" "a complete checkpoint for this container cannot be found, cannot restore"
}

@test "a start of a checkpointed container is from the beginning; neither a policy nor the boot restarts it" {
    as_root
    made --restart always
    berth container checkpoint --keep "$name"
    inspected "$name" "exited true false"
    sleep 0.5
    inspected "$name" "exited true false"
    berth inspect --format '{{.State.CheckpointLog}}' "$name"
    [[ -s $output ]]
    berth start "$name"
    inspected "$name" "running false false"
}

@test "a checkpoint that fails leaves the container as it was, and says what CRIU says" {
    as_root
    made
    : >"$FILE_DIR/refuse"
    berth 125 container checkpoint "$name"
    assert_contains "$output" "checkpoint: criu failed: CRIU says: no such thing"
    inspected "$name" "running false false"
    berth exec "$name" true
}

@test "--leave-running, --pre-checkpoint and --with-previous" {
    as_root
    made
    berth container checkpoint -R "$name"
    assert_contains "$(said)" "--leave-running"
    inspected "$name" "running false false"
    berth 125 container checkpoint --with-previous "$name"
    assert_contains "$output" "there is no pre-checkpoint of it"
    berth container checkpoint -P "$name"
    assert_contains "$(said)" "--pre-dump"
    inspected "$name" "running false false"
    berth container checkpoint --with-previous --print-stats "$name"
    assert_contains "$(said)" "--parent-path ../pre-checkpoint"
    [[ $(jq -r '.container_statistics[0].Id' <<<"$output") == "$id" ]]
    jq -e '.podman_checkpoint_duration > 0 and .container_statistics[0].runtime_checkpoint_duration > 0' <<<"$output"
    berth container restore --keep --print-stats "$name"
    jq -e '.podman_restore_duration > 0 and .container_statistics[0].runtime_restore_duration > 0' <<<"$output"
    berth stop -t 0 "$name"
    berth container restore -l
    inspected "$name" "running false true"
}

@test "an archive has podman's files; what is made of it has the container's files, volumes, name and ID" {
    as_root
    made -v "$name-v:/data" -v /anon -e A=b -l x=y --hostname here
    berth exec "$name" sh -c 'echo data >/data/f; echo anon >/anon/f; echo x >/extra'
    for how in gzip none zstd; do
        berth container checkpoint -R --compress "$how" --export "$FILE_DIR/$how" "$name"
    done
    [[ $(head -c 2 "$FILE_DIR/gzip" | od -An -tx1) == " 1f 8b" && $(stat -c %a "$FILE_DIR/none") == 600 ]]
    [[ $(head -c 4 "$FILE_DIR/zstd" | od -An -tx1) == " 28 b5 2f fd" ]]
    run tar -tf "$FILE_DIR/none"
    for f in config.dump spec.dump network.status dump.log checkpoint/inventory.img rootfs-diff.tar deleted.files "volumes/$name-v.tar"; do
        assert_contains "$output" "$f"
    done
    run tar -xOf "$FILE_DIR/none" deleted.files
    assert_equal "$output" '["/etc/group"]'
    berth 125 container restore -i "$FILE_DIR/gzip"
    assert_contains "$output" "is there already"
    berth rm -f -t 0 "$name"
    berth 125 container restore -i "$FILE_DIR/gzip"
    assert_contains "$output" "volume with name $name-v already exists. Use --ignore-volumes to not restore content of volumes"
    berth volume rm "$name-v"
    berth container restore -i "$FILE_DIR/gzip"
    assert_equal "$output" "$id"
    inspected "$name" "running false true"
    berth exec "$name" sh -c 'cat /changed /extra /data/f /anon/f; test ! -e /etc/group && echo $A; hostname'
    assert_equal "$(paste -sd' ' <<<"$output")" "mine x data anon b here"
    berth inspect --format '{{.Config.Labels.x}} {{.ImageName}}' "$name"
    assert_equal "$output" "y $IMAGE"
    berth container restore -i "$FILE_DIR/zstd" --name "$name-2" --ignore-rootfs --ignore-volumes
    not assert_equal "$output" "$id"
    berth exec "$name-2" sh -c 'cat /data/f; test -e /extra || test -e /anon/f || echo bare'
    assert_equal "$(paste -sd' ' <<<"$output")" "data bare"
    berth rm -f -t 0 "$name" "$name-2"
    berth volume rm "$name-v"
}

@test "an archive brings no runtime along but one that this host knows" {
    as_root
    berth --runtime "$FAKE" run -d --name "$name" --network none "$IMAGE" sleep 1000
    berth container checkpoint -e "$FILE_DIR/path" "$name"
    berth rm "$name"
    berth 125 container restore -i "$FILE_DIR/path"
    assert_contains "$output" "its OCI runtime \"$FAKE\" is none that containers.conf names"
    assert_contains "$output" "Hint: if you trust it, name it with --runtime"
    berth --runtime "$FAKE" container restore -i "$FILE_DIR/path"
    inspected "$name" "running false true"
}

@test "a --rm container is exported, removed, and comes back as one" {
    as_root
    made --rm
    berth 125 container checkpoint "$name"
    assert_contains "$output" "cannot checkpoint containers that have been started with '--rm' unless '--export' is used"
    berth container checkpoint -e "$FILE_DIR/rm" "$name"
    wait_for 10 not "$ENGINE" container exists "$name"
    berth container restore -i "$FILE_DIR/rm"
    berth exec "$name" cat /changed
    assert_equal "$output" mine
    berth stop -t 0 "$name"
    wait_for 10 not "$ENGINE" container exists "$name"
}

@test "an image of a checkpoint" {
    as_root
    made
    berth container checkpoint --create-image "$name-image" "$name"
    berth image inspect --format '{{index .Annotations "io.podman.annotations.checkpoint.name"}}' "$name-image"
    assert_equal "$output" "$name"
    berth 125 container restore "$IMAGE"
    assert_contains "$output" "it has no checkpoint of a container"
    berth 125 container restore -n x "$name"
    assert_contains "$output" "--name can only be used with image or --import"
    berth rm "$name"
    berth container restore "$name-image"
    assert_equal "$output" "$name-image"
    inspected "$name" "running false true"
    berth exec "$name" cat /changed
    assert_equal "$output" mine
    berth 125 container restore "$name-none"
    assert_contains "$output" "no such container or image: $name-none"
    berth rm -f -t 0 "$name"
    berth rmi "$name-image"
}

@test "an archive that is hostile, or another engine's, is refused, and nothing is left" {
    as_root
    made
    berth container checkpoint -c none -e "$FILE_DIR/good" "$name"
    berth rm "$name"
    mkdir "$FILE_DIR/x"
    python3 - "$FILE_DIR" <<'P'
import io, json, sys, tarfile
dir = sys.argv[1]
def copy(name, change=lambda m, data: data, more=()):
    with tarfile.open(dir + "/good") as old, tarfile.open(dir + "/" + name, "w") as new:
        for m in old:
            data = change(m, old.extractfile(m).read() if m.isreg() else b"")
            if data is None: continue
            m.size = len(data)
            new.addfile(m, io.BytesIO(data))
        for m, data in more: new.addfile(m, io.BytesIO(data))
def entry(name, data=b"", link=None):
    m = tarfile.TarInfo(name); m.size = len(data)
    if link: m.type, m.linkname = tarfile.SYMTYPE, link
    return m, data
def config(change):
    def f(m, data):
        if m.name != "config.dump": return data
        c = json.loads(data); change(c); return json.dumps(c).encode()
    return f
rootfs = io.BytesIO()
with tarfile.open(fileobj=rootfs, mode="w") as t:
    t.addfile(*[(m, io.BytesIO(d)) for m, d in [entry("out", link=dir + "/x")]][0])
    t.addfile(*[(m, io.BytesIO(d)) for m, d in [entry("out/escaped", b"gotcha")]][0])
    t.addfile(*[(m, io.BytesIO(d)) for m, d in [entry("../../../../../../../../.." + dir + "/x/escaped2", b"gotcha")]][0])
copy("escape", lambda m, d: rootfs.getvalue() if m.name == "rootfs-diff.tar" else json.dumps(["/../../../../../../../.." + dir + "/good"]).encode() if m.name == "deleted.files" else d)
above = io.BytesIO()
with tarfile.open(fileobj=above, mode="w") as t:
    m, d = entry("../../../../../../../../.." + dir + "/x/escaped2", b"gotcha")
    t.addfile(m, io.BytesIO(d))
copy("above", lambda m, d: above.getvalue() if m.name == "rootfs-diff.tar" else json.dumps(["/../../../../../../../.." + dir + "/good"]).encode() if m.name == "deleted.files" else d)
copy("names", more=[entry("checkpoint/../../../../x/escaped", b"gotcha"), entry("/" + dir + "/x/escaped3", b"gotcha")])
copy("link", more=[entry("checkpoint/log", link="/etc/passwd")])
copy("parent", more=[entry("checkpoint/parent", link="/etc")])
copy("twice", more=[entry("checkpoint/inventory.img", b"gotcha")])
copy("id", config(lambda c: c.update(id="../../x")))
copy("podman", config(lambda c: c.pop("berth")))
copy("flags", config(lambda c: c["berth"]["request"].update(Network=["nonsense"])))
copy("bind", config(lambda c: c["berth"]["request"].update(Volumes=["/nowhere-at-all:/x"])))
copy("volume", config(lambda c: c["berth"].update(volumes=[{"name": "../x", "destination": "/x"}])))
copy("none", lambda m, d: None if m.name == "config.dump" else d)
copy("incomplete", lambda m, d: None if m.name == "checkpoint/inventory.img" else d)
P
    head -c 3000 "$FILE_DIR/good" >"$FILE_DIR/cut"
    head -c 100000 /dev/urandom >"$FILE_DIR/noise"
    for bad in "link is a link" "parent is a link" "twice file exists" "id is none" "podman another engine has made it" "flags network" "bind /nowhere-at-all" "volume a name that is none" \
        "none it is no checkpoint of a container" "incomplete a complete checkpoint for this container cannot be found" "cut unexpected EOF" "noise restore from"; do
        berth 125 container restore -i "$FILE_DIR/${bad%% *}"
        assert_contains "$output" "${bad#* }"
        not "$ENGINE" container exists "$name" 3>&-
    done
    berth 125 container restore -i "$FILE_DIR/escape"
    assert_contains "$output" 'open directory "out"'
    berth container restore -i "$FILE_DIR/above"
    berth rm -f -t 0 "$name"
    berth container restore -i "$FILE_DIR/names"
    berth rm -f -t 0 "$name"
    [[ -z $(ls -A "$FILE_DIR/x") && -s $FILE_DIR/good ]]
    berth system check
}

@test "a container that can be checkpointed is adopted with its output when its monitor is killed" {
    as_root
    berth --runtime fake run -d -i --name "$name" --network none "$IMAGE" sh -c 'i=0; while :; do i=$((i+1)); echo "line $i"; sleep 0.1; done'
    berth inspect --format '{{.State.ConmonPid}}' "$name"
    kill -KILL "$output"
    sleep 0.5
    berth exec "$name" true
    local n
    n=$("$ENGINE" logs "$name" 3>&- | wc -l)
    more() { [[ $("$ENGINE" logs "$name" 3>&- | wc -l) -gt $((n + 5)) ]]; }
    wait_for 10 more
    "$ENGINE" logs "$name" 3>&- | awk '{ if ($2 != NR) { print "lost before " $2; exit 1 } }'
    berth container checkpoint "$name"
    berth container restore "$name"
}
