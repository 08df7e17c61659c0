// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"errors"
	"strconv"
	"strings"
	"testing"
)

// TestPartsCannotReachOut wants lint to refuse each way in which a part could read or change what is the consumer's.
func TestPartsCannotReachOut(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("a", 64)
	for name, tc := range map[string]struct{ body, code string }{
		"context by a second from":       {"RUN --mount=type=bind,from=made,from=,target=/c ls\nFROM scratch AS made", "P005"},
		"secret by a second type":        {"RUN --mount=type=cache,target=/c,type=secret,id=x ls", "P005"},
		"secret without a name":          {"RUN --mount=type=secret,target=/c ls", "P005"},
		"type in capitals":               {"RUN --mount=type=BIND,target=/c ls", "P005"},
		"bind with the source above":     {"RUN --mount=type=bind,source=../..,target=/c ls", "P006"},
		"bind from the consumer's stage": {"RUN --mount=type=bind,from=app,target=/c ls", "P006"},
		"bind from a number":             {"RUN --mount=type=bind,from=0,target=/c ls", "P006"},
		"bind from a directory":          {"RUN --mount=type=bind,from=dir:/etc,target=/c ls", "P006"},
		"copy from a directory":          {"COPY --from=dir:/etc / /", "P006"},
		"copy from an archive":           {"COPY --from=docker-archive:/tmp/x.tar / /", "P006"},
		"copy from a variable":           {"COPY --from=${BASE} / /", "P006"},
		"copy from a named context":      {"COPY --from=context / /", "P006"},
		"copy of a link up":              {"COPY ../../etc/passwd /x", "P006"},
		"add of the context":             {"ADD x.tar /", "P006"},
		"add of a git repository":        {"ADD git@example.org:x/y.git /x", "P005"},
		"add over http":                  {"ADD http://example.org/x /x", "P005"},
		"cache id upwards":               {"RUN --mount=type=cache,id=../../../etc,target=/c ls", "P006"},
		"cache id absolute":              {"RUN --mount=type=cache,id=/etc,target=/c ls", "P006"},
		"cache id inside":                {"RUN --mount=type=cache,id=a/../../b,target=/c ls", "P006"},
		"cache from the context":         {"RUN --mount=type=cache,from=app,target=/c ls", "P006"},
		"ssh agent":                      {"RUN --mount=type=ssh,id=x ls", "P005"},
		"device":                         {"RUN --device=/dev/fuse ls", "P005"},
		"host network":                   {"RUN --network=host ls", "P005"},
		"no sandbox":                     {"RUN --security=insecure ls", "P005"},
		"the guard's word":               {"ARG COMPOSED", "P005"},
		"trigger for children":           {"ONBUILD COPY . /x", "P005"},
		"label of compositions":          {"LABEL dev.partials.text=x", "P005"},
		"helper on a directory":          {"RUN true\nFROM dir:/etc AS made", "P005"},
		"helper on a short name":         {"RUN true\nFROM debian AS made", "P005"},
	} {
		t.Run(name, func(t *testing.T) {
			body := "FROM base AS install\n" + tc.body
			wantError(t, lint("", body), tc.code)
		})
	}
	for name, body := range map[string]string{
		"an image by its digest": "COPY --from=docker.io/library/busybox:1" + digest + " /bin/sh /x",
		"a cache with an id":     "RUN --mount=type=cache,id=apt/lists,target=/c ls",
	} {
		if err := lint("", "FROM base AS install\n"+body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMetadataCannotWriteInstructions gives values that would be other instructions, other words or other commands to each
// place where the maker writes a value.
func TestMetadataCannotWriteInstructions(t *testing.T) {
	params := "params: {v: {type: string, pattern: \"(?s).*\", default: \"1\"}}\n"
	evil := []string{"x y", "x\nRUN touch /pwned", "x\"; touch /pwned; \"", "$(touch /pwned)", "`touch /pwned`", "x AS base", "x \\", "x # y", "../../x", "x;y", "x&y", "x|y", "x>y", "-o=x y", "<<EOF", "\u2028RUN x",
		"\x00", "x\x00y", "\x1b[31m", "\x1b]0;x\x07", "\u009b31m", "\u202eRUN touch /pwned", "a\u2066b\u2069", "\u200f", "\ufeffx", "\xff", "\t", "x\ty", strings.Repeat("x", 1<<20), strings.Repeat("a/", 20000),
		`"`, `""`, `'`, `\`, `\\`, `\"`, `$`, `$$`, `${HOME}`, `${HOME`, `$EVIL_V`, `#`, `a#b`, `#: use std/evil`, `# <<< std/evil`, `["a"]`, `a=b c=d`, `--from=evil`, `%s%n`, `*`, `~`, `!`, `{a,b}`, `$((1))`, `é"`}
	for name, meta := range map[string]string{
		"package":  params + `packages: {apt: ["tool=${v}"]}`,
		"user":     params + `runtime: {user: "${v}"}`,
		"port":     params + `runtime: {expose: ["${v}"]}`,
		"volume":   params + `runtime: {volume: ["${v}"]}`,
		"signal":   params + `runtime: {stopsignal: "${v}"}`,
		"interval": params + `runtime: {healthcheck: {cmd: [x], interval: "${v}s"}}`,
		"cmd":      params + `runtime: {cmd: ["${v}"], entrypoint: ["${v}"]}`,
		"env":      params + `env: {A: {set: "${v}"}, B: {default: "${v}"}}`,
		"path":     params + `env: {PATH: {prepend: ["/x/${v}"]}}`,
		"provides": params + `provides: ["x=${v}"]`,
		"argument": params,
		"image":    params,
	} {
		body := ""
		switch name {
		case "provides":
			body = "RUN true"
		case "argument":
			body = "ARG EVIL_V\nRUN echo \"$EVIL_V\""
		case "image":
			body = "FROM base AS install\nCOPY --from=made / /opt\nFROM docker.io/library/busybox:${EVIL_V} AS made"
		}
		text := partText("std/evil", "1.0.0", meta, body)
		if name == "image" {
			text = strings.Replace(text, "FROM ${BASE}", "ARG EVIL_V=1\nFROM ${BASE}", 1)
		}
		p, err := NewPart("evil", text, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		lib := memLibrary{}.with(p)
		src := "FROM docker.io/library/debian:12\n#: use std/evil\nCMD [\"mine\"]\n"
		plain := countInstructions(t, mustCompose(t, lib, src).Text)
		for _, v := range evil {
			r, err := composeSource(t, lib, src, func(o *Options) { o.Params = map[string]string{"evil.v": v} })
			if err != nil {
				if e := asError(err); e.Code == "P071" || e.Code == "" {
					t.Errorf("%s %q: %v; want a finding before the last wall", name, v, err)
				}
				continue
			}
			decode(t, r.Text)
			if n := countInstructions(t, r.Text); n != plain {
				t.Errorf("%s %q makes %d instructions, want %d:\n%s", name, v, n, plain, r.Text)
			}
			// Where it may stand it is data: between quotes that it cannot leave.
			for l := range strings.Lines(r.Body) {
				if len(v) > 3 && strings.HasPrefix(l, "RUN ") && strings.Contains(l, v) && v != "$EVIL_V" {
					t.Errorf("%s %q gets into a RUN: %s", name, v, l)
				}
			}
		}
	}
}

// TestHeredocsAreNoMarkers has a part write what looks like the end of its block, another block and directives into a heredoc.
func TestHeredocsAreNoMarkers(t *testing.T) {
	good := part(t, "std/good", "1.0.0", "layer: detached", "FROM base AS install\nCOPY --link --from=made / /opt\nFROM scratch AS made")
	evil := part(t, "std/evil", "1.0.0", "", "FROM base AS install\nRUN <<EOF\n# <<< std/evil\n# >>> std/good 1.0.0 "+good.Digest+" (used)\n# : rebase safe\n# : use std/other\nFROM x\ntrue\n# <<< std/good\nEOF\nRUN touch /evil")
	src := guardLine + "\nFROM docker.io/library/debian:12\n#: use std/evil\nCOPY <<EOF /data\n# : use std/data\n# >>> std/data 1.0.0 sha256:0 (used)\n#: use std/data\n# composed from here\nFROM docker.io/library/debian:12@" + testBases()["docker.io/library/debian:12"].Digest + "\nEOF\n"
	lib := memLibrary{}.with(good, evil)
	r := mustCompose(t, lib, src)
	blocks := Blocks(r.Text)
	if len(blocks) != 1 || blocks[0].Name != "std/evil" || !strings.Contains(blocks[0].Text, "RUN touch /evil") {
		t.Errorf("blocks are %+v, want the one of std/evil, whole", blocks)
	}
	cf, err := parseContainerfile("", r.Body, "P071")
	if err != nil {
		t.Fatal(err)
	}
	for line, name := range blocksByLine(cf) {
		if name != "std/evil" {
			t.Errorf("line %d is of %s", line, name)
		}
	}
	back, err := Uncompose(r.Text, r.Lock, nil)
	if err != nil || back != src {
		t.Errorf("Uncompose = %v:\n%s", err, Diff(src, back, ""))
	}
	if again := mustCompose(t, lib, back, func(o *Options) { o.Lock = r.Lock }); again.Text != r.Text {
		t.Errorf("composed again:\n%s", Diff(r.Text, again.Text, ""))
	}
	in := RebaseInput{Metas: map[string]*Meta{"std/good": good.Meta, "std/evil": evil.Meta}, NewRef: "x"}
	if e := blocking(cf, in); e == nil {
		t.Error("a RUN that calls itself detached does not keep from a rebase")
	}
	// Comments of a part that look like markers or directives are changed.
	sly := part(t, "std/sly", "1.0.0", "", "# <<< std/sly\n# >>> std/good 1.0.0 sha256:0 (used)\n# : use std/other\nRUN touch /sly")
	r = mustCompose(t, memLibrary{}.with(sly), "FROM docker.io/library/debian:12\n#: use std/sly\n")
	if b := Blocks(r.Text); len(b) != 1 || !strings.Contains(b[0].Text, "RUN touch /sly") {
		t.Errorf("blocks are %+v, want the one of std/sly, whole", b)
	}
	if back, err = Uncompose(r.Text, r.Lock, func(string, string) bool { return true }); err != nil || strings.Contains(back, "#: use std/other") {
		t.Errorf("a comment of a part becomes a directive: %v\n%s", err, back)
	}
}

// TestCarriersKeepTheirEnds has files whose lines end heredocs, and names that the carrier's stage could clash with.
func TestCarriersKeepTheirEnds(t *testing.T) {
	data := "PARTIAL_EOF\nPARTIAL_EOF_2\nRUN touch /pwned\nPARTIAL_EOF_3\n$HOME `id` \\\n"
	text := strings.Replace(partText("std/f", "1.0.0", "", "COPY --from=files / /"), "FROM base AS install", "FROM scratch AS files\nCOPY files/ /\nFROM base AS install", 1)
	p, err := NewPart("f", text, []File{{Path: "opt/x", Data: data}})
	if err != nil {
		t.Fatal(err)
	}
	r := mustCompose(t, memLibrary{}.with(p), "FROM docker.io/library/debian:12 AS p-f-files\n#: use std/f\n")
	decode(t, r.Text)
	if n := countInstructions(t, r.Text); n != 5 {
		t.Errorf("%d instructions, want FROM COPY FROM COPY LABEL:\n%s", n, r.Text)
	}
	wantLines(t, r.Text, "FROM scratch AS p-f-files-2", `COPY --chmod=0644 <<"PARTIAL_EOF_4" /opt/x`, "PARTIAL_EOF_4", "COPY --from=p-f-files-2 / /")
}

// TestHiddenTextIsRefused has text that a terminal or an editor shows as another one, in each place that people read.
func TestHiddenTextIsRefused(t *testing.T) {
	for _, evil := range []string{"\x1b[31m", "\x1b]0;x\x07", "\x00", "\r", "\x7f", "\u009b2J", "\u202e", "\u2066", "\u200f", "\u2028"} {
		if _, err := NewPart("p", partText("std/x", "1.0.0", "", "RUN echo a"+evil+"b"), nil); err == nil || evil != "\r" && !errors.Is(err, &Error{Code: "P010"}) {
			t.Errorf("%q in a body: %v", evil, err)
		}
		if _, err := NewPart("p", partText("std/x", "1.0.0", "", "# a"+evil+"b\nRUN true"), nil); err == nil {
			t.Errorf("%q in a comment is taken", evil)
		}
		yaml := strings.Trim(strconv.QuoteToASCII(evil), `"`)
		for _, meta := range []string{`licenses: "` + yaml + `"`, `check: {argv: ["` + yaml + `"], match: x}`, `application: {name: "` + yaml + `", version: "1"}`} {
			if _, err := NewPart("p", partText("std/x", "1.0.0", meta, "RUN true"), nil); !errors.Is(err, &Error{Code: "P010"}) {
				t.Errorf("%s: %v; want P010", meta, err)
			}
		}
		if _, err := composeSource(t, memLibrary{}, "FROM docker.io/library/debian:12\nRUN echo a"+evil+"b\n"); err == nil {
			t.Errorf("%q in a source is taken", evil)
		}
	}
	if _, err := NewPart("p", partText("std/x", "1.0.0", "", "RUN echo \xff"), nil); err == nil {
		t.Error("a body that is not UTF-8 is taken")
	}
	if _, err := NewPart("p", partText("std/x", "1.0.0", "licenses: \"é 日本 😀\"", "RUN echo \"é 日本 😀\""), nil); err != nil {
		t.Errorf("text of other languages: %v", err)
	}
}
