#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# What make install installs for readers and shells: manual pages, the reference, completions. Only Berth's own.
NO_IMAGE=1
load helpers

setup_file() {
    store_setup
    make -s -C "$HELPERS_DIR/.." install PREFIX=/usr DESTDIR="$FILE_DIR/dest" 3>&-
}

@test "every manual page is one that troff takes, and man finds it" {
    [[ -f $FILE_DIR/dest/usr/share/man/man1/berth.1 && -f $FILE_DIR/dest/usr/share/man/man1/berth-container-stop.1 ]]
    for page in "$FILE_DIR"/dest/usr/share/man/man1/*.1; do
        warnings=$(man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >"$FILE_DIR/tmp/page")
        assert_equal "$warnings" ""
        grep -q . "$FILE_DIR/tmp/page"
    done
    run -0 env MANPATH="$FILE_DIR/dest/usr/share/man" MANWIDTH=100 man -P cat berth-stop
    [[ $output == *"berth-stop - Stop one or more running containers"* ]]
    [[ $output == *"-t, --time"* ]]
}

@test "the links of the reference lead to pages" {
    cd "$FILE_DIR/dest/usr/share/doc/berth/reference"
    for to in $(grep -oh '](berth[^)]*)' ./*.md | sort -u); do
        to=${to#](}
        [[ -f ${to%)} ]] || { echo "no ${to%)}"; return 1; }
    done
}

@test "completions are where the shells look" {
    cd "$FILE_DIR/dest/usr/share"
    bash -n bash-completion/completions/berth
    zsh -n zsh/site-functions/_berth
    fish --no-execute fish/vendor_completions.d/berth.fish
}

@test "the installed program works, and uninstall leaves nothing" {
    run -0 "$FILE_DIR/dest/usr/bin/berth" __completeNoDesc image pul
    [[ ${lines[0]} == pull ]]
    make -s -C "$HELPERS_DIR/.." uninstall PREFIX=/usr DESTDIR="$FILE_DIR/dest" 3>&-
    run find "$FILE_DIR/dest" -type f
    assert_equal "$output" ""
}
