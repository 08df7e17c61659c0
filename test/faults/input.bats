#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What bad input gets: the right exit code, an error that names what was wrong, and nothing made.
load ../helpers

nothing_made() { berth ps -aq && assert_equal "$output" "" && berth system check; }

@test "an unknown image: 125, and its name" {
    berth 125 run --rm --pull never localhost/no-such:1 true
    assert_contains "$output" localhost/no-such:1
    nothing_made
}

@test "an image in no registry that can be reached: 125, the registry's address and a hint" {
    port=$(free_port)
    printf '[[registry]]\nlocation = "127.0.0.1:%s"\ninsecure = true\n' "$port" >>"$CONTAINERS_REGISTRIES_CONF"
    berth 125 run --rm "127.0.0.1:$port/team/app:1" true
    assert_contains "$output" "127.0.0.1:$port"
    assert_contains "$output" "refused"
    assert_contains "$output" "Hint:"
    nothing_made
}

@test "a malformed reference: 125, and what was given" {
    berth 125 run --rm 'UPPER CASE/@@' true
    assert_contains "$output" 'UPPER CASE/@@'
    nothing_made
}

@test "a name in use: 125, the name and a hint" {
    berth create --name "$name" "$IMAGE" true
    berth 125 run -d --name "$name" "$IMAGE" true
    assert_contains "$output" "$name"
    assert_contains "$output" "Hint:"
    berth ps -aq
    assert_equal "${#lines[@]}" 1
}

@test "a malformed name: 125" {
    berth 125 create --name 'not/a name' "$IMAGE" true
    assert_contains "$output" 'not/a name'
    nothing_made
}

@test "bad flag values: 125, with flag and value" {
    bad() { # bad FLAG VALUE
        berth 125 run "$1" "$2" "$IMAGE" true
        assert_contains "$output" "${1#--}"
        assert_contains "$output" "$2"
    }
    bad --memory twelve
    bad --cpus many
    bad --pids-limit some
    bad --publish 99999:80
    bad --publish 80:80:80:80
    bad --ulimit nofile=a:b
    bad --restart sometimes
    bad --network nowhere
    bad --log-driver pigeon
    bad --stop-signal SIGNONSENSE
    bad --pull perhaps
    bad --userns nonsense
    nothing_made
}

@test "a flag that podman has and Berth does not is refused by name" {
    berth 125 run --rm --ip 10.0.0.1 "$IMAGE" true
    assert_contains "$output" "--ip"
    nothing_made
}

@test "a command that is not in the image: 127; one that is not executable: 126; nothing is left" {
    berth 127 run --rm "$IMAGE" no-such-command
    assert_contains "$output" no-such-command
    berth 126 run --rm "$IMAGE" /etc/not-executable
    assert_contains "$output" /etc/not-executable
    nothing_made
}

@test "an env file that cannot be read: 125, and its path" {
    if is_rootless; then
        berth 125 run --rm --env-file /etc/shadow "$IMAGE" true
        assert_contains "$output" /etc/shadow
    fi
    berth 125 run --rm --env-file "$FILE_DIR" "$IMAGE" true
    assert_contains "$output" "$FILE_DIR"
    berth 125 run --rm --env-file "$FILE_DIR/missing" "$IMAGE" true
    assert_contains "$output" "$FILE_DIR/missing"
    nothing_made
}

@test "a volume's path that is missing: 125, the path and a hint" {
    berth 125 run --rm -v "$FILE_DIR/missing:/mnt" "$IMAGE" true
    assert_contains "$output" "$FILE_DIR/missing"
    assert_contains "$output" "Hint:"
    nothing_made
}

@test "a port that is taken: 125, the port and a hint" {
    port=$(free_port)
    socat -u "TCP-LISTEN:$port,reuseaddr" STDOUT >/dev/null 2>&1 3>&- &
    pid=$!
    taken() { grep -qi ":$(printf %04X "$port") .* 0A " /proc/net/tcp /proc/net/tcp6; }
    wait_for 5 taken
    berth 125 run --rm -p "$port:80" "$IMAGE" true
    assert_contains "$output" "$port"
    assert_contains "$output" "Hint:"
    kill "$pid"
    nothing_made
}

@test "a corrupt archive: 125, its path, and no image" {
    head -c 100000 /dev/urandom >"$FILE_DIR/noise.tar"
    berth 125 load -i "$FILE_DIR/noise.tar"
    assert_contains "$output" "$FILE_DIR/noise.tar"
    head -c 700000 "$FIXTURES/nginx.tar" >"$FILE_DIR/short.tar"
    berth 125 load -i "$FILE_DIR/short.tar"
    assert_contains "$output" "$FILE_DIR/short.tar"
    berth images -q
    assert_equal "${#lines[@]}" 1
    nothing_made
}

@test "a container that is not there: 125, and its name" {
    for verb in start stop kill restart logs wait inspect exec attach port top pause unpause; do
        args=("no-such-$name")
        [[ $verb != exec ]] || args+=(true)
        berth 125 "$verb" "${args[@]}"
        assert_contains "$output" "no-such-$name"
    done
}
