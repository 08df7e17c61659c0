// SPDX-License-Identifier: Apache-2.0

package library

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
	"go.podman.io/common/libimage"
)

// Load puts the images of an archive or directory into the store: a docker-archive
// or oci-archive file, plain or compressed, an OCI layout (each with one image or several) or
// a dir: directory. It returns the images' names, or sha256:ID for those that have none.
func (r *Runtime) Load(ctx context.Context, path string, progress io.Writer) ([]string, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("load images: %w", err)
	}
	names, err := r.load(ctx, path, progress)
	if err != nil {
		return nil, r.explainLoad(ctx, fmt.Errorf("load images from %s: %w", path, r.refused(err)), r.store.GraphRoot())
	}
	return names, nil
}

// LoadFrom loads as Load does, from what it reads; it keeps a copy of that until then.
func (r *Runtime) LoadFrom(ctx context.Context, in io.Reader, progress io.Writer) ([]string, error) {
	path, err := r.spoolArchive(ctx, in, "standard input")
	if err != nil {
		return nil, r.explainLoad(ctx, fmt.Errorf("read images: %w", err), r.scratch)
	}
	names, err := r.load(ctx, path, progress)
	if err != nil {
		return nil, r.explainLoad(ctx, fmt.Errorf("load images from standard input: %w", r.refused(err)), r.store.GraphRoot())
	}
	return names, nil
}

func (r *Runtime) explainLoad(ctx context.Context, err error, disk string) error {
	explained := explain(ctx, err, disk)
	var hinted *hint.Error
	if ctx.Err() != nil || errors.As(explained, &hinted) {
		return explained
	}
	return hint.Add(err, "the archive is damaged, or of another kind: load takes docker-archive and oci-archive files and oci and dir directories; "+
		"a tar archive of a file system is for: %s", hint.To(hint.ImportImage))
}

// SaveOptions are those of Save.
type SaveOptions struct {
	Format       string    // docker-archive (or empty), oci-archive, oci-dir, docker-dir
	Tags         []string  // more names for the one image saved
	Compress     bool      // compress the layers, for docker-dir
	Uncompressed bool      // leave layers uncompressed where they are, for the OCI formats
	Progress     io.Writer // nil is nobody
}

// Save writes local images to path, which must not exist yet unless it is an empty
// file. Several images fit into a docker-archive only. On failure what was written is
// removed.
func (r *Runtime) Save(ctx context.Context, names []string, path string, opts SaveOptions) error {
	if opts.Format == "" {
		opts.Format = "docker-archive"
	}
	lib := &libimage.SaveOptions{AdditionalTags: opts.Tags}
	lib.Writer, lib.DirForceCompress, lib.OciAcceptUncompressedLayers = opts.Progress, opts.Compress, opts.Uncompressed
	st, statErr := os.Stat(path)
	if statErr == nil && st.Mode().IsRegular() && st.Size() > 0 {
		return hint.Add(fmt.Errorf("save images: %s exists", path), "remove it, or choose another file with %s", field.Name("output"))
	}
	if err := r.lib.Save(ctx, names, opts.Format, path, lib); err != nil {
		if statErr != nil {
			err = errors.Join(err, os.RemoveAll(path))
		}
		return r.explainSave(ctx, fmt.Errorf("save images to %s: %w", path, err), path)
	}
	return nil
}

func (r *Runtime) explainSave(ctx context.Context, err error, path string) error {
	if ctx.Err() == nil && errors.Is(err, image.ErrNotFound) {
		return hint.Add(err, "see the local images with: %s", hint.To(hint.ListImages))
	}
	return explain(ctx, err, path)
}

// SaveTo writes an archive of local images to out as it is made.
func (r *Runtime) SaveTo(ctx context.Context, names []string, out io.Writer, opts SaveOptions) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	fifo, reader, writer, err := r.fifo()
	if err != nil {
		return fmt.Errorf("save images: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(fifo)) }()
	copied := make(chan error, 1)
	go func() {
		defer reader.Close()
		_, err := io.Copy(out, reader)
		if err != nil {
			cancel()
			// Save is writing still; what it writes leads nowhere now.
			_, _ = io.Copy(io.Discard, reader)
		}
		copied <- err
	}()
	saveErr := r.Save(ctx, names, fifo, opts)
	closeErr := writer.Close() // the last writer: the copy sees the end
	if err := <-copied; err != nil {
		return fmt.Errorf("save images: write the archive: %w", err)
	}
	return errors.Join(saveErr, closeErr)
}
