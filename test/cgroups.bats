#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# only: root
# Cgroups v2 that an engine gets only in part: a CI container, another engine's container, a user without a systemd
# session. A cgroup of the unified hierarchy that no controller is handed to stands in.
load helpers

setup_file() {
    store_setup
    cat >"$FILE_DIR/v2" <<'S'
#!/bin/bash
# v2 [ro] [user] CMD...: runs CMD where /sys/fs/cgroup is cgroups v2 without the pids controller.
set -e
cgroup=/mnt/${FILE_DIR##*/}
case $1 in
inside)
    # A cgroup that no controller is handed to becomes the root, for these processes alone.
    mount -t cgroup2 none /mnt
    mkdir -p "$cgroup"
    echo $$ >"$cgroup/cgroup.procs"
    umount /mnt
    exec unshare --cgroup "$0" within "${@:2}"
    ;;
within) shift ;;
*) exec unshare --mount --propagation private "$0" inside "$@" ;;
esac
umount -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
if [ "$1" = ro ]; then shift; mount -o remount,bind,ro /sys/fs/cgroup; fi
if [ "$1" = user ]; then # one delegated to the unprivileged user
    shift
    mkdir -p /sys/fs/cgroup/berth-user/own
    chown "$BERTH_TEST_USER" /sys/fs/cgroup/berth-user{,/own}{,/cgroup.procs,/cgroup.subtree_control,/cgroup.threads}
    echo $$ >/sys/fs/cgroup/berth-user/own/cgroup.procs
    exec setpriv --reuid="$BERTH_TEST_USER" --regid="$BERTH_TEST_USER" --init-groups "$@"
fi
exec "$@"
S
    chmod +x "$FILE_DIR/v2"
    mkdir -m 777 "$FILE_DIR/user"
    chmod 755 "$FILE_DIR"
}

teardown_file() {
    unshare --mount --propagation private bash -c 'mount -t cgroup2 none /mnt && if [ -d "/mnt/$1" ]; then find "/mnt/$1" -depth -type d -exec rmdir {} +; fi' bash "${FILE_DIR##*/}"
    store_teardown
}

# on_v2 [ro] [user] [CODE] RUNTIME ARG...: `berth --runtime RUNTIME run --rm --network none ARG...` there.
on_v2() {
    local where=() want=0 env=()
    while [[ $1 == ro || $1 == user ]]; do where+=("$1"); shift; done
    if [[ $1 =~ ^[0-9]+$ ]]; then want=$1; shift; fi
    if [[ ${where[*]} == *user* ]]; then
        env=(env -i "PATH=$PATH" "BERTH_TEST_USER=$BERTH_TEST_USER" "HOME=$FILE_DIR/user" "XDG_RUNTIME_DIR=$FILE_DIR/user/run" "CONTAINERS_CONF=$CONTAINERS_CONF" "FILE_DIR=$FILE_DIR")
    fi
    status=0
    output=$("${env[@]}" timeout -k 5 120 "$FILE_DIR/v2" "${where[@]}" "$ENGINE" --runtime "$1" run --rm --network none "${@:2}" 2>&1 3>&- </dev/null) || status=$?
    echo "$ (v2 ${where[*]}) berth --runtime $1 run ${*:2}"; echo "$output"; echo "exit code $status, want $want"
    [[ $status -eq $want ]]
}

# user_store: the image in a store of the unprivileged user's own.
user_store() {
    [[ ! -d $FILE_DIR/user/run ]] || return 0
    as_user mkdir -m 700 "$FILE_DIR/user/run"
    cp "$FIXTURES/busybox.tar" "$FILE_DIR/user/busybox.tar"
    chmod a+r "$FILE_DIR/user/busybox.tar"
    as_user "$ENGINE" load -q -i "$FILE_DIR/user/busybox.tar"
}
as_user() {
    env -i "PATH=$PATH" HOME="$FILE_DIR/user" XDG_RUNTIME_DIR="$FILE_DIR/user/run" \
        setpriv --reuid="$BERTH_TEST_USER" --regid="$BERTH_TEST_USER" --init-groups "$@" 3>&-
}

# Root's crun 1.8 needs CAP_SYS_RESOURCE for its device filter on v2, which root of a small machine may lack.
root_runtimes() {
    if [[ $(ulimit -H -l) == unlimited ]] || prlimit --memlock=unlimited true 2>/dev/null; then echo crun runc; else echo runc; fi
}

@test "root without the pids controller: the default limit is dropped, one that was asked for is an error" {
    local runtime flag
    for runtime in $(root_runtimes); do
        on_v2 "$runtime" $IMAGE echo ran
        assert_equal "$output" ran
        printf '[containers]\npids_limit = 77\n' >"$CONTAINERS_CONF"
        on_v2 "$runtime" $IMAGE echo ran
        assert_equal "$output" ran
        : >"$CONTAINERS_CONF"
        for flag in --pids-limit=50 --memory=100m --cpus=1 --cpu-shares=100 --cpuset-cpus=0; do
            on_v2 125 "$runtime" "$flag" $IMAGE true
            assert_contains "$output" "not delegated"
            assert_contains "$output" "Hint:"
        done
    done
}

@test "an unprivileged user with a delegated cgroup without the pids controller" {
    local runtime
    user_store
    for runtime in crun runc; do
        on_v2 user "$runtime" $IMAGE echo ran
        assert_equal "$output" ran
        on_v2 user 125 "$runtime" --pids-limit 50 $IMAGE true
        assert_contains "$output" "limit pids"
    done
}

@test "a read-only hierarchy: containers run without a cgroup, and a limit is ignored with a warning that says why" {
    local runtime
    for runtime in crun runc; do
        on_v2 ro "$runtime" $IMAGE echo ran
        assert_equal "$output" ran
        on_v2 ro "$runtime" --memory 100m $IMAGE echo ran
        assert_contains "$output" "read-only"
        assert_contains "$output" ran
    done
}

@test "cgroups v1 without the pids hierarchy: the default is dropped, one that was asked for is ignored with a warning" {
    [[ $(stat -f -c %T /sys/fs/cgroup) != cgroup2fs ]] || skip "this host has cgroups v2 alone"
    # A tree of its own: whoever removes the mount point in the host's takes the mount from every namespace.
    cat >"$FILE_DIR/v1" <<'S'
#!/bin/bash
set -e
[ "$1" = inside ] || exec unshare --mount --propagation private "$0" inside "$@"
shift
tree=$(mktemp -d)
mount -t tmpfs tmpfs "$tree"
for h in /sys/fs/cgroup/*; do
    [ "${h##*/}" != pids ] || continue
    mkdir "$tree/${h##*/}"
    mount --bind "$h" "$tree/${h##*/}"
done
umount -l /sys/fs/cgroup
mount --move "$tree" /sys/fs/cgroup
rmdir "$tree"
exec "$@"
S
    chmod +x "$FILE_DIR/v1"
    local runtime
    for runtime in crun runc; do
        run "$FILE_DIR/v1" "$ENGINE" --runtime $runtime run --rm --network none $IMAGE echo ran 3>&-
        assert_equal "$output" ran
        run "$FILE_DIR/v1" "$ENGINE" --runtime $runtime run --rm --network none --pids-limit 9 $IMAGE echo ran 3>&-
        assert_contains "$output" "limit on pids"
        assert_contains "$output" ran
    done
}
