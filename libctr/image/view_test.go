// SPDX-License-Identifier: Apache-2.0

package image

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
)

// largeStore writes the index files of a store with n images of five layers each.
func largeStore(t testing.TB, n int) string {
	t.Helper()
	root := t.TempDir()
	var images []storage.Image
	var layers []map[string]any
	for i := range n {
		parent := ""
		for l := range 5 {
			d := digest.FromString(fmt.Sprintf("layer %d %d", i, l))
			layers = append(layers, map[string]any{
				"id": d.Encoded(), "parent": parent, "created": time.Now(), "compressed-diff-digest": d, "compressed-size": 1000,
				"diff-digest": d, "diff-size": 2000, "compression": 2, "uidset": []int{0}, "gidset": []int{0, 5, 8, 42, 43},
			})
			parent = d.Encoded()
		}
		id, m := digest.FromString(fmt.Sprintf("config %d", i)), digest.FromString(fmt.Sprintf("manifest %d", i))
		keys := []string{"sha256:" + id.Encoded(), "manifest-" + m.String(), "manifest"}
		img := storage.Image{
			ID: id.Encoded(), Digest: m, Names: []string{fmt.Sprintf("reg.example/team/image%d:latest", i)}, TopLayer: parent,
			Metadata: `{"signatures-sizes":{"` + m.String() + `":[]}}`, BigDataNames: keys, BigDataSizes: map[string]int64{}, BigDataDigests: map[string]digest.Digest{}, Created: time.Now(),
		}
		for _, k := range keys {
			img.BigDataSizes[k], img.BigDataDigests[k] = 1000, m
		}
		images = append(images, img)
	}
	for file, v := range map[string]any{"overlay-images/images.json": images, "overlay-layers/layers.json": layers} {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func readAll(t testing.TB, root string) {
	v := OpenView(root, "overlay", nil)
	all, err := v.Images()
	if err != nil {
		t.Fatal(err)
	}
	for _, img := range all {
		if size, err := img.Size(); err != nil || size != 5*2000+3*1000 {
			t.Fatalf("Size = %d, %v", size, err)
		}
	}
}

// A listing of 200 images must cost milliseconds; the bound leaves room for a busy machine.
func TestLargeStoreIsFast(t *testing.T) {
	root := largeStore(t, 200)
	best := time.Hour
	for range 5 {
		start := time.Now()
		readAll(t, root)
		best = min(best, time.Since(start))
	}
	if best > 100*time.Millisecond {
		t.Errorf("reading 200 images took %s", best)
	}
}

func BenchmarkListing200(b *testing.B) {
	root := largeStore(b, 200)
	for b.Loop() {
		readAll(b, root)
	}
}

func BenchmarkLookup(b *testing.B) {
	root := largeStore(b, 200)
	for b.Loop() {
		if _, err := OpenView(root, "overlay", nil).Lookup("image77", LookupOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestHasKey(t *testing.T) {
	for text, want := range map[string]bool{
		`"one" = "x"`: true, `one="x"`: true, `'one' = 'x'`: true, `[aliases]` + "\none =\"x\"": true,
		`"someone" = "x"`: false, `"x" = "one"`: false, `# one`: false, `"library/one" = "x"`: false, `one2 = "x"`: false, ``: false,
		`{ "a" = "b", "one" = "c" }`: true,
	} {
		if got := hasKey([]byte(text), "one"); got != want {
			t.Errorf("hasKey(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestParsePlatform(t *testing.T) {
	for in, want := range map[string]Platform{
		"linux/arm64": {OS: "linux", Architecture: "arm64"}, "linux/arm/v7": {OS: "linux", Architecture: "arm", Variant: "v7"}, "linux": {OS: "linux"},
	} {
		if got, err := ParsePlatform(in); got != want || err != nil {
			t.Errorf("ParsePlatform(%q) = %+v, %v; want %+v", in, got, err, want)
		}
	}
	for _, bad := range []string{"", "/", "linux/", "a/b/c/d"} {
		if got, err := ParsePlatform(bad); err == nil || !strings.Contains(err.Error(), "platform") {
			t.Errorf("ParsePlatform(%q) = %+v, %v; want an error", bad, got, err)
		}
	}
}
