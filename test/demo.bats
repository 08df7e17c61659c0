#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# only: user
# What docs/tutorial-partials.md shows, run as it stands there. test/readme.bats does the same with README.md.

load helpers

setup_file() {
    NO_IMAGE=1 store_setup
    start_registry
    CHECKOUT=$(dirname "$HELPERS_DIR")
    export CHECKOUT REGISTRY
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
