// SPDX-License-Identifier: Apache-2.0

package copier

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/berth-containers/berth/build/rewrite"
	"github.com/moby/patternmatcher"
	bcopier "go.podman.io/buildah/copier"
	"go.podman.io/storage/pkg/reexec"
)

func TestMain(m *testing.M) {
	if reexec.Init() {
		return
	}
	os.Exit(m.Run())
}

// copied reads a source as buildah does, and returns the names that the filter leaves.
func copied(t *testing.T, root, source string, parents bool, r rules) []string {
	t.Helper()
	q := &request{root: root, globs: []string{path.Join(root, source)}}
	g := &getter{parents: parents, pivots: r.pivots, dropped: map[string]string{}}
	if err := g.find(q, r, false); err != nil {
		t.Fatal(err)
	}
	var in, out bytes.Buffer
	if err := bcopier.Get(root, root, bcopier.GetOptions{Parents: parents}, q.globs, &in); err != nil {
		t.Fatal(err)
	}
	if err := g.filter(&out, &in); err != nil {
		t.Fatal(err)
	}
	var names []string
	for tr := tar.NewReader(&out); ; {
		hdr, err := tr.Next()
		if err == io.EOF {
			slices.Sort(names)
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, hdr.Name)
	}
}

func makeTree(t *testing.T, root string, names ...string) {
	t.Helper()
	for _, n := range names {
		p := filepath.Join(root, n)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(n, "/") {
			if err := os.MkdirAll(p, 0o755); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(p, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// What an ignore file leaves of generated trees is what moby/patternmatcher says of each path.
func TestIgnoreLeavesWhatDockerLeaves(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(from ...string) string { return from[rnd.IntN(len(from))] }
	words := []string{"a", "b", "src", "x.go", "y.md", ".git", "a.b"}
	globs := []string{"*", "**", "?", "*.go", "**.md", "*.*", "[ab]", "a*", "**a", ".*"}
	var tried, left, dropped int
	for range 150 {
		root := t.TempDir()
		for range 2 + rnd.IntN(12) {
			var parts []string
			for range 1 + rnd.IntN(4) {
				parts = append(parts, pick(words...))
			}
			p := filepath.Join(root, filepath.Join(parts...))
			if os.MkdirAll(filepath.Dir(p), 0o755) == nil { // else a part of it is a file
				_ = os.WriteFile(p, nil, 0o644) // or a directory
			}
		}
		var patterns []string
		for range 1 + rnd.IntN(4) {
			var parts []string
			for range 1 + rnd.IntN(3) {
				if rnd.IntN(2) == 0 {
					parts = append(parts, pick(words...))
				} else {
					parts = append(parts, pick(globs...))
				}
			}
			p := strings.Join(parts, "/")
			if len(patterns) > 0 && rnd.IntN(2) == 0 {
				p = "!" + p
			}
			patterns = append(patterns, p)
		}
		want := expected(t, root, patterns)
		got := copied(t, root, "", false, rules{ignore: patterns})
		if !slices.Equal(got, want) {
			t.Fatalf("patterns %q leave\n%q, want\n%q", patterns, got, want)
		}
		tried++
		left += len(want)
		dropped += len(expected(t, root, nil)) - len(want)
	}
	if left < tried || dropped < tried {
		t.Errorf("the patterns are no test: of %d trees %d names were left and %d dropped", tried, left, dropped)
	}
}

// expected asks for each path by itself; a directory is there for what is in it, too.
func expected(t *testing.T, root string, patterns []string) []string {
	pm, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(root, p)
		if err != nil || name == "." {
			return err
		}
		out, err := pm.MatchesOrParentMatches(name)
		if err != nil || out {
			return err
		}
		if d.IsDir() {
			name += "/"
		}
		names[name] = true
		for dir := path.Dir(strings.TrimSuffix(name, "/")); dir != "."; dir = path.Dir(dir) {
			names[dir+"/"] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(names))
}

func TestCopiedNames(t *testing.T) {
	root := t.TempDir()
	makeTree(t, root, "main.go", "README.md", "docs/a.md", "docs/deep/b.md", "src/x.go", "src/y.c", "src/sub/z.go", "empty/", "home.txt", "home.md")
	if err := os.Link(filepath.Join(root, "src/x.go"), filepath.Join(root, "src/y.hard")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("src", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		source  string
		parents bool
		rules   rules
		want    string
	}{
		{"", false, rules{ignore: []string{"**", "!**/*.go"}}, "main.go src/ src/sub/ src/sub/z.go src/x.go"},
		{"src", false, rules{ignore: []string{"**", "!**/*.go"}}, "sub/ sub/z.go x.go"},
		{"", false, rules{ignore: []string{"**.md", "src", "link", "empty"}}, "docs/ docs/deep/ home.txt main.go"},
		{"", false, rules{ignore: []string{"*", "!src", "src/*.c"}}, "src/ src/sub/ src/sub/z.go src/x.go src/y.hard"},
		{"src", false, rules{ignore: []string{"src/x.go"}}, "sub/ sub/z.go y.c y.hard"}, // a hard link to what is left out is a file
		{"docs", false, rules{exclude: []string{"*.md"}}, "deep/ deep/b.md"},            // relative to the source
		{"docs", false, rules{exclude: []string{"**/*.md"}}, "deep/"},
		{"docs", false, rules{exclude: []string{"**", "!deep/b.md"}}, "deep/ deep/b.md"},
		{"docs", false, rules{exclude: []string{"docs/a.md"}}, "a.md deep/ deep/b.md"},
		{"", false, rules{exclude: []string{"*.md", "src", "link", "empty"}}, "docs/ docs/a.md docs/deep/ docs/deep/b.md home.txt main.go"},
		{"home.txt", false, rules{exclude: []string{"*.txt"}}, ""}, // the name of a file
		{"docs/a.md", false, rules{exclude: []string{"*.md"}}, ""},
		{"docs/a.md", false, rules{exclude: []string{"docs/*.md"}}, ""},
		{"home.txt", false, rules{exclude: []string{"*.md"}}, "home.txt"},
		{"link", false, rules{ignore: []string{"src/sub", "**/y*"}}, "x.go"}, // where the link leads
		{"docs", true, rules{exclude: []string{"docs/*.md"}}, "docs/ docs/deep/ docs/deep/b.md"},
		{"docs/deep", true, rules{exclude: []string{"deep/b.md"}, pivots: []string{"docs"}}, "docs/ docs/deep/"},
	} {
		name := fmt.Sprintf("%s parents=%v ignore=%q exclude=%q", c.source, c.parents, c.rules.ignore, c.rules.exclude)
		if got := strings.Join(copied(t, root, c.source, c.parents, c.rules), " "); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestReadRules(t *testing.T) {
	r, err := readRules([]string{"plain", rewrite.Mark, rewrite.Mark + "exclude=!a=b", "src/" + rewrite.Mark + "exclude=no", rewrite.Mark + "pivot=x/y",
		rewrite.Mark + "drop-git", rewrite.Mark + "unpack=false", rewrite.Mark + "chmod=u=rwX,go="})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.ignore, []string{"plain"}) || !slices.Equal(r.exclude, []string{"!a=b"}) || !slices.Equal(r.pivots, []string{"x/y"}) || !r.dropGit || !r.noUnpack {
		t.Errorf("got %+v", r)
	}
	if m := r.chmod(fs.ModeDir | 0o777); m.Perm() != 0o700 {
		t.Errorf("chmod of a directory: %o", m)
	}
	for _, bad := range []string{"u+q", "", "99", "17777"} {
		if _, err := readRules([]string{rewrite.Mark + "chmod=" + bad}); err == nil && bad != "" {
			t.Errorf("chmod=%s: no error", bad)
		}
	}
}

// entry is one of a stream that is written.
type entry struct {
	name, kind, target string // kind is d, f, l or h
}

func TestWrittenNames(t *testing.T) {
	root := t.TempDir()
	makeTree(t, root, "usr/bin/sh", "opt/real/", "etc/passwd", "data/", "plain")
	for name, target := range map[string]string{"bin": "usr/bin", "sbin": "/usr/bin", "opt/app": "/opt/real", "up": "../../usr/bin", "dangling": "nowhere", "loop": "loop", "tool": "usr/bin/sh", "chain": "sbin"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		dir     string
		archive bool
		in      []entry
		want    string // the names, or what the error contains
	}{
		{"", false, []entry{{"bin/", "d", ""}, {"bin/x", "f", ""}, {"bin/sub/", "d", ""}, {"bin/sub/y", "f", ""}}, "usr/bin/ usr/bin/x usr/bin/sub/ usr/bin/sub/y"},
		{"", true, []entry{{"bin/x", "f", ""}}, "usr/bin/x"},
		{"", true, []entry{{"./", "d", ""}, {"./sbin/", "d", ""}, {"./sbin/x", "f", ""}}, "./ usr/bin/ usr/bin/x"},
		{"opt", false, []entry{{"app/", "d", ""}, {"app/x", "f", ""}}, "opt/real/ opt/real/x"},
		{"", false, []entry{{"chain/x", "f", ""}, {"up/x", "f", ""}}, "usr/bin/x usr/bin/x"},
		{"", false, []entry{{"bin/x", "f", ""}, {"bin/y", "h", "bin/x"}}, "usr/bin/x usr/bin/y=usr/bin/x"},
		{"data", false, []entry{{"a", "f", ""}, {"b", "h", "a"}}, "data/a data/b=data/a"},
		{"", false, []entry{{"tool", "f", ""}, {"dangling", "l", "x"}}, "tool dangling"}, // a file takes the place of a link
		{"", false, []entry{{"bin", "f", ""}}, "bin"},
		{"", false, []entry{{"etc", "f", ""}}, "in the place of the directory /etc"},
		{"", false, []entry{{"etc", "l", "data"}}, "in the place of the directory /etc"},
		{"", false, []entry{{"plain/", "d", ""}}, "in the place of the file /plain"},
		{"", false, []entry{{"dangling/", "d", ""}}, "leads to no directory"},
		{"", false, []entry{{"tool/", "d", ""}}, "leads to no directory"},
		{"", false, []entry{{"loop/", "d", ""}}, "too many levels"},
		{"", true, []entry{{"etc", "f", ""}, {"plain/", "d", ""}, {"dangling/", "d", ""}}, "etc plain/ dangling/"},
		{"", false, []entry{{"../../etc/x", "f", ""}}, "etc/x"},
		{"data", true, []entry{{"../x", "f", ""}, {"/abs", "f", ""}}, "data/x data/abs"},
		{"data", true, []entry{{"latin\xff", "f", ""}, {strings.Repeat("long/", 60), "d", ""}}, "data/latin\xff data/" + strings.Repeat("long/", 60)},
		// An archive's own links lead nowhere else.
		{"data", true, []entry{{"l", "l", "/etc"}, {"l/x", "f", ""}}, "data/l data/etc/x"},
		{"data", true, []entry{{"l", "l", "../etc"}, {"l/x", "f", ""}}, "data/l data/etc/x"},
		{"data", true, []entry{{"d/", "d", ""}, {"d/l", "l", "../../etc"}, {"d/l/x", "f", ""}}, "data/d/ data/d/l data/etc/x"},
		{"data", true, []entry{{"l", "l", "/etc"}, {"l", "f", ""}, {"l/x", "f", ""}}, "data/l data/l data/l/x"}, // it is none any more
	} {
		tree, err := openTree(root)
		if err != nil {
			t.Fatal(err)
		}
		var in, out bytes.Buffer
		tw := tar.NewWriter(&in)
		for _, e := range c.in {
			hdr := &tar.Header{Name: e.name, Linkname: e.target, Mode: 0o755, Typeflag: map[string]byte{"d": tar.TypeDir, "f": tar.TypeReg, "l": tar.TypeSymlink, "h": tar.TypeLink}[e.kind]}
			if c.archive {
				setRecord(hdr, fromArchive, "1")
			}
			if err := tw.WriteHeader(hdr); err != nil {
				t.Fatal(err)
			}
		}
		tw.Close()
		p := &putter{tree: tree, dir: c.dir}
		if err := p.filter(&out, &in); err != nil {
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v below /%s: got the error %q, want %q", c.in, c.dir, err, c.want)
			}
			continue
		}
		var names []string
		for tr := tar.NewReader(&out); ; {
			hdr, err := tr.Next()
			if err != nil {
				break
			}
			if _, left := hdr.PAXRecords[fromArchive]; left {
				t.Errorf("%v: the record of an archive is left", c.in)
			}
			n := hdr.Name
			if hdr.Typeflag == tar.TypeLink {
				n += "=" + hdr.Linkname
			}
			names = append(names, n)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%v below /%s: got %q, want %q", c.in, c.dir, got, c.want)
		}
	}
}
