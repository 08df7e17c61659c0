// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.podman.io/storage"
	"go.podman.io/storage/pkg/reexec"
)

// The storage library runs this program again to unpack layers.
func TestMain(m *testing.M) {
	if !reexec.Init() {
		os.Exit(m.Run())
	}
}

func newStore(t *testing.T) storage.Store {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: the overlay driver makes device nodes")
	}
	dir := t.TempDir()
	s, err := Open(storage.StoreOptions{
		GraphRoot: filepath.Join(dir, "graph"), RunRoot: filepath.Join(dir, "run"),
		GraphDriverName: "overlay", GraphDriverOptions: []string{"overlay.skip_mount_home=true"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Free() })
	return s
}

func put(t *testing.T, s storage.Store, id, parent string) {
	t.Helper()
	if _, err := s.CreateLayer(id, parent, nil, "", false, nil); err != nil {
		t.Fatal(err)
	}
}

func id(digit string) string { return strings.Repeat(digit, 64) }

func left(t *testing.T, s storage.Store) string {
	t.Helper()
	layers, err := s.Layers()
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, l := range layers {
		ids = append(ids, l.ID[:1])
	}
	slices.Sort(ids)
	return strings.Join(ids, "")
}

func TestSweep(t *testing.T) {
	for name, tc := range map[string]struct {
		make func(t *testing.T, s storage.Store)
		left string // first digits of the layers that are left
		note bool   // an orphan is told of
	}{
		"made by a process that has died": {func(t *testing.T, s storage.Store) {
			k := Keep(s)
			put(t, k, id("1"), "")
			put(t, k, id("2"), id("1"))
			k.journal.close()
		}, "", false},
		"made by one that lives": {func(t *testing.T, s storage.Store) {
			k := Keep(s)
			put(t, k, id("1"), "")
			t.Cleanup(func() { k.journal.close() })
		}, "1", false},
		"on one that a living process has looked at": {func(t *testing.T, s storage.Store) {
			dead, live := Keep(s), Keep(s)
			put(t, dead, id("1"), "")
			put(t, dead, id("2"), id("1"))
			put(t, dead, id("3"), id("2"))
			dead.journal.close()
			if _, err := live.Layer(id("2")); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { live.journal.close() })
		}, "12", false},
		"of an image": {func(t *testing.T, s storage.Store) {
			k := Keep(s)
			put(t, k, id("1"), "")
			put(t, k, id("2"), id("1"))
			put(t, k, id("3"), id("2"))
			image(t, k, id("2"), "manifest")
			k.journal.close()
		}, "12", false},
		"of an image that was never finished": {func(t *testing.T, s storage.Store) {
			k := Keep(s)
			put(t, k, id("1"), "")
			image(t, k, id("1"), "sha256:config")
			k.journal.close()
		}, "", false},
		"of a container": {func(t *testing.T, s storage.Store) {
			k := Keep(s)
			put(t, k, id("1"), "")
			if _, err := k.CreateContainer("", nil, "", id("2"), "", nil); err != nil {
				t.Fatal(err)
			}
			k.journal.close()
		}, "2", false},
		"of an image whose removal was killed": {func(t *testing.T, s storage.Store) {
			put(t, s, id("1"), "")
			k := Keep(s)
			if err := k.journal.note(id("1")); err != nil {
				t.Fatal(err)
			}
			k.journal.close()
		}, "", false},
		"of somebody unknown": {func(t *testing.T, s storage.Store) { put(t, s, id("1"), "") }, "1", true},
		"below one of somebody unknown": {func(t *testing.T, s storage.Store) {
			k := Keep(s)
			put(t, k, id("1"), "")
			k.journal.close()
			put(t, s, id("2"), id("1"))
		}, "12", true},
		"of somebody unknown, a day old": {func(t *testing.T, s storage.Store) {
			put(t, s, id("1"), "")
			age(t, s, 25*time.Hour)
		}, "", false},
		"while podman works on the store": {func(t *testing.T, s storage.Store) {
			k := Keep(s)
			put(t, k, id("1"), "")
			k.journal.close()
			engine(t, "podman", "--root", s.GraphRoot(), "pull")
		}, "1", true},
		"while podman works on another store": {func(t *testing.T, s storage.Store) {
			k := Keep(s)
			put(t, k, id("1"), "")
			k.journal.close()
			engine(t, "podman", "--root=/elsewhere", "pull")
		}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			tc.make(t, s)
			if _, err := Sweep(context.Background(), s); err != nil {
				t.Fatal(err)
			}
			if got := left(t, s); got != tc.left {
				t.Errorf("layers left: %q, want %q", got, tc.left)
			}
			orphans, err := Orphans(s, OldAge)
			if err != nil || (len(orphans) > 0) != tc.note {
				t.Errorf("orphans: %+v, %v; want any: %v", orphans, err, tc.note)
			}
			if tc.left == "" && AnyDead(s.GraphRoot()) {
				t.Error("a journal is left")
			}
		})
	}
}

func image(t *testing.T, s storage.Store, layer, item string) {
	t.Helper()
	_, err := s.CreateImage("", nil, layer, "", &storage.ImageOptions{BigData: []storage.ImageBigDataOption{{Key: item, Data: []byte("{}"), Digest: "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}}})
	if err != nil {
		t.Fatal(err)
	}
}

// age makes all layers older.
func age(t *testing.T, s storage.Store, by time.Duration) {
	t.Helper()
	path := filepath.Join(s.GraphRoot(), "overlay-layers/layers.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	aged := regexp.MustCompile(`"created":"[^"]*"`).ReplaceAllString(string(text), `"created":"`+time.Now().Add(-by).UTC().Format(time.RFC3339Nano)+`"`)
	if err := os.WriteFile(path, []byte(aged), 0o600); err != nil {
		t.Fatal(err)
	}
}

// engine starts a process that looks like another engine's and ends with the test.
func engine(t *testing.T, argv ...string) {
	t.Helper()
	cmd := &exec.Cmd{Path: "/bin/sh", Args: append([]string{argv[0], "-c", "echo; read line", "sh"}, argv[1:]...)}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	if _, err := out.Read(make([]byte, 1)); err != nil { // it is there
		t.Fatal(err)
	}
}

func TestEndRemovesWhatFailed(t *testing.T) {
	s := newStore(t)
	k := Keep(s)
	put(t, k, id("1"), "")
	put(t, k, id("2"), id("1"))
	image(t, k, id("1"), "manifest")
	if err := k.End(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := left(t, s); got != "1" {
		t.Errorf("layers left: %q, want 1", got)
	}
}

func TestStrays(t *testing.T) {
	gone, kept := id("a"), id("1")
	for name, tc := range map[string]struct{ path, link string }{
		"directory of a layer":       {path: "graph/overlay/" + gone + "/diff/f"},
		"short link":                 {path: "graph/overlay/l/ABC", link: "../" + gone + "/diff"},
		"second short link":          {path: "graph/overlay/l/ABC", link: "../" + kept + "/diff"},
		"tar-split":                  {path: "graph/overlay-layers/" + gone + ".tar-split.gz"},
		"temporary layers.json":      {path: "graph/overlay-layers/.tmp-layers.json1"},
		"data of a layer":            {path: "graph/overlay-layers/" + kept + "/x"},
		"data of an image":           {path: "graph/overlay-images/" + gone + "/manifest"},
		"temporary images.json":      {path: "graph/overlay-images/.tmp-images.json1"},
		"directory of a container":   {path: "graph/overlay-containers/" + gone + "/userdata/f"},
		"temporary containers.json":  {path: "graph/overlay-containers/.tmp-containers.json1"},
		"runtime directory":          {path: "run/overlay-containers/" + gone + "/userdata/f"},
		"temporary mountpoints.json": {path: "run/overlay-layers/.tmp-mountpoints.json1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			put(t, s, kept, "")
			if _, err := s.CreateContainer("", nil, "", "", "", nil); err != nil {
				t.Fatal(err)
			}
			if found, err := Strays(s); err != nil || len(found) > 0 {
				t.Fatalf("in a store that is right: %v, %v", found, err)
			}
			path := filepath.Join(filepath.Dir(s.GraphRoot()), tc.path)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			var err error
			if tc.link != "" {
				err = os.Symlink(tc.link, path)
			} else {
				err = os.WriteFile(path, []byte("x"), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			found, err := Strays(s)
			if err != nil || len(found) != 1 || !strings.HasPrefix(path, found[0].Path) {
				t.Fatalf("found %v, %v; want %s or a directory above it", found, err, path)
			}
			if err := found[0].Remove(s); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(path); err == nil {
				t.Errorf("%s is there", path)
			}
			if got := left(t, s); !strings.Contains(got, "1") {
				t.Errorf("layers left: %q", got)
			}
		})
	}
}

func TestVerify(t *testing.T) {
	s := newStore(t)
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, name := range []string{"a", "b"} {
		if err := errors.Join(w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: 5}), second(w.Write([]byte("12345")))); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	for _, l := range []string{id("1"), id("2")} {
		if _, _, err := s.PutLayer(l, "", nil, "", false, nil, bytes.NewReader(buf.Bytes())); err != nil {
			t.Fatal(err)
		}
	}
	image(t, s, id("1"), "manifest")
	if r, err := Check(t.Context(), s, storage.CheckMost()); err != nil || len(r.Images) > 0 || len(r.Layers) > 0 {
		t.Errorf("layers that are whole: %v, %v, %v", r.Images, r.Layers, err)
	}
	for _, l := range []string{id("1"), id("2")} {
		if err := os.WriteFile(filepath.Join(s.GraphRoot(), "overlay", l, "diff/b"), []byte("12346"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Check(t.Context(), s, storage.CheckMost())
	if err != nil || len(r.Layers) != 2 || len(r.Images) != 1 || !strings.Contains(errors.Join(r.Layers[id("2")]...).Error(), id("2")[:12]) {
		t.Errorf("a file of each layer was changed: %v, %v, %v", r.Images, r.Layers, err)
	}
}

func second(_ int, err error) error { return err }
