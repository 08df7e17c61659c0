#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: root
# Which containers a command works on: names, --all, --latest, --cidfile, --filter; and what is said of those that are not there.
load helpers

up() { berth run -d --name "$1" "${@:2}" "$IMAGE" sleep 1000; }
status() { "$ENGINE" inspect -f '{{.State.Status}}' "$1" 3>&-; }

@test "start, stop, restart, rm: --filter, --latest and --cidfile" {
    up "$name-a" --label "t=$name" --cidfile "$FILE_DIR/cid-$name"
    up "$name-b" --label "t=$name"
    berth stop -t 0 --filter "label=t=$name"
    assert_equal "$(status "$name-a") $(status "$name-b")" "exited exited"
    berth start --filter "label=t=$name" --filter "name=$name-a"
    assert_equal "$(status "$name-a") $(status "$name-b")" "running exited"
    berth inspect -f '{{.State.Pid}}' "$name-a"
    local before=$output
    berth restart -t 0 --cidfile "$FILE_DIR/cid-$name"
    berth inspect -f '{{.State.Pid}}' "$name-a"
    [[ $output != "$before" ]]
    berth inspect -f '{{.State.Pid}}' "$name-a"
    before=$output
    berth restart -t 0 -f "label=t=$name" -f status=running
    berth inspect -f '{{.State.Pid}}' "$name-a"
    [[ $output != "$before" ]]
    berth rm -f -t 0 --filter "label=t=$name"
    berth ps -aq --filter "label=t=$name"
    assert_equal "$output" ""
}

@test "start --latest, wait --latest, exec --latest and exec --cidfile" {
    berth create --name "$name-old" "$IMAGE" true
    berth create --name "$name" --cidfile "$FILE_DIR/latest-$name" "$IMAGE" sh -c 'sleep 2; exit 4'
    berth start --latest
    berth exec --latest echo here
    assert_equal "$output" here
    is_berth && { berth exec --cidfile "$FILE_DIR/latest-$name" --no-session echo there; assert_equal "$output" there; }
    berth wait --latest
    assert_equal "$output" 4
    assert_equal "$(status "$name-old")" created
    berth 125 stop --latest "$name"
    assert_contains "$output" "cannot be used together"
    berth 125 stop
    assert_contains "$output" "you must provide at least one name or id"
}

@test "attach --latest" {
    berth run -d --name "$name-old" "$IMAGE" sleep 1000
    berth run -d --name "$name" "$IMAGE" sh -c 'sleep 3; exit 4'
    if is_berth; then berth 4 attach --no-stdin --latest; fi # podman 4.3's gives 0 when the container ends while it waits
    berth 125 attach --latest "$name-old"
    berth 125 attach
    # podman 4.3 says it in other words than 5.8.
    if is_berth; then assert_contains "$output" "attach requires the name or id of one running container or the latest flag"; fi
}

@test "wait --exit-first-match prints the first of several; wait of a container that restarts for ever ends" {
    is_berth || skip "podman 4.3 has no --exit-first-match"
    berth run -d --name "$name-slow" "$IMAGE" sleep 100
    berth run -d --name "$name-fast" "$IMAGE" sh -c 'sleep 0.5; exit 6'
    BERTH_TIMEOUT=20 berth wait --exit-first-match "$name-slow" "$name-fast"
    assert_equal "$output" 6
    berth run -d --name "$name-again" --restart always "$IMAGE" sh -c 'sleep 1; exit 3'
    BERTH_TIMEOUT=20 berth wait "$name-again"
    assert_equal "$output" 3
    berth wait --condition running "$name-slow"
    assert_equal "$output" -1
    timeout 30 "$ENGINE" wait --condition removing "$name-slow" >"$FILE_DIR/removing" 2>&1 3>&- & local pid=$!
    berth rm -f -t 0 "$name-slow" "$name-again"
    wait "$pid"
    assert_equal "$(cat "$FILE_DIR/removing")" -1
}

@test "exec --preserve-fd keeps the numbers" {
    is_berth || skip "podman 4.3 has no --preserve-fd"
    up "$name"
    berth exec --preserve-fd 5 "$name" sh -c 'cat <&5' 5<<<hello
    assert_equal "$output" hello
    berth exec --preserve-fd 4,6 "$name" sh -c 'cat <&6; cat <&4' 4<<<four 6<<<six
    assert_equal "$output" $'six\nfour'
    berth 125 exec --preserve-fd 57 "$name" true
    assert_contains "$output" "preserve-fd 57"
}

@test "rm --depend removes who shares the container's network too" {
    up "$name"
    up "$name-b" --network "container:$name"
    berth rm -f -t 0 --depend "$name"
    berth ps -aq --filter "name=$name"
    assert_equal "$output" ""
}

@test "a container that others depend on: not removed before them; started before them" {
    up "$name"
    up "$name-b" --network "container:$name"
    a=$("$ENGINE" inspect -f '{{.Id}}' "$name" 3>&-) b=$("$ENGINE" inspect -f '{{.Id}}' "$name-b" 3>&-)
    berth 125 rm -f -t 0 "$name"
    assert_contains "$output" "container $a has dependent containers which must be removed before it: $b: container already exists"
    berth stop -t 0 "$name" "$name-b"
    berth start "$name-b"
    assert_equal "$(status "$name") $(status "$name-b")" "running running"
    berth restart -t 0 "$name" "$name-b" # the second gets the first one's new namespace
    namespaces=$(for c in "$name" "$name-b"; do "$ENGINE" exec "$c" readlink /proc/self/ns/net 3>&-; done)
    assert_equal "$(sort -u <<<"$namespaces" | wc -l)" 1
    if is_berth; then
        berth rm -f -t 0 "$name" "$name-b" # podman 4.3 removes the second only
    else
        berth rm -f -t 0 "$name-b"
        berth rm -f -t 0 "$name"
    fi
    berth ps -aq --filter "name=$name"
    assert_equal "$output" ""
}

@test "rm: a container that is required can be removed once those that require it are gone" {
    is_berth || skip "podman 4.3 removes the first before it looks"
    berth create --name "$name" "$IMAGE" true
    berth create --name "$name-b" --requires "$name" "$IMAGE" true
    berth create --name "$name-c" --requires "$name-b" "$IMAGE" true
    berth 125 rm "$name-b"
    assert_contains "$output" "Hint: remove them too with: berth rm --depend $name-b"
    berth rm "$name-c"
    berth rm "$name-b"
    berth rm "$name"
    berth create --name "$name" "$IMAGE" true
    berth create --name "$name-b" --requires "$name" "$IMAGE" true
    berth container prune -f
    berth ps -aq --filter "name=$name"
    assert_equal "$output" ""
}

@test "stop, start and rm work on several containers at the same time" {
    is_berth || skip "podman 4.3 stops three at a time on one processor"
    for i in 1 2 3 4 5 6 7 8; do berth run -d --name "$name-$i" --stop-timeout 4 "$IMAGE" sh -c "trap '' TERM; while :; do sleep 1; done"; done
    begin=$SECONDS
    berth_split stop "$name"-{1,2,3,4,5,6,7,8}
    [[ $((SECONDS - begin)) -lt 16 ]] # one after the other takes 32
    assert_equal "$output" "$(printf '%s\n' "$name"-{1,2,3,4,5,6,7,8})" # in the order in which they were given
    berth start "$name"-{1,2,3,4,5,6,7,8} "$name-none" || [[ $status -eq 125 ]]
    assert_contains "$output" "$name-none"
    assert_equal "$("$ENGINE" ps -q --filter "name=$name" 3>&- | wc -l)" 8
    berth restart -t 0 "$name-1" "$name-1" "$name-1" # one after the other
    berth rm -f -t 0 "$name"-{8,7,6,5,4,3,2,1}
    assert_equal "$output" "$(printf '%s\n' "$name"-{8,7,6,5,4,3,2,1})"
}

@test "pause and unpause: --filter and --cidfile" {
    is_rootless && [[ ! -e /sys/fs/cgroup/cgroup.controllers ]] && skip "no cgroup, which pauses"
    up "$name" --label "t=$name" --cidfile "$FILE_DIR/pause-$name"
    berth pause --filter "label=t=$name"
    assert_equal "$(status "$name")" paused
    berth unpause --cidfile "$FILE_DIR/pause-$name"
    assert_equal "$(status "$name")" running
}

@test "a name may begin with a slash" {
    is_berth || skip "podman 4.3 takes none"
    berth create --name "/$name" "$IMAGE" true
    berth inspect -f '{{.Name}}' "/$name"
    assert_equal "$output" "$name"
    berth ps -a --filter "name=^/$name\$" --format '{{.Names}}'
    assert_equal "$output" "$name"
    berth rename "/$name" "/$name-2"
    berth rm "/$name-2"
    berth 125 create --name "//$name" "$IMAGE" true
}

@test "ps: filters command, should-start-on-boot; --pod, --sort size, inspect --size" {
    berth run --name "$name" --restart always --network none "$IMAGE" sh -c 'head -c 20000 /dev/zero >/x; exit 0' &
    local pid=$!
    there() { [[ $("$ENGINE" ps -aq --filter "name=$name" 3>&-) ]]; }
    wait_for 20 there
    berth stop -t 0 "$name"
    kill "$pid" || true
    wait "$pid" || true
    berth ps -a --filter "name=$name" --filter should-start-on-boot=true --format '{{.Names}}'
    is_berth && assert_equal "$output" "$name"
    berth ps -a --filter "name=$name" --filter command=sh --format '{{.Names}}'
    is_berth && assert_equal "$output" "$name"
    berth ps -a --pod --filter "name=$name"
    assert_contains "$output" "POD ID"
    berth ps -a --sort size --size --filter "name=$name"
    berth inspect --size -f '{{.SizeRw}}' "$name"
    is_berth && [[ $output -ge 20000 ]]
    berth container inspect -s "$name"
    assert_contains "$output" '"SizeRootFs"'
}

# What scripts match: podman's subject and sentinel, and Berth's hint on a line of its own.
@test "texts: what podman says, where scripts look for it" {
    up "$name" -v "$name:/v"
    berth create --name "$name-new" "$IMAGE" true
    berth run -d --name "$name-none" --log-driver none "$IMAGE" sleep 1000
    local id; id=$("$ENGINE" inspect -f '{{.Id}}' "$name" 3>&-)
    says() { # CODE TEXT ARG...
        berth "$1" "${@:3}"
        [[ $output == *"$2"* ]] || { echo "does not say: $2"; return 1; }
    }
    says 2 "Error: cannot remove container $id as it is running - running or paused containers cannot be removed without force: container state improper" rm "$name"
    says 1 "Error: no container with name or ID \"no-$name\" found: no such container" rm "no-$name"
    says 125 "Error: no container with name or ID \"no-$name\" found: no such container" stop "no-$name"
    says 125 "Error: can only kill running containers. " kill "$name-new"
    says 125 " is in state created: container state improper" kill "$name-new"
    says 125 "Error: \"created\" is not running, can't pause: container state improper" pause "$name-new"
    says 255 "Error: can only create exec sessions on running containers: container state improper" exec "$name-new" true
    says 125 "Error: you can only attach to running containers" attach "$name-new"
    says 125 "this container is using the 'none' log driver, cannot read logs: this container is not logging output" logs "$name-none"
    says 125 "no such object: \"no-$name\"" inspect "no-$name"
    says 125 "no such container no-$name" container inspect "no-$name"
    says 1 "Error: no-$name: image not known" rmi "no-$name"
    says 2 "image is in use by a container" rmi "$IMAGE"
    says 2 "Error: volume $name is being used by the following container(s): $id: volume is being used" volume rm "$name"
    says 1 "Error: no volume with name \"no-$name\" found: no such volume" volume rm "no-$name"
    says 125 "Error: volume with name $name already exists: volume already exists" volume create "$name"
    says 125 "unsupported pull policy \"none-such\"" run --pull none-such "$IMAGE" true
    says 126 "workdir \"/none\" does not exist on container" run --rm -w /none "$IMAGE" true
    says 127 "executable file \`none\` not found in \$PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found" run --rm "$IMAGE" none
    says 126 "OCI permission denied" run --rm "$IMAGE" /etc
    says 125 "the container name \"$name\" is already in use by $id" create --name "$name" "$IMAGE" true
    says 125 "that name is already in use" create --name "$name" "$IMAGE" true
    says 125 "statfs /none-$name: no such file or directory" run -v "/none-$name:/x" "$IMAGE" true
    says 125 "names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument" create --name /// "$IMAGE" true
    berth stop "$name-new" # as docker and podman: there is nothing to stop
    berth run --rm "$IMAGE" readlink /etc/mtab
    is_berth && assert_equal "$output" /proc/mounts
    berth run --rm "$IMAGE" sh -c 'test -L /etc/mtab && grep -q " /proc " /etc/mtab'
    berth rm -f -t 0 "$name" "$name-new" "$name-none"
    berth volume rm "$name"
}

@test "run --preserve-fds passes descriptors on, of any kind, to the first start alone" {
    local file=$FILE_DIR/$name
    echo "of a file" >"$file"
    # Not through berth(), which keeps descriptor 3 from the engine: it is bats'.
    output=$(timeout 60 "$ENGINE" run --rm --preserve-fds 2 "$IMAGE" sh -c 'cat <&3; cat <&4' 3<"$file" 4<<<"of a pipe" 2>&1)
    assert_equal "$output" $'of a file\nof a pipe'
    is_berth || skip "podman 4.3 has no --preserve-fd, and fails later"
    berth run --rm --preserve-fd 7,5 "$IMAGE" sh -c 'cat <&7; echo back >&5; readlink /proc/self/fd/6' 5>"$file" 7<<<seven
    assert_equal "$output" $'seven\n/dev/null'
    assert_equal "$(cat "$file")" back
    berth run --rm --log-driver passthrough --preserve-fd 4 "$IMAGE" sh -c 'cat <&4' 4<<<through
    assert_equal "$output" through
    berth run -d --name "$name" --preserve-fd 4 "$IMAGE" sh -c 'read x <&4 && echo "got $x"; exec sleep 1000' 4<<<it
    wait_for 10 logged "$name" "got it"
    berth restart -t 0 "$name"
    berth logs "$name"
    assert_equal "$(grep -c "got it" <<<"$output")" 1
    for command in run exec; do
        where=$IMAGE
        [[ $command == run ]] || where=$name
        berth 125 "$command" --preserve-fds 2 "$where" true
        assert_contains "$output" "file descriptor 3 is not available - the preserve-fds option requires that file descriptors must be passed"
        berth 125 "$command" --preserve-fd 57 "$where" true
        assert_contains "$output" "file descriptor 57 is not available"
        berth 125 "$command" --preserve-fd 2 "$where" true
        assert_contains "$output" "the descriptors that can be passed on begin with 3"
        berth 125 "$command" --preserve-fds 1 --preserve-fd 4 "$where" true
        assert_contains "$output" "cannot use --preserve-fds and --preserve-fd at the same time"
    done
}

logged() { "$ENGINE" logs "$1" 2>/dev/null 3>&- | grep -qF "$2"; }
