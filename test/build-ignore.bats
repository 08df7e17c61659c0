#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# build: what ignore files and --exclude leave out, by Docker's rules (moby/patternmatcher). Generated patterns are in
# build/copier/copier_test.go.

load helpers
load build

test_teardown() { timeout 60 "$ENGINE" rmi -f "localhost/$name" >/dev/null 2>&1 3>&- || true; }
teardown() { test_teardown; }

# sources: makes $CTX with files of a project, and a Containerfile from standard input.
sources() {
    context
    mkdir -p "$CTX"/{docs/deep,src/sub,vendor,empty}
    local f
    for f in main.go README.md docs/a.md docs/deep/b.md docs/c.txt src/x.go src/y.c src/sub/z.go vendor/v.go .hidden; do echo "$f" >"$CTX/$f"; done
}

# files DIR: what is in a directory of the image, in one line.
files() {
    in_image sh -c "cd $1 && find . | sort | sed 's,^\./,,' | grep -v '^\.$' | tr '\n' ' '"
}

@test "ignore files: exceptions below a wildcard, ** in a name, order, slashes, blanks" {
    is_berth || skip "podman's patterns differ from Docker's"
    local ignore want
    while IFS='|' read -r ignore want; do
        [[ -n $ignore ]] || continue
        sources <<-X
	FROM $IMAGE
	COPY . /all/
	X
        # shellcheck disable=SC2059 # the table has \n
        printf "$ignore\n" >"$CTX/.dockerignore"
        echo "# $ignore"
        build
        files /all
        assert_equal "${output% }" "$want"
        rm -r "$CTX"
    done <<'X'
**\n!**/*.go|main.go src src/sub src/sub/z.go src/x.go vendor vendor/v.go
*\n!**/*.go\nvendor|main.go src src/sub src/sub/z.go src/x.go
**.md\n.*\nContainerfile|docs docs/c.txt docs/deep empty main.go src src/sub src/sub/z.go src/x.go src/y.c vendor vendor/v.go
*\n!src\nsrc/**/*.go|src src/sub src/y.c
# all\n\n  /*  \n!/docs/deep/|docs docs/deep docs/deep/b.md
*\n!docs/*/b.md|docs docs/deep docs/deep/b.md
*\n!./src/sub/../x.go|src src/x.go
*\n!s?c/[x-y].*|src src/x.go src/y.c
*\n!**/sub/|src src/sub src/sub/z.go
X
}

@test "ignore files: a source that is a directory or a file, and one that is left out" {
    is_berth || skip "podman's patterns differ from Docker's"
    sources <<-X
	FROM $IMAGE
	COPY src /src
	COPY docs/deep/b.md src/*.go /some/
	ADD src/sub /sub
	X
    printf '**\n!**/*.go\n!docs/*/b.md\n' >"$CTX/.dockerignore"
    build
    files /src
    assert_equal "$output" "sub sub/z.go x.go "
    files /some
    assert_equal "$output" "b.md x.go "
    files /sub
    assert_equal "$output" "z.go "
    local source
    for source in src/y.c docs/c.txt empty vendor 'docs/*.txt' vendor/v.go; do
        printf '**\n!src/*.go\n' >"$CTX/.dockerignore"
        printf 'FROM %s\nCOPY %s /x/\n' "$IMAGE" "$source" >"$CTX/Containerfile"
        build 125
        assert_contains "$output" "the ignore file leaves it out"
    done
}

@test "an ignore file of another context holds for that" {
    is_berth || skip "podman's patterns differ from Docker's"
    sources <<-X
	FROM $IMAGE
	COPY --from=other . /all/
	COPY --from=other src /src/
	COPY main.go /
	X
    cp -r "$CTX" "$CTX-other"
    printf '**\n!**/*.go\n' >"$CTX-other/.dockerignore"
    printf '*\n!main.go\n' >"$CTX/.dockerignore"
    build --build-context other="$CTX-other"
    files /all
    assert_equal "$output" "main.go src src/sub src/sub/z.go src/x.go vendor vendor/v.go "
    files /src
    assert_equal "$output" "sub sub/z.go x.go "
    echo changed >"$CTX-other/src/x.go"
    build --build-context other="$CTX-other"
    in_image cat /src/x.go
    assert_equal "$output" changed
}

@test "--exclude: relative to the source, several, exceptions, of stages, of files, with a variable" {
    is_berth || skip "podman's patterns differ from Docker's"
    sources <<-X
	FROM scratch AS stage
	COPY . /
	FROM $IMAGE
	ARG EXT=md
	COPY --exclude=**.md --exclude=.* --exclude=*/*.go . /a/
	COPY --exclude=sub src /b/
	COPY --exclude=** --exclude=!**/*.go src /c/
	COPY --exclude=*.md *.* docs/*.* /d/
	COPY --from=stage --exclude=**/*.go --exclude=*.\$EXT --link / /e/
	ADD --exclude=deep docs /f/
	COPY --parents --exclude=src/sub src docs/./c.txt /g/
	X
    build
    files /a
    assert_equal "$output" "Containerfile docs docs/c.txt docs/deep empty main.go src src/sub src/sub/z.go src/y.c vendor "
    files /b
    assert_equal "$output" "x.go y.c "
    files /c
    assert_equal "$output" "sub sub/z.go x.go "
    files /d
    assert_equal "$output" ".hidden c.txt main.go "
    files /e
    assert_equal "$output" ".hidden Containerfile docs docs/a.md docs/c.txt docs/deep docs/deep/b.md empty src src/sub src/y.c vendor "
    files /f
    assert_equal "$output" "a.md c.txt "
    files /g
    assert_equal "$output" "c.txt src src/x.go src/y.c "
}

@test "the cache: what is left out does not count, what is kept does, with or without an equal build" {
    is_berth || skip "podman's patterns differ from Docker's"
    sources <<-X
	FROM $IMAGE
	COPY . /all/
	RUN cat /all/src/x.go > /seen
	X
    printf '**\n!**/*.go\n' >"$CTX/.dockerignore"
    sleep 0.2
    build
    local first
    first=$("$ENGINE" image inspect -f '{{.Id}}' "localhost/$name")
    echo other >"$CTX/docs/c.txt"
    sleep 0.2
    build
    assert_equal "$("$ENGINE" image inspect -f '{{.Id}}' "localhost/$name")" "$first"
    echo changed >"$CTX/src/x.go"
    build
    in_image cat /seen
    assert_equal "$output" changed
}

@test "a pattern that is none is named, with its file" {
    is_berth || skip "podman words it differently"
    sources <<-X
	FROM $IMAGE
	COPY . /
	X
    echo '[a' >"$CTX/.dockerignore"
    build 125
    assert_contains "$output" ".dockerignore"
}
