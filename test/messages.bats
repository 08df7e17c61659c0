#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# Error messages say what was being done, and to what, once.
load helpers

# repeats TEXT: prints what an error line in TEXT says twice: three words in a row, or a part between colons.
repeats() {
    perl -ne '
        next unless /^Error: (.*)/; my $line = $1;
        $line =~ s/: (?:that name is already in use|volume is being used|this container is not logging output)$//; # podman says it so
        my (%parts, %threes);
        for (split /: /, $line) { s/^\s+|\s+$//g; print "twice \"$_\": $line\n" if length > 7 && $parts{$_}++ }
        my @w = map { lc } $line =~ /[\w.\/-]+/g;
        for (0 .. $#w - 2) { my $t = "@w[$_ .. $_ + 2]"; print "twice \"$t\": $line\n" if $threes{$t}++ }
    ' <<<"$1"
}

@test "repeats finds what is said twice" {
    assert_contains "$(repeats 'Error: pause container "web": pause container "web": no cgroup')" 'pause container web'
    assert_contains "$(repeats 'Error: exec in container: container is paused: it is: container is paused')" 'container is paused'
    assert_equal "$(repeats 'Error: start container "web": container is running')" ""
}

# fails ARG...: the command has to fail, and to say so well.
fails() {
    local rc=0 out
    out=$(timeout -k 2 40 "$ENGINE" "$@" 2>&1 3>&- </dev/null) || rc=$?
    if [[ $rc -eq 0 ]]; then echo "$*: does not fail: $out" >>"$FILE_DIR/bad"; return; fi
    grep -q '^Error: ' <<<"$out" || echo "$*: exit code $rc without an error: $out" >>"$FILE_DIR/bad"
    repeats "$out" | sed "s|^|berth $*: |" >>"$FILE_DIR/bad"
}

well() { [[ ! -s $FILE_DIR/bad ]] || { cat "$FILE_DIR/bad"; return 1; }; }
setup() { test_setup; : >"$FILE_DIR/bad"; }

@test "messages of what does not exist" {
    local v
    for v in start stop restart kill rm pause unpause logs attach wait port top commit inspect rmi push tag untag save history "image inspect" "image tree" \
        "volume inspect" "volume rm" "container inspect"; do
        # shellcheck disable=SC2086 # words
        fails $v "none-$name"
        # shellcheck disable=SC2086
        [[ $v == @(commit|tag|untag|history|"image tree"|push|attach|port|top) ]] || fails $v "none-$name" "nor-$name"
    done
    fails rename "none-$name" other
    fails exec "none-$name" true
    fails run "localhost/none-$name"
    fails run --pull never "localhost/none-$name" true
    fails create --network "container:none-$name" "$IMAGE" true
    fails run --network "container:none-$name" "$IMAGE" true
    fails load -i "$FILE_DIR/none"
    fails build "$FILE_DIR/none"
    fails import "$FILE_DIR/none"
    fails run -v "$FILE_DIR/none:/x" "$IMAGE" true
    fails run --env-file "$FILE_DIR/none" "$IMAGE" true
    fails --runtime "none-$name" run "$IMAGE" true
    fails run --device "/dev/none-$name" "$IMAGE" true
    fails run --user "none-$name" "$IMAGE" true
    well
}

@test "messages of a verb that does not suit the state" {
    berth create --name "$name-created" "$IMAGE" true
    berth run --name "$name-exited" "$IMAGE" true
    berth run -d --name "$name-running" --log-driver none "$IMAGE" sleep 1000
    local v
    for v in kill pause unpause attach top; do fails $v "$name-created"; done
    for v in kill pause unpause attach top; do fails $v "$name-exited"; done
    for v in rm unpause logs "wait --condition none" "kill -s none" "top -eo none"; do
        # shellcheck disable=SC2086 # words
        fails $v "$name-running"
    done
    fails top "$name-running" none
    fails exec "$name-exited" true
    fails exec "$name-running" none
    fails exec -w /none "$name-running" true
    fails exec -u none "$name-running" true
    fails rename "$name-running" "$name-exited"
    fails rename "$name-running" "$name-running"
    fails rename "$name-running" "///"
    fails create --name "$name-running" "$IMAGE"
    fails run --name "$name-running" "$IMAGE" true
    berth create --name "$name-needed" "$IMAGE" true
    berth create --name "$name-needs" --requires "$name-needed" "$IMAGE" true
    fails rm "$name-needed"
    fails run --rm "$IMAGE" none
    fails run --rm -w /none "$IMAGE" true
    fails port "$name-running" 80
    berth create --name "$name-none" "$IMAGE" none
    fails start "$name-none"
    fails start -a "$name-none"
    fails restart "$name-none"
    if is_rootless && [[ ! -e /sys/fs/cgroup/cgroup.controllers ]]; then
        fails pause "$name-running"
    else
        berth pause "$name-running"
        for v in start pause stop restart attach rm "start -a"; do
            # shellcheck disable=SC2086 # words
            fails $v "$name-running"
        done
        fails exec "$name-running" true
    fi
    berth volume create "$name"
    berth run -d --name "$name-volume" -v "$name:/x" "$IMAGE" sleep 1000
    fails volume rm "$name"
    fails volume create "$name"
    fails rmi "$IMAGE"
    well
}

@test "messages about flags and files" {
    local f
    for f in "--memory none" "--cpus none" "--ulimit none" "--restart none" "--log-driver none-such" "--network none:such" "-p none" "-p 99999:1" "--mount none" \
        "-v a:b:c:d" "--tmpfs /x:none" "--userns none" "--cap-add none" "--security-opt none" "--sysctl none" "--device a:b:c:d" "--stop-signal none" \
        "--health-cmd x --health-interval none" "--env-file /etc/shadow-none" "--umask none" "--shm-size none" "--pids-limit none" "--hostname ///" "--label-file none" \
        "--workdir none" "--dns none.such" "--add-host none" "--platform none" "--pull none" "--none"; do
        # shellcheck disable=SC2086 # words
        fails run --rm $f "$IMAGE" true
    done
    for f in "ps --filter none" "ps --filter none=x" "images --filter none" "images --format {{.None}}" "inspect --format {{.None}} $IMAGE" "logs --since none x" \
        "events --filter none --stream=false" "events --since none" "volume ls --filter none=x" "system df --format {{.None}}" "info --format {{.None}}" "none" "container none" \
        "rm" "stop" "exec x" "rename x" "wait --interval none x" "load -i /etc/passwd" "import /etc/none" "save -o /none/x $IMAGE" "--log-level none ps" \
        "pull none/none/none:" "pull 127.0.0.1:1/x" "push $IMAGE 127.0.0.1:1/x" "login --username x --password y 127.0.0.1:1" "tag $IMAGE UPPER:case" "build --file /none ." "build --build-arg"; do
        # shellcheck disable=SC2086 # words
        fails $f
    done
    well
}
