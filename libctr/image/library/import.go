package library

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"

	"github.com/berth-containers/berth/libctr/image"
	"go.podman.io/common/libimage"
	"go.podman.io/common/pkg/download"
)

// ImportOptions are those of Import.
type ImportOptions struct {
	Changes  []string       // Containerfile instructions that change the config: CMD, ENV, ...
	Message  string         // comment in the image's history
	Name     string         // for the image; empty leaves it without
	Platform image.Platform // empty parts are the host's
	Progress io.Writer
}

// Import makes an image with one layer of a tar archive of a file system, plain or
// compressed, from a file or an http or https URL. It returns the image's ID.
func (r *Runtime) Import(ctx context.Context, source string, opts ImportOptions) (string, error) {
	path := source
	if u, err := url.ParseRequestURI(source); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		if path, err = download.FromURL(ctx, r.scratch, source, download.Options{}); err != nil {
			return "", explain(ctx, fmt.Errorf("import %s: %w", source, err), r.scratch)
		}
	} else if _, err := os.Stat(source); err != nil {
		return "", fmt.Errorf("import: %w", err)
	}
	return r.importFile(ctx, path, source, opts)
}

// ImportFrom imports the tar archive that it reads.
func (r *Runtime) ImportFrom(ctx context.Context, in io.Reader, opts ImportOptions) (string, error) {
	path, err := r.spool(ctx, in)
	if err != nil {
		return "", explain(ctx, fmt.Errorf("import: %w", err), r.scratch)
	}
	return r.importFile(ctx, path, "standard input", opts)
}

func (r *Runtime) importFile(ctx context.Context, path, source string, opts ImportOptions) (string, error) {
	if err := checkTar(path); err != nil {
		return "", fmt.Errorf("import %s: %w", source, err)
	}
	lib := &libimage.ImportOptions{
		Changes: opts.Changes, CommitMessage: opts.Message, Tag: opts.Name,
		OS: opts.Platform.OS, Arch: opts.Platform.Architecture,
	}
	lib.Writer, lib.Variant = opts.Progress, opts.Platform.Variant
	id, err := r.lib.Import(ctx, path, lib)
	if err != nil {
		return "", explain(ctx, fmt.Errorf("import %s: %w", source, r.refused(err)), r.store.GraphRoot())
	}
	return id, nil
}
