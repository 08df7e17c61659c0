// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files again")

// memLibrary is a library in memory: parts by name, in no order.
type memLibrary map[string][]*Part

func (l memLibrary) parts(ref Ref) ([]*Part, error) {
	if ref.Kind == "folder" {
		p, err := ReadPart(os.DirFS(ref.Text), ref.Text)
		if err != nil {
			return nil, err
		}
		return []*Part{p}, nil
	}
	if len(l[ref.Text]) == 0 {
		return nil, Errorf("P022", "part %s not found (registry answered 404); check the name or log in", ref.Text)
	}
	return l[ref.Text], nil
}

func (l memLibrary) Releases(_ context.Context, ref Ref) ([]Release, error) {
	parts, err := l.parts(ref)
	var out []Release
	for _, p := range parts {
		out = append(out, Release{Version: p.Meta.Version, Digest: p.Digest})
	}
	return out, err
}

func (l memLibrary) Meta(ctx context.Context, ref Ref, r Release) (*Meta, error) {
	p, err := l.Part(ctx, ref, r)
	if err != nil {
		return nil, err
	}
	return p.Meta, nil
}

func (l memLibrary) Part(_ context.Context, ref Ref, r Release) (*Part, error) {
	parts, err := l.parts(ref)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		if p.Meta.Version == r.Version && r.Digest != "" && p.Digest != r.Digest {
			return nil, Errorf("P051", "%s %s: digest is %s but the lock says %s; the published part was changed or tampered with", ref.Text, r.Version, p.Digest, r.Digest)
		}
		if p.Meta.Version == r.Version || r.Version == "" && p.Digest == r.Digest {
			return p, nil
		}
	}
	return nil, fmt.Errorf("no %s %s", ref.Text, r.Version)
}

func (l memLibrary) Providers(_ context.Context, capability string) ([]string, error) {
	var names []string
	for name, parts := range maps.All(l) {
		for _, p := range parts {
			if slices.ContainsFunc(p.Meta.Provides, func(s string) bool { return s == capability || strings.HasPrefix(s, capability+"=") }) {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// with adds parts to a copy of the library.
func (l memLibrary) with(parts ...*Part) memLibrary {
	c := maps.Clone(l)
	for _, p := range parts {
		c[p.Meta.Name] = append(slices.Clone(c[p.Meta.Name]), p)
	}
	return c
}

// testParts is what testdata/parts holds.
func testParts(t testing.TB) memLibrary {
	t.Helper()
	l := memLibrary{}
	dirs, err := os.ReadDir("testdata/parts")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		p, err := ReadPart(os.DirFS(filepath.Join("testdata/parts", d.Name())), d.Name())
		if err != nil {
			t.Fatal(err)
		}
		l[p.Meta.Name] = append(l[p.Meta.Name], p)
	}
	return l
}

// part makes a part from lines of metadata, and a body; the body is the stage install if it has no FROM.
func part(t testing.TB, name, version, meta, body string) *Part {
	t.Helper()
	p, err := NewPart(name, partText(name, version, meta, body), nil)
	if err != nil {
		t.Fatalf("part %s: %v", name, err)
	}
	return p
}

func partText(name, version, meta, body string) string {
	text := fmt.Sprintf("# /// partial\n# name: %s\n# version: %s\n# summary: for a test\n", name, version)
	for l := range strings.Lines(meta) {
		text += "# " + strings.TrimSuffix(l, "\n") + "\n"
	}
	text += "# ///\nARG BASE=docker.io/library/debian:12\nFROM ${BASE} AS base\n"
	if body != "" && !strings.Contains(body, "FROM") {
		text += "FROM base AS install\n"
	}
	if body != "" {
		text += body + "\n"
	}
	return text
}

// fakeBases knows images by name.
type fakeBases map[string]*Base

func (f fakeBases) Base(_ context.Context, ref string) (*Base, error) {
	name, _, _ := strings.Cut(ref, "@")
	if b, ok := f[name]; ok {
		return b, nil
	}
	return nil, fmt.Errorf("no image %s", ref)
}

func (f fakeBases) Digest(_ context.Context, ref string) (string, error) {
	return digestOf([]byte(ref)), nil
}

const path1 = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// testBases are the images of the examples.
func testBases() fakeBases {
	platforms := []string{"linux/amd64", "linux/arm64"}
	debian := func(ref string) *Base {
		return &Base{Digest: digestOf([]byte(ref)), OS: &OSRelease{ID: "debian", Version: "12", Libc: "glibc"}, Platforms: platforms,
			Config: BaseConfig{Env: map[string]string{"PATH": path1}}}
	}
	return fakeBases{
		"docker.io/library/debian:12-slim": debian("a"),
		"docker.io/library/debian:12":      debian("b"),
		"docker.io/library/alpine:3.20": {Digest: digestOf([]byte("c")), OS: &OSRelease{ID: "alpine", Version: "3.20.3", Libc: "musl"}, Platforms: platforms,
			Config: BaseConfig{Env: map[string]string{"PATH": path1}}},
		"docker.io/library/busybox:1": {Digest: digestOf([]byte("d"))},
	}
}

// composeSource composes src with the parts and bases of the tests.
func composeSource(t testing.TB, lib memLibrary, src string, change ...func(*Options)) (*Result, error) {
	t.Helper()
	o := Options{File: "Containerfile", Source: []byte(src), Library: lib, Bases: testBases()}
	for _, c := range change {
		c(&o)
	}
	return Compose(t.Context(), o)
}

func mustCompose(t testing.TB, lib memLibrary, src string, change ...func(*Options)) *Result {
	t.Helper()
	r, err := composeSource(t, lib, src, change...)
	if err != nil {
		t.Fatalf("compose:\n%s\nerror: %v", src, err)
	}
	return r
}

// golden compares with testdata/golden/NAME.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata/golden", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s differs (go test -update writes it again); got:\n%s", file, got)
	}
}

// wantError wants an error of the catalogue with that code and these words in it.
func wantError(t testing.TB, err error, code string, words ...string) {
	t.Helper()
	if !errors.Is(err, &Error{Code: code}) {
		t.Errorf("error is %v; want %s", err, code)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error is %q; want %q in it", err, w)
		}
	}
}

func wantLines(t testing.TB, text string, lines ...string) {
	t.Helper()
	at := 0
	all := strings.Split(text, "\n")
	for _, want := range lines {
		i := slices.Index(all[at:], want)
		if i < 0 {
			t.Errorf("line %q is missing (below line %d) in:\n%s", want, at, text)
			return
		}
		at += i + 1
	}
}
