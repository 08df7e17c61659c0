#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# What a build says that fails: file, line, instruction, the reason, the command's last lines and exit code, a hint; and
# nothing of how it is built inside.

load helpers
load build

# fails CODE ERROR [HINT] [ARG...]: builds the Containerfile on standard input in $CTX as `build .` does, and compares the
# error with what is expected, word by word.
fails() {
    local code=$1 error=$2 hint=${3:-}
    shift 2; shift || true
    context
    pushd "$CTX" >/dev/null || return 1
    berth_split "$code" build -q --network none "$@" . || { popd || true; return 1; }
    popd >/dev/null || return 1
    assert_equal "$(grep '^Error: ' <<<"$stderr")" "Error: $error"
    assert_equal "$(sed -n 's/^Hint: //p' <<<"$stderr")" "$hint"
    no_insides "$stderr"
}

# no_insides TEXT: it has no path, type or word of Berth's or buildah's own.
no_insides() {
    local word
    for word in "$GRAPHROOT" "$RUNROOT" buildah- copier imagebuilder '&' '{' StartLine 'exit status' 'while running runtime' 'building at STEP' subprocess UNHANDLED .berth- faccessat; do
        [[ $1 != *"$word"* ]] || { printf '"%s" is in:\n%s\n' "$word" "$1"; return 1; }
    done
}

@test "instructions that are none, and files without a beginning: nothing is built, and the line is named" {
    local begin="a Containerfile begins with FROM and the name of an image"
    fails 125 'Containerfile:3: RUM echo hi: unknown instruction "RUM"' 'did you mean RUN?' <<<"FROM $IMAGE"$'\nRUN exit 9\nRUM echo hi'
    fails 125 'Containerfile:2: XYZZY: unknown instruction "XYZZY"' <<<"FROM $IMAGE"$'\nXYZZY'
    fails 125 'Containerfile:2: ONBUILD COPPY a b: unknown instruction "COPPY"' 'did you mean COPY?' <<<"FROM $IMAGE"$'\nONBUILD COPPY a b'
    fails 125 'Containerfile:2: RUN echo hi: there is no FROM before it' "$begin; only ARG may stand before that" <<<$'ARG A=b\nRUN echo hi'
    fails 125 'Containerfile: there is no instruction in it' "$begin" <<<'# nothing'
    fails 125 'Containerfile: there is no FROM in it' "$begin" <<<'ARG A=b'
    fails 125 'Containerfile:1: FROM: the name of an image is missing' 'FROM scratch begins with nothing' <<<'FROM'
    fails 125 'Containerfile:1: FROM a b: FROM takes the name of an image, or IMAGE AS STAGE' <<<'FROM a b'
    fails 125 'Containerfile:2: FROM $X: $X stands for nothing' 'give it a value with --build-arg, or a default with ARG before FROM' <<<$'ARG X\nFROM $X'
    fails 125 "Containerfile:2: ENV a: ENV must have two arguments" <<<"FROM $IMAGE"$'\nENV a'
    fails 125 'Containerfile:3: RUN <<EOF: unterminated heredoc' <<<"FROM $IMAGE"$'\n# comment\nRUN <<EOF\necho'
    fails 125 'Containerfile:2: USER: it needs a value' <<<"FROM $IMAGE"$'\nUSER'
    fails 125 'Containerfile:3: EXPOSE 80/icmp: port "80/icmp": the protocol is "icmp": must be tcp, udp or sctp' <<<"FROM $IMAGE"$'\n\nEXPOSE 80/icmp'
    fails 125 'there is no stage "nope" in Containerfile' 'the stages are: a, 1' --target nope <<<"FROM $IMAGE AS a"$'\nFROM scratch'
    fails 125 'Containerfile:2: COPY --from=7 /x /y: no stage or image found with that name' 'the stages are: 0' <<<"FROM $IMAGE"$'\nCOPY --from=7 /x /y'
    fails 125 "Containerfile:1: FROM --platform=a/b/c/d $IMAGE: --platform: \"a/b/c/d\": cannot parse platform specifier: invalid argument" <<<"FROM --platform=a/b/c/d $IMAGE"
    fails 125 'Containerfile:1: FROM UPPER/Case: look up image "UPPER/Case": not an image reference: repository name must be lowercase' <<<'FROM UPPER/Case'
}

@test "a step that fails: its line, its words, the reason" {
    fails 125 'Containerfile:3: ENV a="b: unexpected end of statement while looking for matching double-quote' <<<"FROM $IMAGE"$'\nLABEL x=y\nENV a="b'
    fails 125 'Containerfile:2: HEALTHCHECK --interval=5x CMD true: time: unknown unit "x" in duration "5x"' <<<"FROM $IMAGE"$'\nHEALTHCHECK --interval=5x CMD true'
    fails 125 'Containerfile:2: SHELL bash: SHELL requires the arguments to be in JSON form' <<<"FROM $IMAGE"$'\nSHELL bash'
    fails 125 'Containerfile:2: RUN --mount=type=foo,target=/x true: invalid mount type "foo"' <<<"FROM $IMAGE"$'\nRUN --mount=type=foo,target=/x true'
    fails 125 'Containerfile:2: RUN --mount=type=secret,id=x,required cat /x: secret required but no secret with id "x" found' <<<"FROM $IMAGE"$'\nRUN --mount=type=secret,id=x,required cat /x'
    fails 125 'Containerfile:3: RUN true: there is no user "nobody2" in the image'"'"'s /etc/passwd' <<<"FROM $IMAGE"$'\nUSER nobody2\nRUN true'
    fails 125 'Containerfile:2: COPY x /x: "/x": no such file or directory' 'paths are looked for in the context, .' <<<"FROM $IMAGE"$'\nCOPY x /x'
    fails 125 'Containerfile:2: COPY a* /x: nothing matches "/a*": no such file or directory' 'paths are looked for in the context, .' <<<"FROM $IMAGE"$'\nCOPY a* /x'
    echo x >"$CTX/x"
    ln -s /nowhere/x "$CTX/dangling"
    fails 125 'Containerfile:2: COPY dangling /x: "/dangling" is a link to /nowhere/x: no such file or directory' 'a link is followed inside the context only' <<<"FROM $IMAGE"$'\nCOPY dangling /x'
    echo x >"$CTX/secret"; echo secret >"$CTX/.dockerignore"
    fails 125 'Containerfile:3: COPY secret /x: "/secret": no such file or directory in the context: the ignore file leaves it out' 'take it in with a last line there: !secret' <<<"FROM $IMAGE"$'\n\nCOPY secret /x'
    fails 125 'Containerfile:2: RUN --mount=type=bind,source=nope,target=/x true: "/nope": no such file or directory' 'paths are looked for in the context, .' <<<"FROM $IMAGE"$'\nRUN --mount=type=bind,source=nope,target=/x true'
    fails 125 'Containerfile:2: COPY --from=localhost/busybox /none* /x: nothing matches "/none*": no such file or directory' <<<"FROM $IMAGE"$'\nCOPY --from=localhost/busybox /none* /x'
    fails 125 'Containerfile:2: COPY x /etc/passwd/x: write /etc/passwd/x: not a directory' <<<"FROM $IMAGE"$'\nCOPY x /etc/passwd/x'
    fails 125 'Containerfile:2: COPY --exclude=[ x /x: the pattern of --exclude: syntax error in pattern' <<<"FROM $IMAGE"$'\nCOPY --exclude=[ x /x'
    fails 125 '--build-context foo: /none-such: no such file or directory' "" --build-context foo=/none-such <<<"FROM $IMAGE"$'\nCOPY --from=foo x /x'
    fails 125 "--build-context foo: $CTX/x: not a directory" "" --build-context "foo=$CTX/x" <<<"FROM $IMAGE"
    fails 125 '--secret: /none-such: no such file or directory' "" --secret id=x,src=/none-such <<<"FROM $IMAGE"
    fails 125 'tag UPPER: invalid reference format: repository name must be lowercase' "" -t UPPER <<<"FROM $IMAGE"
    fails 125 'Containerfile:1: FROM localhost/none-such: localhost/none-such: image not known' 'pull it with: berth pull localhost/none-such, or build without --pull=never' --pull=never <<<'FROM localhost/none-such'
}

@test "a RUN that fails: its exit code, and why the command could not begin" {
    fails 3 'Containerfile:2: RUN exit 3: exit code 3' <<<"FROM $IMAGE"$'\nRUN exit 3'
    fails 127 'Containerfile:4: run no-such-command   --with x: exit code 127' <<<"FROM $IMAGE"$'\n\n\nrun no-such-command \\\n  --with x'
    fails 1 'Containerfile:2: RUN ["/no/such", "x"]: "/no/such" is not in the image (exit code 1)' <<<"FROM $IMAGE"$'\nRUN ["/no/such", "x"]'
    fails 1 'Containerfile:2: RUN ["/etc/not-executable"]: the command cannot be executed: open executable: Permission denied (exit code 1)' <<<"FROM $IMAGE"$'\nRUN ["/etc/not-executable"]'
    fails 1 'Containerfile:2: RUN true: "/bin/sh" is not in the image (exit code 1)' 'the image has no such shell: write RUN ["PROGRAM", "ARGUMENT"], or set another with SHELL' <<<$'FROM scratch\nRUN true'
    # With a network of its own too, where buildah waits for the runtime.
    context <<<"FROM $IMAGE"$'\nRUN ["/no/such"]'
    berth 1 build --network private "$CTX"
    assert_contains "$output" '"/no/such" is not in the image (exit code 1)'
    no_insides "$output"
}

@test "the last lines of a command that fails are with the error, once" {
    context </dev/null
    printf 'FROM %s\nRUN for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "line $i"; done; echo last-words; exit 4\n' "$IMAGE" >"$CTX/Containerfile"
    berth_split 4 build --network none "$CTX"
    assert_contains "$output" "line 1"
    assert_contains "$stderr" "the last lines of STEP 2/2:"
    assert_contains "$stderr" "    line 4"
    assert_contains "$stderr" "    last-words"
    [[ $stderr != *"line 3"* ]]
    # Where both are seen in one place, they have just been seen.
    berth 4 build --network none "$CTX"
    assert_equal "$(grep -c '^ *last-words' <<<"$output")" 1
}

@test "--progress=json: the failed event has file, line and exit code" {
    context <<<"FROM $IMAGE"$'\nRUN exit 7'
    berth_split 7 build --network none --progress=json "$CTX"
    local failed
    failed=$(grep '"event":"failed"' <<<"$output")
    assert_equal "$(jq -c '[.file, .line, .exitCode]' <<<"$failed")" "[\"$CTX/Containerfile\",2,7]"
    assert_equal "$(jq -r .text <<<"$failed")" "$CTX/Containerfile:2: RUN exit 7: exit code 7"
}

@test "standard input, tars and contexts from elsewhere: no internal path is named" {
    context <<<"FROM $IMAGE"$'\nRUN exit 7'
    printf 'FROM %s\nRUN exit 5\n' "$IMAGE" >"$FILE_DIR/five-$name"
    berth 5 build -q --network none -f - "$CTX" <"$FILE_DIR/five-$name"
    assert_contains "$output" "Error: standard input:2: RUN exit 5: exit code 5"
    berth 5 build -q --network none - <"$FILE_DIR/five-$name"
    assert_contains "$output" "Error: standard input:2: RUN exit 5: exit code 5"
    tar -C "$CTX" -cf "$FILE_DIR/ctx-$name.tar" .
    berth 7 build -q --network none - <"$FILE_DIR/ctx-$name.tar"
    assert_contains "$output" "Error: Containerfile:2: RUN exit 7: exit code 7"
    mkdir "$CTX/sub"; mv "$CTX/Containerfile" "$CTX/sub/Other"
    tar -C "$CTX" -cf "$FILE_DIR/ctx-$name.tar" .
    berth 7 build -q --network none -f sub/Other - <"$FILE_DIR/ctx-$name.tar"
    assert_contains "$output" "Error: sub/Other:2: RUN exit 7: exit code 7"
    berth 125 build -q --network none - <"$FILE_DIR/ctx-$name.tar"
    assert_contains "$output" "there is neither a Containerfile nor a Dockerfile in the context"
    no_insides "$output"
    printf 'FROM %s\nCOPY none /\n' "$IMAGE" >"$CTX/Containerfile"
    tar -C "$CTX" -cf "$FILE_DIR/ctx-$name.tar" .
    berth 125 build -q --network none - <"$FILE_DIR/ctx-$name.tar"
    assert_contains "$output" 'Error: Containerfile:2: COPY none /: "/none": no such file or directory'
    no_insides "$output"
    printf 'FROM scratch\nENV a\n' >"$FILE_DIR/bad-$name"
    berth 125 build -q --network none - <"$FILE_DIR/bad-$name"
    assert_contains "$output" "Error: standard input:2: ENV a: "
    no_insides "$output"
    berth 125 build -q "git://127.0.0.1:1/x.git"
    no_insides "${output//exit status/}"
    berth 125 build -q "$FILE_DIR/no-such-directory"
    assert_contains "$output" "build context \"$FILE_DIR/no-such-directory\": no such file or directory"
    berth 125 build -q -f none "$CTX"
    assert_contains "$output" "read the Containerfile none: no such file or directory"
}

@test "several platforms, and files that are fetched: which one it is" {
    context <<<$'FROM scratch\nCOPY none /'
    berth 125 build -q --platform linux/amd64,linux/arm64 "$CTX"
    assert_equal "$(grep -c 'Containerfile:2: COPY none /: "/none": no such file or directory (for linux/a' <<<"$output")" 1
    no_insides "$output"
    local port
    port=$(free_port)
    berth 125 build -q --network none "http://127.0.0.1:$port/x"
    assert_contains "$output" "fetch the context http://127.0.0.1:$port/x: "
    berth 125 build -q --network none -f "http://127.0.0.1:$port/x" "$CTX"
    assert_contains "$output" "http://127.0.0.1:$port/x"
    no_insides "$output"
}

@test "an argument that every build has is not missed, one without a value once" {
    context <<-X
	ARG BUILDPLATFORM
	FROM --platform=\$BUILDPLATFORM $IMAGE
	ARG BUILDPLATFORM
	ARG BUILDOS
	ARG BUILDARCH
	ARG BUILDVARIANT
	ARG TARGETPLATFORM
	ARG TARGETVARIANT
	ARG OWN
	RUN echo "\$BUILDPLATFORM"
	X
    build --build-arg UNUSED=1
    [[ $output != *'ARG BUILD'*'no value'* && $output != *level=* ]]
    assert_equal "$(grep -c '^Warning: ' <<<"$output")" 2
    assert_contains "$output" "Warning: ARG OWN has no value: give it one with --build-arg OWN=VALUE"
    assert_contains "$output" "Warning: no ARG takes the --build-arg UNUSED"
}
