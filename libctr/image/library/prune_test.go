// SPDX-License-Identifier: Apache-2.0

package library

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
)

// Prune gives back what it says, also where a chain of images goes of which each was built on the one before.
func TestPruneChain(t *testing.T) {
	s := newTestStore(t)
	const n = 40
	top := ""
	var history []string
	for i := range n {
		id := digest.FromString(fmt.Sprint("layer", i)).Encoded()
		l, _, err := s.lib.PutLayer(id, top, nil, "", false, nil, oneFileTar(t, fmt.Sprint(i), 5000))
		if err != nil {
			t.Fatal(err)
		}
		top = l.ID
		history = append(history, fmt.Sprintf(`{"created_by":"step %d"}`, i))
		s.step(t, top, history)
	}
	before := s.room(t)
	removed, errs := s.rt.Prune(t.Context(), false, nil)
	var freed int64
	for _, r := range removed {
		freed += r.Freed
	}
	if len(errs) > 0 || len(removed) != n {
		t.Errorf("%d images removed, want %d; %v", len(removed), n, errs)
	}
	if got := before - s.room(t); got != freed {
		t.Errorf("the disk got %d bytes, Prune says %d", got, freed)
	}
}

// step makes an image without a name, as a build does of each step.
func (s *testStore) step(t *testing.T, top string, history []string) {
	t.Helper()
	layers, err := s.lib.Layers()
	if err != nil {
		t.Fatal(err)
	}
	diffs, blobs := make([]string, len(history)), make([]string, len(history))
	for i, at := len(history)-1, top; at != ""; i-- {
		for _, l := range layers {
			if l.ID == at {
				diffs[i] = `"` + l.UncompressedDigest.String() + `"`
				blobs[i] = fmt.Sprintf(`{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"%s","size":%d}`, l.UncompressedDigest, l.UncompressedSize)
				at = l.Parent
				break
			}
		}
	}
	config := fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[%s]},"history":[%s]}`, strings.Join(diffs, ","), strings.Join(history, ","))
	manifest := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":%d},"layers":[%s]}`,
		digest.FromBytes(config), len(config), strings.Join(blobs, ","))
	_, err = s.lib.CreateImage(digest.FromBytes(config).Encoded(), nil, top, "", &storage.ImageOptions{BigData: []storage.ImageBigDataOption{
		{Key: digest.FromBytes(config).String(), Data: config, Digest: digest.FromBytes(config)},
		{Key: "manifest-" + digest.FromBytes(manifest).String(), Data: manifest, Digest: digest.FromBytes(manifest)},
		{Key: storage.ImageDigestBigDataKey, Data: manifest, Digest: digest.FromBytes(manifest)},
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// room is what layers and images take on the disk.
func (s *testStore) room(t *testing.T) int64 {
	t.Helper()
	var size int64
	for _, dir := range []string{"vfs/dir/*", "vfs-images/????????????????*", "vfs-layers/*.gz"} {
		paths, err := filepath.Glob(filepath.Join(s.root, dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			if err := filepath.Walk(p, func(_ string, st os.FileInfo, err error) error {
				if err == nil {
					size += st.Sys().(*syscall.Stat_t).Blocks * 512
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return size
}

func oneFileTar(t *testing.T, name string, size int) io.Reader {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(size), Format: tar.FormatPAX}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &buf
}
