// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/internal/unpack"
)

func TestLocate(t *testing.T) {
	l := open(t, Options{Dir: "/src", Aliases: map[string]string{"std": "registry.example.org/berth/parts", "own": "./parts", "g": "git+https://example.org/r.git//parts/"}})
	for text, want := range map[string]string{
		"./x":                                  "/src/x",
		"../x":                                 "/x",
		"/abs/x":                               "/abs/x",
		"std/nodejs":                           "registry.example.org/berth/parts/nodejs",
		"own/nodejs":                           "/src/parts/nodejs",
		"g/nodejs":                             "git+https://example.org/r.git//parts/nodejs",
		"localhost:5000/p/x":                   "localhost:5000/p/x",
		"docker.io/berth/x":                    "docker.io/berth/x",
		"git+https://example.org/r":            "git+https://example.org/r",
		"https://example.org/x.tgz":            "https://example.org/x.tgz",
		"nobody/x":                             "P062",
		"git+ext://sh -c id//x":                "P022",
		"git+http://example.org/r":             "P022",
		"git+https://example.org/r//../x":      "P022",
		"git+https://example.org/r//a/../../x": "P022",
		"git+https://--upload-pack=id/x":       "P022",
		"https://user@example.org/x.tgz":       "P022",
		"https://example.org/a/../x.tgz":       "P022",
		"https://example.org/%2e%2e/x.tgz":     "P022",
		"https://example.org/x.tgz?a":          "P022",
		"localhost:5000/p/x:1":                 "P022",
		"localhost:5000/P/x":                   "P022",
		"http://example.org/x.tgz":             "P022",
	} {
		loc, err := l.locate(ref(text))
		got := loc.key()
		if err != nil {
			got = code(err)
		}
		if got != want {
			t.Errorf("locate(%s) = %s (%v); want %s", text, got, err, want)
		}
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "x", "Containerfile"), text("std/x", "1.0.0", ""))
	write(t, filepath.Join(dir, "x", "files", "bin", "hello"), script.Data)
	if err := os.Chmod(filepath.Join(dir, "x", "files", "bin", "hello"), 0o755); err != nil {
		t.Fatal(err)
	}
	l := open(t, Options{Dir: dir, Aliases: map[string]string{"std": dir}, Allow: []string{}, Offline: true})
	for _, name := range []string{"./x", "std/x", filepath.Join(dir, "x")} {
		if got := versions(t, l, name); got != "1.0.0" {
			t.Errorf("Releases(%s) = %s", name, got)
		}
		p, err := l.Part(t.Context(), ref(name), partial.Release{Version: "1.0.0"})
		if err != nil || p.Digest != newPart(t, "std/x", "1.0.0", "").Digest {
			t.Errorf("Part(%s) = %v; want the digest that pack gives", name, err)
		}
	}
	if names, err := l.Search(t.Context(), "x"); err != nil || len(names) != 1 || names[0].Ref != "std/x" {
		t.Errorf("Search = %v, %v", names, err)
	}
	if _, err := l.Part(t.Context(), ref("./x"), partial.Release{Version: "1.0.0", Digest: "sha256:" + strings.Repeat("a", 64)}); code(err) != "P051" {
		t.Errorf("Part with another digest = %v; want P051", err)
	}
	if _, err := l.Part(t.Context(), ref("./none"), partial.Release{}); code(err) != "P022" {
		t.Errorf("Part of no folder = %v; want P022", err)
	}
	// Links out of the folder.
	write(t, filepath.Join(dir, "secret"), "secret\n")
	for what, link := range map[string][2]string{
		"file":          {"../../secret", "files/secret"},
		"directory":     {"../..", "files/up"},
		"files":         {"../x/files", "files"},
		"Containerfile": {"../x/Containerfile", "Containerfile"},
	} {
		evil := filepath.Join(dir, "evil-"+what)
		if what != "Containerfile" {
			write(t, filepath.Join(evil, "Containerfile"), text("std/x", "1.0.0", ""))
		}
		if what == "files" {
			// The directory is the link.
		} else if err := os.MkdirAll(filepath.Join(evil, "files"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(link[0], filepath.Join(evil, link[1])); err != nil {
			t.Fatal(err)
		}
		if p, err := l.Part(t.Context(), ref(evil), partial.Release{}); err == nil {
			t.Errorf("%s that is a link: Part = %+v; want an error", what, p.Files)
		}
	}
}

type entry struct {
	name string
	typ  byte
	link string
	data string
}

func tarOf(t testing.TB, members []entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Typeflag: m.typ, Linkname: m.link, Size: int64(len(m.data)), Mode: 0o4755}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestUntar(t *testing.T) {
	file := func(name string) entry { return entry{name: name, typ: tar.TypeReg, data: "x\n"} }
	for what, tc := range map[string]struct {
		members []entry
		ok      bool
	}{
		"plain":          {[]entry{file("a"), file("./b"), {name: "d/", typ: tar.TypeDir}, file("d/c")}, true},
		"up":             {[]entry{file("../a")}, false},
		"up inside":      {[]entry{file("a/../../b")}, false},
		"absolute":       {[]entry{file("/etc/passwd")}, false},
		"backslash":      {[]entry{file(`a\b`)}, false},
		"double slash":   {[]entry{file("a//b")}, false},
		"dot":            {[]entry{file("a/./b")}, false},
		"symbolic link":  {[]entry{{name: "a", typ: tar.TypeSymlink, link: "/etc/passwd"}}, false},
		"hard link":      {[]entry{file("b"), {name: "a", typ: tar.TypeLink, link: "b"}}, false},
		"device":         {[]entry{{name: "a", typ: tar.TypeBlock}}, false},
		"fifo":           {[]entry{{name: "a", typ: tar.TypeFifo}}, false},
		"twice":          {[]entry{file("a"), file("./a")}, false},
		"below a file":   {[]entry{file("a"), file("a/b")}, false},
		"file above":     {[]entry{file("a/b"), file("a")}, false},
		"too much":       {[]entry{{name: "a", typ: tar.TypeReg, data: strings.Repeat("x", 600)}, {name: "b", typ: tar.TypeReg, data: strings.Repeat("x", 600)}}, false},
		"just enough":    {[]entry{{name: "a", typ: tar.TypeReg, data: strings.Repeat("x", 1000)}}, true},
		"nothing at all": {nil, true},
	} {
		tree, err := untar(bytes.NewReader(tarOf(t, tc.members)), 1000)
		if (err == nil) != tc.ok {
			t.Errorf("%s: untar = %v; want success: %v", what, err, tc.ok)
		}
		if err == nil && what == "plain" {
			if info, err := fs.Stat(tree, "d/c"); err != nil || info.Mode() != 0o755 {
				t.Errorf("d/c is %v, %v; want mode 0755 without setuid", info, err)
			}
		}
	}
	var many []entry
	for i := range maxEntries + 1 {
		many = append(many, entry{name: fmt.Sprint(i), typ: tar.TypeReg})
	}
	if _, err := untar(bytes.NewReader(tarOf(t, many)), maxArchive); err == nil {
		t.Error("untar took too many members")
	}
}

func FuzzUntar(f *testing.F) {
	f.Add(tarOf(f, []entry{{name: "a/b", typ: tar.TypeReg, data: "x"}, {name: "c", typ: tar.TypeSymlink, link: "/"}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		tree, err := untar(bytes.NewReader(data), 1<<16)
		if err != nil {
			return
		}
		err = fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || !fs.ValidPath(name) || !d.IsDir() && !d.Type().IsRegular() {
				t.Errorf("%q %v: %v", name, d, err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func tgz(t *testing.T, members ...entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := z.Write(tarOf(t, members)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestArchive(t *testing.T) {
	good := tgz(t, entry{name: "x-1.0/Containerfile", typ: tar.TypeReg, data: text("std/x", "1.0.0", "")},
		entry{name: "x-1.0/files/bin/hello", typ: tar.TypeReg, data: script.Data}, entry{name: "x-1.0/README.md", typ: tar.TypeReg, data: "hello"})
	evil := tgz(t, entry{name: "Containerfile", typ: tar.TypeSymlink, link: "/etc/passwd"})
	bomb := tgz(t, entry{name: "Containerfile", typ: tar.TypeReg, data: strings.Repeat("#", maxArchive+1)})
	mux := http.NewServeMux()
	for name, data := range map[string][]byte{"/x.tgz": good, "/evil.tgz": evil, "/bomb.tgz": bomb} {
		mux.HandleFunc(name, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) })
	}
	plain := httptest.NewServer(mux)
	defer plain.Close()
	mux.HandleFunc("/plain.tgz", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain.URL+"/x.tgz", http.StatusFound)
	})
	mux.HandleFunc("/away.tgz", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://other.example/x.tgz", http.StatusFound)
	})
	srv := httptest.NewTLSServer(mux)
	defer srv.Close()
	url := func(name string) string { return srv.URL + name }
	sums := map[string]string{url("/x.tgz"): digestOf(good), url("/evil.tgz"): digestOf(evil), url("/bomb.tgz"): digestOf(bomb)}
	opts := Options{HTTP: srv.Client(), Store: t.TempDir(), Allow: []string{srv.URL}}
	l := open(t, opts)
	digest := newPart(t, "std/x", "1.0.0", "").Digest
	if _, err := l.Releases(t.Context(), ref(url("/x.tgz"))); code(err) != "P063" || !strings.Contains(err.Error(), "got "+digestOf(good)) {
		t.Errorf("Releases without a sum = %v; want P063 with what it is", err)
	}
	opts.Sums = map[string]string{url("/x.tgz"): digestOf(evil)}
	if _, err := open(t, opts).Releases(t.Context(), ref(url("/x.tgz"))); code(err) != "P063" {
		t.Errorf("Releases with a wrong sum = %v; want P063", err)
	}
	opts.Sums = sums
	if p, err := open(t, opts).Part(t.Context(), ref(url("/x.tgz")), partial.Release{Version: "1.0.0"}); err == nil {
		if p.Files[0].Data != script.Data {
			t.Errorf("Part = %+v", p)
		}
	} else {
		t.Error(err)
	}
	for name, want := range map[string]string{"/none.tgz": "P022", "/evil.tgz": "P070", "/bomb.tgz": "P070", "/plain.tgz": "?", "/away.tgz": "P060"} {
		if _, err := open(t, opts).Releases(t.Context(), ref(url(name))); code(err) != want {
			t.Errorf("Releases(%s) = %v; want %s", name, err, want)
		}
	}
	// A lock's digest stands in for the sum.
	cold := Options{HTTP: srv.Client(), Store: t.TempDir()}
	_, err := open(t, cold).Part(t.Context(), ref(url("/x.tgz")), partial.Release{Version: "1.0.0", Digest: "sha256:" + strings.Repeat("a", 64)})
	if code(err) != "P051" {
		t.Errorf("Part that does not fit the lock = %v; want P051", err)
	}
	p, err := open(t, cold).Part(t.Context(), ref(url("/x.tgz")), partial.Release{Version: "1.0.0", Digest: digest})
	if err != nil || p.Digest != digest {
		t.Errorf("Part = %v; want the digest that pack gives", err)
	}
}

// repository makes a git repository with two parts and tags.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "tag.gpgSign=false"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	git("init", "-q", "-b", "main")
	for _, v := range []string{"1.0.0", "1.1.0"} {
		for _, d := range []string{".", "parts/y"} {
			write(t, filepath.Join(dir, d, "Containerfile"), text("std/x", v, ""))
			write(t, filepath.Join(dir, d, "files/bin/hello"), script.Data)
			if err := os.Chmod(filepath.Join(dir, d, "files/bin/hello"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		write(t, filepath.Join(dir, ".gitattributes"), "* text eol=crlf\nContainerfile export-ignore\n")
		git("add", ".")
		git("commit", "-q", "-m", v)
		git("tag", "v"+v)
		git("tag", "-a", "-m", "x", "parts/y/v"+v)
	}
	git("tag", "v1.2")
	git("tag", "other")
	if err := os.Remove(filepath.Join(dir, "files/bin/hello")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "files/bin/hello")); err != nil {
		t.Fatal(err)
	}
	git("add", ".")
	git("commit", "-q", "-m", "evil")
	git("tag", "v6.6.6")
	if err := os.RemoveAll(filepath.Join(dir, "files")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc", filepath.Join(dir, "files")); err != nil {
		t.Fatal(err)
	}
	git("add", "-A")
	git("commit", "-q", "-m", "evil too")
	git("tag", "v6.6.7")
	return dir
}

func TestGit(t *testing.T) {
	dir := repository(t)
	store := t.TempDir()
	l := open(t, Options{Store: store})
	for name, want := range map[string]string{
		"git+file://" + dir:               "1.0.0, 1.1.0, 6.6.6, 6.6.7",
		"git+file://" + dir + "//parts/y": "1.0.0, 1.1.0",
	} {
		if got := versions(t, l, name); sortList(got) != want {
			t.Errorf("Releases(%s) = %s; want %s", name, got, want)
		}
		p, err := l.Part(t.Context(), ref(name), partial.Release{Version: "1.0.0"})
		if err != nil || p.Digest != newPart(t, "std/x", "1.0.0", "").Digest {
			t.Errorf("Part(%s) = %v; want the digest that pack gives", name, err)
			continue
		}
		q, err := open(t, Options{}).Part(t.Context(), ref(name), partial.Release{Digest: p.Digest})
		if err != nil || q.Meta.Version != "1.0.0" {
			t.Errorf("Part(%s) by digest = %v", name, err)
		}
		off := open(t, Options{Store: store, Offline: true})
		if p, err := off.Part(t.Context(), ref(name), partial.Release{Version: "1.0.0"}); err != nil || p.Meta.Version != "1.0.0" {
			t.Errorf("Part(%s) offline = %v", name, err)
		}
	}
	for _, v := range []string{"6.6.6", "6.6.7"} {
		if _, err := l.Part(t.Context(), ref("git+file://"+dir), partial.Release{Version: v}); err == nil || !strings.Contains(err.Error(), "link") {
			t.Errorf("Part %s with a link = %v; want an error", v, err)
		}
	}
	if _, err := l.Part(t.Context(), ref("git+file://"+dir), partial.Release{Version: "--upload-pack=touch /tmp/x"}); code(err) != "P022" {
		t.Errorf("Part of a version that is an option = %v; want P022", err)
	}
	if _, err := l.Releases(t.Context(), ref("git+file://"+dir+"//none")); code(err) != "P022" {
		t.Errorf("Releases of nothing = %v; want P022", err)
	}
	if _, err := l.Releases(t.Context(), ref("git+file:///none")); err == nil {
		t.Error("Releases of no repository gave no error")
	}
}

// A repository can be larger than anybody wants.
func TestGitIsBounded(t *testing.T) {
	dir := repository(t)
	for name, value := range map[string]string{"BERTH_UNPACK_LIMIT": "4k", "BERTH_UNPACK_FILES": "3"} {
		t.Setenv(name, value)
		_, err := open(t, Options{}).Part(t.Context(), ref("git+file://"+dir), partial.Release{Version: "1.0.0"})
		if !errors.Is(err, unpack.ErrRefused) {
			t.Errorf("with %s=%s: %v; want an error for what is too much", name, value, err)
		}
		t.Setenv(name, "")
	}
}

// TestGitHTTPS fetches through git's own server program.
func TestGitHTTPS(t *testing.T) {
	dir := repository(t)
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewTLSServer(&cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Dir(dir), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	})
	defer srv.Close()
	t.Setenv("GIT_SSL_NO_VERIFY", "1")
	name := "git+" + srv.URL + "/" + filepath.Base(dir) + "//parts/y"
	l := open(t, Options{Allow: []string{"git+" + srv.URL}})
	if got := versions(t, l, name); sortList(got) != "1.0.0, 1.1.0" {
		t.Errorf("Releases = %s", got)
	}
	if p, err := l.Part(t.Context(), ref(name), partial.Release{Version: "1.1.0"}); err != nil || p.Meta.Version != "1.1.0" {
		t.Errorf("Part = %v", err)
	}
}
