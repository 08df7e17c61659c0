# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the tests with crafted archives share: $VICTIM, a directory of the host's with a secret, and archives that are made to reach it.

# victim: makes $VICTIM with $SECRET in it; $UP leads to the root from anywhere.
victim() {
    VICTIM=$FILE_DIR/victim-$name
    SECRET=s3cret-$name
    # shellcheck disable=SC2034 # for the tests
    UP=../../../../../../../../../..
    mkdir -p "$VICTIM/dir/deep"
    chmod 755 "$VICTIM"
    echo "$SECRET" >"$VICTIM/secret"
    echo "$SECRET" >"$VICTIM/dir/secret"
    : >"$VICTIM/empty"
    VICTIM_BEFORE=$(victim_state)
}

victim_state() { (cd "$VICTIM" && find . -printf '%p %y %m %U:%G %T@ %l\n' | sort && find . -type f -exec sha256sum {} + | sort); }

# unharmed IMAGE: the command before, of which $output and $status are, printed no secret, made no image with it, and changed
# nothing in $VICTIM.
unharmed() {
    [[ $output != *"$SECRET"* ]] || { echo "the secret has been printed"; return 1; }
    if [[ $status -eq 0 ]]; then
        not grep -aq "$SECRET" <("$ENGINE" save "$1" 3>&-) || { echo "the secret is in the image"; return 1; }
    fi
    [[ $(victim_state) == "$VICTIM_BEFORE" ]] || { diff <(echo "$VICTIM_BEFORE") <(victim_state); echo "the host's files have been changed"; return 1; }
}

# evil_tar FILE LINE...: an archive; a line is "KIND NAME [TARGET]".
evil_tar() {
    python3 - "$@" <<-'X'
	import io, sys, tarfile
	kinds = {"file": tarfile.REGTYPE, "link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "dir": tarfile.DIRTYPE,
	         "char": tarfile.CHRTYPE, "block": tarfile.BLKTYPE, "fifo": tarfile.FIFOTYPE}
	with tarfile.open(sys.argv[1], "w", format=tarfile.GNU_FORMAT) as t:
	    for line in sys.argv[2:]:
	        kind, name, *more = line.split(" ", 2)
	        i = tarfile.TarInfo(name)
	        i.type, i.mode = kinds[kind], 0o755 if kind == "dir" else 0o644
	        data = b""
	        if kind == "file":
	            data = (more[0] if more else "evil").replace("\\n", "\n").encode()
	        elif kind in ("link", "hard"):
	            i.linkname = more[0]
	        elif kind in ("char", "block"):
	            i.devmajor, i.devminor = map(int, more[0].split(","))
	        i.size = len(data)
	        t.addfile(i, io.BytesIO(data))
	X
}

# bomb KIND SIZE FILE: an archive of one file, big, whose header says SIZE: with one block of data behind a hole, in each of the
# formats that there are for that, or with no data.
bomb() {
    python3 - "$@" <<-'X'
	import sys
	kind, size, to = sys.argv[1], int(sys.argv[2]), sys.argv[3]
	def number(n, width):
	    return b"%0*o\0" % (width - 1, n) if n < 8 ** (width - 1) else b"\x80" + n.to_bytes(width - 1, "big")
	def header(name, size, kind=b"0", magic=b"ustar\x0000", more={}):
	    b = bytearray(512)
	    fields = {0: name.encode(), 100: b"0000644\0" + b"0000000\0" * 2 + number(size, 12) + b"00000000000\0", 156: kind, 257: magic}
	    for at, field in {**fields, **more}.items():
	        b[at:at + len(field)] = field
	    b[148:156] = b" " * 8
	    b[148:156] = b"%06o\0 " % sum(b)
	    return bytes(b)
	def pad(b):
	    return b + b"\0" * (-len(b) % 512)
	def pax(**records):
	    body = b""
	    for key, value in records.items():
	        r = " GNU.sparse.%s=%s\n" % (key, value)
	        n = len(r) + 1
	        while len(str(n)) + len(r) != n:
	            n = len(str(n)) + len(r)
	        body += (str(n) + r).encode()
	    return header("x", len(body), b"x") + pad(body)
	data, at = b"data" * 128, size - 512
	if kind == "0.0":
	    b = pax(size=size, numblocks=1, offset=at, numbytes=512) + header("big", 512) + data
	elif kind == "0.1":
	    b = pax(name="big", size=size, numblocks=1, map="%d,512" % at) + header("other", 512) + data
	elif kind == "1.0":
	    holes = pad(b"1\n%d\n512\n" % at)
	    b = pax(major=1, minor=0, name="big", realsize=size) + header("other", len(holes) + 512) + holes + data
	elif kind == "gnu":
	    b = header("big", 512, b"S", b"ustar  \0", {386: number(at, 12) + number(512, 12), 483: number(size, 12)}) + data
	elif kind == "nothing":
	    b = header("big", size)
	open(to, "wb").write(b + bytes(1024))
	X
}

# evil_lines: contents of archives that try to get at $VICTIM, one a line, entries separated by |.
evil_lines() {
    cat <<-X
	file $UP$VICTIM/new
	file $VICTIM/new
	link l $VICTIM|file l/new
	link l $VICTIM|file l/secret
	link l $UP$VICTIM|file l/secret
	link l $UP$VICTIM|dir l/newdir
	link a .|link a/b $VICTIM|file a/b/new
	link a b|link b $VICTIM|file a/new
	dir d|link d/up ..|link d/up/v $VICTIM|file v/new
	hard h $VICTIM/secret
	hard h $UP$VICTIM/secret
	hard h $UP$VICTIM/secret|file h evil
	link l $VICTIM|hard h l/secret
	link l $VICTIM|hard h l/secret|file h evil
	link l $VICTIM/secret|hard h l|file h evil
	link . $VICTIM|file new
	link / $VICTIM|file new
	file x|link x $VICTIM|file x/new
	dir d|link d $VICTIM|file d/new
	link d $VICTIM|dir d/newdir
	link .wh..opq $VICTIM|file .wh..opq/new
	link l $VICTIM|file l/.wh.secret
	link l $VICTIM|file l/.wh..wh..opq
	file .wh.../$VICTIM/secret
	file .wh.$UP$VICTIM/secret
	char c 1,3
	block b 8,0
	X
}

# many COUNT KIND FILE: writes COUNT entries, as a stream, behind those of an archive, which may be missing: empty (files), dir or link, in
# directories of 10000, or deep, 40 directories in one another.
many() {
    python3 - "$@" <<-'X'
	import os, sys
	count, kind, to = int(sys.argv[1]), sys.argv[2], sys.argv[3]
	def header(name, flag, size=0, mode=0o644, link=b""):
	    b = bytearray(512)
	    fields = {0: name, 100: b"%07o\0" % mode + b"0000000\0" * 2 + b"%011o\0" % size + b"00000000000\0", 156: flag, 157: link, 257: b"ustar\x0000"}
	    for at, field in fields.items():
	        b[at:at + len(field)] = field
	    b[148:156] = b" " * 8
	    b[148:156] = b"%06o\0 " % sum(b)
	    return bytes(b)
	with open(to, "r+b" if os.path.exists(to) else "w+b") as f:
	    end = f.seek(0, 2)
	    while end and not any(os.pread(f.fileno(), 512, end - 512)):
	        end -= 512
	    f.seek(end)
	    if kind == "deep":
	        for i in range(0, count, 40):
	            for n in range(1, 41):
	                f.write(header(b"d%07d/" % i + b"/".join([b"d"] * n) + b"/", b"5", mode=0o755))
	    else:
	        flag = {"empty": b"0", "dir": b"5", "link": b"2"}[kind]
	        for i in range(count):
	            if i % 10000 == 0:
	                f.write(header(b"many/%05d/" % (i // 10000), b"5", mode=0o755))
	            f.write(header(b"many/%05d/f%07d" % (i // 10000, i) + (b"/" if kind == "dir" else b""), flag, mode=0o755 if kind == "dir" else 0o644, link=b"x" if kind == "link" else b""))
	    f.write(bytes(1024))
	X
}
