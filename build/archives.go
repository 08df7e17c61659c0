// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"io"
	"os"
	"path"
	"strings"
	"sync/atomic"

	"github.com/berth-containers/berth/internal/unpack"
	"go.podman.io/image/v5/pkg/compression"
	"golang.org/x/sys/unix"
)

// checkArchives keeps the archives with images that a Containerfile names (docker-archive:, oci-archive:) within the bounds of
// package unpack: buildah writes what is in them to temporary files, before anybody asks for the image.
func (s *Session) checkArchives(ctx context.Context, o *Options, r *recipe) error {
	images, _, err := r.externals(o)
	if err != nil {
		return nil // it is said elsewhere
	}
	if kind, rest, _ := strings.Cut(o.From, ":"); kind == "docker-archive" || kind == "oci-archive" {
		archive, _, _ := strings.Cut(rest, ":")
		images = append(images, external{archive: archive, node: r.stages[0].from})
	}
	limits, err := unpack.LimitsFromEnv()
	if err != nil {
		return err
	}
	for _, x := range images {
		if x.archive == "" {
			continue
		}
		if err := s.checkArchive(ctx, o, x.archive, limits); err != nil {
			return r.at(x.node, err)
		}
	}
	return nil
}

// checkArchive leaves it to buildah to say of a file that it cannot be opened, or is no archive.
func (s *Session) checkArchive(ctx context.Context, o *Options, name string, limits unpack.Limits) error {
	dir, err := os.OpenRoot(o.ContextDirectory)
	if err != nil {
		return nil
	}
	defer dir.Close()
	f, err := dir.OpenFile(strings.TrimPrefix(path.Clean("/"+name), "/"), os.O_RDONLY|unix.O_NONBLOCK, 0) // it may be a FIFO
	if err != nil {
		return nil
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil
	}
	var packed atomic.Int64
	plain, isPacked, err := compression.AutoDecompress(readerFunc(func(p []byte) (int, error) {
		n, err := f.Read(p)
		packed.Add(int64(n))
		return n, errors.Join(ctx.Err(), err)
	}))
	if err != nil {
		return nil
	}
	defer plain.Close()
	opts := unpack.Options{Limits: limits, What: unpack.Describe("archive", name), Dir: s.tmp}
	if isPacked {
		opts.Packed = packed.Load
	}
	in := unpack.NewReader(plain, opts)
	if _, err := io.Copy(io.Discard, in); err != nil && (in.Err() != nil || ctx.Err() != nil) {
		return errors.Join(in.Err(), ctx.Err())
	}
	return nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
