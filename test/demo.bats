#!/usr/bin/env bats
# only: user
# What README.md and docs/tutorial-partials.md show, run as it stands there.

load helpers

setup_file() {
    NO_IMAGE=1 store_setup
    start_registry
    CHECKOUT=$(dirname "$HELPERS_DIR")
    export CHECKOUT REGISTRY
}

# readme_block HEADING: the lines of the block of shell below this heading.
readme_block() {
    awk -v heading="## $1" '$0 == heading { on = 1 } on && /^```$/ { exit } on && code { print } on && /^```sh$/ { code = 1 }' \
        "$CHECKOUT/README.md"
}

# run_lines: each line of standard input in one shell, in the checkout. A line whose comment begins with "refused"
# must fail, all others must succeed. What each printed is in $FILE_DIR/out.N, counted from 1.
run_lines() {
    local line n=0 rc
    cd "$CHECKOUT" || return 1
    unset TMPDIR # mmdebstrap's is for another user ID
    mapfile -t block
    for line in "${block[@]}"; do
        n=$((n + 1))
        rc=0
        unset -f berth # a user has none
        eval "$line" >"$FILE_DIR/out.$n" 2>&1 3>&- </dev/null || rc=$?
        echo "\$ $line"; cat "$FILE_DIR/out.$n"; echo "exit code $rc"
        if [[ $line == *"# refused"* ]]; then [[ $rc -ne 0 ]]; else [[ $rc -eq 0 ]]; fi || return 1
    done
}

printed() { cat "$FILE_DIR/out.$1"; }

@test "README: what no other engine does, in ten lines" {
    run_lines < <(readme_block "What no other engine does")
    assert_equal "${#block[@]}" 10
    assert_contains "$(printed 4)" "#: use std/static-server port=8000"
    assert_contains "$(printed 6)" "std/static-server and std/nginx both provide exclusive web-server"
    assert_contains "$(printed 6)" "try: without line"
    assert_contains "$(printed 8)" "hello"
    # Extracted, ejected: the same text, and the same image.
    assert_contains "$(printed 9)" "$(cat Containerfile)"
    not grep -q '^#:' Containerfile
    assert_equal "$(tail -n 1 "$FILE_DIR/out.10")" "$(tail -n 2 "$FILE_DIR/out.7" | head -n 1)"
}

# A block ```sh must succeed, one ```sh fails must not; each line of a block ```text below it is a line
# that it printed, where … stands for anything.
@test "docs/tutorial-partials.md: every command, and what it prints" {
    mkdir "$FILE_DIR/tutorial"
    cd "$FILE_DIR/tutorial"
    export BERTH=$CHECKOUT
    awk -v dir="$FILE_DIR" '
        /^```/ { if (kind) { close(file); kind = "" } else { kind = substr($0, 4); n++; file = sprintf("%s/block.%03d.%s", dir, n, kind); gsub(" ", "-", file); printf "" > file }; next }
        kind { print > file }' "$CHECKOUT/docs/tutorial-partials.md"
    local b line rc blocks=0 out=$FILE_DIR/printed
    unset TMPDIR
    "$ENGINE" image inspect localhost/debian:12 >/dev/null 2>&1 3>&- || "$ENGINE" load -q -i "$FIXTURES/debian.tar" 3>&-
    for b in "$FILE_DIR"/block.*; do
        case $b in
        *.sh | *.sh-fails)
            rc=0
            echo "--- $b"; cat "$b"
            bash -ec 'source "$1"; pwd >"$2"' - "$b" "$FILE_DIR/cwd" >"$out" 2>&1 3>&- </dev/null || rc=$?
            cat "$out"; echo "exit code $rc"
            if [[ $b == *fails ]]; then [[ $rc -ne 0 ]]; else [[ $rc -eq 0 ]]; fi
            cd "$(cat "$FILE_DIR/cwd")"
            blocks=$((blocks + 1))
            ;;
        *.text)
            while IFS= read -r line; do
                echo "expected: $line"
                grep -qx -- "$(sed 's/[][\\.*^$]/\\&/g; s/…/.*/g' <<<"$line")" "$out"
            done <"$b"
            ;;
        *) false ;;
        esac
    done
    [[ $blocks -ge 15 ]]
}
