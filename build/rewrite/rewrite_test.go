// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func rewritten(t *testing.T, text string, o Options) Result {
	t.Helper()
	r, err := Containerfiles([][]byte{[]byte(text)}, o)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return r
}

func TestInstructions(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "real", "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ in, want string }{
		// RUN --mount
		{"RUN true", ""},
		{"RUN --mount=type=bind,target=/x true", ""},
		{"RUN --mount=target=/x true", "RUN --mount=type=bind,target=/x true"},
		{"RUN --mount=src=a,dst=/x --mount=type=cache,target=/c --network=none true", "RUN --mount=type=bind,src=a,dst=/x --mount=type=cache,target=/c --network=none true"},
		{"run   --mount=target=/x,rw \\\n  true && \\\n  false", "run --mount=type=bind,target=/x,rw true &&   false\n\n"},
		{`RUN --mount="target=/a b" true`, `RUN --mount=type=bind,target=/a\ b true`},
		{`RUN --mount=target=/x ["cat", "/x/f"]`, `RUN --mount=type=bind,target=/x ["cat", "/x/f"]`},
		{"RUN --mount=Type=Bind,target=/x true", "RUN --mount=type=bind,target=/x true"},
		{"RUN --mount=type=bind,target=/x,ro=true,rw=true,readonly=0,readwrite=false true", "RUN --mount=type=bind,target=/x,ro,rw,rw,ro true"},
		{"RUN --mount=$M true", ""},
		{"ARG S=link/sub\nRUN --mount=target=/x,source=$S true", "ARG S=link/sub\nRUN --mount=type=bind,target=/x,source=real/sub true"},
		{"RUN --mount=type=bind,source=../../real/../link,target=/x true", "RUN --mount=type=bind,source=real,target=/x true"},
		{"RUN --mount=type=bind,source=out/etc,target=/x true", "RUN --mount=type=bind,source=etc,target=/x true"},
		{"ONBUILD RUN --mount=type=bind,source=link,target=/x true", ""},
		{"RUN --mount=source=link/sub,target=/x true", "RUN --mount=type=bind,source=real/sub,target=/x true"},
		{"RUN --mount=type=bind,source=link,target=/x true", "RUN --mount=type=bind,source=real,target=/x true"},
		{"RUN --mount=type=bind,source=/real/,target=/x true", ""},
		{"RUN --mount=type=secret,id=link true", ""},
		{"RUN --mount=target=/x <<A\ncat\nA", "RUN --mount=type=bind,target=/x <<A\ncat\nA"},
		{"RUN --mount=target=/x \\\n <<A cat && \\\n cat <<-B\n\ta\nA\n\tb\n\tB", "RUN --mount=type=bind,target=/x <<A cat &&  cat <<-B\n\ta\nA\n\tb\n\tB\n\n"},
		{"ARG S=img\nRUN --mount=from=$S,target=/x true", "ARG S=img\nRUN --mount=type=bind,from=img,target=/x true"},
		{"ONBUILD RUN --mount=from=$S,target=/x true", ""},
		{"ONBUILD RUN --mount=target=/x true", "ONBUILD RUN --mount=type=bind,target=/x true"},
		// EXPOSE
		{"EXPOSE 80 443/tcp 53/udp", ""},
		{"EXPOSE 80-82", "EXPOSE 80/tcp 81/tcp 82/tcp"},
		{"EXPOSE 80 90-91/UDP", "EXPOSE 80 90/udp 91/udp"},
		{"EXPOSE 80/TCP", "EXPOSE 80/tcp"},
		{"EXPOSE 8080:80 127.0.0.1:1-2:3-4 [::1]:9:9", "EXPOSE 80/tcp 3/tcp 4/tcp 9/tcp"},
		{"ARG P=5-6\nEXPOSE $P", "ARG P=5-6\nEXPOSE 5/tcp 6/tcp"},
		{"ARG P=5\nEXPOSE $P/udp", ""},
		{"ENV P=\"5 6-7\"\nEXPOSE $P", "ENV P=\"5 6-7\"\nEXPOSE 5/tcp 6/tcp 7/tcp"},
		{"EXPOSE $UNKNOWN", ""},
		{"ONBUILD EXPOSE 1-2", "ONBUILD EXPOSE 1/tcp 2/tcp"},
		// COPY and ADD
		{"COPY a b /c/", ""},
		{"COPY --chmod=0755 a /c", ""},
		{"COPY --chmod=u+x a /c", "COPY --exclude=.berth-copy:chmod=u+x a /c"},
		{"COPY --chmod=$M a /c", "COPY --exclude=.berth-copy:chmod=$M a /c"},
		{"COPY --exclude=*.md --exclude=\"a b\" --link a /c", `COPY --exclude=.berth-copy:exclude=*.md --exclude=.berth-copy:exclude=a\ b --link a /c`},
		{"COPY --parents a /c", "COPY --parents a /c/"},
		{"COPY --parents=true a /c/", ""},
		{"COPY --parents=false a /c", ""},
		{`COPY --parents ["a", "/c d"]`, `COPY --parents ["a","/c d/"]`},
		{"COPY --parents x/./a y/*/./b .", "COPY --parents --exclude=.berth-copy:pivot=x x/./a y/*/./b ./"},
		{"ADD a.tar /c", ""},
		{"ADD --unpack a.tar /c", "ADD a.tar /c"},
		{"ADD --unpack=false --chown=1 a.tar /c", "COPY --chown=1 a.tar /c"},
		{"ADD --unpack=false $A /c", "ADD --exclude=.berth-copy:drop-git --exclude=.berth-copy:unpack=false $A /c"},
		{"ADD --unpack=true https://h/a.tar /c", "ADD --chmod=4000600 https://h/a.tar /c/"},
		{"ADD --unpack=true --chown=1 --chmod=755 https://h/a.tar /c/", "ADD --chown=1 --chmod=7000755 https://h/a.tar /c/"},
		{"ADD --chmod=g+r https://h/a /c", "ADD --chmod=640 https://h/a /c"},
		{"ADD --chmod=g+r https://h/a b /c/", "ADD --chmod=640 --exclude=.berth-copy:chmod=g+r https://h/a b /c/"},
		{"ADD https://h/r.git#main /c", "ADD --exclude=.berth-copy:drop-git https://h/r.git#main /c"},
		{"ADD --keep-git-dir=true https://h/r.git#main /c", "ADD https://h/r.git#main /c"},
		{"COPY --chmod=u+x <<A /c\nx\nA", "COPY --chmod=744 <<A /c\nx\nA"},
		// here-documents
		{"COPY <<A /c\nplain $V\nA", ""},
		{"COPY <<\"A\" /c\n\\$V 'x'\nA", ""},
		{"COPY <<A /c\n\\$V \\\\ \\x 'q' \"Q\"\nA", "COPY <<A /c\n{d}V {b} x {q}q{q} {Q}Q{Q}\nA"},
		{"COPY <<A /c\n${V%\\*} ${U:-\\$}\nA", "COPY <<A /c\n${V%\\*} ${U:-{d}}\nA"},
		{"COPY <<A <<B /c/\nA\n\nB", "COPY <<A <<B /c/\nA\n{n}\nB"},
		{"COPY <<A \\\n /c\n\\$\nA", "COPY <<A  /c\n{d}\nA\n"},
	} {
		marks := strings.NewReplacer("{d}", docMark+"d\x03", "{b}", docMark+"b\x03", "{q}", docMark+"q\x03", "{Q}", docMark+"Q\x03", "{n}", docBlank)
		want := marks.Replace(c.want)
		if c.want == "" {
			want = c.in
		}
		want += "\n"
		r := rewritten(t, "FROM base\n"+c.in+"\n", Options{Context: dir})
		got := strings.TrimPrefix(string(r.Texts[0]), "FROM base\n")
		if got != want {
			t.Errorf("%q\nis now %q\nwant   %q", c.in, got, want)
		}
		if strings.Count(got, "\n") != strings.Count(c.in, "\n")+1 {
			t.Errorf("%q: lines are not where they were: %q", c.in, got)
		}
		if shown := r.Shown.Replace(got); strings.Contains(shown, "berth") || strings.Contains(shown, "\x01") {
			t.Errorf("%q is shown as %q", c.in, shown)
		}
	}
}

func TestWhatIsWrong(t *testing.T) {
	for in, want := range map[string]string{
		"EXPOSE 80/icmp":                            "line 2: EXPOSE: port \"80/icmp\"",
		"EXPOSE foo":                                "no port",
		"EXPOSE 70000":                              "no port",
		"EXPOSE 9-8":                                "ends before it begins",
		"EXPOSE 1-2:1-3":                            "differ in length",
		"EXPOSE x:1:2":                              "no IP address",
		"COPY --chmod=u+q a b":                      "line 2: COPY: --chmod=u+q",
		"COPY --chmod=10000 a b":                    "--chmod=10000",
		"COPY --chmod=888 a b":                      "--chmod=888",
		"RUN --mount=from=$S,target=/x true":        "from=$S: its value is not known",
		"ADD --unpack=maybe a b":                    "--unpack=maybe: must be true or false",
		"ADD --keep-git-dir=2 a b":                  "--keep-git-dir=2",
		"ADD --chmod=u+x <<A http://h/x /c/\nA":     "use a number",
		"ADD --unpack --chmod=$M http://h/x.tar /c": "octal number",
	} {
		_, err := Containerfiles([][]byte{[]byte("FROM base\n" + in + "\n")}, Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got the error %v, want %q", in, err, want)
		}
	}
}

func TestStages(t *testing.T) {
	text := `FROM base AS Build
FROM build AS two
COPY --from=BUILD a /
RUN --mount=from=bUILD,target=/x true
FROM other AS BUILD
RUN --mount=from=0,target=/x true
FROM build
COPY --from=build a /
COPY --from=TWO a /
RUN --mount=type=bind,from=1,target=/x true
RUN --mount=from=Later,target=/x true
FROM x AS later
`
	want := `FROM base
FROM 0 AS two
COPY --from=0 a /
RUN --mount=type=bind,from=0,target=/x true
FROM other AS BUILD
RUN --mount=type=bind,from=0,target=/x true
FROM BUILD
COPY --from=BUILD a /
COPY --from=two a /
RUN --mount=type=bind,from=two,target=/x true
RUN --mount=type=bind,from=Later,target=/x true
FROM x AS later
`
	for target, wants := range map[string]string{"build": "BUILD", "TWO": "two", "LATER": "later", "3": "3", "": "", "none": "none"} {
		r := rewritten(t, text, Options{Target: target})
		if got := string(r.Texts[0]); got != want {
			t.Errorf("got\n%s", got)
		}
		if r.Target != wants {
			t.Errorf("target %q is %q, want %q", target, r.Target, wants)
		}
	}
	// A context of the name comes first.
	if got := string(rewritten(t, "FROM a AS b\nFROM B\nCOPY --from=B x /\n", Options{Contexts: map[string]string{"B": ""}}).Texts[0]); got != "FROM a AS b\nFROM B\nCOPY --from=B x /\n" {
		t.Errorf("got\n%s", got)
	}
	// Names may be variables.
	got := string(rewritten(t, "ARG S=ONE\nFROM a AS one\nFROM $S\nARG T=One\nCOPY --from=$T x /\nARG U=one\nCOPY --from=$U x /\n", Options{}).Texts[0])
	if want := "ARG S=ONE\nFROM a AS one\nFROM one\nARG T=One\nCOPY --from=one x /\nARG U=one\nCOPY --from=$U x /\n"; got != want {
		t.Errorf("got\n%s", got)
	}
	if got := string(rewritten(t, "ARG S=x\nFROM a AS one\nFROM $S\n", Options{Args: map[string]string{"S": "ONE"}}).Texts[0]); !strings.HasSuffix(got, "FROM one\n") {
		t.Errorf("got\n%s", got)
	}
	// Stages of several files are numbered through.
	r, err := Containerfiles([][]byte{[]byte("FROM a AS s\n"), []byte("FROM S\n")}, Options{})
	if err != nil || string(r.Texts[1]) != "FROM s\n" {
		t.Errorf("got %q, %v", r.Texts, err)
	}
}

func TestUnmark(t *testing.T) {
	for _, text := range []string{"plain\n", "\\$V 'q' \"Q\" \\\\\n", "\n\n"} {
		r := rewritten(t, "FROM b\nCOPY <<A /c\n"+text+"A\n", Options{})
		_, doc, _ := strings.Cut(string(r.Texts[0]), "/c\n")
		got := Unmark(strings.TrimSuffix(doc, "A\n"))
		want := strings.NewReplacer(`\$`, "$", `\\`, `\`).Replace(text)
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := Unmark("\n"); got != "" {
		t.Errorf("an empty document has %q", got)
	}
	if got := Unmark(docBlank + "\n"); got != "\n" {
		t.Errorf("a document of an empty line has %q", got)
	}
}

// Where buildah would read a source by a path that is not known here, it is kept from that.
func TestSourcesThatAreNotKnown(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	for _, d := range []string{dir, other} {
		if err := errors.Join(os.Mkdir(filepath.Join(d, "bin"), 0o755), os.WriteFile(filepath.Join(d, "bin", "f"), []byte("1"), 0o644), os.Symlink("/", filepath.Join(d, "out"))); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Context: dir, Contexts: map[string]string{"other": other, "image": ""}}
	mount := func(m string) string {
		text := string(rewritten(t, "FROM a\nRUN --mount="+m+" true\n", o).Texts[0])
		_, m, _ = strings.Cut(text, "--mount=")
		m, _, _ = strings.Cut(m, " ")
		return m
	}
	first := mount("type=bind,source=bin/$A,target=/x")
	if strings.Contains(first, "type=") || !strings.Contains(first, "source=bin/$A,target=/x,consistency=") {
		t.Errorf("got %s", first)
	}
	for _, m := range []string{"source=$A/../../etc,target=/x", "type=bind,source=out/$A,target=/x", `type=bind,from=other,source=$A,target=/x`} {
		if got := mount(m); strings.Contains(got, "type=") || !strings.Contains(got, ",consistency=") {
			t.Errorf("%s: got %s", m, got)
		}
	}
	if got := mount("type=bind,from=other,source=out/bin,target=/x"); got != "type=bind,from=other,source=bin,target=/x" {
		t.Errorf("a further context: got %s", got)
	}
	if got := mount("type=bind,from=image,source=$A,target=/x"); got != "type=bind,from=image,source=$A,target=/x" {
		t.Errorf("an image: got %s", got)
	}
	// The cache's key changes with what may be mounted, and with nothing else.
	if err := os.WriteFile(filepath.Join(dir, "other"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := mount("type=bind,source=bin/$A,target=/x"); got != first {
		t.Errorf("got %s, before %s", got, first)
	}
	if err := os.WriteFile(filepath.Join(dir, "bin", "f"), []byte("2"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := mount("type=bind,source=bin/$A,target=/x"); got == first {
		t.Errorf("got %s again", got)
	}
	if _, err := Containerfiles([][]byte{[]byte("FROM a\nRUN --mount=type=bind,$A=x true\n")}, o); err == nil {
		t.Error("an option's name with a variable was taken")
	}
}
