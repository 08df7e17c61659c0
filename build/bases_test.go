// SPDX-License-Identifier: Apache-2.0

package build

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.podman.io/buildah/define"
	"go.podman.io/image/v5/types"
)

// recipeOf reads a Containerfile written with ; for a new line.
func recipeOf(t *testing.T, text string, o *Options) *recipe {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Containerfile")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, ";", "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Files = []string{file}
	r, err := readRecipe(o)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return r
}

func TestTheImagesThatABuildNeeds(t *testing.T) {
	for _, c := range []struct {
		text, target string
		args         map[string]string
		all          bool // unused stages too
		want         string
		unknown      bool
	}{
		{text: "FROM a;RUN x", want: "a"},
		{text: "FROM a AS one;FROM one;COPY --from=b /x /x", want: "a b"},
		{text: "FROM a AS One;FROM ONE;COPY --from=one /x /x;RUN --mount=type=bind,from=oNe,target=/x y", want: "a"},
		{text: "FROM a;FROM b;COPY --from=0 /x /x", want: "a b"},
		{text: "FROM a;FROM b;FROM c;COPY --from=0 /x /x", want: "a c"},
		{text: "FROM a;FROM b", all: true, want: "a b"},
		{text: "FROM a AS one;FROM b AS two;FROM c", target: "two", want: "b"},
		{text: "FROM a AS one;FROM b AS two;FROM c", target: "0", want: "a"},
		{text: "ARG V=1;FROM a:$V", want: "a:1"},
		{text: "ARG V=1;FROM a:${V}", args: map[string]string{"V": "2"}, want: "a:2"},
		{text: "FROM a;ARG S=b;COPY --from=$S /x /x", want: "a b"},
		{text: "FROM a;COPY --from=$S /x /x", want: "a", unknown: true},
		{text: "FROM a;RUN --mount=from=b,target=/x y;RUN --mount=type=cache,target=/y,from=c z", want: "a b c"},
		{text: "FROM scratch;COPY x /x", want: ""},
		{text: "FROM context;COPY --from=image /x /x;COPY --from=context /y /y", want: "docker.io/library/z"},
		{text: "FROM oci:dir", want: "", unknown: true},
		{text: "FROM docker-archive:x.tar AS a;FROM b", all: true, want: "b", unknown: true},
		{text: "FROM --platform=linux/arm64 a AS one;FROM a;COPY --from=one /x /x", want: "a@arm64 a"},
		{text: "FROM --platform=$TARGETPLATFORM a", want: "a@arm64"},
		{text: "FROM a AS one;ONBUILD RUN x;FROM one", want: "a"},
	} {
		o := &Options{BuildOptions: define.BuildOptions{Target: c.target, Args: c.args, AdditionalBuildContexts: map[string]*define.AdditionalBuildContext{
			"context": {Value: "/dir"}, "image": {IsImage: true, Value: "docker.io/library/z"},
		}, Platforms: []struct{ OS, Arch, Variant string }{{"linux", "arm64", ""}}}}
		if c.all {
			o.SkipUnusedStages = types.OptionalBoolFalse
		}
		images, known, err := recipeOf(t, c.text, o).externals(o)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		var names []string
		for _, x := range images {
			name := x.name
			if x.platform.Architecture != "" {
				name += "@" + x.platform.Architecture
			}
			names = append(names, name)
		}
		if got := strings.Join(names, " "); got != c.want || known == c.unknown {
			t.Errorf("%s\n got %q, known %v\nwant %q, known %v", c.text, got, known, c.want, !c.unknown)
		}
	}
}

func TestWhatOnlyDockersFormatKeeps(t *testing.T) {
	for text, want := range map[string]string{
		"HEALTHCHECK CMD x":                  "HEALTHCHECK",
		"HEALTHCHECK CMD x;HEALTHCHECK NONE": "",
		`SHELL ["a"];ONBUILD RUN x`:          "SHELL ONBUILD",
		"ONBUILD HEALTHCHECK CMD x":          "ONBUILD",
		"RUN HEALTHCHECK;LABEL SHELL=x":      "",
	} {
		d := &dockerOnly{from: map[string]string{}}
		for _, n := range recipeOf(t, "FROM x;"+text, &Options{}).stages[0].body {
			d.apply(n, "here", true)
		}
		if got := strings.Join(d.words(), " "); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}
