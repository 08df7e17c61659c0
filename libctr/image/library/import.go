// SPDX-License-Identifier: Apache-2.0

package library

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
	"go.podman.io/common/libimage"
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
		if path, err = r.fetch(ctx, source); err != nil {
			return "", r.explainImport(ctx, fmt.Errorf("import %s: %w", source, err))
		}
	} else if _, err := os.Stat(source); err != nil {
		return "", fmt.Errorf("import: %w", err)
	}
	return r.importFile(ctx, path, source, opts)
}

// ImportFrom imports the tar archive that it reads.
func (r *Runtime) ImportFrom(ctx context.Context, in io.Reader, opts ImportOptions) (string, error) {
	path, err := r.spoolArchive(ctx, in, "standard input")
	if err != nil {
		return "", r.explainImport(ctx, fmt.Errorf("import: %w", err))
	}
	return r.importFile(ctx, path, "standard input", opts)
}

// fetch is spoolArchive for what a URL has.
func (r *Runtime) fetch(ctx context.Context, source string) (string, error) {
	body, err := OpenURL(ctx, source)
	if err != nil {
		return "", err
	}
	defer body.Close()
	return r.spoolArchive(ctx, body, "what it has")
}

// OpenURL reads what a server has at an address of http or https. Close it.
func OpenURL(ctx context.Context, url string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		answer.Body.Close()
		return nil, hint.Add(fmt.Errorf("the server says %s", answer.Status), "check the URL")
	}
	return answer.Body, nil
}

// explainImport adds to an error of reading an archive what the user can do about it.
func (r *Runtime) explainImport(ctx context.Context, err error) error {
	explained := explain(ctx, err, r.scratch)
	var hinted *hint.Error
	if ctx.Err() != nil || errors.As(explained, &hinted) {
		return explained
	}
	return hint.Add(err, importHint, hint.To(hint.LoadImages))
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
