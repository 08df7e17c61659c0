#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# Whatever an image, a container, a part, a registry or an argument says: a terminal shows it, and obeys none of it. Each command
# that Berth has is tried here (cmd/berth/output_test.go looks for its line): `shows` where it prints the texts of others, `tells` where it
# only names them in errors. What a container prints is its own, and stays as it is; so does --format in a pipe.

load helpers
load partial

# A title, a colour, the clipboard, one-byte and two-byte controls, directions of writing, lines that look like another row and like Berth's own advice. RAW has
# bytes that are no UTF-8 besides, for what need not be JSON.
EVIL=$'pwned\e]0;pwned\a\e[31m\e]52;c;ZXZpbA==\e\\\r\b\x7f\u009b31m\u202e\u2066\u2028\nforged\trow\nHint: forged\nError: forged'
RAW=$EVIL$'\x9b31m\xff\xc3'

setup_file() {
    store_setup
    export EVIL_JSON
    EVIL_JSON=$(jq -n --arg e "$EVIL" '$e')
    make_bases
    start_registry
    start_badregistry
    cd "$FILE_DIR" || return 1
    hostile evil ".author = \$e | .comment = \$e | .config.Labels = {(\$e): \$e, x: \$e} | .config.Env += [\"EVIL=\" + \$e] | .config.Cmd = [\"sh\", \"-c\", \"sleep 1000; true\", \$e] | .history |= map(.created_by = \$e | .comment = \$e | .author = \$e)"
}

# hostile NAME FILTER: an image localhost/NAME:1 of busybox with its config changed; $e is the hostile text.
hostile() {
    berth tag "$IMAGE" "localhost/$1:0"
    rewrite "localhost/$1:0" "$EVIL_JSON as \$e | $2"
    berth tag "localhost/$1:0-rewritten" "localhost/$1:1"
}

# on_terminal ARG...: the engine in a terminal that changes nothing of what it prints, which goes to the file seen; exit code in $status.
on_terminal() {
    local fifo in
    fifo=$(mktemp -u)
    mkfifo "$fifo"
    exec {in}<>"$fifo" # nobody types, and it does not end
    rm "$fifo"
    status=0
    SHELL=/bin/bash timeout -k 5 "${BERTH_TIMEOUT:-120}" script -qec "stty -opost -echo rows 50 cols 200; exec $(printf '%q ' "$ENGINE" "$@")" /dev/null <&"$in" >seen 2>&1 3>&- || status=$?
    exec {in}>&-
    printf '$ berth %q' "$1"; printf ' %q' "${@:2}"; echo
    cat -v seen; echo "exit code $status"
}

# harmless FILE [OWN]: there is nothing in it that a terminal obeys but line ends and tabs, and with OWN the sequences of bars.
harmless() {
    python3 - "$@" <<-'X'
	import re, sys, unicodedata
	data = open(sys.argv[1], "rb").read()
	if len(sys.argv) > 2:
	    data = re.sub(rb"\x1b\[[0-9]*[AJK]|\r(?=\x1b|\n)|\r\n?", b"", data)
	try:
	    text = data.decode()
	except UnicodeDecodeError as e:
	    sys.exit(f"not UTF-8: {e}")
	bad = [c for c in text if c not in "\n\t" and (unicodedata.category(c) == "Cc" or c in "\u061c\u200e\u200f\u2028\u2029" or "\u202a" <= c <= "\u202e" or "\u2066" <= c <= "\u2069")]
	if bad:
	    sys.exit(f"a terminal obeys {bad!r}")
	X
}

# tells [-own] [-rows] "COMMAND" ARG...: what it prints is harmless; -own where it moves the cursor itself, -rows where no text may
# make a line of its own. An error has no advice but Berth's.
tells() {
    local own="" rows="" words
    while [[ $1 == -* ]]; do
        case $1 in -own) own=1 ;; -rows) rows=1 ;; esac
        shift
    done
    read -ra words <<<"$1"
    on_terminal "${words[@]}" "${@:2}"
    harmless seen ${own:+own}
    if [[ -n $rows ]]; then not grep -q '^forged' seen; fi
    if [[ $status -ne 0 ]]; then not grep -qE '^(Hint|Error): forged' seen; fi
}

# shows …: as tells, and prints the text.
shows() {
    tells "$@"
    grep -q pwned seen
}

@test "containers: tables, templates, JSON" {
    berth run -d --name "$name" --network none --label "x=$EVIL" --annotation "x=$EVIL" --health-cmd 'printf "%s" "$EVIL"; exit 1' --health-interval 1s localhost/evil:1
    shows -rows "ps" -a --no-trunc
    tells -rows "ps" --ns
    shows "ps" --no-trunc --format '{{.Command}} {{.Labels}} {{.Label "x"}}'
    shows -rows "ps" --format 'table {{.Command}}\t{{.Label "x"}}'
    shows "ps" --format json
    shows "ps" --no-trunc --format '{{json .Command}}'
    shows -rows "ps" --filter "label=x=$EVIL" --format 'table {{.Labels}}'
    shows "inspect" "$name" localhost/evil:1
    shows "inspect" --format '{{.Config.Labels}} {{.Config.Cmd}} {{.Config.Env}} {{.Args}}' "$name"
    shows "inspect" --format '{{json .}}' localhost/evil:1
    shows "container inspect" "$name"
    shows "container inspect" --format '{{range .Config.Env}}{{println .}}{{end}}' "$name"
    shows -rows "top" "$name"
    shows -rows "top" "$name" pid args
    shows "events" --stream=false --since 10m --format '{{.Attributes}}'
    shows "events" --stream=false --since 10m --format json
    tells -rows "events" --stream=false --since 10m
    shows -rows "system df" -v
    tells -rows "stats" --no-stream "$name"
    tells "stats" --no-stream "$EVIL"
    tells "update" --env "X=$EVIL" "$name"
    shows -rows "container history" "$name"
    shows "container history" --format '{{.Changes}}' "$name"
    tells "container rollback" "$name" "$EVIL"
    tells "container clone" "$name" "$EVIL"
    tells "container runlabel" "$EVIL" "$IMAGE"
    tells "container checkpoint" "$EVIL"
    tells "container restore" "$EVIL"
    tells "healthcheck run" "$EVIL"
    shows "generate spec" "$name"
    tells "port" "$name"
    tells "container exists" "$EVIL"
    wait_for 30 eval "'$ENGINE' inspect --format '{{json .State.Health}}' $name | grep -q pwned"
    shows "inspect" --format '{{json .State.Health}}{{range .State.Health.Log}}{{.Output}}{{end}}' "$name"
    # In a pipe a template has what there is, byte by byte, and JSON the same text.
    output=$("$ENGINE" ps --format '{{.Label "x"}}' 3>&-)
    assert_equal "$output" "$EVIL"
    output=$("$ENGINE" inspect "$name" 3>&- | jq -r '.[0].Config.Labels.x')
    assert_equal "$output" "$EVIL"
    # A container's own output is its own.
    on_terminal exec "$name" printf '%s' "$EVIL"
    not harmless seen
    on_terminal run --rm --network none localhost/evil:1 printf '%s' "$EVIL"
    not harmless seen
    berth run --name "$name-2" --network none localhost/evil:1 printf '%s' "$EVIL"
    on_terminal logs "$name-2"
    not harmless seen
    shows "commit" -q -m "$EVIL" -a "$EVIL" "$name-2" "$EVIL"
    tells -own "commit" -m "$EVIL" -a "$EVIL" "$name-2" "localhost/$name:1"
    shows "history" "localhost/$name:1"
}

@test "images: tables, templates, JSON" {
    shows -rows "history" localhost/evil:1
    shows -rows "history" --no-trunc localhost/evil:1
    shows "history" --no-trunc --format '{{.CreatedBy}} {{.Comment}}' localhost/evil:1
    shows -rows "history" --format 'table {{.CreatedBy}} {{.Comment}}' localhost/evil:1
    shows "history" --format json localhost/evil:1
    shows "images" --format '{{.Labels}}'
    shows -rows "images" --format 'table {{.Repository}}\t{{.Labels}}'
    shows "images" --format json
    tells -rows "images" -a --digests --history
    tells -rows "images" --filter "label=x=$EVIL"
    shows "image list" --format '{{json .Labels}}'
    shows "image inspect" localhost/evil:1
    shows "image inspect" --format '{{.Author}} {{.Config.Cmd}}' localhost/evil:1
    shows "image containerfile" localhost/evil:1
    shows "partial extract" localhost/evil:1
    tells "image tree" localhost/evil:1
    tells "image mount" "$EVIL"
    tells "image unmount" "$EVIL"
    tells "image diff" localhost/evil:1
    tells "partial verify" localhost/evil:1
    tells "system df" --format "{{.Type}} $EVIL"
    tells "system info" --format "{{.Host.OS}} $EVIL"
    tells "info"
    tells "info" --format "{{.$EVIL}}"
    tells "version" --format "{{.$EVIL}}"
    tells "version"
    tells "system check"
    tells "system boot"
    tells "system prune" --filter "$EVIL=x"
    tells "system migrate"
    tells "system renumber"
    tells "system reset" "$EVIL"
    output=$("$ENGINE" images --format '{{.Labels}}' localhost/evil 3>&-)
    assert_contains "$output" "$EVIL"
    [[ $("$ENGINE" images --format json 3>&- | jq -r '[.[].Labels.x // empty][0]') == "$EVIL" ]]
}

@test "images whose settings cannot be had, and errors of the runtime" {
    local field=
    for field in '.config.User = $e' '.config.User = "0:" + $e' '.config.WorkingDir = $e' '.config.WorkingDir = "/" + $e' '.config.Entrypoint = [$e]' '.config.StopSignal = $e' '.config.Volumes = {($e): {}}' \
        '.config.Volumes = {("/" + $e): {}}' '.config.ExposedPorts = {($e): {}}' '.architecture = $e' '.os = $e' '.config.Env = [$e]' '.config.Shell = [$e]'; do
        hostile bad "$field"
        tells "run" --rm --network none localhost/bad:1 true
        tells "create" --name "$name" localhost/bad:1 true
        tells "start" "$name"
        tells "rm" -f "$name"
        tells "inspect" localhost/bad:1
        tells "images" localhost/bad
        berth rmi -f localhost/bad:1
    done
    shows "run" --rm --network none "$IMAGE" "$RAW"
    shows "run" --rm --network none -w "/$EVIL" "$IMAGE" "/$RAW"
    shows "run" --rm --network none --user "$RAW" "$IMAGE" true
    shows "run" --rm --network none -v "/$RAW:/x" "$IMAGE" true
    berth run -d --name "$name" --network none "$IMAGE" sleep 100
    shows "exec" "$name" "$RAW"
    shows "exec" --user "$RAW" "$name" true
    tells "kill" --signal "$RAW" "$name"
}

@test "networks" {
    printf '[network]\nnetwork_config_dir = "%s"\n' "$FILE_DIR/nets" >>"$CONTAINERS_CONF"
    berth network create --label "x=$EVIL" n1
    tells "network create" "$RAW"
    tells "network exists" "$RAW"
    tells "network rm" "$RAW"
    shows -rows "network ls" --format 'table {{.Name}}\t{{.Labels}}'
    shows "network ls" --format json
    shows "network inspect" n1
    tells "network prune" -f --filter "label=$RAW"
    tells "network connect" "$RAW" "$RAW"
    tells "network disconnect" "$RAW" "$RAW"
    tells "network update" "$RAW"
    tells "network import" "$RAW"
    tells "network reload" "$RAW"
    tells "network resolve" "$RAW"
    tells "network check" "$RAW"
    tells "network rm" n1
}

@test "secrets" {
    local odd=${RAW//[\/,=$'\n'$'\r']/}
    printf x | berth secret create -l "x=$EVIL" "$odd" -
    tells "secret create" "$RAW" conf/auth.json
    tells "secret exists" "$RAW"
    shows "secret rm" "$RAW"
    shows -rows "secret ls"
    shows "secret ls" --format '{{.Name}}'
    shows "secret inspect" "$odd"
    shows "secret inspect" --pretty "$odd"
    tells "secret rm" "$odd"
}

@test "errors that name what was asked for" {
    # Who gets a user to copy a command line has as much to say as an image.
    shows "start" "$RAW"
    shows "init" "$RAW"
    shows "container init" "$RAW"
    shows "container cleanup" "$RAW"
    tells "mount" "$RAW"
    tells "container mount" "$RAW"
    tells "unmount" "$RAW"
    tells "container unmount" "$RAW"
    shows "stop" "$RAW"
    shows "kill" "$RAW"
    shows "rm" "$RAW"
    shows "restart" "$RAW"
    shows "pause" "$RAW"
    shows "unpause" "$RAW"
    shows "wait" "$RAW"
    shows "port" "$RAW"
    shows "top" "$RAW"
    shows "logs" "$RAW"
    shows "attach" "$RAW"
    shows "exec" "$RAW" true
    shows "inspect" "$RAW"
    shows "rename" "$RAW" "$RAW"
    shows "cp" "/$RAW" /x
    shows "diff" "$RAW"
    shows "export" "$RAW"
    shows "container diff" "$RAW"
    shows "container export" "$RAW"
    shows "container cp" "/$RAW" /x
    shows "create" --name "$RAW" "$IMAGE"
    shows "run" "$RAW"
    shows "commit" "$RAW"
    shows "container prune" --filter "$RAW"
    shows "history" "$RAW"
    shows "image inspect" "$RAW"
    tells "image exists" "$RAW"
    shows "image tree" "$RAW"
    shows "image prune" --filter "$RAW"
    shows "images" --filter "$RAW"
    shows "images" --sort "$RAW"
    shows "ps" --filter "$RAW"
    shows "events" --filter "$RAW" --stream=false
    shows "rmi" "$RAW"
    shows "image rm" "$RAW"
    shows "tag" "$RAW" x
    shows "tag" "$IMAGE" "$RAW"
    shows "untag" "$RAW"
    shows "save" -o "$FILE_DIR/x.tar" "$RAW"
    shows "load" -i "/$RAW"
    shows "import" "/$RAW"
    shows "import" -c "$EVIL" "$FIXTURES/busybox.tar"
    shows "pull" "$RAW"
    shows "push" "$RAW"
    tells "push" "$IMAGE" "dir:/$RAW/x"
    shows "build" "/$RAW"
    shows "build" -f "/$RAW" .
    shows "volume create" "$RAW"
    shows "volume inspect" "$RAW"
    tells "volume exists" "$RAW"
    shows "volume stats" --no-stream "$RAW"
    tells "volume reload" "$RAW"
    shows "volume export" "$RAW"
    shows "volume import" "$RAW" /dev/null
    shows "volume rename" "$RAW" x
    shows "volume mount" "$RAW"
    shows "volume unmount" "$RAW"
    shows "volume rm" "$RAW"
    shows "volume prune" --filter "$RAW"
    tells "volume create" --label "x=$EVIL" "$name"
    shows "volume ls" --format '{{.Labels}}'
    shows -rows "volume ls" --format 'table {{.Name}}\t{{.Labels}}'
    shows "volume inspect" "$name"
    tells "volume rm" "$name"
    shows "login" -u x -p y "$RAW"
    shows "logout" "$RAW"
    tells "unshare" "$RAW"
    tells "cleanup" "$RAW"
    tells "build-worker" "$RAW"
    tells "reference" "/proc/$EVIL"
    tells "builder prune" --force "$RAW"
    tells "buildx prune" --force "$RAW"
    tells "buildx ls" "$RAW"
    shows "buildx inspect" "$RAW"
    shows "buildx create" --name "$RAW"
    tells "buildx use" "$RAW"
    tells "buildx rm" "$RAW"
    tells "buildx version" "$RAW"
    tells "system check" "$RAW"
    tells "system df" --format "{{.$RAW}}"
    tells "ps" "--$RAW"
    tells "ps" "$RAW"
    on_terminal "$RAW"
    harmless seen
    on_terminal --log-level "$RAW" ps
    harmless seen
}

@test "parts: the words of the user, of indexes and of images" {
    source_file 'FROM localhost/debian:12' "#: use std/x$EVIL"
    tells "partial compose"
    tells "partial lint"
    tells "partial tree"
    tells "partial outdated"
    tells "partial eject"
    source_file 'FROM localhost/debian:12'
    tells "partial add" "std/x$RAW"
    tells "partial remove" "std/x$RAW"
    tells "partial update" "std/x$RAW"
    tells "partial why" "std/x$RAW"
    tells "partial inspect" "std/x$RAW"
    tells "partial pull" "std/x$RAW"
    tells "partial push" "./x$RAW" "std/x"
    tells "partial pack" "./x$RAW"
    tells "partial init" "./x$RAW"
    tells "partial import" "./x$RAW"
    tells "partial test" "./x$RAW"
    tells "partial rebase" "x$RAW"
    tells "partial verify" "x$RAW"
    tells "partial extract" "x$RAW"
    tells "partial yank" "std/x@$RAW"
    tells "partial ls" "$RAW"
    tells "partial prune" "$RAW"
    tells "partial search" "$RAW"
    jq -cn --argjson s "$EVIL_JSON" '[{part: "evil", name: "std/evil", version: "1.0.0", digest: ("sha256:" + "0" * 64), summary: $s, application: $s, provides: [$s]}]' >index.json
    echo '{}' >config
    blob=$(put_blob parts/index index.json) config=$(put_blob parts/index config)
    jq -cn --arg d "$blob" --argjson s "$(stat -c %s index.json)" --arg c "$config" '{schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", artifactType: "application/vnd.partials.index.v1",
        config: {mediaType: "application/vnd.oci.empty.v1+json", digest: $c, size: 3}, layers: [{mediaType: "application/vnd.partials.index.v1+json", digest: $d, size: $s}]}' | tr -d '\n' >manifest
    put_manifest parts/index latest manifest
    printf '[aliases]\nstd = "%s/parts"\n' "$REGISTRY" >partials.conf
    shows -rows "partial search"
    shows "partial search" --format json
    for tag in 200 401 404 500 1200; do
        tells "partial inspect" "$BAD/hostile/$tag"
        tells "partial search" --registry-config "$BAD/hostile"
    done
}

@test "registries: answers of any status, bars, logins" {
    local tag=
    for tag in 200 301 400 401 403 404 418 500 1200 1500; do
        tells -own "pull" --retry 0 "$BAD/hostile:$tag"
        tells -own "run" --rm "$BAD/hostile:$tag"
    done
    tells -own "pull" --retry 1 --retry-delay 1ms "$BAD/hostile:500"
    tells -own "pull" --all-tags "$BAD/hostile"
    tells -own "push" --retry 0 "$IMAGE" "$BAD/hostile:500"
    tells "login" -u x -p y "$BAD"
    berth push -q localhost/evil:1 "$REGISTRY/evil:1"
    tells -own "pull" "$REGISTRY/evil:1"
    tells -own "save" -o "$name.tar" localhost/evil:1
    tells -own "load" -i "$name.tar"
    # Names in an archive.
    mkdir x
    tar -xf "$FIXTURES/busybox.tar" -C x
    jq -c --argjson e "$EVIL_JSON" '.[0].RepoTags = [$e]' x/manifest.json >m
    mv m x/manifest.json
    tar -cf evil.tar -C x .
    tells -own "load" -i evil.tar
}

@test "builds: steps, errors, warnings, names of files" {
    printf 'FROM localhost/evil:1\nLABEL x="%s"\nENV Y="%s"\nRUN true # %s\n' "${EVIL%%$'\e]52'*}" $'pwned\e[31m\u202e' $'pwned\e]0;x\a' >Plain
    for progress in plain tty auto; do
        shows -own "build" --no-cache --progress "$progress" -f Plain -t "localhost/$name:1" .
    done
    shows "build" --no-cache --progress json -f Plain .
    local line=
    for line in 'RUN false #' 'COPY nothing' 'USER' 'WORKDIR relative' 'SHELL' 'COPY --from=' 'FROM' 'ADD http://127.0.0.1:1/' 'HEALTHCHECK' 'NONSENSE' 'RUN --mount=type=' 'ARG' 'EXPOSE' 'STOPSIGNAL' 'ONBUILD'; do
        printf 'FROM localhost/debian:12\n%s%s\n' "$line" $' pwned\e]0;x\a\e[31m\x7f\u009b31m\u202e\xff' >Plain
        tells -own "build" -f Plain .
    done
    shows -own "build" --build-arg "$EVIL" -f Plain .
    shows -own "build" --target "$RAW" -f Plain .
    shows -own "build" -t "$RAW" -f Plain .
    tells -own "build" --label "x=$EVIL" -f Plain .
    : >"x$RAW"
    printf 'FROM localhost/debian:12\nCOPY x* /nothing\nCOPY y* /\n' >Plain
    tells -own "build" -f Plain .
    printf 'FROM %s/hostile:500\n' "$BAD" >Plain
    tells -own "build" -f Plain .
}
