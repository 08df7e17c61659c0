#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: root
# What a context, an image or a Containerfile may not do to the host: a test for each class of holes that buildah and
# BuildKit have had. Each attack is for $VICTIM, a directory of the host's with a secret in it.

load helpers
load evil

setup() {
    test_setup
    CTX=$FILE_DIR/ctx-$name
    mkdir -p "$CTX"
    victim
}

teardown() {
    stop_servers
    test_teardown
    timeout 60 "$ENGINE" rmi -f "localhost/$name" "localhost/$name-base" >/dev/null 2>&1 3>&- || true
}

# containerfile: $CTX/Containerfile from standard input.
containerfile() { cat >"$CTX/Containerfile"; }

# base: builds localhost/$name-base from standard input; it is the image of an attacker.
base() { berth build -q --network none --no-cache -t "localhost/$name-base" - ; }

# attack [ARG...]: builds, $CTX unless there are arguments; that may fail or not. Nothing of the secret is in what it
# prints or makes, and nothing has changed in $VICTIM.
attack() {
    local rc=0
    if [[ $# -eq 0 ]]; then set -- "$CTX"; fi
    output=$(timeout --foreground -k 5 60 "$ENGINE" build --network none --no-cache -t "localhost/$name" "$@" 2>&1 3>&-) || rc=$?
    echo "$ build $*"; echo "$output"; echo "exit code $rc"
    status=$rc
    [[ $rc -ne 124 && $rc -ne 137 ]] || { echo "it hangs"; return 1; }
    [[ $rc -lt 128 && $output != *panic:* && $output != *goroutine\ * ]] || { echo "it crashes"; return 1; }
    unharmed "localhost/$name"
}

refused() { [[ $status -ne 0 ]] || { echo "it was not refused"; return 1; }; }

# serve DIR: an HTTP server; sets URL.
serve() {
    local port
    port=$(free_port)
    python3 -m http.server -b 127.0.0.1 -d "$1" "$port" >/dev/null 2>&1 3>&- &
    echo $! >>"$FILE_DIR/servers-$name"
    URL=http://127.0.0.1:$port
    wait_for 10 curl -sf -o /dev/null "$URL/"
}

stop_servers() {
    local pid
    [[ -e $FILE_DIR/servers-$name ]] || return 0
    while read -r pid; do kill "$pid" 2>/dev/null || true; done <"$FILE_DIR/servers-$name"
    rm "$FILE_DIR/servers-$name"
}

# git_repo: $REPO, an empty repository with a work tree; git_serve: serves it and sets GIT_URL and HTTP_GIT_URL.
# With `index` it is what the index says, not the work tree.
git_repo() { REPO=$FILE_DIR/git-$name/work; git init -q -b main "$REPO" 3>&-; }
git_serve() {
    local port
    [[ ${1:-} == index ]] || git -C "$REPO" add -A 3>&-
    git -C "$REPO" -c user.name=t -c user.email=t@example.org commit -qm x 3>&-
    git clone -q --bare "$REPO" "$FILE_DIR/git-$name/repo.git" 3>&-
    # Over HTTP too: ADD takes nothing else.
    port=$(free_port)
    "$HELPERS_DIR/tools/git-http" "$port" "$FILE_DIR/git-$name" >/dev/null 2>&1 3>&- &
    echo $! >>"$FILE_DIR/servers-$name"
    HTTP_GIT_URL=http://127.0.0.1:$port/repo.git
    port=$(free_port)
    git daemon --export-all --base-path="$FILE_DIR/git-$name" --listen=127.0.0.1 --port="$port" --reuseaddr >/dev/null 2>&1 3>&- &
    echo $! >>"$FILE_DIR/servers-$name"
    GIT_URL=git://127.0.0.1:$port/repo.git
    wait_for 10 git ls-remote -q "$GIT_URL" HEAD >/dev/null 2>&1
    wait_for 10 git ls-remote -q "$HTTP_GIT_URL" HEAD >/dev/null 2>&1
}

@test "these tests can fail: attack sees a secret in the output, one in the image, and a change" {
    cp "$VICTIM/secret" "$CTX/f"
    printf 'FROM %s\nCOPY f /f\n' "$IMAGE" >"$CTX/Containerfile"
    attack && return 1
    echo "$output" | not grep -q "panic"
    printf 'FROM %s\nCOPY f /f\nRUN cat /f; rm /f\n' "$IMAGE" >"$CTX/Containerfile"
    attack && return 1
    printf 'FROM %s\n' "$IMAGE" >"$CTX/Containerfile"
    attack
    attack -v "$VICTIM:/v" - <<<"FROM $IMAGE"$'\nRUN touch /v/new' && return 1
    [[ -e $VICTIM/new ]]
}

# --- the context -------------------------------------------------------------------------

@test "COPY and ADD of links that lead out of the context (CVE-2018-15664, CVE-2026-44517)" {
    ln -s "$VICTIM/secret" "$CTX/absolute"
    ln -s "$UP$VICTIM/secret" "$CTX/relative"
    ln -s "$VICTIM" "$CTX/directory"
    mkdir "$CTX/sub"; ln -s ../directory "$CTX/sub/chain"
    for from in absolute relative directory/secret directory/. 'directory/s*' sub/chain/secret "../victim-$name/secret" "$UP$VICTIM/secret" "$VICTIM/secret"; do
        printf 'FROM %s\nCOPY %s /out/\n' "$IMAGE" "$from" >"$CTX/Containerfile"
        attack
    done
    for how in "COPY --link" "COPY --parents" "COPY --chown=1:1 --chmod=600" ADD; do
        printf 'FROM %s\n%s absolute /out/\n' "$IMAGE" "$how" >"$CTX/Containerfile"
        attack
        printf 'FROM %s\n%s directory/secret /out/\n' "$IMAGE" "$how" >"$CTX/Containerfile"
        attack
    done
}

@test "COPY of a whole context with links takes the links, not what they stand for" {
    ln -s "$VICTIM/secret" "$CTX/file"
    ln -s "$VICTIM" "$CTX/dir"
    printf 'FROM %s\nCOPY . /ctx/\nRUN ls -l /ctx; cat /ctx/file /ctx/dir/secret 2>&1 || true\n' "$IMAGE" >"$CTX/Containerfile"
    attack
    assert_equal "$status" 0
    assert_contains "$output" "-> $VICTIM/secret"
}

@test "an ignore file that is a link, a pattern with .., and a FIFO (CVE-2022-4122)" {
    printf 'FROM %s\nCOPY . /ctx/\n' "$IMAGE" >"$CTX/Containerfile"
    for f in .containerignore .dockerignore; do
        ln -s "$VICTIM/secret" "$CTX/$f"
        attack
        tar -C "$CTX" -cf "$FILE_DIR/c-$name.tar" .
        attack - <"$FILE_DIR/c-$name.tar"
        rm "$CTX/$f"
    done
    printf '*\n!Containerfile\n!%s\n!../victim-%s\n!%s\n' "$UP$VICTIM" "$name" "$VICTIM" >"$CTX/.containerignore"
    attack
    evil_tar "$FILE_DIR/fifo-$name.tar" "file Containerfile FROM $IMAGE" "fifo .containerignore"
    attack - <"$FILE_DIR/fifo-$name.tar"
    evil_tar "$FILE_DIR/fifo-$name.tar" "file Containerfile FROM $IMAGE" "link .containerignore /dev/zero"
    attack - <"$FILE_DIR/fifo-$name.tar"
    evil_tar "$FILE_DIR/fifo-$name.tar" "file Containerfile FROM $IMAGE" "link Containerfile.containerignore $VICTIM/secret"
    attack - <"$FILE_DIR/fifo-$name.tar"
}

@test "a Containerfile that is a link out of a context from elsewhere (CVE-2022-4122, CVE-2026-44517)" {
    mkdir "$CTX/d"
    ln -s "$VICTIM/secret" "$CTX/d/Containerfile"
    ln -s "$VICTIM" "$CTX/d/out"
    ln -s "$VICTIM/secret" "$CTX/d/Dockerfile"
    ln -s "$VICTIM/secret" "$CTX/d/other"
    for f in "" other out/secret; do
        tar -C "$CTX/d" -cf "$FILE_DIR/d-$name.tar" .
        attack ${f:+-f "$f"} - <"$FILE_DIR/d-$name.tar"
        refused
        not grep -q "FROM instruction" <<<"$output"
    done
    git_repo
    cp -a "$CTX/d/." "$REPO"
    git_serve
    for f in "" other out/secret; do
        attack ${f:+-f "$f"} "$GIT_URL"
        refused
    done
    # The files beside it, which may say what to ignore.
    rm "$CTX/d/Containerfile"
    printf 'FROM %s\nCOPY . /c\n' "$IMAGE" >"$CTX/d/Containerfile"
    ln -s /dev/zero "$CTX/d/Containerfile.dockerignore"
    tar -C "$CTX/d" -cf "$FILE_DIR/d-$name.tar" .
    attack -f Containerfile - <"$FILE_DIR/d-$name.tar"
}

@test "a context from a tar with .., absolute names, links, hard links and devices (CVE-2020-10696, CVE-2024-3727)" {
    local t=$FILE_DIR/evil-$name.tar
    for lines in "file $UP$VICTIM/new" "file $VICTIM/new" "link l $VICTIM|file l/new" "hard h $VICTIM/secret" "hard h $UP$VICTIM/secret" \
        "link l $UP$VICTIM|dir l/newdir" "char c 1,3" "link Dockerfile $VICTIM/empty" "link d $VICTIM|hard h d/secret"; do
        IFS='|' read -ra entries <<<"$lines"
        evil_tar "$t" "file Containerfile FROM $IMAGE\nCOPY . /ctx/\n" "${entries[@]}"
        attack - <"$t"
    done
}

@test "a context from a URL: a link for the Dockerfile, then something else at the same URL (CVE-2020-10696)" {
    local port
    evil_tar "$FILE_DIR/first-$name" "link Dockerfile $VICTIM/secret" "file x"
    truncate -s -700 "$FILE_DIR/first-$name" # broken, after the link
    port=$(free_port)
    python3 - "$port" "$FILE_DIR/first-$name" >/dev/null 2>&1 3>&- <<-'X' &
	import http.server, sys
	first = [open(sys.argv[2], "rb").read()[:700]]
	class H(http.server.BaseHTTPRequestHandler):
	    def do_GET(self):
	        body = first.pop() if first and self.path != "/ready" else b"FROM scratch\nLABEL a=b\n"
	        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
	http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
	X
    echo $! >>"$FILE_DIR/servers-$name"
    wait_for 10 curl -sf -o /dev/null "http://127.0.0.1:$port/ready"
    attack "http://127.0.0.1:$port/ctx.tar"
}

@test "a context from git: .. and links as its directory, options as its branch, submodules, hooks (CVE-2026-33748, CVE-2018-11235, CVE-2019-13139)" {
    git_repo
    printf 'FROM %s\nCOPY . /ctx/\n' "$IMAGE" >"$REPO/Containerfile"
    printf 'FROM %s\nCOPY . /ctx/\n' "$IMAGE" >"$VICTIM/Containerfile"
    VICTIM_BEFORE=$(victim_state)
    ln -s "$VICTIM" "$REPO/out"
    ln -s "$UP$VICTIM" "$REPO/up"
    mkdir "$REPO/sub"; echo x >"$REPO/sub/x"
    printf '[submodule "x"]\n\tpath = sub/m\n\turl = -u./payload\n[submodule "../../x"]\n\tpath = m\n\turl = %s\n' "$VICTIM" >"$REPO/.gitmodules"
    git_serve
    for what in "main:out" "main:up" "main:$UP$VICTIM" "main:../../victim-$name" "main:$VICTIM" \
        "--upload-pack=touch $VICTIM/new" "--upload-pack=touch\${IFS}$VICTIM/new" "main --output=$VICTIM/new" ":--upload-pack=touch $VICTIM/new"; do
        attack "$GIT_URL#$what"
    done
    attack "$GIT_URL"
    assert_equal "$status" 0
    attack "git://--upload-pack=touch $VICTIM/new/x.git"
    refused
    attack "git://-oProxyCommand=touch$IFS$VICTIM/new/x.git"
    refused
}

# bounded TEXT ARG...: the build ends within 60 s with that text, and nothing of the repository is left.
bounded() {
    local text=$1 left
    shift
    BERTH_TIMEOUT=60 berth 125 build -q "$@" "$CTX"
    assert_contains "$output" "$text"
    assert_contains "$output" "Hint: if you trust it, allow more with BERTH_UNPACK_"
    left=$(find "$GRAPHROOT/berth/builds" -mindepth 1)
    assert_equal "$left" ""
    not pgrep -u "$(id -u)" -f "git.*index-pack.*$name"
}

# every TEXT URL: as bounded, of a repository as a context, in ADD and as a further context.
every() {
    CTX=$2 bounded "$1"
    printf 'FROM scratch\nADD %s /x/\n' "$2" >"$CTX/Containerfile"
    bounded "$1"
    printf 'FROM scratch\nCOPY --from=more / /x/\n' >"$CTX/Containerfile"
    bounded "$1" --build-context "more=$2"
}

@test "a repository with a pack that does not end, with large files, with more files than are taken" {
    local port tree blob i
    port=$(free_port)
    "$HELPERS_DIR/tools/git-endless" "$port" >/dev/null 2>&1 3>&- &
    echo $! >>"$FILE_DIR/servers-$name"
    wait_for 10 curl -sf -o /dev/null "http://127.0.0.1:$port/"
    BERTH_UNPACK_LIMIT=32m every "more than 32 MiB" "http://127.0.0.1:$port/x.git"
    # A file that is packed well is written when the commit is checked out.
    git_repo
    head -c 50000000 /dev/zero >"$REPO/zeros"
    git_serve
    BERTH_UNPACK_LIMIT=32m every "more than 32 MiB" "$HTTP_GIT_URL"
    BERTH_UNPACK_LIMIT=32m CTX=$GIT_URL bounded "more than 32 MiB"
    BERTH_UNPACK_LIMIT=100m berth build -q -f - -t "localhost/$name" "$HTTP_GIT_URL" <<<"FROM scratch
	COPY zeros /"
    # Four trees that name each other twenty times are 160000 files.
    stop_servers
    rm -rf "$FILE_DIR/git-$name"
    git_repo
    blob=$(git -C "$REPO" hash-object -w --stdin <<<x)
    tree=$(for i in {1..20}; do printf '100644 blob %s\tf%s\n' "$blob" "$i"; done | git -C "$REPO" mktree)
    for _ in 1 2 3; do
        tree=$(for i in {1..20}; do printf '040000 tree %s\td%s\n' "$tree" "$i"; done | git -C "$REPO" mktree)
    done
    git -C "$REPO" read-tree "$tree"
    git_serve index
    BERTH_UNPACK_FILES=2000 every "more than 2000 files" "$HTTP_GIT_URL"
}

# --- ADD ---------------------------------------------------------------------------------

@test "ADD of an archive with .., absolute names, links, hard links and devices (CVE-2019-14271, CVE-2021-30465)" {
    for lines in "file $UP$VICTIM/new" "file $VICTIM/new" "link l $VICTIM|file l/new" "link l $UP$VICTIM|file l/secret" \
        "hard h $VICTIM/secret" "hard h $UP$VICTIM/secret" "link l $VICTIM|hard h l/secret" "link . $VICTIM|file new" "link d $VICTIM|dir d/newdir" "block b 8,0" "char c 1,1"; do
        IFS='|' read -ra entries <<<"$lines"
        evil_tar "$CTX/evil.tar" "${entries[@]}"
        # Over a link in the image as well.
        printf 'FROM %s\nRUN ln -s %s /to\nADD evil.tar /d/\nADD evil.tar /to/\nRUN cat /d/h /to/h 2>/dev/null || true\n' "$IMAGE" "$VICTIM" >"$CTX/Containerfile"
        attack
    done
}

@test "COPY and ADD to a link of the image stay in the image (CVE-2024-1753)" {
    echo new >"$CTX/f"; mkdir "$CTX/dir/"; echo new >"$CTX/dir/new"
    base <<<"FROM $IMAGE
RUN ln -s $VICTIM /abs; ln -s $UP$VICTIM /rel; ln -s $VICTIM/secret /file; ln -s / /root-link; mkdir /p; ln -s $VICTIM/not-there /p/dangling"
    for to in /abs/new /rel/new /file /abs/ "/root-link$VICTIM/new" /p/dangling; do
        printf 'FROM localhost/%s-base\nCOPY f %s\n' "$name" "$to" >"$CTX/Containerfile"
        attack
    done
    for how in "ADD f" "COPY dir" "COPY --chown=0:0 f" "COPY --link f"; do
        printf 'FROM localhost/%s-base\n%s /abs/new\n' "$name" "$how" >"$CTX/Containerfile"
        attack
    done
    printf 'FROM localhost/%s-base\nCOPY <<X /abs/new\nheredoc\nX\nWORKDIR /rel/newdir\nRUN touch here\n' "$name" >"$CTX/Containerfile"
    attack
    assert_equal "$status" 0
}

@test "WORKDIR over a link of the image makes no directory on the host (CVE-2026-55686)" {
    printf 'FROM %s\nRUN ln -s %s /w\nWORKDIR /w/new\nRUN pwd; touch x\nWORKDIR ../../up\nRUN touch y\nWORKDIR %s%s/new\nRUN touch z\n' "$IMAGE" "$VICTIM" "$UP" "$VICTIM" >"$CTX/Containerfile"
    attack
    assert_equal "$status" 0
}

@test "COPY --from: links in a stage and in an image, and .. (CVE-2024-1753)" {
    base <<<"FROM $IMAGE
RUN ln -s $VICTIM /abs; ln -s $UP$VICTIM /rel; ln -s $VICTIM/secret /file; ln -s / /top"
    for from in /abs/secret /rel/secret /file "/top$VICTIM/secret" "../../../..$VICTIM/secret" "$UP$VICTIM/secret" '/abs/*'; do
        printf 'FROM localhost/%s-base AS evil\nRUN true\nFROM %s\nCOPY --from=evil %s /got/\n' "$name" "$IMAGE" "$from" >"$CTX/Containerfile"
        attack
        refused
    done
    printf 'FROM %s\nCOPY --from=localhost/%s-base /abs/secret /got/\n' "$IMAGE" "$name" >"$CTX/Containerfile"
    attack
    refused
}

@test "ADD of a git repository: .., links and options (CVE-2019-13139, CVE-2026-33748)" {
    git_repo
    echo x >"$REPO/x"
    ln -s "$VICTIM" "$REPO/out"
    ln -s "$VICTIM/secret" "$REPO/file"
    git_serve
    for what in "main:out" "main:$UP$VICTIM" "main:$VICTIM" "--upload-pack=touch\${IFS}$VICTIM/new"; do
        printf 'FROM %s\nADD %s#%s /got/\nRUN cat /got/secret || true\n' "$IMAGE" "$HTTP_GIT_URL" "$what" >"$CTX/Containerfile"
        attack
    done
    printf 'FROM %s\nADD %s /got/\nRUN ls -l /got; cat /got/file || true\n' "$IMAGE" "$HTTP_GIT_URL" >"$CTX/Containerfile"
    attack
    assert_equal "$status" 0
    assert_contains "$output" "-> $VICTIM/secret"
}

@test "ADD of a URL: no name from the server leads anywhere, and a wrong checksum is refused (CVE-2022-4123)" {
    mkdir "$FILE_DIR/www-$name"
    echo evil >"$FILE_DIR/www-$name/f"
    serve "$FILE_DIR/www-$name"
    for path in "%2e%2e%2f%2e%2e%2fnew" "x/..%2f..%2f..%2f..$VICTIM%2fnew" "f?x=/../../../..$VICTIM/new" "f#/../../../..$VICTIM/new" "./../..$VICTIM/../f"; do
        printf 'FROM %s\nADD %s/%s /d/\n' "$IMAGE" "$URL" "$path" >"$CTX/Containerfile"
        attack
    done
    printf 'FROM %s\nADD --checksum=sha256:%064d %s/f /d/f\n' "$IMAGE" 0 "$URL" >"$CTX/Containerfile"
    attack
    refused
    printf 'FROM %s\nADD --checksum=sha256:%s %s/f /d/f\n' "$IMAGE" "$(sha256sum <"$FILE_DIR/www-$name/f" | cut -d' ' -f1)" "$URL" >"$CTX/Containerfile"
    attack
    assert_equal "$status" 0
}

# --- RUN --mount -------------------------------------------------------------------------

@test "RUN --mount=type=bind: .. and links as source, of the context, a stage and an image (CVE-2024-1753)" {
    ln -s "$VICTIM" "$CTX/out"; ln -s / "$CTX/top"
    base <<<"FROM $IMAGE
RUN ln -s $VICTIM /abs; ln -s $UP$VICTIM /rel; ln -s $VICTIM/secret /file; ln -s / /top"
    for source in ../ "$UP$VICTIM" "$VICTIM" /out /top /; do
        printf 'FROM %s\nRUN --mount=type=bind,source=%s,target=/m,rw cat /m/secret /m%s/secret || true; touch /m/new /m%s/new || true\n' "$IMAGE" "$source" "$VICTIM" "$VICTIM" >"$CTX/Containerfile"
        attack
    done
    for source in ../../.. "$UP$VICTIM" /abs /rel /file /top /; do
        {
            printf 'FROM localhost/%s-base AS evil\nFROM %s\n' "$name" "$IMAGE"
            for from in "localhost/$name-base" evil; do
                printf 'RUN --mount=type=bind,from=%s,source=%s,target=/m,rw cat /m /m/secret /m%s/secret || true; touch /m/new /m%s/new || true\n' "$from" "$source" "$VICTIM" "$VICTIM"
            done
        } >"$CTX/Containerfile"
        attack
    done
}

@test "RUN --mount=type=bind: for the cache's key nothing is read that is not mounted" {
    local far=$UP/$UP/$UP line sums i
    # In the context, the same paths lead to files of its own.
    mkdir -p "$CTX$VICTIM/dir" "$FILE_DIR/further-$name$VICTIM/dir"
    touch "$CTX$VICTIM/dir/secret" "$FILE_DIR/further-$name$VICTIM/dir/secret"
    ln -s / "$CTX/top"; ln -s / "$FILE_DIR/further-$name/top"
    for line in "--mount=type=bind,target=/m,source=$far$VICTIM/dir" "--mount=type=bind,target=/m,source=top$VICTIM/dir" "--mount=type=bind,target=/m,source=\$T$VICTIM/dir" \
        "--mount=type=bind,target=/m,source=\${E}top$VICTIM/dir" "--mount=type=bind,target=/m,from=further,source=top$VICTIM/dir"; do
        sums=()
        for i in 1 2; do
            echo "$i" >"$VICTIM/dir/secret"
            printf 'FROM %s\nARG T=top\nRUN %s true\n' "$IMAGE" "$line" >"$CTX/Containerfile"
            berth build -q --network none --no-cache --build-context "further=$FILE_DIR/further-$name" -t "localhost/$name" "$CTX"
            sums+=("$("$ENGINE" history --no-trunc --format '{{.CreatedBy}}' "localhost/$name" 3>&-)")
        done
        assert_equal "${sums[1]}" "${sums[0]}"
    done
    # Triggers of a base image go off as they are, or not at all.
    for line in "source=$far$VICTIM/dir" "source=top$VICTIM/dir" "source=\$T$VICTIM/dir"; do
        printf 'FROM %s\nONBUILD ARG T=top\nONBUILD RUN --mount=type=bind,target=/m,%s true\n' "$IMAGE" "$line" | berth build -q --format docker -t "localhost/$name-base" -
        printf 'FROM localhost/%s-base\n' "$name" >"$CTX/Containerfile"
        berth 125 build -q --network none --no-cache -t "localhost/$name" "$CTX"
        [[ $output == *"the source of its mount is not plainly in the context"* ]]
    done
    printf 'FROM %s\nONBUILD RUN --mount=type=bind,target=/m,source=%s ls /m\n' "$IMAGE" "$VICTIM/dir" | berth build -q --format docker -t "localhost/$name-base" -
    berth build --network none --no-cache -t "localhost/$name" "$CTX"
    [[ $output == *secret* ]]
}

@test "RUN --mount=type=bind: only options that there are (CVE-2024-9407)" {
    for option in "bind-propagation=private:$VICTIM" "bind-propagation=upperdir=$VICTIM" "upperdir=$VICTIM" "O" "relabel=shared:$VICTIM" "dest=/x,src=$VICTIM"; do
        printf 'FROM %s\nRUN --mount=type=bind,source=.,target=/m,%s cat /m/secret /x/secret || true; touch /m/new || true\n' "$IMAGE" "$option" >"$CTX/Containerfile"
        attack
        # A source of the host's is one of the context's, whatever it is called; all else is refused.
        [[ $option == dest=* ]] || refused
    done
    printf 'FROM %s\nRUN --mount=type=cache,target=/m,bind-propagation=upperdir=%s touch /m/new\n' "$IMAGE" "$VICTIM" >"$CTX/Containerfile"
    attack
    refused
    printf 'FROM %s\nRUN --mount=type=volume,source=%s,target=/m cat /m/secret\n' "$IMAGE" "$VICTIM" >"$CTX/Containerfile"
    attack
    refused
}

@test "RUN --mount=type=cache: an id, a source or a target with .. (CVE-2024-9675)" {
    for mount in "id=$UP$VICTIM,target=/m" "id=../../..,target=/m" "id=/,target=/m" "source=$UP$VICTIM,target=/m" "source=$VICTIM,target=/m" "id=x,source=../../..$VICTIM,target=/m" "target=/m/../../../..$VICTIM" \
        "id=x,from=$IMAGE,source=$UP$VICTIM,target=/m" "id=a/../../b,sharing=locked,target=/m"; do
        printf 'FROM %s\nRUN --mount=type=cache,%s find /m %s -name secret -exec cat {} + ; touch /m/new || true\n' "$IMAGE" "$mount" "$VICTIM" >"$CTX/Containerfile"
        attack
    done
}

@test "RUN --mount=type=cache: a link that an earlier RUN put into the cache (CVE-2024-23651, CVE-2024-9676)" {
    cat >"$CTX/Containerfile" <<-X
	FROM $IMAGE
	RUN --mount=type=cache,id=$name,target=/c ln -s $VICTIM /c/abs; ln -s $UP$VICTIM /c/rel; ln -s $VICTIM/secret /c/file; ln -s $VICTIM /c/buildah-cache-lockfiles
	RUN --mount=type=cache,id=$name,source=abs,target=/m cat /m/secret || true; touch /m/new || true
	X
    attack
    for source in rel file; do
        printf 'FROM %s\nRUN --mount=type=cache,id=%s,sharing=locked,source=%s,target=/m cat /m /m/secret || true; touch /m/new || true\n' "$IMAGE" "$name" "$source" >"$CTX/Containerfile"
        attack
    done
    base <<<"FROM $IMAGE
RUN ln -s $VICTIM /x"
    printf 'FROM localhost/%s-base AS evil\nRUN true\nFROM %s\nRUN --mount=type=cache,from=evil,source=/x,target=/m cat /m/secret || true\n' "$name" "$IMAGE" >"$CTX/Containerfile"
    attack
}

@test "stages at once that swap a directory of a shared cache for a link (CVE-2024-23651, CVE-2024-11218)" {
    local mounts= i
    for i in 1 2 3 4 5 6; do
        mounts+="RUN --mount=type=cache,id=$name,source=dir,target=/m cat /m/secret /m/dir/secret 2>/dev/null; touch /m/new 2>/dev/null; true"$'\n'
    done
    cat >"$CTX/Containerfile" <<-X
	FROM $IMAGE AS ready
	RUN --mount=type=cache,id=$name,target=/c mkdir -p /c/dir; ln -sfn $VICTIM /c/link
	FROM ready AS swap
	RUN --mount=type=cache,id=$name,target=/c cd /c; i=0; while [ \$i -lt 4000 ] && [ ! -e stop ]; do mv -T dir tmp; mv -T link dir; mv -T dir link; mv -T tmp dir; i=\$((i + 1)); done; touch swapped
	FROM ready AS read
	${mounts}RUN --mount=type=cache,id=$name,target=/c touch /c/stop
	FROM $IMAGE
	COPY --from=read /etc/passwd /p
	COPY --from=swap /etc/passwd /q
	X
    attack --jobs 2 "$CTX"
}

@test "a stage that another mounts while it is at work: links of it stay in it (CVE-2024-11218)" {
    cat >"$CTX/Containerfile" <<-X
	FROM $IMAGE AS evil
	RUN mkdir /dir; ln -s $VICTIM /link; (while :; do mv -T /dir /tmp/d; mv -T /link /dir; mv -T /dir /link; mv -T /tmp/d /dir; done) & sleep 0.5; kill \$!
	FROM $IMAGE AS first
	RUN --mount=type=bind,from=evil,source=/dir,target=/m,rw cat /m/secret; touch /m/new; true
	FROM $IMAGE AS second
	RUN --mount=type=bind,from=evil,source=/link,target=/m,rw cat /m/secret; touch /m/new; true
	FROM $IMAGE
	RUN --mount=type=bind,from=evil,source=/,target=/m ls /m >/dev/null
	COPY --from=first /etc/passwd /p
	COPY --from=second /etc/passwd /q
	X
    attack --jobs 4 "$CTX"
}

@test "what RUN makes of the path of a mount does not have the host's files removed (CVE-2024-23652)" {
    cat >"$CTX/Containerfile" <<-X
	FROM $IMAGE
	RUN --mount=type=tmpfs,target=/stub/dir/deep mv /stub /stub.old; ln -s $VICTIM /stub
	RUN --mount=type=bind,target=$VICTIM/empty,source=Containerfile true
	RUN --mount=type=secret,id=x,target=/s/empty mv /s /s.old; ln -s $VICTIM /s
	RUN --mount=type=cache,target=/k/dir rmdir /k/dir 2>/dev/null; mv /k /k.old; ln -s $VICTIM /k
	RUN ls -ld /stub /s /k
	X
    echo harmless >"$FILE_DIR/s-$name"
    attack --secret "id=x,src=$FILE_DIR/s-$name" "$CTX"
    assert_equal "$status" 0
}

@test "a mount over a link of the image makes nothing on the host (CVE-2021-30465, CVE-2023-27561)" {
    for type in tmpfs cache bind secret; do
        more=
        [[ $type != bind ]] || more=,source=Containerfile
        [[ $type != secret ]] || more=,id=x
        printf 'FROM %s\nRUN ln -s %s /link; ln -s %s/secret /f\nRUN --mount=type=%s,target=/link/new%s ls /link/ >/dev/null\nRUN --mount=type=%s,target=/f%s true\n' \
            "$IMAGE" "$VICTIM" "$VICTIM" "$type" "$more" "$type" "$more" >"$CTX/Containerfile"
        attack --secret "id=x,src=$CTX/Containerfile" "$CTX"
    done
    printf 'FROM %s\nRUN ln -s %s /link\nVOLUME /link /link/dir\nRUN touch /link/new || true\n' "$IMAGE" "$VICTIM" >"$CTX/Containerfile"
    attack
    attack --compat-volumes "$CTX"
}

@test "what RUN writes to a bind mount is not in the context afterwards (CVE-2025-4953)" {
    printf 'FROM %s\nRUN --mount=type=bind,rw,target=/m echo x > /m/written; echo y > /m/Containerfile\n' "$IMAGE" >"$CTX/Containerfile"
    before=$(cat "$CTX/Containerfile")
    attack
    assert_equal "$status" 0
    [[ ! -e $CTX/written ]]
    assert_equal "$(cat "$CTX/Containerfile")" "$before"
    run find "$GRAPHROOT" "$FILE_DIR/tmp" -name written
    assert_equal "$output" ""
}

# --- what RUN may -----------------------------------------------------------------------------

@test "RUN has the default capabilities, none of them inheritable, and no syntax line changes that (CVE-2022-27651, CVE-2024-23653)" {
    printf '# syntax=localhost/evil-frontend\nFROM %s\nRUN grep Cap /proc/self/status; grep Seccomp: /proc/self/status; grep NoNew /proc/self/status\n' "$IMAGE" >"$CTX/Containerfile"
    attack
    assert_equal "$status" 0
    assert_contains "$output" $'CapInh:\t0000000000000000'
    assert_contains "$output" $'CapAmb:\t0000000000000000'
    assert_contains "$output" $'CapEff:\t00000000800405fb'
    assert_contains "$output" $'Seccomp:\t2'
    for flag in --security=insecure --privileged --cap-add=all --device=/dev/sda --volume="$VICTIM:/m" --user=0; do
        printf 'FROM %s\nRUN %s cat /m/secret; grep CapEff /proc/self/status\n' "$IMAGE" "$flag" >"$CTX/Containerfile"
        attack
        [[ $status -ne 0 || $output == *00000000800405fb* ]]
    done
}

@test "a user other than root has no capabilities, and the groups of the image only (CVE-2022-2989, CVE-2022-2990)" {
    printf 'FROM %s\nUSER user\nRUN id; grep Cap /proc/self/status\nUSER 4321\nRUN id\nUSER user:2000\nRUN id\n' "$IMAGE" >"$CTX/Containerfile"
    attack
    assert_equal "$status" 0
    assert_contains "$output" $'CapEff:\t0000000000000000'
    assert_contains "$output" $'CapPrm:\t0000000000000000'
    assert_contains "$output" "uid=1000(user) gid=1000(user) groups=1000(user),2000(extra)"
    assert_contains "$output" "uid=4321 gid=0(root) groups=0(root)"
    assert_contains "$output" "uid=1000(user) gid=2000(extra) groups=2000(extra)"
}

@test "RUN gets three open files and no directory of the host's (CVE-2024-21626, CVE-2016-9962)" {
    printf 'FROM %s\nRUN ls /proc/1/fd; ls -l /proc/self/cwd\nRUN for i in 3 4 5 6 7 8 9 10 11 12; do cat /proc/self/fd/$i/%s/secret /proc/self/fd/$i/secret /proc/1/fd/$i/..%s/secret; done 2>/dev/null; true\n' "$IMAGE" "$UP$VICTIM" "$VICTIM" >"$CTX/Containerfile"
    attack
    assert_equal "$status" 0
    assert_contains "$output" $'\n0\n1\n2\nlrwx'
    assert_contains "$output" "/proc/self/cwd -> /"$'\n'
}

@test "WORKDIR and USER through /proc/self/fd lead nowhere (CVE-2024-21626)" {
    for fd in 3 7 9; do
        printf 'FROM %s\nWORKDIR /proc/self/fd/%s\nRUN cat ../../../..%s/secret .%s/secret; touch ../../../..%s/new; true\n' "$IMAGE" "$fd" "$VICTIM" "$VICTIM" "$VICTIM" >"$CTX/Containerfile"
        attack
    done
    printf 'FROM %s\nRUN ln -s /proc/self/fd/7 /w; ln -s /proc/1/cwd /v\nWORKDIR /w\nRUN cat ../../../..%s/secret; true\nWORKDIR /v/%s\nRUN cat secret; touch new; true\n' "$IMAGE" "$VICTIM" "$UP$VICTIM" >"$CTX/Containerfile"
    attack
    attack --isolation chroot --network host "$CTX"
}

@test "with --isolation chroot too, RUN sees nothing of the host's files" {
    printf 'FROM %s\nRUN cat %s/secret %s%s/secret; ls -l /proc/self/fd; touch %s/new; true\n' "$IMAGE" "$VICTIM" "$UP" "$VICTIM" "$VICTIM" >"$CTX/Containerfile"
    attack --isolation chroot --network host "$CTX"
    assert_equal "$status" 0
}

@test "an image with links for /etc/passwd, group, hosts, resolv.conf, hostname, mtab (CVE-2024-9676, CVE-2019-18466)" {
    local links=() f
    for f in passwd group hosts resolv.conf hostname mtab localtime subuid; do
        links+=("link etc/$f $VICTIM/$f")
        echo "s3cret-user:x:77:77::/:/bin/sh" >"$VICTIM/$f"
    done
    evil_tar "$CTX/links.tar" "${links[@]}" "dir run" "link run/.containerenv $VICTIM/containerenv"
    printf 'FROM %s\nRUN rm /etc/passwd /etc/group\nADD links.tar /\n' "$IMAGE" >"$CTX/Containerfile"
    berth build -q --network none -t "localhost/$name-base" "$CTX"
    VICTIM_BEFORE=$(victim_state)
    printf 'FROM localhost/%s-base\nRUN cat /etc/passwd /etc/hosts /etc/resolv.conf /etc/hostname; id; true\nUSER s3cret-user\nRUN id\n' "$name" >"$CTX/Containerfile"
    attack
    refused
    [[ $output != *"uid=77"* ]]
    printf 'FROM localhost/%s-base\nCOPY --chown=s3cret-user Containerfile /c\n' "$name" >"$CTX/Containerfile"
    attack
    refused
    printf 'FROM localhost/%s-base\nRUN cat /etc/hosts /etc/resolv.conf; echo evil >> /etc/hosts; echo evil >> /etc/resolv.conf; true\n' "$name" >"$CTX/Containerfile"
    attack
    attack --network private --add-host evil:127.0.0.1 --dns 127.0.0.1 "$CTX"
    mkfifo "$VICTIM/fifo"
    base <<<"FROM $IMAGE
RUN rm /etc/passwd /etc/group; ln -s $VICTIM/fifo /etc/passwd; ln -s /dev/zero /etc/group"
    VICTIM_BEFORE=$(victim_state)
    printf 'FROM localhost/%s-base\nUSER joe\nRUN id\n' "$name" >"$CTX/Containerfile"
    attack
    refused
    base <<<"FROM $IMAGE
RUN rm /etc/passwd /etc/group; mkfifo /etc/passwd /etc/group"
    attack
    refused
}

@test "an image with links for /proc, /sys, /dev and /etc (CVE-2019-19921, CVE-2023-28642)" {
    for d in proc sys dev etc; do
        evil_tar "$FILE_DIR/layer-$name.tar" "link $d $VICTIM"
        mkdir "$CTX/$d"
        tar -xf "$FILE_DIR/layer-$name.tar" -C "$CTX/$d"
        tar -C "$CTX/$d" -cf "$CTX/$d.tar" .
        printf 'FROM scratch\nADD %s.tar /\nCOPY --from=%s /bin /bin\nRUN ls /; cat /%s/secret; touch /%s/new; true\n' "$d" "$IMAGE" "$d" "$d" >"$CTX/Containerfile"
        attack
    done
}

# --- what stays in the image -----------------------------------------------------------------

@test "secrets are not in the image, its history, the store, or another RUN (CVE-2024-3727)" {
    printf 'FROM %s\nRUN --mount=type=secret,id=x,target=/deep/token --mount=type=secret,id=y,env=TOKEN test -s /deep/token && test -n "$TOKEN"\nRUN ls -l /deep /run/secrets 2>&1; env; cat /deep/token /run/secrets/* 2>/dev/null || true\n' "$IMAGE" >"$CTX/Containerfile"
    export TOKEN_OF_TEST=$SECRET
    attack --secret "id=x,src=$VICTIM/secret" --secret id=y,env=TOKEN_OF_TEST "$CTX"
    assert_equal "$status" 0
    run grep -rlaF "$SECRET" "$GRAPHROOT" "$RUNROOT" "$FILE_DIR/tmp" "$FILE_DIR/run"
    assert_equal "$output" ""
    berth history --no-trunc "localhost/$name"
    [[ $output != *"$SECRET"* ]]
    # A secret that is asked for and not given.
    printf 'FROM %s\nRUN --mount=type=secret,id=none,required=true true\n' "$IMAGE" >"$CTX/Containerfile"
    attack
    refused
    # One that is not asked for is not there.
    printf 'FROM %s\nRUN env; find /run /dev/shm -type f -exec cat {} +\n' "$IMAGE" >"$CTX/Containerfile"
    attack --secret "id=x,src=$VICTIM/secret" --secret id=y,env=TOKEN_OF_TEST "$CTX"
}

@test "nothing of the caller's environment is in RUN or the image (CVE-2020-14370, CVE-2021-3602)" {
    export LEAK=$SECRET
    printf 'FROM %s\nRUN env; cat /proc/self/environ /proc/1/environ\n' "$IMAGE" >"$CTX/Containerfile"
    attack
    assert_equal "$status" 0
    attack --isolation chroot --network host "$CTX"
}

@test "an image whose variables have no value does not take the caller's (CVE-2026-57231)" {
    export LEAK=$SECRET
    evil_tar "$FILE_DIR/layer-$name.tar" "file evil x"
    "$HELPERS_DIR/tools/docker-archive" "$FILE_DIR/layer-$name.tar" "localhost/$name-base:latest" '{"Env":["LEAK","L*","PATH=/bin"]}' "$FILE_DIR/image-$name.tar"
    berth load -q -i "$FILE_DIR/image-$name.tar"
    printf 'FROM localhost/%s-base\nCOPY --from=%s /bin /bin\nRUN env\nENV X=$LEAK Y=${LEAK:-none}\nRUN env\n' "$name" "$IMAGE" >"$CTX/Containerfile"
    attack
    run "$ENGINE" run --rm --network none "localhost/$name" env 3>&-
    [[ $output != *"$SECRET"* ]]
}

@test "proxy variables reach RUN and stay out of the image; a build argument only where it is asked for" {
    local http_proxy=http://joe:$name-password@127.0.0.1:9
    export http_proxy HTTPS_PROXY=$http_proxy
    printf 'FROM %s\nRUN test "$http_proxy" = %s && test -n "$HTTPS_PROXY" && echo passed-on\n' "$IMAGE" "\$(echo \$http_proxy)" >"$CTX/Containerfile"
    berth build --network none --no-cache -t "localhost/$name" "$CTX"
    assert_contains "$output" passed-on
    berth save -q -o "$FILE_DIR/image-$name.tar" "localhost/$name"
    not grep -aq "$name-password" "$FILE_DIR/image-$name.tar"
    printf 'FROM %s\nRUN test -z "$http_proxy$HTTPS_PROXY"\n' "$IMAGE" >"$CTX/Containerfile"
    attack --http-proxy=false "$CTX"
    assert_equal "$status" 0
    unset http_proxy HTTPS_PROXY
    printf 'FROM %s AS other\nRUN env\nFROM %s\nARG TOKEN\nCOPY --from=other /etc/passwd /p\n' "$IMAGE" "$IMAGE" >"$CTX/Containerfile"
    attack --build-arg "UNKNOWN=$SECRET" "$CTX"
}

@test "the agent of --ssh is there for the RUN that mounts it only, and nothing is left of it" {
    printf 'FROM %s\nRUN --mount=type=ssh test -S "$SSH_AUTH_SOCK"\nRUN env; find / -xdev -type s; ls -R /run | grep -i agent; true\n' "$IMAGE" >"$CTX/Containerfile"
    ssh-keygen -q -t ed25519 -N '' -C "$SECRET" -f "$FILE_DIR/key-$name" 3>&-
    attack --ssh "default=$FILE_DIR/key-$name" "$CTX"
    assert_equal "$status" 0
    [[ $output != *SSH_AUTH_SOCK=* && $output != *ssh-agent* ]]
    run find "$FILE_DIR/tmp" "$FILE_DIR/run" "$GRAPHROOT" -type s
    assert_equal "$output" ""
}

# ask_agent: a program in perl that sends an SSH agent each kind of request that changes something, and prints the kind of each answer:
# 5 and, of an extension, 28 are refusals. It begins and ends with the list of keys, whose answer is 12.
ask_agent() {
    cat <<-'X'
	use IO::Socket::UNIX;
	my $key = pack("N/a*", pack("N/a*", "ssh-ed25519") . pack("N/a*", "k" x 32));
	my @asked = ([11, ""], [19, ""], [18, $key], [17, pack("N/a*", "ssh-ed25519") . pack("N/a*", "k" x 32) . pack("N/a*", "s" x 64) . pack("N/a*", "c")],
	    [22, pack("N/a*", "word")], [23, pack("N/a*", "word")], [20, pack("N/a*", "/lib/x.so") . pack("N/a*", "")], [27, pack("N/a*", 'session-bind@openssh.com')], [11, ""]);
	for my $a (@asked) {
	    my $s = IO::Socket::UNIX->new($ENV{SSH_AUTH_SOCK}) or die "connect: $!";
	    syswrite $s, pack("N/a*", pack("C", $a->[0]) . $a->[1]);
	    read($s, my $head, 5) == 5 or die "no answer to $a->[0]";
	    read($s, my $rest, unpack("N", $head) - 1);
	    printf "ANSWER %d %d\n", $a->[0], unpack("xxxxC", $head);
	}
	X
}

# fake_agent: serves an SSH agent that allows everything and writes the kinds of the requests to $FILE_DIR/asked-$name; sets AGENT.
fake_agent() {
    AGENT=$FILE_DIR/agent-$name
    python3 - "$AGENT" "$FILE_DIR/asked-$name" >/dev/null 2>&1 3>&- <<-'X' &
	import os, socket, struct, sys, threading
	s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1] + ".new"); s.listen(9); os.rename(sys.argv[1] + ".new", sys.argv[1])
	def serve(c):
	    while True:
	        head = c.recv(4, socket.MSG_WAITALL)
	        if len(head) < 4: return
	        body = c.recv(struct.unpack(">I", head)[0], socket.MSG_WAITALL)
	        open(sys.argv[2], "a").write("%d\n" % body[0])
	        answer = struct.pack(">BI", 12, 0) if body[0] == 11 else b"\6"
	        c.sendall(struct.pack(">I", len(answer)) + answer)
	while True: threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
	X
    echo $! >>"$FILE_DIR/servers-$name"
    wait_for 60 test -S "$AGENT"
}

@test "RUN can list the keys of its SSH agent and have it sign, and nothing else" {
    local perl=(-v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro) want source
    ask_agent >"$CTX/ask.pl"
    printf 'FROM %s\nCOPY ask.pl /\nRUN --mount=type=ssh perl /ask.pl\n' "$IMAGE" >"$CTX/Containerfile"
    ssh-keygen -q -t ed25519 -N '' -f "$FILE_DIR/key-$name" 3>&-
    fake_agent
    want=$'ANSWER 11 12\nANSWER 19 5\nANSWER 18 5\nANSWER 17 5\nANSWER 22 5\nANSWER 23 5\nANSWER 20 5\nANSWER 27 28\nANSWER 11 12'
    for source in "$FILE_DIR/key-$name" "$AGENT"; do
        berth build --network none --no-cache "${perl[@]}" --ssh "default=$source" "$CTX"
        assert_equal "$(grep ^ANSWER <<<"$output")" "$want"
    done
    assert_equal "$(sort -u "$FILE_DIR/asked-$name")" 11
}

@test "the sockets of --ssh are out of the reach of other users, and end with the build" {
    fake_agent
    mkdir "$FILE_DIR/sync-$name"
    printf 'FROM %s\nRUN --mount=type=ssh,mode=0777 touch /sync/ready; while [ ! -e /sync/go ]; do sleep 0.1; done\n' "$IMAGE" >"$CTX/Containerfile"
    timeout 300 "$ENGINE" build --network none --no-cache -v "$FILE_DIR/sync-$name:/sync" --ssh "default=$AGENT" "$CTX" >/dev/null 2>&1 3>&- &
    local build=$! found=0 socket dir
    wait_for 200 test -e "$FILE_DIR/sync-$name/ready"
    while read -r socket; do
        found=$((found + 1))
        dir=$(dirname "$socket")
        [[ $(stat -c %a "$dir") == 700 ]] || { echo "$socket can be reached"; return 1; }
    done < <(find "$FILE_DIR/run" "$GRAPHROOT" -type s)
    touch "$FILE_DIR/sync-$name/go"
    wait $build
    [[ $found -ge 2 ]]
    run find "$FILE_DIR/run" "$GRAPHROOT" -type s
    assert_equal "$output" ""
}

@test "a Containerfile gets no SSH agent that the caller has not given" {
    fake_agent
    export SSH_AUTH_SOCK=$AGENT
    printf 'FROM %s\nRUN --mount=type=ssh env; find / -xdev -type s\nRUN --mount=type=ssh,id=default,target=/a test ! -e /a\n' "$IMAGE" >"$CTX/Containerfile"
    attack
    assert_equal "$status" 0
    [[ $output != *SSH_AUTH_SOCK=* && $output != *agent-* ]]
    printf 'FROM %s\nRUN --mount=type=ssh,required=true true\n' "$IMAGE" >"$CTX/Containerfile"
    attack
    refused
    unset SSH_AUTH_SOCK
    [[ ! -e $FILE_DIR/asked-$name ]]
}

@test "an equal step of somebody else's image is not taken for one of the cache (CVE-2024-24557)" {
    # The health check, ONBUILD and the rest of the config are part of what a step is.
    for line in "HEALTHCHECK CMD one" "HEALTHCHECK CMD two" "ONBUILD RUN one" "ONBUILD RUN two" "HEALTHCHECK NONE" "USER 1" "USER 2" "STOPSIGNAL 9" "STOPSIGNAL 15"; do
        printf 'FROM scratch\n%s\nLABEL a=b\n' "$line" >"$CTX/Containerfile"
        berth_split build -q --format docker --network none -t "localhost/$name" "$CTX"
        echo "$output" >>"$FILE_DIR/ids-$name"
    done
    assert_equal "$(sort "$FILE_DIR/ids-$name" | uniq -d)" ""
}

# --- results ----------------------------------------------------------------------------------

@test "--output type=local writes through no link, of this build or an earlier one (CVE-2019-18466)" {
    local out=$FILE_DIR/out-$name
    mkdir "$CTX/d"; ln -s "$VICTIM" "$CTX/d/link"; ln -s "$VICTIM/secret" "$CTX/d/file"
    printf 'FROM scratch\nCOPY d /\n' >"$CTX/Containerfile"
    attack --output "type=local,dest=$out" "$CTX"
    rm "$CTX/d/link" "$CTX/d/file"; mkdir "$CTX/d/link"; echo new >"$CTX/d/link/new"; echo new >"$CTX/d/file"
    attack --output "type=local,dest=$out" "$CTX"
    attack --output "type=tar,dest=$out.tar" "$CTX"
}

@test "control characters in a Containerfile, a label or an image's name do not reach the terminal" {
    is_berth || skip "podman shows no progress on a terminal"
    printf 'FROM %s\nLABEL a="x\033[2Jy"\nRUN echo quiet "\033]0;title\007"\nHEALTHCHECK CMD x\033[31m\n' "$IMAGE" >"$CTX/Containerfile"
    berth_tty 24 90 build --network none --no-cache -t "localhost/$name" "$CTX"
    # Only those that move the lines of the steps: up, and clear to the end.
    [[ $(sed -E 's/\x1b\[([0-9]+A|J)//g' <<<"$output") != *$'\033'* ]]
    [[ $output != *$'\007'* ]]
    berth image inspect "localhost/$name"
    [[ $output != *$'\033'* ]]
}

@test "files for the results are made where they are said to be, never through a link of the context" {
    ln -s "$VICTIM/secret" "$CTX/iid"
    printf 'FROM %s\nCOPY . /ctx\n' "$IMAGE" >"$CTX/Containerfile"
    # As --iidfile and --metadata-file belong to the caller, they go where the caller's links lead; a context from
    # elsewhere is never where they are.
    tar -C "$CTX" -cf "$FILE_DIR/c-$name.tar" .
    attack --iidfile "$FILE_DIR/iid-$name" --metadata-file "$FILE_DIR/meta-$name" - <"$FILE_DIR/c-$name.tar"
    assert_equal "$status" 0
    [[ $(cat "$FILE_DIR/iid-$name") == sha256:* ]]
}

# --- RUN gets no more than the caller has given -----------------------------------------

@test "RUN --network=host is refused unless the caller allows it, in every form and under every --network" {
    local dir=$FILE_DIR/$name runs flags i
    mkdir -p "$dir"
    runs=('RUN --network=host true' 'run --network=HOST true' 'ONBUILD RUN --network=host true' $'ARG N=host\nRUN --network=$N true' $'RUN --network=host <<X\ntrue\nX' 'RUN --mount=type=tmpfs,target=/t --network=host true')
    for i in "${!runs[@]}"; do
        printf 'FROM %s\n%s\n' "$IMAGE" "${runs[i]}" >"$dir/Containerfile"
        for flags in "" "--network none" "--isolation chroot" "--network private"; do
            # shellcheck disable=SC2086
            berth 125 build -q --no-cache $flags "$dir"
            assert_contains "$output" "host's network"
            assert_contains "$output" "Hint:"
            not grep -q "STEP 2" <<<"$output"
        done
    done
    # What the caller gives it has.
    printf 'FROM %s\nRUN --network=host readlink /proc/self/ns/net >/ns\n' "$IMAGE" >"$dir/Containerfile"
    for flags in "--allow network.host" "--network host"; do
        # shellcheck disable=SC2086
        berth build -q --no-cache $flags -t "localhost/$name" "$dir"
        berth run --rm --network none "localhost/$name" cat /ns
        assert_equal "$output" "$(readlink /proc/self/ns/net)"
    done
    # And less is always possible.
    printf 'FROM %s\nRUN --network=none ip -o link | wc -l >/links\n' "$IMAGE" >"$dir/Containerfile"
    berth build -q --no-cache --network host -t "localhost/$name" "$dir"
    berth run --rm --network none "localhost/$name" cat /links
    assert_equal "$output" 1
    berth rmi "localhost/$name"
}

@test "--isolation chroot refuses RUN --network=none, which it cannot give" {
    local chroot=(--isolation chroot --network host)
    printf 'FROM %s\nRUN --network=none true\n' "$IMAGE" >"$CTX/Containerfile"
    berth 125 build "${chroot[@]}" "$CTX"
    assert_contains "$output" "Containerfile:2: RUN --network=none true: RUN --network=none: --isolation chroot has no network but the host's"
    assert_contains "$output" "Hint: leave --isolation chroot out"
    printf 'FROM %s\nARG N=none\nRUN --network=$N true\n' "$IMAGE" >"$CTX/Containerfile"
    berth 125 build "${chroot[@]}" "$CTX"
    printf 'FROM %s\nONBUILD RUN --network=none true\n' "$IMAGE" | berth build -q --format docker -t "localhost/$name-base" -
    printf 'FROM localhost/%s-base\n' "$name" >"$CTX/Containerfile"
    berth 125 build "${chroot[@]}" "$CTX"
    assert_contains "$output" "ONBUILD of the base image"
    printf 'FROM %s\nRUN true\nRUN --network=host true\n' "$IMAGE" >"$CTX/Containerfile"
    berth build "${chroot[@]}" "$CTX"
}

@test "a base image's triggers do not give themselves the host's network" {
    local dir=$FILE_DIR/$name
    mkdir -p "$dir"
    printf 'FROM %s\nONBUILD RUN --network=host readlink /proc/self/ns/net >/ns\n' "$IMAGE" >"$dir/Containerfile"
    berth build -q --allow network.host -t "localhost/$name:base" "$dir"
    printf 'FROM localhost/%s:base\n' "$name" >"$dir/Containerfile"
    for flags in "" "--network none" "--layers=false"; do
        # shellcheck disable=SC2086
        berth 125 build -q --no-cache $flags -t "localhost/$name:it" "$dir"
        assert_contains "$output" "host's network"
    done
    berth build -q --no-cache --allow network.host -t "localhost/$name:it" "$dir"
    berth run --rm --network none "localhost/$name:it" cat /ns
    assert_equal "$output" "$(readlink /proc/self/ns/net)"
    berth rmi "localhost/$name:it" "localhost/$name:base"
}
