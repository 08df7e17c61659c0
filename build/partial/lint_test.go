// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"errors"
	"strings"
	"testing"
)

// lint returns what is wrong with a part of this metadata and these stages.
func lint(meta, body string) error {
	_, err := NewPart("p/Containerfile", partText("std/nodejs", "1.0.0", meta, body), nil)
	return err
}

func TestA13BodiesThatAreNotAllowed(t *testing.T) {
	params := `params: {version: {type: version, default: 22.11.0}}`
	for name, tc := range map[string]struct {
		meta, body, code, want string
	}{
		"unquoted":          {params, "ARG NODEJS_VERSION\nRUN echo $NODEJS_VERSION", "P007", `$NODEJS_VERSION is used outside double quotes; write "$NODEJS_VERSION"`},
		"unquoted braces":   {params, "ARG NODEJS_VERSION\nRUN echo a${NODEJS_VERSION}b", "P007", "outside double quotes"},
		"substitution":      {params, "ARG NODEJS_VERSION\nRUN echo \"$(echo $NODEJS_VERSION)\"", "P007", "outside double quotes"},
		"eval":              {params, "ARG NODEJS_VERSION\nRUN eval \"echo $NODEJS_VERSION\"", "P007", "used in eval"},
		"sh -c":             {params, "ARG NODEJS_VERSION\nRUN /bin/sh -ec \"echo $NODEJS_VERSION\"", "P007", "used in /bin/sh -c"},
		"heredoc":           {params, "ARG NODEJS_VERSION\nRUN <<EOF\necho $NODEJS_VERSION\nEOF", "P007", "outside double quotes"},
		"undeclared":        {params, "RUN echo \"$NODEJS_VERSION\"", "P007", "before ARG NODEJS_VERSION"},
		"typo":              {params, "ARG NODEJS_VERSION\nRUN echo \"$NODEJS_VERISON\"", "P007", `$NODEJS_VERISON is no parameter of the part, and nothing sets it; did you mean "NODEJS_VERSION"?`},
		"typo in braces":    {params, "ARG NODEJS_VERSION\nRUN echo \"${NODEJS_VERSIONS}\"", "P007", "did you mean"},
		"typo in a heredoc": {params, "ARG NODEJS_VERSION\nRUN <<EOF\necho \"$NODJS_VERSION\"\nEOF", "P007", "did you mean"},
		"typo in WORKDIR":   {params, "ARG NODEJS_VERSION\nWORKDIR /opt/$NODEJS_VERSIO", "P007", "did you mean"},
		"typo in COPY":      {params, "ARG NODEJS_VERSION\nCOPY --from=docker.io/library/node:22 /a /a/${NODEJS_VERSIN}", "P007", "did you mean"},
		"typo in metadata":  {params + "\nenv: {A: {set: \"${verison}\"}}", "RUN true", "P003", `${verison} is not a parameter of the part; did you mean "version"?`},
		"entrypoint":        {"", "ENTRYPOINT [\"x\"]", "P005", `ENTRYPOINT is not allowed in a part; propose it under "runtime"`},
		"env":               {"", "ENV A=b", "P005", `state it under "env"`},
		"onbuild":           {"", "ONBUILD RUN x", "P005", "ONBUILD is not allowed"},
		"context copy":      {"", "COPY src/ /x", "P006", "COPY src/ reads the consumer's build context; copy from files, an own stage or an image"},
		"context mount":     {"", "RUN --mount=type=bind,target=/src ls", "P006", "reads the consumer's build context"},
		"default mount":     {"", "RUN --mount=target=/src ls", "P006", "reads the consumer's build context"},
		"secret":            {"", "RUN --mount=type=secret,id=npmrc x", "P005", `secret mount "npmrc" is not listed under "needs"`},
		"ssh":               {"", "RUN --mount=type=ssh x", "P005", `ssh mount "default" is not listed`},
		"host network":      {"", "RUN --network=host x", "P005", "--network=host is not allowed"},
		"insecure":          {"", "RUN --security=insecure x", "P005", "--security is not allowed"},
		"device":            {"", "RUN --device=/dev/kvm x", "P005", "--device is not allowed"},
		"URL":               {"", "ADD https://example.org/x /x", "P005", "without --checksum"},
		"foreign ARG":       {"", "ARG OTHER", "P005", "ARG OTHER is not a parameter"},
		"foreign LABEL":     {"", "LABEL org.example=1", "P005", "begin it with std.nodejs."},
		"short image":       {"", "COPY --from=debian /a /a", "P006", "no registry in its name"},
		"numbered stage":    {"", "COPY --from=0 /a /a", "P006", "name the stage"},
		"stage of the user": {"", "COPY --from=base /a /a", "P006", "only helper stages, files and images"},
		"directive":         {"", "RUN x\n#: use std/a", "P005", `"#: use" is not allowed in a part`},
		"detached run":      {"layer: detached", "RUN x", "P005", "RUN is not allowed with layer: detached"},
		"install from":      {"", "FROM docker.io/library/debian:12 AS install\nRUN x", "P005", "begins with FROM base"},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, lint(tc.meta, tc.body), tc.code, "p/Containerfile:", tc.want)
		})
	}
	for name, tc := range map[string][2]string{
		"quoted":          {params, "ARG NODEJS_VERSION\nRUN echo \"v${NODEJS_VERSION}\" && x=\"$(echo \"$NODEJS_VERSION\")\""},
		"set elsewhere":   {params, "ARG NODEJS_VERSION\nRUN NODEJS_VERSIO=1; for NODEJS_VERSIOM in a; do echo \"$NODEJS_VERSIO$NODEJS_VERSIOM${NODEJS_VERSIONX:-}\"; done; read -r NODEJS_VERSIONY; echo \"$NODEJS_VERSIONY\"; export NODEJS_VERSIONZ=1; echo \"$NODEJS_VERSIONZ\""},
		"other variables": {params, "ARG NODEJS_VERSION\nRUN echo \"$HOME $NODEJS_SHA $VERSION $NODE_ENV\""},
		"quoted heredoc":  {params, "ARG NODEJS_VERSION\nRUN <<EOF\necho \"$NODEJS_VERSION\"\nEOF"},
		"needs":           {"needs: [\"secret:npmrc\"]", "RUN --mount=type=secret,id=npmrc x"},
		"cache":           {"", "RUN --mount=type=cache,target=/var/cache/apt x"},
		"checksum":        {"", "ADD --checksum=sha256:" + strings.Repeat("a", 64) + " https://example.org/x /x"},
		"heredoc copy":    {"", "COPY <<\"EOF\" /etc/x\nline\nEOF"},
		"sh argument":     {params, "ARG NODEJS_VERSION\nRUN sh /install.sh \"$NODEJS_VERSION\""},
		"own label":       {"", "LABEL std.nodejs.built=1"},
		"image":           {"", "COPY --from=docker.io/library/node:22 /a /a"},
	} {
		if err := lint(tc[0], tc[1]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMetadataIsStrict(t *testing.T) {
	for name, tc := range map[string]struct{ meta, code, want string }{
		"unknown field":   {"param: {}", "P003", `metadata field "param" is not known; known fields: after, application, base,`},
		"twice":           {"name: std/other", "P003", `metadata field "name" stands here twice`},
		"no pattern":      {"params: {x: {type: string, default: a}}", "P003", "a string needs a pattern or an enum"},
		"no default":      {"params: {x: {type: int}}", "P003", "give a default, or required: true"},
		"bad default":     {"params: {x: {type: port, default: 70000}}", "P009", "is not from 1 to 65535"},
		"package":         {"packages: {apt: [\"a; rm\"]}", "P003", "is not a package's name"},
		"manager":         {"packages: {brew: [a]}", "P003", `manager "brew" is not known`},
		"exclusive":       {"exclusive: [x]", "P003", "is not under provides"},
		"env":             {"env: {A: {set: x, default: y}}", "P003", "give one of set, default"},
		"env variable":    {"env: {A: {set: \"${nope}\"}}", "P003", "${nope} is not a parameter"},
		"env line end":    {"env: {A: {set: \"a\\nb\"}}", "P003", "control character"},
		"owns":            {"owns: [opt]", "P003", "is not a clean absolute path"},
		"os":              {"base: {os: [\"debian>>1\"]}", "P003", "is not ID"},
		"needs":           {"needs: [\"env:x\"]", "P003", "is not secret:ID or ssh:ID"},
		"requires":        {"requires: [\"nodejs\"]", "P003", "is not a part's name"},
		"anchor":          {"env: &a {}", "P003", "anchors and aliases are not allowed"},
		"runtime":         {"runtime: {user: \"a b\"}", "P003", "is not one word"},
		"runtime control": {"runtime: {cmd: [\"a\\u0000\"]}", "P010", "control character"},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, lint(tc.meta, "RUN x"), tc.code, tc.want) })
	}
	for _, version := range []string{"1.4", "v1.4.0", "1.4.0+build", "1.04.0"} {
		_, err := NewPart("p", partText("std/a", version, "", "RUN x"), nil)
		wantError(t, err, "P004", `version "`+version+`" is not MAJOR.MINOR.PATCH (no leading v, no +build)`)
	}
}

func TestFilesAreText(t *testing.T) {
	text := partText("std/f", "1.0.0", "", "FROM scratch AS files\nCOPY files/ /\nFROM base AS install\nCOPY --from=files / /")
	for name, f := range map[string]File{
		"binary":   {Path: "logo.png", Data: "\x89PNG\xff\n"},
		"empty":    {Path: "empty"},
		"no end":   {Path: "x", Data: "a"},
		"CR":       {Path: "x", Data: "a\r\n"},
		"too big":  {Path: "x", Data: strings.Repeat("a", maxFile) + "\n"},
		"dots":     {Path: "../x", Data: "a\n"},
		"odd name": {Path: "a b", Data: "a\n"},
	} {
		_, err := NewPart("p", text, []File{f})
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		wantError(t, err, "P070")
	}
	_, err := NewPart("p", text, []File{{Path: "logo.png", Data: "\x89PNG\xff\n"}})
	wantError(t, err, "P070", "files/logo.png is not text; publish it as an image and copy from its digest")
}

func TestSourceMayNotUseNamesOfParts(t *testing.T) {
	lib := testParts(t)
	for _, line := range []string{"ARG APP_USER_UID", "ENV APP_USER_UID=1", "RUN echo ${APP_USER_UID}", "RUN echo \"$APP_USER_UID\""} {
		_, err := composeSource(t, lib, "FROM docker.io/library/debian:12\n#: use std/app-user\n"+line+"\n")
		wantError(t, err, "P012", "Containerfile:3:", "APP_USER_UID belongs to std/app-user; this file may not declare or read it")
	}
	mustCompose(t, lib, "FROM docker.io/library/debian:12\n#: use std/app-user\nRUN echo $APP_USER_UID2 $MY_APP_USER_UID\n")
	_, err := composeSource(t, lib, "FROM docker.io/library/debian:12\n#: use std/app-user\n", func(o *Options) { o.BuildArgs = map[string]string{"APP_USER_UID": "1"} })
	wantError(t, err, "P013", "build-arg APP_USER_UID sets a parameter of std/app-user; use param app-user.uid=…")
}

func TestRuntimeProposals(t *testing.T) {
	lib := memLibrary{}.with(
		part(t, "std/nginx", "1.0.0", "params: {port: {type: port, default: 80}}\nruntime: {entrypoint: [nginx], cmd: [-g, daemon off;], expose: [\"${port}\"], user: www}", "RUN n"),
		part(t, "std/php", "1.0.0", "runtime: {entrypoint: [php], expose: [9000]}", "RUN p"))
	r := mustCompose(t, lib, "FROM docker.io/library/debian:12\n#: use std/nginx port=8080\nCMD [\"mine\"]\n")
	wantLines(t, r.Text, `CMD ["mine"]`, "# >>> runtime", `ENTRYPOINT ["nginx"]`, "EXPOSE 8080", "USER www")
	if strings.Contains(r.Body, "daemon off") {
		t.Errorf("the part's CMD is used beside the source's:\n%s", r.Body)
	}
	src := "FROM docker.io/library/debian:12\n#: use std/nginx\n#: use std/php\n"
	_, err := composeSource(t, lib, src)
	wantError(t, err, "P041", "std/nginx and std/php both propose an entrypoint; set ENTRYPOINT in the source")
	wantLines(t, mustCompose(t, lib, src+"ENTRYPOINT [\"x\"]\n").Text, "EXPOSE 80 9000")
}

func TestOwnersConflict(t *testing.T) {
	lib := testParts(t).with(part(t, "acme/node-tools", "1.0.0", "owns: [/opt/nodejs/lib]", "RUN x"))
	_, err := composeSource(t, lib, "FROM docker.io/library/debian:12\n#: use std/nodejs\n#: use acme/node-tools\n")
	wantError(t, err, "P042", "acme/node-tools and std/nodejs both own /opt/nodejs/lib")
}

func TestNeedsMustBeGranted(t *testing.T) {
	lib := memLibrary{}.with(part(t, "std/npm", "1.0.0", "needs: [\"secret:npmrc\"]", "RUN --mount=type=secret,id=npmrc x"))
	_, err := composeSource(t, lib, "FROM docker.io/library/debian:12\n#: use std/npm\n")
	wantError(t, err, "P006", "std/npm needs secret:npmrc; grant it: #: use std/npm allow=secret:npmrc")
	mustCompose(t, lib, "FROM docker.io/library/debian:12\n#: use std/npm allow=secret:npmrc\n")
}

// TestUnusedParametersAreNoted has parameters that are used in each place where they can be, and one that is not.
func TestUnusedParametersAreNoted(t *testing.T) {
	for name, tc := range map[string]struct {
		meta, body string
		want       int
	}{
		"nowhere":         {"", "RUN true", 1},
		"declared only":   {"", "ARG X_P\nRUN true", 1},
		"comment only":    {"", "# $X_P\nRUN true", 1},
		"script":          {"", "ARG X_P\nRUN echo \"$X_P\"", 0},
		"exec form":       {"", "ARG X_P\nRUN [\"printenv\", \"X_P\"]", 0},
		"heredoc":         {"", "ARG X_P\nRUN <<EOF\necho \"$X_P\"\nEOF", 0},
		"image of helper": {"", "FROM base AS install\nCOPY --from=made / /\nFROM docker.io/library/busybox:${X_P} AS made", 0},
		"env":             {"\nenv: {A: {set: \"${p}\"}}", "RUN true", 0},
		"packages":        {"\npackages: {apt: [\"x=${p}\"]}", "", 0},
		"check":           {"\ncheck: {argv: [x], match: \"${p}\"}", "RUN true", 0},
	} {
		p, err := NewPart("x", strings.Replace(partText("std/x", "1.0.0", "params:\n  p: {type: version, default: 1.0.0}"+tc.meta, tc.body), "FROM ${BASE}", map[bool]string{true: "ARG X_P=1\n"}[name == "image of helper"]+"FROM ${BASE}", 1), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if w := p.Warnings(); len(w) != tc.want || tc.want == 1 && w[0] != `x:6: the parameter "p" is not used: its variable is X_P` {
			t.Errorf("%s: warnings are %q, want %d", name, w, tc.want)
		}
	}
}

// Part of a part must not vanish where it is unpacked on a file system with other rules for names.
func TestNamesThatAreOneElsewhere(t *testing.T) {
	part := func(paths ...string) error {
		var files []File
		for _, p := range paths {
			files = append(files, File{Path: p, Data: "x\n"})
		}
		_, err := NewPart("x/Containerfile", partText("std/x", "1.0.0", "", "RUN true"), files)
		return err
	}
	for _, paths := range [][]string{{"bin/run", "bin/Run"}, {"bin/a", "Bin/b"}, {"a", "A/b"}, {"bin/run."}, {"bin./run"}, {"caf\u00e9"}, {"cafe\u0301"}, {"run "}, {"K", "\u212a"}} {
		wantError(t, part(paths...), "P070")
	}
	if err := part("bin/run", "bin/run.sh", "lib/.run", "a..b"); err != nil && errors.Is(err, &Error{Code: "P070"}) {
		t.Error(err)
	}
}
