#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# only: root
# Root in places where the host's file system looks different.
load ../helpers

@test "in a chroot, Berth finds its programs, and the monitor finds Berth" {
    # in_chroot ARG...: Berth in a root with the host's directories in it.
    in_chroot() {
        # shellcheck disable=SC2016
        unshare --mount --propagation private bash -ec 'mount -t tmpfs root "$0"
            for d in usr lib lib64 bin sbin etc var; do [ ! -L /$d ] || cp -a /$d "$0/$d"; [ -L /$d ] || { mkdir "$0/$d"; mount --rbind /$d "$0/$d"; }; done
            for d in proc sys dev run "$1" "$2"; do mkdir -p "$0/$d"; mount --rbind "/$d" "$0/$d"; done
            shift 2; exec chroot "$0" "$@"' "$FILE_DIR/root" "$(dirname "$ENGINE")" "$FILE_DIR" "$ENGINE" "$@" 3>&-
    }
    mkdir "$FILE_DIR/root"
    run in_chroot run --rm --network none "$IMAGE" cat /etc/berth-image
    assert_equal "$output" busybox
    run in_chroot run -d --rm --name "$name" --network none "$IMAGE" true
    [[ $status -eq 0 ]]
    gone() { not "$ENGINE" container exists "$name"; }
    wait_for 20 gone # removed by the monitor, through Berth
    run in_chroot system check # in berth-full
    assert_equal "$output" ""
    rmdir "$FILE_DIR/root"
}
