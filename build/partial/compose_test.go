// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	bkinstructions "github.com/moby/buildkit/frontend/dockerfile/instructions"
	bkparser "github.com/moby/buildkit/frontend/dockerfile/parser"
)

const nodeSource = `ARG COMPOSED=${USES_PARTIALS_COMPOSE_OR_EJECT_FIRST:?}
FROM docker.io/library/debian:12-slim AS app
#: use std/nodejs@^1 version=22.11.0
#: use std/app-user@^1 name=web uid=10001
WORKDIR /srv/app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev
COPY --chown=web . .
USER web
CMD ["node", "server.js"]
`

func TestA2ComposedTextIsTheGoldenFile(t *testing.T) {
	golden(t, "node.containerfile", mustCompose(t, testParts(t), nodeSource).Text)
}

// decode reads a composed file as BuildKit does, and wants no error and no warning.
func decode(t testing.TB, text string) {
	t.Helper()
	res, err := bkparser.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatalf("BuildKit does not parse: %v\n%s", err, text)
	}
	if len(res.Warnings) > 0 {
		t.Errorf("BuildKit warns: %v\n%s", res.Warnings, text)
	}
	if _, _, err := bkinstructions.Parse(res.AST, nil); err != nil {
		t.Errorf("BuildKit does not decode: %v\n%s", err, text)
	}
}

func TestA4BuildKitDecodesComposedFiles(t *testing.T) {
	lib := testParts(t)
	decode(t, mustCompose(t, lib, nodeSource).Text)
	decode(t, mustCompose(t, lib, "FROM docker.io/library/busybox:1\n#: use std/script\n").Text)
	files, err := filepath.Glob("testdata/golden/*.containerfile")
	if err != nil || len(files) < 4 {
		t.Fatalf("golden files are %v, %v", files, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		decode(t, string(text))
	}
}

func TestA1FileWithoutDirectivesIsNotForTheMaker(t *testing.T) {
	for text, want := range map[string]bool{
		"FROM scratch\n# : use std/a\nRUN x #: no\n": false,
		"FROM scratch\n#: use std/a\n":               true,
		"#: option pin=off\nFROM scratch\n":          true,
	} {
		if got := HasDirectives([]byte(text)); got != want {
			t.Errorf("HasDirectives(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestA6DisjointRangesAreExplained(t *testing.T) {
	lib := memLibrary{}.with(
		part(t, "std/a", "1.4.0", `requires: ["std/c@^3"]`, "RUN a"), part(t, "std/b", "2.1.0", `requires: ["std/c@^1"]`, "RUN b"),
		part(t, "std/b", "2.2.0", `requires: ["std/c@>=1"]`, "RUN b"),
		part(t, "std/c", "1.0.0", "", "RUN c"), part(t, "std/c", "3.0.0", "", "RUN c"))
	src := "FROM docker.io/library/debian:12\n#: use std/a@^1.4\n#: use std/b@=2.1.0\n"
	_, err := composeSource(t, lib, src)
	wantError(t, err, "P020", "no set of parts satisfies Containerfile", "std/a 1.4.0 needs std/c ^3", "std/b 2.1.0 needs std/c ^1", "line 2", "line 3", "\ntry: ")
	if got := ExitCode(err); got != 2 {
		t.Errorf("ExitCode = %d, want 2", got)
	}
	// The hint is true: each line that it names, written so, makes the source compose.
	hints := regexp.MustCompile(`line (\d+) with (\S+)`).FindAllStringSubmatch(err.Error()[strings.Index(err.Error(), "\ntry: "):], -1)
	if len(hints) == 0 {
		t.Fatalf("no hint in %v", err)
	}
	for _, h := range hints {
		lines := strings.Split(src, "\n")
		n, _ := strconv.Atoi(h[1])
		name, _, _ := strings.Cut(lines[n-1], "@")
		lines[n-1] = name + "@" + strings.Trim(h[2], ",;")
		mustCompose(t, lib, strings.Join(lines, "\n"))
	}
}

func TestA7CyclesAndMissingVersions(t *testing.T) {
	lib := memLibrary{}.with(part(t, "std/a", "1.0.0", `requires: [std/b]`, "RUN a"), part(t, "std/b", "2.1.0", `requires: [std/a]`, "RUN b"))
	_, err := composeSource(t, lib, "FROM docker.io/library/debian:12\n#: use std/a\n")
	wantError(t, err, "P023", "std/a 1.0.0 → std/b 2.1.0 → std/a")
	_, err = composeSource(t, testParts(t), "FROM docker.io/library/debian:12\n#: use std/nodejs@^3\n")
	wantError(t, err, "P021", "Containerfile:2:", "std/nodejs has no version matching ^3; newest is 1.4.2")
	_, err = composeSource(t, testParts(t), "FROM docker.io/library/debian:12\n#: use example.org/p/nodejs\n")
	wantError(t, err, "P022", "example.org/p/nodejs not found")
}

func TestA8DiamondGivesOneBlockBeforeItsUsers(t *testing.T) {
	lib := memLibrary{}.with(
		part(t, "std/a", "1.0.0", `requires: ["std/c@^1.2"]`, "RUN a"), part(t, "std/b", "1.0.0", `requires: ["std/c@>=1.3"]`, "RUN b"),
		part(t, "std/c", "1.2.0", "", "RUN c12"), part(t, "std/c", "1.4.0", "", "RUN c14"), part(t, "std/c", "2.0.0", "", "RUN c20"))
	r := mustCompose(t, lib, "FROM docker.io/library/debian:12\n#: use std/a\n#: use std/b\nRUN mine\n#: use std/c\n")
	wantLines(t, r.Text, "# : use std/a", "RUN c14", "RUN a", "# : use std/b", "RUN b", "RUN mine", "# : use std/c")
	if n := strings.Count(r.Body, "RUN c"); n != 1 {
		t.Errorf("std/c has %d blocks, want 1:\n%s", n, r.Body)
	}
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "std/c (line 5) moves up before std/a") {
		t.Errorf("notes are %q, want that std/c moves up", r.Notes)
	}
}

func TestA9SameBytesInAnyOrder(t *testing.T) {
	want := ""
	lib := testParts(t).with(part(t, "std/ca-certs", "1.0.0", "", "RUN old"), part(t, "std/ca-certs", "1.0.2", "", "RUN older"),
		part(t, "std/nodejs", "1.3.0", `requires: ["std/ca-certs@^1"]`, "RUN old"), part(t, "std/app-user", "1.0.0", "", "RUN old"))
	for range 100 { // maps iterate in another order each time; registries may list in any
		for _, parts := range lib {
			rand.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		}
		r := mustCompose(t, lib, nodeSource)
		lock, err := r.Lock.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Text + string(lock); want == "" {
			want = got
		} else if got != want {
			t.Fatalf("two compositions differ:\n%s\n%s", want, got)
		}
	}
}

func TestA10ParametersAreChecked(t *testing.T) {
	for use, want := range map[string][]string{
		"std/app-user uid=abc":        {"P009", `std/app-user: uid="abc" is not a whole number; example: 10001`},
		"std/app-user uid=0":          {"P009", "is not from 1 to 65533"},
		"std/nodejs verison=22.11.0":  {"P008", `std/nodejs has no parameter "verison"; did you mean "version"?`},
		"std/nodejs version=lts":      {"P009", `std/nodejs: version="lts" is not a version; example: 22.11.0`},
		"std/nodejs version=18.0.0":   {"P009", "is not in the range >=20 <25"},
		"std/app-user name='a b'":     {"P009", "does not match"},
		"std/nodejs allow=secret:npm": {"P008", "does not need secret:npm"},
	} {
		_, err := composeSource(t, testParts(t), "FROM docker.io/library/debian:12\n#: use "+use+"\n")
		wantError(t, err, want[0], want[1:]...)
	}
	_, err := composeSource(t, testParts(t), "FROM docker.io/library/debian:12\n#: use std/app-user\n", func(o *Options) { o.Params = map[string]string{"app-user.uid": "x"} })
	wantError(t, err, "P009")
	_, err = composeSource(t, testParts(t), "FROM docker.io/library/debian:12\n#: use std/app-user\n", func(o *Options) { o.Params = map[string]string{"app-user.uuid": "7"} })
	wantError(t, err, "P008", `std/app-user has no parameter "uuid"; did you mean "uid"?`)
	if n := strings.Count(err.Error(), "P008"); n != 1 {
		t.Errorf("the unknown parameter is reported %d times: %v", n, err)
	}
	r := mustCompose(t, testParts(t), "FROM docker.io/library/debian:12\n#: use std/app-user\n", func(o *Options) { o.Params = map[string]string{"app-user.uid": "77"} })
	wantLines(t, r.Text, `ARG APP_USER_UID="77"`)
}

// anyText is a part whose parameter takes every text.
func anyText(t testing.TB) memLibrary {
	return memLibrary{}.with(part(t, "std/any", "1.0.0", `params: {text: {type: string, pattern: "(?s).*", default: ""}}`, "ARG ANY_TEXT\nRUN printf %s \"$ANY_TEXT\" > /any"))
}

func TestA11A12ValuesAreLiteral(t *testing.T) {
	lib := anyText(t)
	for value, want := range map[string]string{
		`x"; touch /pwned; echo "`: `ARG ANY_TEXT="x\"; touch /pwned; echo \""`,
		`ends in \`:                `ARG ANY_TEXT="ends in \\"`,
		`$(id) ${HOME} $X`:         `ARG ANY_TEXT="\$(id) \${HOME} \$X"`,
		"`id`":                     "ARG ANY_TEXT=\"`id`\"",
		`a=b # <<EOF`:              `ARG ANY_TEXT="a=b # <<EOF"`,
		``:                         `ARG ANY_TEXT=""`,
	} {
		src := "FROM docker.io/library/debian:12\n#: use std/any text=" + QuoteWord(value) + "\n"
		r := mustCompose(t, lib, src)
		wantLines(t, r.Text, want)
		if n := countInstructions(t, r.Text); n != 4 {
			t.Errorf("%q makes %d instructions, want FROM, ARG, RUN, LABEL:\n%s", value, n, r.Text)
		}
	}
	for _, value := range []string{"a\nRUN touch /pwned", "a\rb", "a\x00b", "a\x1bb", "a\u0085b", "\xff"} {
		_, err := composeSource(t, lib, "FROM docker.io/library/debian:12\n#: use std/any\n", func(o *Options) { o.Params = map[string]string{"any.text": value} })
		wantError(t, err, "P010")
	}
	_, err := composeSource(t, lib, "FROM docker.io/library/debian:12\n#: use std/any\n", func(o *Options) { o.Params = map[string]string{"any.text": "a\nb"} })
	wantError(t, err, "P010", "std/any: text contains a control character (byte 0x0a at 1)")
}

func countInstructions(t *testing.T, text string) int {
	t.Helper()
	res, err := bkparser.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return len(res.AST.Children)
}

func TestA14BasesMustFit(t *testing.T) {
	lib := testParts(t)
	_, err := composeSource(t, lib, "FROM docker.io/library/alpine:3.20\n#: use std/nodejs\n")
	wantError(t, err, "P030", "std/nodejs 1.4.2 needs debian>=11 or ubuntu>=22.04; base alpine:3.20 is alpine 3.20.3")
	_, err = composeSource(t, lib, "FROM scratch\n#: use std/nodejs\n")
	wantError(t, err, "P032", "base scratch has no os-release")
	_, err = composeSource(t, lib, "ARG IMG\nFROM ${IMG}\n#: use std/nodejs\n")
	wantError(t, err, "P033", "base ${IMG} is not known at compose time; give ARG IMG a default or pass build-arg")
	r := mustCompose(t, lib, "ARG IMG\nFROM ${IMG}\n#: use std/ca-certs\n", func(o *Options) { o.BuildArgs = map[string]string{"IMG": "docker.io/library/debian:12"} })
	if r.Lock.Source.Args["IMG"] != "docker.io/library/debian:12" {
		t.Errorf("the lock has args %v, want IMG", r.Lock.Source.Args)
	}
}

func TestA15PlatformsMustFit(t *testing.T) {
	lib := testParts(t)
	_, err := composeSource(t, lib, "FROM docker.io/library/debian:12\n#: use std/nodejs\n", func(o *Options) { o.Platforms = []string{"linux/amd64", "linux/s390x"} })
	wantError(t, err, "P031", "std/nodejs 1.4.2 supports amd64, arm64; this build asks for linux/s390x")
}

func TestA16BaseEnvOverridesParameters(t *testing.T) {
	bases := testBases()
	bases["docker.io/library/debian:12"].Config.Env["APP_USER_UID"] = "1"
	_, err := composeSource(t, testParts(t), "FROM docker.io/library/debian:12\n#: use std/app-user\n", func(o *Options) { o.Bases = bases })
	wantError(t, err, "P011", "base image sets ENV APP_USER_UID")
}

func TestA17StateIsRestored(t *testing.T) {
	lib := testParts(t).with(part(t, "std/w", "1.0.0", "", "WORKDIR /tmp/w\nUSER nobody\nSHELL [\"/bin/bash\",\"-c\"]\nRUN id"))
	r := mustCompose(t, lib, `FROM docker.io/library/debian:12
USER app
WORKDIR /w
WORKDIR sub
SHELL ["/bin/bash", "-ec"]
#: use std/ca-certs
#: use std/w
RUN mine
`)
	wantLines(t, r.Text, "# : use std/ca-certs", "USER root", `SHELL ["/bin/sh","-c"]`, `SHELL ["/bin/bash","-ec"]`, "USER app", "# <<< std/ca-certs",
		"USER root", `SHELL ["/bin/sh","-c"]`, "WORKDIR /tmp/w", "USER nobody", `SHELL ["/bin/bash","-c"]`, "RUN id",
		`SHELL ["/bin/bash","-ec"]`, "WORKDIR /w/sub", "USER app", "# <<< std/w", "RUN mine")
	// Nothing differs, nothing is written.
	r = mustCompose(t, lib, "FROM docker.io/library/debian:12\n#: use std/ca-certs\n")
	if strings.Contains(r.Body, "USER") || strings.Contains(r.Body, "SHELL") || strings.Contains(r.Body, "WORKDIR") {
		t.Errorf("state is written though nothing differs:\n%s", r.Body)
	}
}

func TestA18PathEntriesOnce(t *testing.T) {
	lib := memLibrary{}.with(part(t, "std/a", "1.0.0", "env: {PATH: {prepend: [/opt/a/bin, /opt/shared/bin]}}", ""),
		part(t, "std/b", "1.0.0", "env: {PATH: {prepend: [/opt/shared/bin, /opt/b/bin], append: [/usr/bin]}}", ""))
	r := mustCompose(t, lib, "FROM docker.io/library/debian:12\n#: use std/a\n#: use std/b\n")
	wantLines(t, r.Text, "ENV PATH=/opt/a/bin:/opt/shared/bin:$PATH", "ENV PATH=/opt/b/bin:$PATH")
	r = mustCompose(t, lib, "FROM scratch\n#: use std/a\n")
	wantLines(t, r.Text, "ENV PATH=/opt/a/bin:/opt/shared/bin:"+path1)
}

func TestA19DifferentValuesConflict(t *testing.T) {
	lib := memLibrary{}.with(part(t, "std/tz", "1.0.0", "env: {TZ: {set: UTC}}", ""), part(t, "acme/locale", "1.0.0", "env: {TZ: {set: CET}}", ""))
	src := "FROM docker.io/library/debian:12\n#: use std/tz\n#: use acme/locale\n"
	_, err := composeSource(t, lib, src)
	wantError(t, err, "P040", `TZ is set to "UTC" by std/tz and "CET" by acme/locale; add "#: override env.TZ=…"`)
	r := mustCompose(t, lib, src+"#: override env.TZ=CET\n")
	wantLines(t, r.Text, "ENV TZ=CET")
	if strings.Count(r.Body, "ENV TZ") != 1 || len(r.Notes) != 1 {
		t.Errorf("want one ENV TZ and one note; notes %q:\n%s", r.Notes, r.Body)
	}
	if r = mustCompose(t, lib, src+"#: override env.TZ=host\n"); strings.Contains(r.Body, "ENV TZ") {
		t.Errorf("override with host sets TZ:\n%s", r.Body)
	}
}

func TestA20TwoParameterSets(t *testing.T) {
	_, err := composeSource(t, testParts(t), "FROM docker.io/library/debian:12 AS app\n#: use std/app-user uid=5\nRUN x\n#: use std/app-user uid=6\n")
	wantError(t, err, "P026", "std/app-user is used with uid=5 (line 2) and uid=6 (line 4) in stage app")
	r := mustCompose(t, testParts(t), "FROM docker.io/library/debian:12 AS a\n#: use std/app-user uid=5\nFROM docker.io/library/debian:12 AS b\n#: use std/app-user uid=6\n")
	wantLines(t, r.Text, `ARG APP_USER_UID="5"`, `ARG APP_USER_UID="6"`)
	if len(r.Lock.Parts) != 2 {
		t.Errorf("the lock has %d entries, want 2: %+v", len(r.Lock.Parts), r.Lock.Parts)
	}
}

func TestA21ExclusiveCapabilities(t *testing.T) {
	lib := testParts(t).with(part(t, "std/bun-compat", "1.0.0", "provides: [nodejs]\nexclusive: [nodejs]", "RUN bun"),
		part(t, "std/web", "1.0.0", `requires: ["cap:nodejs"]`, "RUN web"))
	_, err := composeSource(t, lib, "FROM docker.io/library/debian:12\n#: use std/nodejs\n#: use std/bun-compat\n")
	wantError(t, err, "P025", "both provide exclusive nodejs")
	_, err = composeSource(t, lib, "FROM docker.io/library/debian:12\n#: use std/web\n")
	wantError(t, err, "P024", "capability nodejs is provided by std/bun-compat and std/nodejs", `"#: use"`)
	r := mustCompose(t, lib, "FROM docker.io/library/debian:12\n#: base-provides nodejs=20\n#: use std/web\n")
	if len(r.Blocks) != 1 {
		t.Errorf("base-provides: %d blocks, want std/web alone:\n%s", len(r.Blocks), r.Body)
	}
}

func TestA35FilesTravelByteExact(t *testing.T) {
	r := mustCompose(t, testParts(t), "FROM docker.io/library/busybox:1\n#: use std/script\n")
	golden(t, "script.containerfile", r.Text)
	res, err := bkparser.Parse(strings.NewReader(r.Text))
	if err != nil {
		t.Fatal(err)
	}
	want := testParts(t)["std/script"][0].Files[0].Data
	for _, n := range res.AST.Children {
		for _, h := range n.Heredocs {
			if h.Content != want || h.Expand {
				t.Errorf("heredoc is %q (expanded: %v), want %q", h.Content, h.Expand, want)
			}
			want = ""
		}
	}
	if want != "" {
		t.Errorf("there is no heredoc:\n%s", r.Text)
	}
}

func TestA36DirectivesInsideInstructions(t *testing.T) {
	_, err := composeSource(t, testParts(t), "FROM docker.io/library/debian:12\n# x\n\nRUN a && \\\n#: use std/ca-certs\n  b\n")
	wantError(t, err, "P002", "Containerfile:5:", `"#: use" stands inside the RUN that starts at line 4; move it above line 4`)
	for _, end := range []string{"RUN a \\\n", "RUN a \\\n  \n# c\n"} {
		_, err = composeSource(t, testParts(t), "FROM docker.io/library/debian:12\n#: use std/ca-certs\n"+end)
		wantError(t, err, "P002", "Containerfile:3:", "the file ends in the middle of an instruction")
	}
	r := mustCompose(t, testParts(t), "FROM docker.io/library/debian:12\nCOPY <<EOF /x\n#: use std/nothing\nEOF\nRUN <<EOF\n#: also data\nEOF\n#: use std/ca-certs\n")
	wantLines(t, r.Text, "#: use std/nothing", "#: also data", "# : use std/ca-certs")
}

func TestA38MergedPackages(t *testing.T) {
	lib := testParts(t).with(part(t, "std/one", "1.0.0", "packages: {apt: [zlib1g, curl]}", ""), part(t, "std/two", "1.0.0", "packages: {apt: [curl, git]}", ""))
	src := "FROM docker.io/library/debian:12\n#: use std/one\n#: use std/two\n#: use std/ca-certs\n"
	r := mustCompose(t, lib, "#: option packages=merged\n"+src)
	wantLines(t, r.Text, "RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl git zlib1g && rm -rf /var/lib/apt/lists/*")
	if strings.Count(r.Body, "RUN") != 1 {
		t.Errorf("want one RUN:\n%s", r.Body)
	}
	if r = mustCompose(t, lib, src); strings.Count(r.Body, "RUN") != 3 {
		t.Errorf("without the option, want three RUNs:\n%s", r.Body)
	}
}

func TestA41Prereleases(t *testing.T) {
	lib := memLibrary{}.with(part(t, "std/p", "1.0.0", "", "RUN 1"), part(t, "std/p", "2.0.0-rc.1", "", "RUN 2"))
	wantLines(t, mustCompose(t, lib, "FROM scratch\n#: use std/p@>=1\n").Text, "RUN 1")
	wantLines(t, mustCompose(t, lib, "FROM scratch\n#: use std/p@>=2.0.0-0\n").Text, "RUN 2")
}
