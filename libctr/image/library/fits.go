// SPDX-License-Identifier: Apache-2.0

package library

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/unpack"
	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/pkg/compression"
)

// fits makes sure that the archive of an image at path, which the library copies to temporary files as it says, is no larger than
// it is: no entry of it may have holes. What is packed is unpacked within the limits of package unpack, and the path of the
// plain archive returned. A directory with an image is one that the library can read. What is neither is left to the library.
func (r *Runtime) fits(ctx context.Context, path string) (string, error) {
	st, err := os.Stat(path)
	if err == nil && st.IsDir() {
		return path, checkDirectory(path)
	}
	if err != nil || !st.Mode().IsRegular() {
		return path, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return path, nil
	}
	defer f.Close()
	packed := &counted{r: f}
	plain, isPacked, err := compression.AutoDecompress(packed)
	if err != nil {
		return path, nil
	}
	defer plain.Close()
	if !isPacked {
		return path, sumFits(ctx, f, st.Size())
	}
	limits, err := unpack.LimitsFromEnv()
	if err != nil {
		return "", err
	}
	in := unpack.NewReader(plain, unpack.Options{Limits: limits, What: "archive " + filepath.Base(path), Packed: packed.count, Dir: r.scratch})
	to, err := r.spool(ctx, in)
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(in.Err(), unpack.ErrRefused), err != nil && in.Err() == nil:
		return "", err
	case err != nil:
		return path, nil // no tar archive: the library says so
	}
	g, err := os.Open(to)
	if err != nil {
		return "", err
	}
	defer g.Close()
	return to, sumFits(ctx, g, in.Size())
}

// sumFits reports whether the entries of an archive have no more content than the archive has bytes, and whether the library can read
// those of an OCI layout (see checkDirectory).
func sumFits(ctx context.Context, f *os.File, size int64) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	left := size
	layout := archived{sizes: map[string]int64{}, listed: map[string][]digest.Digest{}}
	for tr := tar.NewReader(f); ctx.Err() == nil; {
		h, err := tr.Next()
		if err != nil {
			return hostile(layout.check()) // the end, or damaged: the library says so
		}
		if h.Typeflag != tar.TypeDir {
			if err := layout.add(strings.TrimPrefix(filepath.Clean("/"+h.Name), "/"), h.Typeflag == tar.TypeReg, h.Size, tr); err != nil {
				return hostile(err)
			}
		}
		if h.Typeflag == tar.TypeLink || h.Typeflag == tar.TypeSymlink {
			continue
		}
		if left -= h.Size; left < 0 {
			return fmt.Errorf("%w: %q is larger than the archive: it has holes, which no part of an image has", unpack.ErrRefused, h.Name)
		}
	}
	return ctx.Err()
}

// hostile adds to a refusal where the bounds are.
func hostile(err error) error {
	if err == nil {
		return nil
	}
	return hint.Add(err, "the image, or who sends it, is broken or hostile; the bounds are in docs/security.md")
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	atomic.AddInt64(&c.n, int64(n)) // some are read by a goroutine of who unpacks
	return n, err
}

func (c *counted) count() int64 { return atomic.LoadInt64(&c.n) }
