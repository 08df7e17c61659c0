#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# build: what COPY and ADD put where: links of the image, here-documents, modes, archives, --parents.

load helpers
load build

# Each file builds from images of its own, which the tests here share.
setup_file() {
    store_setup
    mkdir "$FILE_DIR/merged"
    cat >"$FILE_DIR/merged/Containerfile" <<-X
	FROM $IMAGE
	RUN mkdir -p /opt/real /data && rm -rf /usr/bin && mkdir -p /usr && mv /bin /usr/bin && /usr/bin/busybox ln -s usr/bin /bin && /usr/bin/busybox ln -s /opt/real /opt/app && \
	    /usr/bin/busybox ln -s /nowhere /dangling && /usr/bin/busybox ln -s usr/bin/busybox /tool && /usr/bin/busybox touch /plain
	X
    berth build -q --network none -t localhost/merged "$FILE_DIR/merged"
}

test_teardown() { timeout 60 "$ENGINE" rmi -f "localhost/$name" >/dev/null 2>&1 3>&- || true; }
teardown() { end_servers; test_teardown; }

# tree: makes $CTX with a directory tree that holds bin, and archives of it.
tree() {
    context
    mkdir -p "$CTX/tree/bin/sub"
    echo new >"$CTX/tree/bin/new"
    echo deep >"$CTX/tree/bin/sub/deep"
    tar -C "$CTX/tree" -cf "$CTX/tree.tar" bin
    tar -C "$CTX/tree" -cf "$CTX/files.tar" bin/new bin/sub/deep # no entries for directories
}

# merged ARG...: shows that the image's link /bin is still there, and what is in it.
merged() {
    in_image sh -c 'readlink /bin; cat /usr/bin/new /bin/sub/deep; test -x /usr/bin/busybox && echo shell'
    assert_equal "$output" $'usr/bin\nnew\ndeep\nshell'
}

@test "a directory goes where the image has a link to one: every form of COPY and ADD" {
    is_berth || skip "podman replaces the link"
    local form forms=(
        "COPY tree /" "COPY tree/ /." "COPY tree/bin /bin" "COPY tree/bin /bin/" "COPY tree/. /usr/.." "COPY tree /opt/../"
        "ADD tree /" "ADD tree.tar /" "ADD files.tar /" "ADD tree.tar /usr/.." "COPY --from=src /tree /" "COPY --from=src --chown=1:2 /tree /"
        "COPY --link tree /" "COPY --link tree/bin /bin" "COPY --link tree/bin /bin/" "COPY --link --from=src /tree /" "ADD --link tree.tar /"
        "COPY --parents tree/./bin /" "COPY --parents tree/./bin/new tree/./bin/sub/deep /"
        "COPY tree/bin/new tree/bin/sub/deep /bin/
RUN mkdir /bin/sub && mv /bin/deep /bin/sub"
        "WORKDIR /opt
COPY tree .."
    )
    for form in "${forms[@]}"; do
        tree <<-X
	FROM scratch AS src
	COPY tree /tree
	FROM localhost/merged
	$form
	X
        echo "# $form"
        build
        merged
        rm -r "$CTX"
    done
}

@test "one file goes where the image's link to a directory leads, with a slash or without" {
    is_berth || skip "podman replaces the link with --link"
    local form
    for form in "COPY one /bin" "COPY one /bin/" "COPY one /bin/one" "COPY --link one /bin" "COPY --link one /bin/one" "COPY --link --chmod=755 one /bin/sub/one" \
        "COPY --from=src /one /bin" "COPY <<E /bin/one
one
E" "ADD --chown=7 one /bin" "COPY --parents x/./bin/one /"; do
        context <<-X
	FROM scratch AS src
	COPY one /one
	FROM localhost/merged
	$form
	X
        mkdir -p "$CTX/x/bin"
        echo one | tee "$CTX/one" >"$CTX/x/bin/one"
        echo "# $form"
        build
        in_image sh -c 'readlink /bin; cat /usr/bin/one || cat /usr/bin/sub/one'
        assert_contains "$output" $'usr/bin\n'
        assert_contains "$output" $'\none'
        rm -r "$CTX"
    done
}

@test "a directory goes where an absolute link leads, from any directory" {
    is_berth || skip "podman replaces the link"
    tree <<-X
	FROM localhost/merged
	COPY opt /opt
	ADD app.tar /opt/
	COPY opt/app/one /opt/app/three
	X
    mkdir -p "$CTX/opt/app" "$CTX/a/app"
    echo one >"$CTX/opt/app/one"
    echo two >"$CTX/a/app/two"
    tar -C "$CTX/a" -cf "$CTX/app.tar" app/two
    build
    in_image sh -c 'readlink /opt/app; cd /opt/real; cat one two three; ls /opt'
    assert_equal "$output" $'/opt/real\none\ntwo\none\napp\nreal'
}

@test "COPY puts no file in the place of a directory, and no directory in that of a file: it says so" {
    is_berth || skip "podman replaces what is there"
    local form
    for form in "COPY tree/file /" "COPY --from=src /tree/file /" "COPY tree/dir /" "COPY tree/dangling /"; do
        tree <<-X
	FROM scratch AS src
	COPY tree /tree
	FROM localhost/merged
	$form
	X
        mkdir -p "$CTX"/tree/{file,dir/plain,dangling/dangling}
        echo x >"$CTX/tree/file/usr"
        echo x >"$CTX/tree/dir/plain/x"
        echo x >"$CTX/tree/dangling/dangling/x"
        echo "# $form"
        build 125
        assert_contains "$output" "in the place of the"
        rm -r "$CTX"
    done
}

@test "a file in a tree takes the place of a link, and an archive's entries that of anything" {
    tree <<-X
	FROM localhost/merged
	COPY tree2 /
	ADD over.tar /data2
	X
    mkdir -p "$CTX/tree2" "$CTX/over"
    echo mine >"$CTX/tree2/tool"
    ln -s elsewhere "$CTX/tree2/dangling"
    mkdir "$CTX/over/plain"
    echo in >"$CTX/over/plain/in"
    tar -C "$CTX/over" -cf "$CTX/over.tar" plain
    build
    in_image sh -c 'cat /tool; readlink /dangling; cat /data2/plain/in; /bin/busybox echo shell'
    assert_equal "$output" $'mine\nelsewhere\nin\nshell'
}

@test "an archive's own links do not lead out of where it is unpacked" {
    context <<-X
	FROM localhost/merged
	ADD crafted.tar /data/
	X
    mkdir -p "$CTX/x/etc"
    ln -s /opt "$CTX/x/abs"
    ln -s ../../opt "$CTX/x/rel"
    tar -C "$CTX/x" -cf "$CTX/crafted.tar" abs rel
    rm "$CTX/x/abs" "$CTX/x/rel"
    mkdir "$CTX/x/abs" "$CTX/x/rel"
    echo evil >"$CTX/x/abs/evil1"
    echo evil >"$CTX/x/rel/evil2"
    tar -C "$CTX/x" -rf "$CTX/crafted.tar" abs/evil1 rel/evil2
    status=0
    timeout 100 "$ENGINE" build --network none -t "localhost/$name" "$CTX" >/dev/null 2>&1 3>&- || status=$?
    [[ $status -eq 0 ]] || return 0 # refusing it is fine
    in_image sh -c 'find /opt /usr /etc -name "evil*"'
    assert_equal "$output" ""
}

@test "COPY here-documents: escapes, quotes, empty ones, tabs, what is quoted" {
    is_berth || skip "podman keeps backslashes and adds a newline"
    context <<'X'
FROM localhost/busybox:latest
ENV V=val
COPY <<A <<"B" <<-C <<D <<E <<E2 /docs/
a \$V \\ $V "$V" '$V' don't ${V:-x} ${U:-it's} \${V}
back\\slash \n
A
b \$V \\ $V "$V"
B
	tab \$V
	  two
	C
D

E


E2
COPY --chmod=u+x,go= <<F /docs/script
#!/bin/sh
echo "\$0 $V"
F
ADD <<G /docs/g
"quoted" \$HOME
G
RUN <<H cat > /docs/h && echo '\$V' >> /docs/h
run \$V
H
X
    build
    in_image sh -c 'cd /docs; cat A; echo --; cat B; echo --; cat C; stat -c "%n %s" D E E2; stat -c %a script; ./script; cat g'
    assert_equal "$output" 'a $V \ val "val" '"'val'"' don'"'t val it's"' ${V}
back\slash n
--
b \$V \\ $V "$V"
--
tab $V
  two
D 0
E 1
E2 2
700
./script val
"quoted" $HOME'
}

@test "COPY of a here-document beside a file, and a line number in what is wrong after it" {
    is_berth || skip "podman words it differently"
    context <<'X'
FROM localhost/busybox:latest
COPY --chmod=g+w file <<D \
  /docs/
it's \$D
D
COPY --chmod=banana file /
X
    echo f >"$CTX/file"
    build 125
    assert_contains "$output" ":6: "
    assert_contains "$output" "banana"
    sed -i '$d' "$CTX/Containerfile"
    chmod 640 "$CTX/file"
    build
    in_image sh -c 'cd /docs; cat D file; stat -c %a D file'
    assert_equal "$output" $'it\'s $D\nf\n664\n660'
}

@test "--chmod in symbols: files, directories, with a variable, of stages, of URLs, in the cache" {
    is_berth || skip "podman knows numbers only"
    context <<-X
	FROM scratch AS src
	COPY file /file
	FROM $IMAGE
	ARG MODE=u+x
	COPY --chmod=a+X,g=u dir /d/
	COPY --chmod=go-rwx,u=rx file /f1
	COPY --chmod=\$MODE file /f2
	COPY --chmod=o+w --from=src /file /f3
	ADD --chmod=u=rwX,go=rX dir /d2/
	COPY --link --chmod=+x file /f4
	X
    mkdir -p "$CTX/dir/sub"
    touch "$CTX/file" "$CTX/dir/x" "$CTX/dir/plain"
    chmod 640 "$CTX/file" "$CTX/dir/plain"
    chmod 710 "$CTX/dir/x" "$CTX/dir/sub"
    build
    in_image stat -c '%n %a' /d/x /d/plain /d/sub /f1 /f2 /f3 /d2/x /d2/plain /d2/sub /f4
    assert_equal "$output" $'/d/x 771\n/d/plain 660\n/d/sub 771\n/f1 500\n/f2 740\n/f3 642\n/d2/x 755\n/d2/plain 644\n/d2/sub 755\n/f4 751'
    berth build --network none --build-arg MODE=u=rwx,g=rwx -t "localhost/$name" "$CTX"
    assert_contains "$output" "COPY --chmod=\$MODE file /f2"
    [[ $output != *berth-copy* ]]
    in_image stat -c %a /f2
    assert_equal "$output" 770
    local bad
    for bad in u+q 9999 8 17777 =; do
        sed -i "s|^COPY --chmod=.* file /f1|COPY --chmod=$bad file /f1|" "$CTX/Containerfile"
        if [[ $bad == "=" ]]; then build; else build 125; assert_contains "$output" "--chmod=$bad"; fi
    done
}

@test "ADD --unpack: a tar as it is, one from a URL unpacked, what is no tar as a file" {
    is_berth || skip "podman has no --unpack"
    context <<-X
	FROM $IMAGE
	ADD --unpack=false t.tar /as-is/
	ADD --unpack=false t.tar /as-file
	ADD --unpack t.tar /out/
	ADD --unpack=true --chown=3:4 http://127.0.0.1:PORT/t.tar.gz /url
	ADD http://127.0.0.1:PORT/t.tar.gz /plain/
	ADD --unpack=true http://127.0.0.1:PORT/plain.txt /none/
	ADD --chmod=go+r http://127.0.0.1:PORT/plain.txt /read
	X
    mkdir -p "$CTX/t/dir"
    echo one >"$CTX/t/dir/one"
    echo text >"$CTX/plain.txt"
    tar -C "$CTX/t" -cf "$CTX/t.tar" dir
    tar -C "$CTX/t" -czf "$CTX/t.tar.gz" dir
    serve "$CTX"
    sed -i "s/PORT/$port/" "$CTX/Containerfile"
    build
    in_image sh -c 'tar -tf /as-is/t.tar; tar -tf /as-file; cat /out/dir/one /url/dir/one; stat -c "%u:%g %a" /url/dir/one; ls /plain; cat /none/plain.txt /read; stat -c %a /read'
    assert_equal "$output" $'dir/\ndir/one\ndir/\ndir/one\none\none\n3:4 644\nt.tar.gz\ntext\ntext\n644'
}

@test "ADD of a repository leaves .git out, --keep-git-dir keeps it" {
    is_berth || skip "podman has no --keep-git-dir"
    local repo=$FILE_DIR/git-$name
    git init -q -b main "$repo/work" 3>&-
    mkdir "$repo/work/sub"
    echo content >"$repo/work/sub/file"
    git -C "$repo/work" add . && git -C "$repo/work" -c user.name=t -c user.email=t@example.org commit -qm x
    git clone -q --bare "$repo/work" "$repo/repo.git" 3>&-
    serve "$repo"
    wait_for 10 git ls-remote -q "http://127.0.0.1:$gitport/repo.git" HEAD
    context <<-X
	FROM $IMAGE
	ARG REPO=http://127.0.0.1:$gitport/repo.git
	ADD http://127.0.0.1:$gitport/repo.git#main /without/
	ADD --keep-git-dir=true \$REPO#main /with/
	ADD --keep-git-dir=false --exclude=sub/f* \$REPO /less/
	X
    build
    in_image sh -c 'ls -A /without /with /less; cat /with/sub/file; ls /less/sub'
    assert_equal "$output" $'/less:\nsub\n\n/with:\n.git\nsub\n\n/without:\nsub\ncontent'
}

@test "COPY --parents: the destination is a directory, with a slash or without" {
    context <<-X
	FROM scratch AS src
	COPY a /a
	FROM $IMAGE
	COPY --parents a/b/one /p1
	COPY --parents a/./b/one /p2
	WORKDIR /wd
	COPY --parents a/b/one .
	COPY --parents a/b/one rel
	COPY --parents=true ["a/b/one", "/p3"]
	COPY --from=src --parents /a/./b/one /p4
	COPY --parents a/b/one a/two /p5
	COPY --parents a/b/*e /p1
	COPY --parents --exclude=b/one --exclude=two a/./b a/./two /p6/
	X
    mkdir -p "$CTX/a/b"
    echo one >"$CTX/a/b/one"
    echo more >"$CTX/a/b/more"
    echo two >"$CTX/a/two"
    build
    in_image sh -c 'find /p1 /p2 /p3 /p4 /p5 /p6 /wd -type f | sort'
    assert_equal "$output" $'/p1/a/b/more\n/p1/a/b/one\n/p2/b/one\n/p3/a/b/one\n/p4/b/one\n/p5/a/b/one\n/p5/a/two\n/p6/b/more\n/wd/a/b/one\n/wd/rel/a/b/one'
}
