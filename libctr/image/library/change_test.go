// SPDX-License-Identifier: Apache-2.0

package library

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
	"golang.org/x/sys/unix"
)

// What save writes, in each format, load brings back.
func TestSaveAndLoad(t *testing.T) {
	s := newTestStore(t)
	id := s.add(t, "one", "one")
	for _, format := range []string{"docker-archive", "oci-archive", "oci-dir", "docker-dir"} {
		path := filepath.Join(t.TempDir(), "out")
		if err := s.rt.Save(t.Context(), []string{"one"}, path, SaveOptions{Format: format}); err != nil {
			t.Fatalf("Save(%s): %v", format, err)
		}
		remove(t, s, id)
		names, err := s.rt.Load(t.Context(), path, nil)
		if err != nil || len(names) != 1 {
			t.Fatalf("Load(%s) = %v, %v", format, names, err)
		}
		img := lookup(t, s, names[0])
		if strings.HasSuffix(format, "-dir") { // a directory is loaded without a name, as podman does
			if err := s.rt.Tag(img.ID, "one"); err != nil {
				t.Fatal(err)
			}
		} else if img.Resolved != "localhost/one:latest" {
			t.Errorf("%s: loaded as %q", format, names)
		}
		if c, err := img.Config(); err != nil || c.Image.Config.Labels["content"] != "one" {
			t.Errorf("%s: config %+v, %v", format, c, err)
		}
		id = img.ID
	}
}

func remove(t *testing.T, s *testStore, names ...string) {
	t.Helper()
	if _, errs := s.rt.Remove(t.Context(), names, RemoveOptions{Force: true, RemoveContainers: func(string) error { return nil }}); len(errs) > 0 {
		t.Fatal(errs)
	}
}

// A stream of several images, compressed, goes through save and load.
func TestSaveToAndLoadFrom(t *testing.T) {
	s := newTestStore(t)
	one, two := s.add(t, "one", "one"), s.add(t, "two", "two")
	var archive bytes.Buffer
	z := gzip.NewWriter(&archive)
	if err := s.rt.SaveTo(t.Context(), []string{"one", "two"}, z, SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	remove(t, s, one, two)
	names, err := s.rt.LoadFrom(t.Context(), &archive, nil)
	slices.Sort(names)
	if err != nil || !slices.Equal(names, []string{"localhost/one:latest", "localhost/two:latest"}) {
		t.Errorf("LoadFrom = %q, %v", names, err)
	}
	if err := s.rt.SaveTo(t.Context(), []string{"one"}, failingWriter{}, SaveOptions{Format: "oci-archive"}); err == nil || !strings.Contains(err.Error(), "pipe is broken") {
		t.Errorf("SaveTo a writer that fails = %v", err)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("pipe is broken") }

func TestSaveErrors(t *testing.T) {
	s := newTestStore(t)
	s.add(t, "one", "one")
	dir := t.TempDir()
	full := writeFile(t, dir, "full", "content")
	var hinted *hint.Error
	if err := s.rt.Save(t.Context(), []string{"one"}, full, SaveOptions{}); !errors.As(err, &hinted) {
		t.Errorf("Save to a file that exists = %v", err)
	}
	path := filepath.Join(dir, "new")
	if err := s.rt.Save(t.Context(), []string{"none"}, path, SaveOptions{}); !errors.Is(err, image.ErrNotFound) {
		t.Errorf("Save of no image = %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a failed Save left its file")
	}
}

func TestLoadErrors(t *testing.T) {
	s := newTestStore(t)
	dir := t.TempDir()
	before := storeFiles(t, s)
	good := filepath.Join(dir, "good")
	s.add(t, "one", "one")
	if err := s.rt.Save(t.Context(), []string{"one"}, good, SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	remove(t, s, "one")
	for name, content := range map[string]string{
		"garbage": "this is no archive", "empty": "", "cut": string(data[:len(data)/3]),
		"changed": strings.Replace(string(data), "one", "two", 1),
	} {
		path := writeFile(t, dir, name, content)
		_, err := s.rt.Load(t.Context(), path, nil)
		var hinted *hint.Error
		if !errors.As(err, &hinted) || !strings.Contains(hinted.Hint.String(), "damaged") {
			t.Errorf("Load(%s) = %v, hint %+v", name, err, hinted)
		}
	}
	if _, err := s.rt.Load(t.Context(), filepath.Join(dir, "none"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Load of no file = %v", err)
	}
	if after := storeFiles(t, s); after != before {
		t.Errorf("failed loads left files:\n%s\nbefore:\n%s", after, before)
	}
}

func TestImport(t *testing.T) {
	s := newTestStore(t)
	srv := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(tarFile(t, "served")))))
	defer srv.Close()
	if _, err := s.rt.Import(t.Context(), srv.URL+"/archive.tar", ImportOptions{Name: "served:1", Changes: []string{"CMD [\"/x\"]", "ENV A=b"}}); err != nil {
		t.Fatal(err)
	}
	c, err := lookup(t, s, "served:1").Config()
	if err != nil || !slices.Equal(c.Image.Config.Cmd, []string{"/x"}) || !slices.Contains(c.Image.Config.Env, "A=b") {
		t.Errorf("Config = %+v, %v", c, err)
	}
	if _, err := s.rt.ImportFrom(t.Context(), strings.NewReader("this is no archive"), ImportOptions{}); err == nil {
		t.Error("ImportFrom took text for an archive")
	}
	if _, err := s.rt.Import(t.Context(), srv.URL+"/none.tar", ImportOptions{}); err == nil {
		t.Error("Import of a URL that is not there gave no error")
	}
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for zeros := make([]byte, 1<<16); ; {
			if _, err := w.Write(zeros); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	if _, err := s.rt.Import(t.Context(), endless.URL, ImportOptions{}); err == nil || !strings.Contains(err.Error(), "follow the end of the archive") {
		t.Errorf("Import of a URL without an end = %v", err)
	}
	if _, err := s.rt.Import(t.Context(), tarFile(t, "x"), ImportOptions{Changes: []string{"BAD thing"}}); err == nil {
		t.Error("Import with a bad change gave no error")
	}
}

func TestTagAndUntag(t *testing.T) {
	s := newTestStore(t)
	s.add(t, "one", "one")
	s.add(t, "two", "two")
	if err := s.rt.Tag("one", "two", "reg.example/x"); err != nil {
		t.Fatal(err)
	}
	if got := lookup(t, s, "two").ID; got != lookup(t, s, "one").ID {
		t.Errorf("two is %s after tag, want one", got)
	}
	for _, tc := range []struct {
		err  error
		want error
	}{
		{s.rt.Tag("none", "x"), image.ErrNotFound},
		{s.rt.Tag("one", "UPPER/Case"), image.ErrBadReference},
		{s.rt.Untag("one", "other"), ErrNoSuchTag},
		{s.rt.Untag("none"), image.ErrNotFound},
	} {
		if !errors.Is(tc.err, tc.want) {
			t.Errorf("got %v, want %v", tc.err, tc.want)
		}
	}
	if err := s.rt.Untag("one"); err != nil {
		t.Error(err)
	}
	if _, err := s.view().Lookup("reg.example/x", image.LookupOptions{}); !errors.Is(err, image.ErrNotFound) {
		t.Errorf("the name is there after Untag: %v", err)
	}
}

func TestRemoveInUse(t *testing.T) {
	s := newTestStore(t)
	id := s.add(t, "one", "one")
	c, err := s.lib.CreateContainer("", nil, id, "", "", &storage.ContainerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if users, err := s.view().Containers(id); err != nil || !slices.Equal(users, []string{c.ID}) {
		t.Errorf("Containers = %v, %v; want %s", users, err, c.ID)
	}
	_, errs := s.rt.Remove(t.Context(), []string{"one", "none"}, RemoveOptions{})
	if len(errs) != 2 || !errors.Is(errs[0], image.ErrNotFound) || !errors.Is(errs[1], image.ErrInUse) {
		t.Errorf("Remove = %v; want not found and in use", errs)
	}
	if removed, errs := s.rt.Prune(t.Context(), true, nil); len(removed) != 0 || len(errs) != 0 {
		t.Errorf("Prune removed %v, %v", removed, errs)
	}
	removed := false
	_, errs = s.rt.Remove(t.Context(), []string{"one"}, RemoveOptions{Force: true, RemoveContainers: func(string) error { removed = true; return s.lib.DeleteContainer(c.ID) }})
	if len(errs) != 0 || !removed {
		t.Errorf("forced Remove = %v, removed the container: %v", errs, removed)
	}
}

func TestRemoveAndPrune(t *testing.T) {
	s := newTestStore(t)
	id := s.add(t, "one", "one", "other")
	dangling := s.add(t, "two")
	s.add(t, "three", "three")
	if _, errs := s.rt.Remove(t.Context(), []string{id}, RemoveOptions{}); len(errs) != 1 {
		t.Errorf("Remove by ID of an image with two names = %v, want an error", errs)
	}
	got, errs := s.rt.Remove(t.Context(), []string{"one", "none"}, RemoveOptions{Ignore: true})
	if len(errs) != 0 || len(got) != 1 || got[0].Deleted || !slices.Equal(got[0].Untagged, []string{"localhost/one:latest"}) {
		t.Errorf("Remove of one name = %+v, %v", got, errs)
	}
	got, errs = s.rt.Prune(t.Context(), false, nil)
	if len(errs) != 0 || len(got) != 1 || got[0].ID != dangling || !got[0].Deleted || got[0].Freed == 0 {
		t.Errorf("Prune = %+v, %v; want %s", got, errs, dangling)
	}
	got, errs = s.rt.Prune(t.Context(), true, []string{"label=content=three"})
	if len(errs) != 0 || len(got) != 1 {
		t.Errorf("Prune with a filter = %+v, %v", got, errs)
	}
	if _, errs := s.rt.RemoveAll(t.Context(), RemoveOptions{}); len(errs) != 0 {
		t.Error(errs)
	}
	if all, err := s.view().Images(); len(all) != 0 || err != nil {
		t.Errorf("after RemoveAll: %v, %v", all, err)
	}
}

// A directory of temporary files goes when its owner is gone, and not before.
func TestSweepScratch(t *testing.T) {
	base := t.TempDir()
	mine, remove, err := newScratch(base)
	if err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(base, scratchPrefix+"dead")
	for _, dir := range []string{dead, filepath.Join(base, "other")} {
		if err := os.MkdirAll(filepath.Join(dir, "blob"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	left, err := AbandonedScratch(base)
	if err != nil || len(left) != 1 || left[0].Path != dead {
		t.Errorf("abandoned: %v, %v; want %s", left, err, dead)
	}
	for _, s := range append(left, Scratch{mine}) {
		if err := s.Remove(); err != nil {
			t.Error(err)
		}
	}
	entries, err := os.ReadDir(base)
	if err != nil || len(entries) != 2 {
		t.Errorf("after the sweep: %v, %v; want mine and other", entries, err)
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
}

// A full disk and a read-only one are told apart, in a small file system of the test's own.
func TestDiskFullAndReadOnly(t *testing.T) {
	s := newTestStore(t)
	mnt := filepath.Join(t.TempDir(), "small")
	if err := os.Mkdir(mnt, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", mnt, "tmpfs", 0, "size=8m"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(mnt, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	sys := *s.sys
	sys.BigFilesTemporaryDir = mnt
	rt, err := NewRuntime(s.lib, &sys)
	if err != nil {
		t.Fatal(err)
	}
	addr, _ := startRegistry(t)
	_, err = rt.Pull(t.Context(), addr+"/big", plainHTTP())
	var hinted *hint.Error
	if !errors.As(err, &hinted) || !strings.Contains(hinted.Hint.String(), "disk is full") {
		t.Errorf("Pull to a full disk = %v, hint %+v", err, hinted)
	}
	if err := rt.Close(); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(mnt + "/*"); len(left) != 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := unix.Mount("tmpfs", mnt, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	_, err = NewRuntime(s.lib, &sys)
	if !errors.As(err, &hinted) || !strings.Contains(hinted.Hint.String(), "read-only") {
		t.Errorf("NewRuntime on a read-only disk = %v, hint %+v", err, hinted)
	}
}

// The archive in the program is made of the hello.c in the tree, and its program says what it should.
func TestHelloIsUpToDate(t *testing.T) {
	s := newTestStore(t)
	if _, err := s.rt.Pull(t.Context(), "hello", image.PullOptions{}); err != nil {
		t.Fatal(err)
	}
	c, err := lookup(t, s, "hello").Config()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("../../../contrib/hello/program/hello.c")
	if err != nil {
		t.Fatal(err)
	}
	want := digest.FromBytes(source).String()
	if c.Image.Config.Labels["berth.hello.source"] != want {
		t.Errorf("the archive is of another hello.c: run make hello")
	}
	for _, arch := range []string{"amd64", "arm64"} {
		data, err := os.ReadFile("../hello_" + arch + ".tar")
		if err != nil || !bytes.Contains(data, []byte(want)) {
			t.Errorf("the archive for %s is of another hello.c (%v): run make hello", arch, err)
		}
	}
	archive, _ := image.Builtin("hello")
	if size, err := archive.Seek(0, io.SeekEnd); err != nil || size > 40<<10 {
		t.Errorf("the archive has %d bytes, %v", size, err)
	}
	chain, err := lookup(t, s, "hello").Layers()
	if err != nil || len(chain) != 1 {
		t.Fatalf("Layers = %v, %v", chain, err)
	}
	out, err := exec.Command(filepath.Join(s.root, "vfs", "dir", chain[0], "hello")).CombinedOutput()
	for _, want := range []string{"Hello from Berth!", "kernel      Linux ", "user ID 0 is ", "network     "} {
		if !strings.Contains(string(out), want) || err != nil {
			t.Errorf("hello printed (%v):\n%s\nwithout %q", err, out, want)
		}
	}
}
