#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: root
# The host's files that the flags of a build name: what a RUN with a directory above them makes of their paths has no effect, for
# each is looked up once, before the first RUN. See docs/security.md and docs/decisions/0029-sources-of-binds.md.

load helpers
load evil

setup() {
    test_setup
    victim
    SHARED=$FILE_DIR/shared-$name
    mkdir -p "$SHARED/data" "$FILE_DIR/ctx-$name"
    echo "mine" >"$SHARED/data/secret"
    # The RUN that makes the source a link to the victim's directory.
    SWAP="RUN mv /s/data /s/moved; ln -s $VICTIM /s/data"
}

teardown() { test_teardown; timeout 60 "$ENGINE" rmi -f "localhost/$name" >/dev/null 2>&1 3>&- || true; }

# build ARG...: builds the Containerfile of standard input, whose RUN see $SHARED at /s.
build() {
    local rc=0
    cat >"$FILE_DIR/ctx-$name/Containerfile"
    output=$(timeout --foreground -k 5 60 "$ENGINE" build --no-cache -t "localhost/$name" -v "$SHARED:/s" "$@" "$FILE_DIR/ctx-$name" 2>&1 3>&-) || rc=$?
    echo "$ build $*"; echo "$output"; echo "exit code $rc"
    status=$rc
    unharmed "localhost/$name"
}

back() { rm "$SHARED/data"; mv "$SHARED/moved" "$SHARED/data"; }

@test "-v: a source that RUN makes a link is what it was when the build began" {
    for isolation in "oci --network none" "chroot --network host"; do
        # shellcheck disable=SC2086 # two words
        build --isolation $isolation -v "$SHARED/data:/x" -v "$SHARED/data/secret:/y" <<-X
		FROM $IMAGE
		$SWAP
		RUN cat /x/secret; touch /x/new; cat /y
		X
        assert_equal "$status" 0
        [[ $output == *mine*mine* && -e $SHARED/moved/new ]]
        back
    done
    build --network none -v "$SHARED/data:/x:ro" -v "$SHARED/data:/z:O" <<-X
	FROM $IMAGE
	$SWAP
	RUN cat /x/secret; ! touch /x/no; touch /z/no; cat /z/secret
	X
    assert_equal "$status" 0
    [[ $output == *mine*mine* && ! -e $SHARED/moved/no ]]
    back
}

@test "-v with O, upperdir= and workdir=: directories that RUN makes links" {
    mkdir "$SHARED/upper" "$SHARED/work"
    build --network none -v "$SHARED/data:/x:O,upperdir=$SHARED/upper,workdir=$SHARED/work" <<-X
	FROM $IMAGE
	RUN mv /s/upper /s/moved; ln -s $VICTIM /s/upper; mv /s/work /s/moved-work; ln -s $VICTIM /s/work
	RUN cat /x/secret; echo new >/x/new
	RUN cat /x/new
	X
    assert_equal "$status" 0
    [[ $output == *mine* && $(cat "$SHARED/moved/new") == new && ! -e $SHARED/data/new ]]
    build -v "$SHARED/data:/x:O,upperdir=$SHARED/none,workdir=$SHARED/moved-work" <<<"FROM $IMAGE"
    assert_equal "$status" 125
    assert_contains "$output" "upperdir=$SHARED/none: no such file"
}

@test "volumes in containers.conf: a directory that RUN makes a link" {
    printf '[containers]\nvolumes = ["%s:/conf", "%s:/conf-too:ro"]\n' "$SHARED/data" "$SHARED/data/secret" >"$FILE_DIR/volumes.conf"
    local -x CONTAINERS_CONF_OVERRIDE=$FILE_DIR/volumes.conf
    build --network none <<-X
	FROM $IMAGE
	$SWAP
	RUN cat /conf/secret /conf-too; touch /conf/new
	X
    assert_equal "$status" 0
    [[ $output == *mine*mine* && -e $SHARED/moved/new ]]
    back
    printf '[containers]\nvolumes = ["%s:/conf"]\n' "$SHARED/none" >"$FILE_DIR/volumes.conf"
    build <<<"FROM $IMAGE"
    assert_equal "$status" 125
    assert_contains "$output" "volumes in containers.conf: $SHARED/none:/conf: "
}

@test "-v with U: nothing outside of the source changes its owner" {
    ln -s "$VICTIM" "$SHARED/data/link"
    ln -s "$VICTIM/secret" "$SHARED/data/file"
    build -v "$SHARED/data:/x:U" <<-X
	FROM $IMAGE
	$SWAP
	USER 5:6
	RUN stat -c %u:%g /x /x/secret /x/link
	X
    assert_equal "$status" 0
    [[ $output == *5:6*5:6*5:6* ]]
    back
    build -v "/usr:/x:U" <<-X
	FROM $IMAGE
	RUN true
	X
    assert_equal "$status" 125
    [[ $output == *"/usr belongs to the system"* ]]
}

@test "--build-context: a directory that RUN makes a link" {
    build --build-context "x=$SHARED/data" <<-X
	FROM $IMAGE
	$SWAP
	COPY --from=x . /copied/
	RUN --mount=type=bind,from=x,target=/m cat /m/secret
	RUN cat /copied/secret
	X
    assert_equal "$status" 0
    [[ $output == *mine*mine* ]]
    back
}

@test "the context: a directory that RUN makes a link" {
    rmdir "$FILE_DIR/ctx-$name"
    ln -s "$SHARED/data" "$FILE_DIR/ctx-$name"
    build <<-X
	FROM $IMAGE
	$SWAP
	COPY secret /copied/
	RUN --mount=type=bind,target=/m cat /m/secret /copied/secret
	RUN --mount=type=bind,source=secret,target=/m cat /m
	X
    assert_equal "$status" 0
    [[ $output == *mine*mine*mine* ]]
    back
}

@test "--secret: a file that RUN makes a link" {
    build --secret "id=k,src=$SHARED/data/secret" <<-X
	FROM $IMAGE
	$SWAP
	RUN --mount=type=secret,id=k cat /run/secrets/k
	X
    assert_equal "$status" 0
    [[ $output == *mine* ]]
    back
}

@test "--ssh: the socket of an agent that RUN makes a link to another's" {
    local agent keys=$FILE_DIR/keys-$name
    mkdir -m 700 "$keys"
    for agent in mine "$SECRET"; do
        ssh-keygen -q -t ed25519 -N "" -C "$agent" -f "$keys/$agent" 3>&-
        ssh-agent -D -a "$keys/$agent.sock" >/dev/null 2>&1 3>&- &
        echo $! >>"$FILE_DIR/agents-$name"
        wait_for 10 test -S "$keys/$agent.sock"
        SSH_AUTH_SOCK=$keys/$agent.sock ssh-add -q "$keys/$agent" 3>&-
    done
    ln -s "$keys/mine.sock" "$SHARED/data/sock"
    ln -s "$keys/$SECRET.sock" "$VICTIM/sock"
    VICTIM_BEFORE=$(victim_state)
    # Lists the agent's keys: the comment is in the answer.
    cat >"$FILE_DIR/ctx-$name/list.pl" <<-'X'
	use IO::Socket::UNIX;
	my $s = IO::Socket::UNIX->new($ENV{SSH_AUTH_SOCK}) or die "connect: $!";
	syswrite $s, pack("NC", 1, 11);
	my $answer = "";
	while (length $answer < 4 || length $answer < 4 + unpack("N", $answer)) { sysread($s, $answer, 4096, length $answer) or last; }
	print "$answer\n";
	X
    build -v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro --ssh "default=$SHARED/data/sock" <<-X
	FROM $IMAGE
	$SWAP
	COPY list.pl /
	RUN --mount=type=ssh perl /list.pl | strings
	X
    while read -r agent; do kill "$agent"; done <"$FILE_DIR/agents-$name"
    assert_equal "$status" 0
    [[ $output == *mine* ]]
    back
}

@test "--device: a path that RUN makes a link to another device" {
    ln -s /dev/null "$SHARED/data/dev"
    ln -s /dev/zero "$VICTIM/dev"
    VICTIM_BEFORE=$(victim_state)
    build --device "$SHARED/data/dev:/dev/given:rw" <<-X
	FROM $IMAGE
	$SWAP
	RUN test -c /dev/given && head -c 5 /dev/given | wc -c
	X
    assert_equal "$status" 0
    [[ $output == *$'\n0\n'* ]]
    back
}

@test "what flags name: missing, of another kind, with a colon; nothing is left" {
    local at=$FILE_DIR/ctx-$name
    echo "FROM $IMAGE" >"$at/Containerfile"
    berth 125 build -v "$SHARED/none:/x" "$at"
    [[ $output == *"$SHARED/none"*"no such file or directory"* ]]
    berth 125 build --build-context "x=$SHARED/data/secret" "$at"
    [[ $output == *"--build-context x: $SHARED/data/secret: not a directory"* ]]
    berth 125 build --secret "id=x,src=$SHARED/none" "$at"
    [[ $output == *"--secret"*"$SHARED/none"* ]]
    mkdir "$SHARED/a:b"
    echo "mine" >"$SHARED/a:b/secret"
    build -v "$SHARED/a\\:b:/x:ro" <<-X
	FROM $IMAGE
	RUN cat /x/secret
	X
    [[ $output == *mine* ]]
    # An error has the user's words.
    build --build-context "x=$SHARED/data" <<-X
	FROM $IMAGE
	COPY --from=x none /
	X
    [[ $status -eq 125 && $output != *binds/build-* ]]
    run find "$RUNROOT"/berth/binds -mindepth 1
    assert_equal "$output" ""
}
