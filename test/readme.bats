#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# only: root
# README.md as a user tries it on a fresh Debian 12: an ordinary user, no file below /etc/containers, no configuration of
# the user's own. Root makes that in a mount namespace, and in a process namespace, for one line kills every monitor.
load helpers
load faults/on-host

setup_file() {
    user_store_setup
    start_registry
    push_fixture nginx library/nginx:latest
    push_fixture busybox library/alpine:latest
}
teardown_file() { user_store_teardown; }
setup() { rm -rf "$USER_DIR/home/.config" "$USER_DIR"/out.*; }
teardown() { on_host true berth rm -fa -t 0; }

# readme_block HEADING: the lines of the block of shell below this heading, with free ports in place of theirs.
readme_block() {
    awk -v heading="## $1" '$0 == heading { on = 1 } on && /^```$/ { exit } on && code { print } on && /^```sh$/ { code = 1 }' \
        "$HELPERS_DIR/../README.md" | sed -E "s/\b8080\b/$(free_port)/; s/\b8000\b/$(free_port)/g"
}

# run_lines: each line of standard input in one shell of the user's, in the checkout. A line whose comment begins with
# "refused" must fail, all others must succeed. What each printed is in $USER_DIR/out.N, counted from 1.
run_lines() {
    local shell rc=0
    read -r -d '' shell <<'S' || true
        while IFS= read -r line; do
            n=$((n + 1)) rc=0
            eval "$line" >"$USER_DIR/out.$n" 2>&1 </dev/null || rc=$?
            echo "\$ $line"; cat "$USER_DIR/out.$n"; echo "exit code $rc"
            case $line in *"# refused"*) [ $rc -ne 0 ] ;; *) [ $rc -eq 0 ] ;; esac || exit 1
        done
S
    timeout -k 5 600 unshare --mount --propagation private --pid --fork --mount-proc bash -ec \
        'mount -t tmpfs n /etc/containers; mount -t tmpfs n /usr/share/containers; exec "$@"' - \
        setpriv --reuid="$USER_NAME" --regid="$USER_NAME" --init-groups --inh-caps=-all \
        env -i -C "$HELPERS_DIR/.." USER_DIR="$USER_DIR" HOME="$USER_DIR/home" XDG_RUNTIME_DIR="$USER_DIR/run" USER="$USER_NAME" \
        PATH="$(dirname "$ENGINE"):/usr/bin:/bin:/usr/sbin:/sbin" bash -c "$shell" 3>&- || rc=$?
    [[ $rc -eq 0 ]]
}

printed() { cat "$USER_DIR/out.$1"; }

@test "what it looks like: without a registry, and without any configuration" {
    run_lines < <(readme_block "What it looks like" | grep "run hello")
    assert_contains "$(printed 1)" "Hello from Berth!"
}

@test "what it looks like: every line, with a registry here in place of Docker Hub" {
    mkdir -p "$USER_DIR/home/.config/containers"
    printf 'unqualified-search-registries = ["docker.io"]\n[[registry]]\nprefix = "docker.io"\nlocation = "%s"\ninsecure = true\n' "$REGISTRY" >"$USER_DIR/home/.config/containers/registries.conf"
    # skopeo works with a policy only. Its package brings one, below /etc/containers.
    echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$USER_DIR/home/.config/containers/policy.json"
    chown -R "$USER_NAME:" "$USER_DIR/home/.config"
    run_lines < <(readme_block "What it looks like")
    assert_contains "$(printed 3)" "hello from nginx"
    assert_equal "$(tail -n 1 "$USER_DIR/out.5")" hi
    assert_contains "$(printed 7)" "hello from nginx"
    assert_contains "$(printed 8)" '"GET / HTTP/1.1" 200'
    assert_equal "$(printed 10)" ""
}

@test "what no other engine does, in ten lines" {
    run_lines < <(readme_block "What no other engine does")
    assert_equal "$(ls "$USER_DIR"/out.* | wc -l)" 10
    assert_contains "$(printed 4)" "#: use std/static-server port="
    assert_contains "$(printed 6)" "std/static-server and std/nginx both provide exclusive web-server"
    assert_contains "$(printed 6)" "try: without line"
    assert_contains "$(printed 8)" "hello"
    # Extracted, ejected: the same text but for the line that says so, and the same layers.
    assert_contains "$(printed 9)" "$(tail -n +2 "$USER_DIR/home/site/Containerfile")"
    not grep -q '^#:' "$USER_DIR/home/site/Containerfile"
    on_host true berth image inspect --format '{{json .RootFS.Layers}}' site
    site=$output
    on_host true berth image inspect --format '{{json .RootFS.Layers}}' plain
    assert_equal "$output" "$site"
}
