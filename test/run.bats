#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# run and create: what a container gets, and which exit code its caller gets.
load helpers

@test "run passes on the exit code, 0 and another" {
    berth run --rm "$IMAGE" true
    berth 7 run --rm "$IMAGE" sh -c 'exit 7'
}

@test "run: 125 when the engine fails, 126 for what is no program, 127 for what is not there" {
    berth 125 run --rm --no-such-flag "$IMAGE" true
    berth 125 run --rm --pull never localhost/no-such-image:1 true
    berth 126 run --rm "$IMAGE" /etc/not-executable
    berth 126 run --rm "$IMAGE" /etc
    berth 127 run --rm "$IMAGE" /no/such/program
    assert_contains "$output" "/no/such/program"
    berth 127 run --rm "$IMAGE" no-such-program
    assert_contains "$output" "no-such-program"
}

@test "run keeps stdout and stderr apart, and reads stdin with -i" {
    berth_split run --rm "$IMAGE" sh -c 'echo out; echo err >&2'
    assert_equal "$output" out
    assert_equal "$stderr" err
    berth run --rm -i "$IMAGE" wc -c <<<"12345"
    assert_equal "$output" 6
}

@test "run moves bytes unchanged, and many" {
    head -c 3000000 /dev/urandom >"$FILE_DIR/bytes"
    "$ENGINE" run --rm -i "$IMAGE" cat <"$FILE_DIR/bytes" >"$FILE_DIR/back" 3>&-
    cmp "$FILE_DIR/bytes" "$FILE_DIR/back"
}

@test "run -d prints the ID and leaves the container running" {
    berth run -d --name "$name" "$IMAGE" sleep 100
    [[ $output =~ ^[0-9a-f]{64}$ ]]
    id=$output
    berth inspect --format '{{.ID}} {{.Name}} {{.State.Running}}' "$name"
    assert_equal "$output" "$id $name true"
}

@test "run --rm leaves no container, whatever the exit code" {
    berth 3 run --rm --name "$name" "$IMAGE" sh -c 'exit 3'
    berth 1 container exists "$name"
}

@test "run -d --rm is gone when it ends by itself" {
    berth run -d --rm --name "$name" "$IMAGE" true
    wait_for 10 not "$ENGINE" container exists "$name"
}

@test "a name can be used once" {
    berth create --name "$name" "$IMAGE" true
    berth 125 create --name "$name" "$IMAGE" true
    assert_contains "$output" "$name"
    assert_contains "$output" "in use"
    berth rm "$name"
    berth create --name "$name" "$IMAGE" true
}

@test "create does not start; start does, and start --attach passes on the exit code" {
    berth create --name "$name" "$IMAGE" sh -c 'echo started; exit 5'
    berth inspect --format '{{.State.Status}}' "$name"
    assert_equal "$output" created
    berth 5 start --attach "$name"
    assert_equal "$output" started
}

@test "environment: image, -e, from the caller, --env-file; the later wins" {
    printf '# a comment\nFROM_FILE=file\nBOTH=file\n\n' >"$FILE_DIR/env"
    FROM_CALLER=caller berth run --rm -e A=b -e BOTH=flag -e FROM_CALLER -e UNSET_HERE --env-file "$FILE_DIR/env" "$IMAGE" env
    assert_contains "$output" "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert_contains "$output" "A=b"
    assert_contains "$output" "FROM_FILE=file"
    assert_contains "$output" "BOTH=flag"
    assert_contains "$output" "FROM_CALLER=caller"
    [[ $output != *UNSET_HERE* ]]
    assert_contains "$output" "container="
}

@test "an env file that cannot be read is an error that names it" {
    berth 125 run --rm --env-file "$FILE_DIR/no-such-file" "$IMAGE" true
    assert_contains "$output" "$FILE_DIR/no-such-file"
}

@test "-w, --hostname, --entrypoint, --label" {
    berth run --rm -w /tmp "$IMAGE" pwd
    assert_equal "$output" /tmp
    berth run --rm --hostname some-host "$IMAGE" hostname
    assert_equal "$output" some-host
    berth run --rm --entrypoint echo "$IMAGE" a b
    assert_equal "$output" "a b"
    berth create --name "$name" --label colour=red --label plain "$IMAGE" true
    berth inspect --format '{{.Config.Labels.colour}}' "$name"
    assert_equal "$output" red
}

@test "-u by name and by number; groups of the image" {
    berth run --rm -u user "$IMAGE" id
    assert_contains "$output" "uid=1000(user) gid=1000(user) groups=1000(user),2000(extra)"
    berth run --rm -u 1234:4321 "$IMAGE" sh -c 'id -u; id -g'
    assert_equal "$output" $'1234\n4321'
    berth run --rm -u user "$IMAGE" sh -c 'echo $HOME'
    assert_equal "$output" /home/user
    berth 125 run --rm -u nosuchuser "$IMAGE" true 2>/dev/null || [[ $status -eq 126 ]]
    assert_contains "$output" nosuchuser
}

@test "-v binds a directory, and ro forbids writing" {
    mkdir -p "$FILE_DIR/vol"
    echo outside >"$FILE_DIR/vol/file"
    berth run --rm -v "$FILE_DIR/vol:/mnt" "$IMAGE" sh -c 'cat /mnt/file; echo inside >/mnt/new'
    assert_equal "$output" outside
    assert_equal "$(cat "$FILE_DIR/vol/new")" inside
    berth 1 run --rm -v "$FILE_DIR/vol:/mnt:ro" "$IMAGE" touch /mnt/more
    assert_contains "$output" "Read-only"
    berth run --rm --mount "type=bind,source=$FILE_DIR/vol,destination=/mnt,ro" "$IMAGE" cat /mnt/new
    assert_equal "$output" inside
}

@test "a volume's missing path is an error that names it" {
    berth 125 run --rm -v "$FILE_DIR/no-such-dir:/mnt" "$IMAGE" true
    assert_contains "$output" "$FILE_DIR/no-such-dir"
}

@test "a named volume outlives its containers" {
    vol=v-$(random_string)
    berth run --rm -v "$vol:/data" "$IMAGE" sh -c 'echo kept >/data/file'
    berth run --rm -v "$vol:/data" "$IMAGE" cat /data/file
    assert_equal "$output" kept
}

@test "--read-only, --tmpfs and --mount type=tmpfs" {
    berth 1 run --rm --read-only "$IMAGE" touch /file
    assert_contains "$output" "Read-only"
    berth run --rm --read-only --tmpfs /scratch:size=1m "$IMAGE" sh -c 'touch /scratch/a && df -k /scratch | tail -n 1'
    assert_contains "$output" 1024
    berth run --rm --mount type=tmpfs,destination=/scratch,tmpfs-size=2m "$IMAGE" sh -c 'df -k /scratch | tail -n 1'
    assert_contains "$output" 2048
}

caps() { sed -n 's/^CapEff:[[:space:]]*//p' <<<"$output"; }

@test "capabilities: the default set of podman 5" {
    berth run --rm "$IMAGE" grep CapEff /proc/self/status
    assert_equal "$(caps)" 00000000800405fb
}

@test "capabilities: less and more, and none for an ordinary user" {
    berth run --rm --cap-drop all "$IMAGE" cat /proc/self/status
    assert_equal "$(caps)" 0000000000000000
    berth run --rm --cap-drop all --cap-add net_raw "$IMAGE" cat /proc/self/status
    assert_equal "$(caps)" 0000000000002000
    berth run --rm -u user "$IMAGE" cat /proc/self/status
    assert_equal "$(caps)" 0000000000000000
    berth 125 run --rm --cap-add nonsense "$IMAGE" true
    assert_contains "${output,,}" nonsense
}

@test "seccomp is on, and --security-opt turns it off; no-new-privileges" {
    berth run --rm "$IMAGE" grep -E 'Seccomp:|NoNewPrivs' /proc/self/status
    assert_contains "$output" $'Seccomp:\t2'
    assert_contains "$output" $'NoNewPrivs:\t0'
    berth run --rm --security-opt seccomp=unconfined --security-opt no-new-privileges "$IMAGE" grep -E 'Seccomp:|NoNewPrivs' /proc/self/status
    assert_contains "$output" $'Seccomp:\t0'
    assert_contains "$output" $'NoNewPrivs:\t1'
}

@test "--ulimit" {
    berth run --rm --ulimit nofile=100:200 "$IMAGE" sh -c 'ulimit -Sn; ulimit -Hn'
    assert_equal "$output" $'100\n200'
}

@test "--init reaps what the command leaves" {
    berth run --rm --init "$IMAGE" sh -c 'cat /proc/1/comm'
    [[ $output != sh && $output != cat ]]
}

@test "-t gives a terminal of the size of the caller's" {
    berth run --rm -t "$IMAGE" tty
    assert_contains "$output" /dev/
    [[ $output == *$'\r' || $output == /dev/* ]]
    berth 1 run --rm "$IMAGE" tty
    # Podman sets the size a moment after the start.
    berth_tty 33 77 7 run --rm -it "$IMAGE" sh -c 'for _ in 1 2 3 4 5; do [ "$(stty size)" = "33 77" ] && exit 7; sleep 1; done'
}

@test "each container has namespaces of its own" {
    for ns in pid mnt uts ipc; do
        berth run --rm "$IMAGE" readlink "/proc/self/ns/$ns"
        [[ $output != "$(readlink "/proc/self/ns/$ns")" ]]
    done
}

@test "sensitive parts of /proc and /sys are masked" {
    berth_split run --rm "$IMAGE" sh -c 'cat /proc/keys | wc -c; ls /sys/firmware | wc -l; echo x >/proc/sys/kernel/core_pattern || echo refused'
    assert_equal "$output" $'0\n0\nrefused'
}

@test "what tells of other programs on the machine is masked, for run and exec, until it is unmasked" {
    local see='wc -c </proc/interrupts; ls /proc/asound 2>/dev/null | wc -l; cat /sys/devices/system/cpu/cpu*/thermal_throttle/* 2>/dev/null | wc -c'
    is_berth || skip "Debian's podman does not mask them yet"
    berth run -d --name "$name" --network none "$IMAGE" sleep 1000
    for how in "exec $name" "exec --privileged $name" "exec -u 1 $name" "run --rm --network none $IMAGE" "run --rm --network none --read-only $IMAGE"; do
        berth $how sh -c "$see"
        assert_equal "$output" $'0\n0\n0'
    done
    # Root in the container cannot take the mask away.
    berth_split run --rm --network none "$IMAGE" sh -c 'umount /proc/interrupts && echo gone; wc -c </proc/interrupts'
    assert_equal "$output" 0
    for how in unmask=ALL unmask=all systempaths=unconfined unmask=/proc/interrupts 'unmask=/proc/*' unmask=/sys/firmware:/proc/inter*; do
        berth run --rm --network none --security-opt "$how" "$IMAGE" sh -c 'wc -c </proc/interrupts'
        [[ $output -gt 0 ]]
    done
    berth run --rm --network none --security-opt unmask=/proc/asound "$IMAGE" sh -c 'wc -c </proc/interrupts'
    assert_equal "$output" 0
    berth run --rm --network none --privileged "$IMAGE" sh -c 'wc -c </proc/interrupts'
    [[ $output -gt 0 ]]
    berth run --rm --network none --privileged --security-opt mask=/proc/interrupts "$IMAGE" sh -c 'wc -c </proc/interrupts'
    assert_equal "$output" 0
}

@test "wait gives the exit code, of a running container and of one that has ended" {
    berth run -d --name "$name" "$IMAGE" sh -c 'sleep 1; exit 9'
    berth wait "$name"
    assert_equal "$output" 9
    berth wait "$name"
    assert_equal "$output" 9
}

@test "attach gets what comes from then on, and the exit code" {
    berth run -d -i --name "$name" "$IMAGE" sh -c 'read x; echo "got $x"; sleep 1; exit 4'
    berth 4 attach "$name" < <(echo something; sleep 3)
    assert_contains "$output" "got something"
}

@test "signals to run reach the container" {
    "$ENGINE" run --name "$name" "$IMAGE" sh -c 'trap "echo term; exit 3" TERM; echo ready; while :; do sleep 0.1; done' \
        >"$FILE_DIR/out" 2>&1 3>&- &
    pid=$!
    wait_for 10 grep -q ready "$FILE_DIR/out"
    kill -TERM "$pid"
    rc=0
    wait "$pid" || rc=$?
    assert_equal "$rc" 3
    assert_contains "$(cat "$FILE_DIR/out")" term
}

@test "--restart on-failure runs again as often as told" {
    mkdir -p "$FILE_DIR/count-$name"
    berth run -d --name "$name" --restart on-failure:2 -v "$FILE_DIR/count-$name:/count" "$IMAGE" \
        sh -c 'mktemp /count/XXXXXX; exit 1'
    three() { [[ $(find "$FILE_DIR/count-$name" -type f | wc -l) -eq 3 ]]; }
    wait_for 30 three
    exited() { [[ $("$ENGINE" inspect --format '{{.State.Status}}' "$name" 3>&-) == exited ]]; }
    wait_for 10 exited
    three
}

@test "a container that forks without end leaves its user processes to end it" {
    is_berth && is_rootless || skip "root's is not bound; podman has no such limit"
    berth run --rm "$IMAGE" sh -c 'ulimit -u'
    if [[ $output -gt 16384 ]]; then skip "a cgroup counts them: $output"; fi
    # What the test may have in all bounds what it can do to the machine, should the limit not hold.
    local max=$((3 * $(ps -u "$(id -u)" -L --no-headers | wc -l) + 300))
    (ulimit -u "$max" && timeout 60 "$ENGINE" run -d --name "$name" "$IMAGE" sh -c \
        'ulimit -u; (n=0; while [ $n -lt '"$max"' ]; do n=$((n + 1)); sleep 1000 & done); exec sleep 1000' 3>&-)
    bounded() { "$ENGINE" logs "$name" 2>/dev/null 3>&- | grep -qx "$((max / 2))"; }
    wait_for 20 bounded
    # It stands still at the limit, and commands work with that of their user.
    wait_for 60 refused_fork
    (ulimit -u "$max" && timeout 60 "$ENGINE" ps 3>&-) | grep "$name"
    (ulimit -u "$max" && timeout 60 "$ENGINE" rm -f -t 0 "$name" 3>&-)
}

refused_fork() { "$ENGINE" logs "$name" 2>&1 3>&- | grep -q "can't fork"; }

@test "mountopt as podman's storage.conf has it" {
    is_berth || skip "a store that podman has mounted is mounted with what it was first"
    berth --storage-opt overlay.mountopt=nodev,metacopy=on run --rm --network none $IMAGE true
    # crun binds the root file system anew, without these.
    berth --storage-opt overlay.mountopt=nodev,nosuid run --rm --network none $IMAGE true
    # The kernel answers an ordinary user's with "invalid argument".
    if ! is_rootless; then
        berth --storage-opt overlay.mountopt=redirect_dir=on run --rm --network none $IMAGE true
    else
        printf 'FROM %s\nRUN true\n' "$IMAGE" >"$FILE_DIR/Containerfile"
        for words in "create $IMAGE true" "build --network none -f $FILE_DIR/Containerfile $FILE_DIR"; do
            # shellcheck disable=SC2086
            berth 125 --storage-opt overlay.mountopt=redirect_dir=on $words
            assert_contains "$output" "has redirect_dir=on, which the kernel lets only root mount with"
            assert_contains "$output" "Hint: take redirect_dir=on out of mountopt"
        done
    fi
}
