#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The default seccomp profile, seen from inside containers and RUN.
load helpers

# The host's perl makes the system calls; its C library would not pass 1<<32 on.
PERL=(-v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro)

# sockets: a program that prints the errno of socket(2) for AF_ALG, AF_VSOCK, the audit protocol (each also with upper bits that the
# kernel ignores), and for AF_UNIX.
sockets() {
    local nr=41
    [[ $(uname -m) != aarch64 ]] || nr=198
    echo "for (['alg',38,0],['alg',38+(1<<32),0],['vsock',40,0],['vsock',40+(1<<32),0],['audit',16,9],['audit',16,9+(1<<32)],['unix',1,0]) { \$!=0; syscall($nr,\$_->[1],\$_->[0] eq 'audit'?3:1,\$_->[2]); print \$_->[0],' ',0+\$!,qq(\n) }"
}

@test "AF_ALG and AF_VSOCK are closed, whatever the upper bits say (CVE-2026-31431)" {
    local closed=$'alg 1\nalg 1\nvsock 1\nvsock 1\naudit 22\naudit 22\nunix 0' runtime
    for runtime in crun runc; do
        berth --runtime $runtime run --rm --network none "${PERL[@]}" $IMAGE perl -e "$(sockets)"
        assert_equal "$output" "$closed"
    done
    berth run --rm --network none --cap-add AUDIT_WRITE "${PERL[@]}" $IMAGE perl -e "$(sockets)"
    [[ $output == *$'vsock 1\nvsock 1'* && $output != *"audit 22"* ]]
    berth run --rm --network none --security-opt seccomp=unconfined "${PERL[@]}" $IMAGE perl -e "$(sockets)"
    [[ $output != *"alg 1"$'\n'* ]]
    berth run -d --name "$name" --network none "${PERL[@]}" $IMAGE sleep 100
    berth exec "$name" perl -e "$(sockets)"
    assert_equal "$output" "$closed"
}

@test "RUN has the same profile, whatever file the distribution ships" {
    sockets >"$FILE_DIR/tmp/sockets.pl"
    printf 'FROM %s\nCOPY tmp/sockets.pl /\nRUN perl /sockets.pl >/out\n' "$IMAGE" >"$FILE_DIR/Containerfile"
    berth build -q "${PERL[@]}" -t localhost/sockets "$FILE_DIR"
    berth run --rm --network none localhost/sockets cat /out
    assert_equal "$output" $'alg 1\nalg 1\nvsock 1\nvsock 1\naudit 22\naudit 22\nunix 0'
    berth build -q --no-cache --security-opt seccomp=unconfined "${PERL[@]}" -t localhost/sockets "$FILE_DIR"
    berth run --rm --network none localhost/sockets cat /out
    [[ $output != *"alg 1"$'\n'* ]]
    berth rmi localhost/sockets
}

# mounts: the host's mount table, without the mounts' numbers.
mounts() { sed -E 's/^[0-9]+ [0-9]+ [0-9]+:[0-9]+ //' /proc/self/mountinfo | sort; }

@test "the host's mount table is the same before and after, and while containers run (crun#2097)" {
    local before args
    mkdir -p "$FILE_DIR/src/dir"
    before=$(mounts)
    for args in "" "--read-only --tmpfs /tmp" "-v $FILE_DIR/src:/src:U" "-v $FILE_DIR/src:/src:rshared" "-v $FILE_DIR/src:/src:rslave" "--mount type=tmpfs,dst=/t" \
        "--userns keep-id" "--userns keep-id -v $FILE_DIR/src:/src" "--privileged -v $FILE_DIR/src:/src" "--pid host --ipc host --uts host"; do
        is_rootless || [[ $args != *keep-id* ]] || continue
        # shellcheck disable=SC2086
        berth run -d --name "$name" --network none $args $IMAGE sleep 100
        assert_equal "$(mounts)" "$before"
        berth exec "$name" true
        berth rm -f -t 0 "$name"
        assert_equal "$(mounts)" "$before"
    done
    printf 'FROM %s\nRUN --mount=type=bind,target=/m --mount=type=cache,target=/c touch /c/x\n' "$IMAGE" >"$FILE_DIR/src/Containerfile"
    berth build -q "$FILE_DIR/src"
    assert_equal "$(mounts)" "$before"
    berth 127 run --rm --network none $IMAGE /no/such
    assert_equal "$(mounts)" "$before"
    is_rootless || return 0
    # The working directory of another user's files: those that --userns shifts with a mount.
    berth run --rm --network none --userns keep-id:uid=7,gid=7 -v "$FILE_DIR/src:/src" $IMAGE touch /src/x
    assert_equal "$(mounts)" "$before"
}
