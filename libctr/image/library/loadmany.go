// SPDX-License-Identifier: Apache-2.0

package library

import (
	"archive/tar"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/oci/layout"
	"go.podman.io/image/v5/pkg/compression"
)

// load loads what is at path. libimage takes one image from the OCI formats and calls several damaged; docker load, and so
// Berth, loads all of them.
func (r *Runtime) load(ctx context.Context, path string, progress io.Writer) (names []string, err error) {
	if path, err = r.fits(ctx, path); err != nil {
		return nil, err
	}
	opts := &libimage.LoadOptions{}
	opts.Writer = progress
	g, err := r.newGuard(&opts.CopyOptions)
	if err != nil {
		return nil, err
	}
	defer func() { err = g.close(err) }()
	names, err = r.lib.Load(ctx, path, opts)
	// libimage passes on texts only.
	if err == nil || !strings.Contains(err.Error(), layout.ErrMoreThanOneImage.Error()) {
		return names, err
	}
	if st, err := os.Stat(path); err != nil || !st.IsDir() {
		if path, err = r.unpackLayout(ctx, path); err != nil {
			return nil, err
		}
	}
	return r.loadLayout(ctx, path, opts)
}

// loadLayout loads every image of an OCI layout, each by its ID, and gives it the name that its annotations say.
func (r *Runtime) loadLayout(ctx context.Context, dir string, opts *libimage.LoadOptions) ([]string, error) {
	images, err := layout.List(dir)
	if err != nil {
		return nil, err
	}
	one, err := os.MkdirTemp(r.scratch, "layout-")
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if err := errors.Join(os.Symlink(filepath.Join(dir, "blobs"), filepath.Join(one, "blobs")),
		os.WriteFile(filepath.Join(one, imagespec.ImageLayoutFile), []byte(`{"imageLayoutVersion": "1.0.0"}`), 0o600)); err != nil {
		return nil, err
	}
	var loaded []string
	for _, img := range images {
		d := img.ManifestDescriptor
		name := d.Annotations["io.containerd.image.name"]
		if name == "" {
			name = d.Annotations[imagespec.AnnotationRefName]
		}
		ids, err := r.loadOne(ctx, one, d, opts)
		if err == nil && name != "" {
			err = r.Tag(strings.TrimPrefix(ids[0], "sha256:"), name)
		}
		if err != nil {
			return loaded, fmt.Errorf("image %s: %w", cmp.Or(name, d.Digest.String()), err)
		}
		if name == "" {
			loaded = append(loaded, ids...)
			continue
		}
		full, err := libimage.NormalizeName(name)
		if err != nil {
			return loaded, err
		}
		loaded = append(loaded, full.String())
	}
	return loaded, nil
}

// loadOne loads the image of one manifest, whose layout without an index is in dir.
func (r *Runtime) loadOne(ctx context.Context, dir string, d imagespec.Descriptor, opts *libimage.LoadOptions) ([]string, error) {
	d.Annotations = nil
	index := imagespec.Index{MediaType: imagespec.MediaTypeImageIndex, Manifests: []imagespec.Descriptor{d}}
	index.SchemaVersion = 2
	data, err := json.Marshal(index)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, imagespec.ImageIndexFile), data, 0o600); err != nil {
		return nil, err
	}
	ref, err := layout.NewReference(dir, "")
	if err != nil {
		return nil, err
	}
	ids, err := r.lib.LoadReference(ctx, ref, opts)
	if err == nil && len(ids) == 0 {
		err = errors.New("no image was loaded")
	}
	return ids, err
}

// layoutFile matches the files of an OCI layout (image-spec, image-layout.md); a layout that is unpacked has no others.
var layoutFile = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(oci-layout|index\.json|blobs/[a-z0-9]+/[a-f0-9]+)$`)
})

// unpackLayout unpacks an oci-archive into the scratch directory.
func (r *Runtime) unpackLayout(ctx context.Context, archive string) (_ string, err error) {
	f, err := os.Open(archive)
	if err != nil {
		return "", err
	}
	defer f.Close()
	plain, _, err := compression.AutoDecompress(f)
	if err != nil {
		return "", err
	}
	defer plain.Close()
	dir, err := os.MkdirTemp(r.scratch, "layout-")
	if err != nil {
		return "", err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	entries := tar.NewReader(plain)
	for {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return dir, nil
		}
		if err != nil {
			return "", err
		}
		name := filepath.Clean(h.Name)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if h.Typeflag != tar.TypeReg || !layoutFile().MatchString(name) {
			continue
		}
		if err := unpackFile(root, name, entries); err != nil {
			return "", err
		}
	}
}

func unpackFile(root *os.Root, name string, from io.Reader) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := root.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}
