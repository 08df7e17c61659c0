# SPDX-License-Identifier: Apache-2.0
# once: user
# What outlives a command has nothing of the command's caller that it does not need: docs/security.md, "What outlives a command".

load helpers

# outliving: the monitors, helpers and containers of this file, one process a line.
outliving() {
    local p
    for p in /proc/[0-9]*; do
        p=${p#/proc/}
        # Each carries an argument or a variable with the file's directory, or is in a container, whose root is below it.
        if [[ $p -ne $BASHPID && $p -ne $PPID ]] && grep -qsaE "berth-monitor|pasta|slirp4netns|outlive-probe" "/proc/$p/cmdline" &&
            { grep -qsaF "$FILE_DIR" "/proc/$p/cmdline" || grep -qsaF outlive-probe "/proc/$p/cmdline" || grep -qsaF "$FILE_DIR" "/proc/$p/environ"; } then
            grep -qsa "bats" "/proc/$p/cmdline" || echo "$p"
        fi
    done
}

# no_secret WORD: none of them has WORD in its environment or arguments.
no_secret() {
    local p found=0 rc=0
    for p in $(outliving); do
        found=$((found + 1))
        if grep -qsaF "$1" "/proc/$p/environ" "/proc/$p/cmdline"; then
            echo "process $p has the secret: $(tr '\0' ' ' <"/proc/$p/cmdline") $(tr '\0' '\n' <"/proc/$p/environ" | grep -F "$1")"
            rc=1
        fi
    done
    echo "$found processes"
    [[ $found -ge $2 && $rc -eq 0 ]]
}

monitor_of() { "$ENGINE" inspect -f '{{.State.ConmonPid}}' "$1" 3>&-; }

@test "a secret in the caller's environment is in no process that outlives the command" {
    is_berth || skip "of Berth's monitor"
    AWS_SECRET_ACCESS_KEY=s3cr3t-$name NOTIFY_SOCKET=/nowhere/s3cr3t-$name \
        berth run -d --name "$name" -p 127.0.0.1::80 --health-cmd true --health-interval 500ms "$IMAGE" sh -c 'sleep 1000; : outlive-probe'
    no_secret "s3cr3t-$name" 3
    AWS_SECRET_ACCESS_KEY=s3cr3t-$name berth exec -d "$name" sh -c 'sleep 1000; : outlive-probe exec'
    no_secret "s3cr3t-$name" 4
    AWS_SECRET_ACCESS_KEY=s3cr3t-$name berth restart -t 0 "$name"
    no_secret "s3cr3t-$name" 3
    # Nor one that a command, or another monitor, has started in place of a killed one.
    kill -KILL "$(monitor_of "$name")"
    AWS_SECRET_ACCESS_KEY=s3cr3t-$name berth exec "$name" true
    no_secret "s3cr3t-$name" 3
    berth run -d --name "$name-2" "$IMAGE" sh -c 'sleep 1000; : outlive-probe'
    kill -KILL "$(monitor_of "$name-2")"
    AWS_SECRET_ACCESS_KEY=s3cr3t-$name berth ps
    AWS_SECRET_ACCESS_KEY=s3cr3t-$name berth exec "$name-2" true
    no_secret "s3cr3t-$name" 5
}

@test "a value of -e does not stay on a command line that everybody may read" {
    is_berth || skip "podman's stays"
    "$ENGINE" run -e "TOKEN=s3cr3t-$name" --env="OTHER=s3cr3t-$name" --name "$name" "$IMAGE" \
        sh -c 'echo "$TOKEN $OTHER"; sleep 1000; : outlive-probe' >"$FILE_DIR/out" 2>&1 3>&- &
    local client=$!
    wait_for 30 grep -q s3cr3t "$FILE_DIR/out"
    assert_equal "$(cat "$FILE_DIR/out")" "s3cr3t-$name s3cr3t-$name"
    not grep -qaF "s3cr3t-$name" "/proc/$client/cmdline"
    grep -qaF 'TOKEN=***' "/proc/$client/cmdline"
    for p in $(outliving); do not grep -qaF "s3cr3t-$name" "/proc/$p/cmdline"; done
    # The container has it, and inspect tells its owner how it was made.
    berth inspect "$name" --format '{{.Config.Env}}'
    assert_contains "$output" "s3cr3t-$name"
    berth kill "$name"
    wait "$client" || true
}

@test "neither files, nor directories, nor the umask of the caller stay with what outlives the command" {
    is_berth || skip "of Berth's monitor"
    mkdir -p "$FILE_DIR/caller"
    (cd "$FILE_DIR/caller" && umask 077 && timeout 60 "$ENGINE" run -d --name "$name" -p 127.0.0.1::80 -u 1000 "$IMAGE" \
        sh -c 'sleep 1000; : outlive-probe' 8>"$FILE_DIR/caller/open" 9<"$FILE_DIR/caller" 3>&-)
    local p
    for p in $(outliving); do
        [[ $(readlink "/proc/$p/cwd") != "$FILE_DIR/caller"* ]]
        not grep -F "$FILE_DIR/caller" <(ls -l "/proc/$p/fd")
        [[ $(readlink "/proc/$p/fd/1") != pipe:* ]] || grep -qsa outlive-probe "/proc/$p/cmdline"
    done
    assert_equal "$(awk '/^Umask/ { print $2 }' "/proc/$(monitor_of "$name")/status")" 0022
    berth exec "$name" sh -c 'umask; id -u; cat /etc/hosts /etc/resolv.conf /etc/hostname'
    assert_contains "$output" 0022
    assert_contains "$output" 1000
}

@test "signals that the caller ignores are not ignored in the container" {
    is_berth || skip "of Berth's monitor"
    (trap '' HUP INT TERM PIPE CHLD USR1 && timeout 60 "$ENGINE" run -d --name "$name" "$IMAGE" sleep 1000 3>&-)
    berth exec "$name" cat /proc/1/status
    assert_contains "$(grep SigBlk <<<"$output")" 0000000000000000
    assert_contains "$(grep SigIgn <<<"$output")" 0000000000000000
    (trap '' TERM CHLD USR1 && timeout 60 "$ENGINE" exec "$name" sh -c 'kill -TERM $$; echo still here' 3>&-) || status=$?
    assert_equal "$status" 143
    berth stop -t 5 "$name"
}

@test "nor are the two that glibc's posix_spawn leaves ignored, and so make and CI agents" {
    is_berth || skip "of Berth's monitor"
    spawned() { make -s -f <(printf 'all:\n\t@%s\n' "$*") 3>&-; }
    assert_contains "$(spawned grep SigIgn /proc/self/status)" 0000000180000000 # else this tests nothing
    spawned "$ENGINE" run -d --name "$name" "$IMAGE" sleep 1000
    assert_contains "$(spawned "$ENGINE" run --rm "$IMAGE" grep SigIgn /proc/self/status)" 0000000000000000
    assert_contains "$(spawned "$ENGINE" exec "$name" grep SigIgn /proc/1/status /proc/self/status)" 0000000000000000
    mkdir -p "$FILE_DIR/signals"
    printf 'FROM %s\nRUN ["grep", "SigIgn", "/proc/self/status"]\n' "$IMAGE" >"$FILE_DIR/signals/Containerfile"
    assert_contains "$(spawned "$ENGINE" build --no-cache "$FILE_DIR/signals" 2>&1)" 0000000000000000
}
