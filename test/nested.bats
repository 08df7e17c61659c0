#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Berth in a Berth container, as in CI containers and Kubernetes pods: what each rung of docs/nested.md has works, and what
# it lacks is named in one line. The inner engine and its helpers are the host's, bound read-only over an image of busybox.
load helpers

setup_file() {
    store_setup
    mkdir "$FILE_DIR/bin" "$FILE_DIR/fix"
    cp -r "$HELPERS_DIR"/../bin/* "$FILE_DIR/bin/"
    cp "$FIXTURES/busybox.tar" "$FILE_DIR/fix/"
    chmod -R a+rX "$FILE_DIR/bin" "$FILE_DIR/fix"
    grep -v '^me:' /etc/passwd >"$FILE_DIR/passwd"
    echo 'me:x:1234:1234::/tmp/me:/bin/sh' >>"$FILE_DIR/passwd"
    chmod a+r "$FILE_DIR/passwd"
}

# The store in memory: an overlay on the outer container's own root file system cannot be.
# shellcheck disable=SC2054 # commas of one option
STORE=(--tmpfs /var/lib/containers:rw,exec,suid,dev --tmpfs /tmp:rw,exec,suid,dev,mode=1777)

# outer FLAG... -- SCRIPT: runs SCRIPT in a container with FLAGs; its image is loaded into the inner store.
outer() {
    local flags=()
    while [[ $1 != -- ]]; do flags+=("$1"); shift; done
    berth run --rm --network none -v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro -v /sbin:/sbin:ro -v "$FILE_DIR/bin:/berth:ro" \
        -v "$FILE_DIR/fix:/fix:ro" -v "$FILE_DIR/passwd:/etc/passwd:ro" --tmpfs /run:rw,exec,mode=1777 \
        -e PATH=/berth:/usr/bin:/usr/sbin:/bin -e HOME=/tmp/me "${flags[@]}" $IMAGE \
        sh -c "mkdir -p /tmp/me; berth load -q -i /fix/busybox.tar >/dev/null 2>&1 || berth load -i /fix/busybox.tar; $2"
}

INNER='berth run --rm --network none localhost/busybox:latest'

@test "rungs: root and user, with and without capabilities, groups, setuid programs, cgroups" {
    local rung
    while IFS= read -r rung; do
        # shellcheck disable=SC2086
        outer "${STORE[@]}" $rung -- "$INNER sh -c 'echo inner \$(id -u)'"
        [[ ${lines[-1]} == "inner 0" ]] || { echo "rung $rung"; return 1; }
    done <<'R'
--privileged
--security-opt unmask=ALL
--security-opt unmask=ALL --security-opt no-new-privileges
--security-opt unmask=ALL --cap-drop ALL --cap-add SETFCAP --cap-add SYS_CHROOT
--security-opt unmask=ALL --cap-add SYS_ADMIN
--security-opt unmask=ALL --user 1234
--security-opt unmask=ALL --user 1234:1234
--security-opt unmask=ALL --user 1234 --security-opt no-new-privileges
--security-opt unmask=ALL --read-only
R
}

@test "life: run -d, exec, logs, stop, ps, build, commands that change nothing do not need the namespace" {
    outer "${STORE[@]}" --security-opt unmask=ALL -- "
        berth run -d --name c --network none localhost/busybox:latest sh -c 'echo said; exec sleep 100' >/dev/null
        berth exec c cat /etc/berth-image; berth logs c; berth ps --format '{{.Names}} {{.State}}'
        berth stop -t 0 c; berth rm c
        printf 'FROM localhost/busybox:latest\nRUN echo built >/out\n' >/tmp/Containerfile
        berth build -q --network none -t b /tmp >/dev/null; berth run --rm --network none b cat /out"
    assert_equal "$output" $'busybox\nsaid\nc running\nc\nc\nbuilt'
}

@test "a single ID: an image whose files belong to one user works, and a warning says why others may not" {
    outer "${STORE[@]}" --security-opt unmask=ALL --user 1234 -- "$INNER cat /etc/berth-image"
    assert_contains "$output" "no subordinate IDs"
    assert_equal "${lines[-1]}" busybox
}

@test "no /dev/net/tun: the default network says what to allow; with the device it works" {
    outer "${STORE[@]}" --security-opt unmask=ALL -- "berth run --rm localhost/busybox:latest true; echo code \$?"
    assert_contains "$output" "--device /dev/net/tun"
    assert_contains "$output" "code 125"
    outer "${STORE[@]}" --security-opt unmask=ALL --device /dev/net/tun -- "berth run --rm localhost/busybox:latest ip -o addr"
    assert_contains "$output" eth0
}

@test "no /dev/fuse, and the store on the container's own root: vfs" {
    outer --tmpfs /tmp/me:rw,mode=1777 --security-opt unmask=ALL -- "$INNER cat /etc/berth-image; berth info --format '{{.Store.GraphDriverName}}'"
    assert_equal "$output" $'busybox\nvfs'
}

@test "root without any capability: the hint says which one to allow" {
    outer "${STORE[@]}" --security-opt unmask=ALL --cap-drop ALL -- "$INNER true; echo code \$?"
    assert_contains "$output" "--cap-add SETFCAP"
    assert_contains "$output" "code 125"
}

@test "a masked /proc: the hint says what the engine outside has to allow" {
    outer "${STORE[@]}" -- "$INNER true; echo code \$?"
    assert_contains "$output" "--security-opt unmask=ALL"
    assert_contains "$output" "code 126"
}

@test "a seccomp profile without user namespaces: the hint says what to allow" {
    printf '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["unshare"],"action":"SCMP_ACT_ERRNO"}]}' >"$FILE_DIR/nouser.json"
    outer "${STORE[@]}" --security-opt unmask=ALL --security-opt "seccomp=$FILE_DIR/nouser.json" -- "$INNER true; echo code \$?"
    assert_contains "$output" "make a user namespace"
    assert_contains "$output" "seccomp=unconfined"
}

@test "limits where the inner engine has no cgroup: a default is dropped, one that was asked for is told" {
    outer "${STORE[@]}" --security-opt unmask=ALL -- "$INNER echo ran"
    assert_equal "$output" ran
    outer "${STORE[@]}" --security-opt unmask=ALL -- "berth run --rm --network none --memory 64m localhost/busybox:latest echo ran || true"
    [[ $output == *"limit"* ]]
}
