# SPDX-License-Identifier: Apache-2.0
# For files that look at what an ordinary user gets on a host that is set up in another way: root does that in a mount
# namespace of its own, and runs the engine there as the user, who has a home, a runtime directory and so a store of
# the file's own below $USER_DIR.

user_store_setup() {
    NO_IMAGE=1 store_setup
    chmod 755 "$FILE_DIR"
    export USER_NAME USER_DIR=$FILE_DIR/u
    USER_NAME=$("$HELPERS_DIR/setup-user" 3>&-)
    mkdir -p "$USER_DIR/home/.config/containers" "$USER_DIR/tmp"
    mkdir -m 700 "$USER_DIR/run"
    echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$USER_DIR/home/.config/containers/policy.json"
    chown -R "$USER_NAME:" "$USER_DIR"
}

user_store_teardown() {
    on_host true berth system check
    leak_check
    discard "$FILE_DIR"
}

# on_host SETUP berth [CODE] ARG...: as berth, for the user, after SETUP in a mount namespace. With another word
# than berth, that program.
on_host() {
    local setup=$1 program=$2 want=0
    shift 2
    [[ $program != berth ]] || program=$ENGINE
    if [[ ${1:-} =~ ^[0-9]+$ ]]; then want=$1; shift; fi
    status=0
    # The namespace of the test before, if a process of it is still ending, would be joined as it is.
    rm -f "$USER_DIR/run/berth/userns"
    output=$(timeout -k 5 60 unshare --mount --propagation private bash -ec 'eval "$0"; exec "$@"' "$setup" \
        setpriv --reuid="$USER_NAME" --regid="$USER_NAME" --init-groups --inh-caps=-all \
        env -i -C "$USER_DIR/home" HOME="$USER_DIR/home" XDG_RUNTIME_DIR="$USER_DIR/run" TMPDIR="$USER_DIR/tmp" USER="$USER_NAME" PATH=/usr/bin:/bin:/usr/sbin:/sbin \
        "$program" "$@" 2>&1 3>&- </dev/null) || status=$?
    mapfile -t lines < <(grep . <<<"$output")
    echo "$ ${program##*/} $* (where: $setup)"; echo "$output"; echo "exit code $status, want $want"
    [[ $status -eq $want ]]
}
