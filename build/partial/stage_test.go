// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"fmt"
	"strings"
	"testing"
)

func TestHelperStagesAreSharedAndNamedApart(t *testing.T) {
	lib := memLibrary{}.with(part(t, "std/go", "1.0.0", "params: {version: {type: version, default: 1.22.0}}",
		"FROM docker.io/library/golang:${GO_VERSION} AS dist\nFROM base AS build\nARG GO_VERSION\nRUN build \"$GO_VERSION\"\nFROM base AS install\nCOPY --from=dist /go /go\nCOPY --from=build /b /b"),
		part(t, "acme/go", "1.0.0", "", "FROM scratch AS dist\nCOPY <<\"X\" /x\nx\nX\nFROM base AS install\nCOPY --from=dist /x /x"))
	src := "FROM docker.io/library/debian:12 AS a\n#: use std/go\n#: use acme/go\nFROM docker.io/library/debian:12 AS b\n#: use std/go\nFROM docker.io/library/debian:12-slim AS c\n#: use std/go version=1.23.0\nFROM b AS p-go-build\nRUN x\n"
	r := mustCompose(t, lib, src)
	decode(t, r.Text)
	for want, n := range map[string]int{
		"AS p-go-dist\n": 1, "AS p-go-dist-2\n": 1, "AS p-go-dist-3\n": 1, // std 1.22, acme, std 1.23
		"AS p-go-build-2\n": 1, "AS p-go-build-3\n": 1, // the source's own stage has the plain name
	} {
		if got := strings.Count(r.Body, want); got != n {
			t.Errorf("%q stands %d times, want %d:\n%s", want, got, n, r.Body)
		}
	}
}

func TestStagesInheritParts(t *testing.T) {
	r := mustCompose(t, testParts(t), "FROM docker.io/library/debian:12 AS base1\nUSER app\n#: use std/ca-certs\nFROM base1 AS app\n#: use std/nodejs\nRUN x\n")
	if n := strings.Count(r.Body, "install -y --no-install-recommends ca-certificates"); n != 1 {
		t.Errorf("std/ca-certs stands %d times; app has it from base1:\n%s", n, r.Body)
	}
	wantLines(t, r.Text, "FROM base1 AS app", "# : use std/nodejs", "ENV PATH=/opt/nodejs/bin:$PATH", "RUN x")
}

func TestBuildRequirementsGoIntoHelperStages(t *testing.T) {
	lib := testParts(t).with(
		part(t, "std/gcc", "1.0.0", "packages: {apt: [gcc]}", "FROM base AS dev\nRUN dev-only\nFROM base AS install\nRUN runtime-only"),
		part(t, "std/ext", "1.0.0", "build-requires: [std/gcc]", "FROM base AS build\nRUN make\nFROM base AS install\nCOPY --link --from=build /out /out"))
	r := mustCompose(t, lib, "FROM docker.io/library/debian:12\n#: use std/ext\n")
	wantLines(t, r.Text, "FROM docker.io/library/debian:12@"+testBases()["docker.io/library/debian:12"].Digest+" AS p-ext-build",
		"RUN apt-get update && apt-get install -y --no-install-recommends gcc && rm -rf /var/lib/apt/lists/*", "RUN dev-only", "RUN make",
		"COPY --link --from=p-ext-build /out /out")
	if strings.Contains(r.Body, "runtime-only") {
		t.Errorf("the helper stage has the install stage of std/gcc:\n%s", r.Body)
	}
	if r = mustCompose(t, lib, "FROM docker.io/library/debian:12\n#: use std/ext\n", func(o *Options) { o.NoLink = true }); strings.Contains(r.Body, "--link") {
		t.Errorf("--no-link leaves --link:\n%s", r.Body)
	}
}

func TestTargetLeavesLaterStagesOut(t *testing.T) {
	src := "FROM docker.io/library/debian:12 AS a\n#: use std/ca-certs\nRUN a\n# about b\nFROM docker.io/library/debian:12 AS b\n#: use std/app-user\n"
	whole := mustCompose(t, testParts(t), src)
	r := mustCompose(t, testParts(t), src, func(o *Options) { o.Target = "a" })
	if strings.Contains(r.Body, "AS b") || !strings.HasPrefix(strings.TrimPrefix(r.Text, r.Body), "LABEL dev.partials.format") {
		t.Errorf("with --target a:\n%s", r.Text)
	}
	if len(r.Lock.Parts) != 2 || r.Lock.Composed != whole.Lock.Composed {
		t.Errorf("the lock is that of the target, not of the whole source: %+v", r.Lock)
	}
}

func TestFinishStandsAtTheEnd(t *testing.T) {
	lib := memLibrary{}.with(part(t, "std/mirror", "1.0.0", "", "FROM base AS install\nRUN set\nFROM base AS finish\nRUN unset"))
	r := mustCompose(t, lib, "FROM docker.io/library/debian:12\n#: use std/mirror\nUSER app\nRUN mine\n")
	wantLines(t, r.Text, "RUN set", "RUN mine", "USER root", "RUN unset", "USER app")
}

func TestEmbedding(t *testing.T) {
	src := "#: option embed=%s\nFROM docker.io/library/debian:12\n#: use std/ca-certs\n"
	if r := mustCompose(t, testParts(t), fmt.Sprintf(src, "none")); strings.Contains(r.Text, labelText) || !strings.Contains(r.Text, labelDigest) {
		t.Errorf("embed=none:\n%s", r.Text)
	}
	r := mustCompose(t, testParts(t), fmt.Sprintf(src, "file"))
	decode(t, r.Text)
	if !strings.Contains(r.Text, "/usr/share/containerfile/Containerfile\n"+r.Body) || BodyOf(r.Text) != r.Body {
		t.Errorf("embed=file:\n%s", r.Text)
	}
	big := mustCompose(t, testParts(t), fmt.Sprintf(src, "label")+strings.Repeat("# a long comment\n", 2000))
	if strings.Contains(big.Text, labelText) {
		t.Errorf("a text of %d bytes is in the label", len(big.Body))
	}
}

// twenty is a source that uses 20 parts, and the library that has them.
func twenty(t testing.TB) (memLibrary, string) {
	lib := testParts(t)
	src := "FROM docker.io/library/debian:12\n"
	for i := range 20 {
		name := fmt.Sprintf("std/part%d", i)
		meta := fmt.Sprintf("params: {n: {type: int, default: %d}}\nenv: {PATH: {prepend: [/opt/p%d]}}\npackages: {apt: [p%d]}", i, i, i)
		if i > 0 {
			meta += fmt.Sprintf("\nrequires: [\"std/part%d@^1\"]", i/2)
		}
		arg := argName(name, "n")
		lib = lib.with(part(t, name, "1.0.0", meta, "FROM base AS make\nARG "+arg+"\nRUN make \"$"+arg+"\"\nFROM base AS install\nCOPY --link --from=make /opt/ /opt/"),
			part(t, name, "1.1.0", meta, "FROM base AS install\nRUN one"))
		src += "#: use " + name + "\n"
	}
	return lib, src
}

// What test/bench measures against its budget.
func BenchmarkTwentyParts(b *testing.B) {
	lib, src := twenty(b)
	lock := mustCompose(b, lib, src).Lock
	for b.Loop() {
		mustCompose(b, lib, src, func(o *Options) { o.Lock = lock })
	}
}

func TestPinnedImages(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("a", 64)
	for text, want := range map[string]string{
		"FROM x:1" + digest + " AS a\nFROM a\nCOPY --from=y/z" + digest + " / /\nCOPY --from=A /b /b\nRUN --mount=type=bind,from=q" + digest + ",target=/x ls\n": "x:1" + digest + " y/z" + digest + " q" + digest + " true",
		"FROM scratch\n":     " true",
		"FROM x:1\n":         " false",
		"ARG I\nFROM ${I}\n": " false",
		"FROM x" + digest + "\nCOPY --from=y:1 / /\n":   "x" + digest + " false",
		"FROM --platform=linux/arm64 x" + digest + "\n": " false",
	} {
		refs, all := PinnedImages(text)
		if got := strings.Join(append(refs, fmt.Sprint(all)), " "); strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("PinnedImages(%q) = %s, want %s", text, got, want)
		}
	}
}
