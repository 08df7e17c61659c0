// SPDX-License-Identifier: Apache-2.0

package library

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/berth-containers/berth/libctr/image"
	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
)

// Every name that finds an image, or none, must find the same as libimage's LookupImage.
func TestLookupAgreesWithLibimage(t *testing.T) {
	s := newTestStore(t)
	one := s.add(t, "one", "docker.io/library/one:latest", "localhost/mine:1")
	two := s.add(t, "two", "reg.example/team/two:v2")
	s.add(t, "three", "quay.example/one:latest")
	s.add(t, "four", "other.example/four:latest", "docker.io/library/deadbeef:latest")
	s.add(t, "five", "localhost/dup:latest")
	s.add(t, "six", "reg.example/dup:latest")
	s.add(t, "seven") // dangling
	digest := lookupDigest(t, s, "localhost/mine:1")

	names := []string{
		"one", "one:latest", "library/one", "docker.io/one", "docker.io/library/one:latest", "quay.example/one",
		"mine", "mine:1", "localhost/mine:1", "localhost/mine", "reg.example/team/two:v2", "team/two:v2", "two:v2", "two",
		"four", "four:latest", "four:1", "other.example/four", "deadbeef", "dup", "reg.example/dup", "docker.io/dup",
		"one@" + digest, "docker.io/library/one@" + digest, "docker.io/library/one:other@" + digest, "localhost/mine@" + digest, "quay.example/one@" + digest,
		one, one[:12], one[:5], "sha256:" + one, two[:20], "seven", "nothing", "no/thing:1", "localhost/x", "aliased", "containers-storage:localhost/mine:1",
	}
	for _, conf := range []string{
		`unqualified-search-registries = ["reg.example", "docker.io"]`,
		`unqualified-search-registries = []`,
		"unqualified-search-registries = [\"quay.example\"]\n[aliases]\n\"aliased\" = \"other.example/four\"\none = 'quay.example/one'\n",
	} {
		writeFile(t, filepath.Dir(s.sys.SystemRegistriesConfPath), "registries.conf", conf)
		sysregistriesv2.InvalidateCache()
		for _, name := range names {
			want, wantName, wantErr := s.rt.lib.LookupImage(name, nil)
			got, err := s.view().Lookup(name, image.LookupOptions{})
			switch {
			case (err == nil) != (wantErr == nil):
				t.Errorf("%s: Lookup(%q) error %v; libimage's %v", conf, name, err, wantErr)
			case err != nil:
				if !errors.Is(err, image.ErrNotFound) {
					t.Errorf("%s: Lookup(%q) = %v, want image.ErrNotFound", conf, name, err)
				}
			case got.ID != want.ID() || (got.Resolved != "" && wantName != "" && got.Resolved != wantName):
				t.Errorf("%s: Lookup(%q) = %s %q; libimage's %s %q", conf, name, got.ID, got.Resolved, want.ID(), wantName)
			}
		}
	}
}

func lookupDigest(t *testing.T, s *testStore, name string) string {
	t.Helper()
	img, err := s.view().Lookup(name, image.LookupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return img.Digest.String()
}

func TestLookupErrors(t *testing.T) {
	s := newTestStore(t)
	s.add(t, "one", "one")
	for name, want := range map[string]error{
		"UPPER":             image.ErrBadReference,
		"":                  image.ErrBadReference,
		"a b":               image.ErrBadReference,
		"sha256:12":         image.ErrBadReference,
		"docker-archive:/x": image.ErrBadReference,
		"none":              image.ErrNotFound,
		"docker:latest":     image.ErrNotFound, // a name, not a transport
	} {
		if _, err := s.view().Lookup(name, image.LookupOptions{}); !errors.Is(err, want) {
			t.Errorf("Lookup(%q) = %v, want %v", name, err, want)
		}
	}
}

func TestLookupAmbiguousID(t *testing.T) {
	s := newTestStore(t)
	first := map[byte]bool{}
	prefix := ""
	for i := 0; prefix == "" && i < 17; i++ { // 17 images: two IDs begin with the same digit
		id := s.add(t, "image "+string(rune('a'+i)))
		if first[id[0]] {
			prefix = id[:1]
		}
		first[id[0]] = true
	}
	if _, err := s.view().Lookup(prefix, image.LookupOptions{}); !errors.Is(err, image.ErrAmbiguous) {
		t.Errorf("Lookup(%q) = %v, want image.ErrAmbiguous", prefix, err)
	}
}

// What a View tells of an image must be what libimage tells.
func TestInspectAgreesWithLibimage(t *testing.T) {
	s := newTestStore(t)
	s.add(t, "one", "one", "docker.io/library/one:2")
	got, err := lookup(t, s, "one").Inspect()
	if err != nil {
		t.Fatal(err)
	}
	img, _, err := s.rt.lib.LookupImage("one", nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := img.Inspect(t.Context(), &libimage.InspectOptions{WithSize: true, WithParent: true})
	if err != nil {
		t.Fatal(err)
	}
	want.GraphDriver.Data = map[string]string{} // vfs tells nothing; libimage has nil
	if g, w := toJSON(t, got), toJSON(t, want); g != w {
		t.Errorf("Inspect:\n%s\nlibimage's:\n%s", g, w)
	}
	steps, err := lookup(t, s, "one").History()
	if err != nil {
		t.Fatal(err)
	}
	history, err := img.History(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if g, w := toJSON(t, steps), toJSON(t, history); g != w {
		t.Errorf("History:\n%s\nlibimage's:\n%s", g, w)
	}
}

func lookup(t *testing.T, s *testStore, name string) *image.Image {
	t.Helper()
	img, err := s.view().Lookup(name, image.LookupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestSelectAgreesWithLibimage(t *testing.T) {
	s := newTestStore(t)
	one := s.add(t, "one", "docker.io/library/one:latest", "localhost/mine:1")
	time.Sleep(1100 * time.Millisecond) // Created has whole seconds in places
	s.add(t, "two", "reg.example/team/two:v2")
	s.add(t, "dangling")
	for _, filters := range [][]string{
		{"dangling=true"}, {"dangling=false"}, {"id=" + one[:6]}, {"label=content=two"}, {"label=content"}, {"label!=content=two"},
		{"before=reg.example/team/two:v2"}, {"since=one"}, {"after=one"}, {"until=1h"}, {"until=2100-01-01"}, {"readonly=true"}, {"readonly=false"},
		{"reference=one"}, {"reference=*one*"}, {"reference=mine:1"}, {"reference=localhost/mine:1"}, {"reference=team/*"}, {"reference!=one"},
		{"reference=one", "reference=two"}, {"containers=true"}, {"containers=false"}, {"intermediate=true"}, {"manifest=true"}, {"dangling!=true"},
	} {
		want, err := s.rt.lib.ListImages(t.Context(), &libimage.ListImagesOptions{Filters: filters})
		if err != nil {
			t.Fatal(err)
		}
		v := s.view()
		all, err := v.Images()
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.Select(all, filters)
		if err != nil {
			t.Errorf("Select(%q): %v", filters, err)
		}
		var g, w []string
		for _, img := range got {
			g = append(g, append([]string{img.ID[:12]}, img.Names...)...)
		}
		for _, img := range want {
			w = append(w, append([]string{img.ID()[:12]}, img.Names()...)...)
		}
		if toJSON(t, g) != toJSON(t, w) {
			t.Errorf("Select(%q) = %q; libimage's %q", filters, g, w)
		}
	}
	for _, bad := range []string{"dangling", "dangling=perhaps", "color=red", "digest=12", "since=nothing", "until=soon"} {
		if _, err := s.view().Select(nil, []string{bad}); err == nil {
			t.Errorf("Select(%q) gave no error", bad)
		}
	}
}

func TestViewOfDamagedStore(t *testing.T) {
	s := newTestStore(t)
	id := s.add(t, "one", "one")
	if err := os.RemoveAll(filepath.Join(s.root, "vfs-images", id)); err != nil {
		t.Fatal(err)
	}
	img := lookup(t, s, "one")
	if _, err := img.Config(); !errors.Is(err, image.ErrUnreadable) {
		t.Errorf("Config of an image without data = %v, want image.ErrUnreadable", err)
	}
	if err := os.WriteFile(filepath.Join(s.root, "vfs-layers", "layers.json"), []byte("[]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := mustFirst(t, s.view()).Size(); !errors.Is(err, image.ErrUnreadable) {
		t.Errorf("Size of an image without layers = %v, want image.ErrUnreadable", err)
	}
	if err := os.WriteFile(filepath.Join(s.root, "vfs-images", "images.json"), []byte("[{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.view().Images(); err == nil {
		t.Error("Images of a broken images.json gave no error")
	}
}

func mustFirst(t *testing.T, v *image.View) *image.Image {
	t.Helper()
	all, err := v.Images()
	if err != nil || len(all) == 0 {
		t.Fatalf("Images = %v, %v", all, err)
	}
	return all[0]
}

func TestViewOfNoStore(t *testing.T) {
	all, err := image.OpenView(filepath.Join(t.TempDir(), "none"), "overlay", nil).Images()
	if len(all) != 0 || err != nil {
		t.Errorf("Images of a store that is not there = %v, %v", all, err)
	}
}

// An additional store's images are found after those of the store itself.
func TestAdditionalStore(t *testing.T) {
	s := newTestStore(t)
	id := s.add(t, "one", "one")
	v := image.OpenView(filepath.Join(t.TempDir(), "empty"), "vfs", []string{s.root})
	v.System = s.sys
	img, err := v.Lookup("one", image.LookupOptions{})
	if err != nil || img.ID != id || !img.ReadOnly {
		t.Errorf("Lookup = %+v, %v; want %s, read-only", img, err, id)
	}
	if size, err := img.Size(); err != nil || size == 0 {
		t.Errorf("Size = %d, %v", size, err)
	}
}
