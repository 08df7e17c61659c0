// SPDX-License-Identifier: Apache-2.0

package library

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/berth-containers/berth/libctr/layer"
	"go.podman.io/common/libimage"
	"go.podman.io/common/pkg/config"
	storageTransport "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
)

// Runtime changes the images of a store. Close it: it holds a directory of temporary files.
type Runtime struct {
	lib     *libimage.Runtime
	store   *layer.Keeper
	sys     types.SystemContext
	scratch string
	remove  func() error
	noted   func() // ends the noting of events; nil where nobody notes them
}

// NewRuntime returns a Runtime for store. sys says where configuration files are and
// how registries are spoken to; nil is the default. Temporary files go where
// containers.conf's image_copy_tmp_dir or TMPDIR says, or to sys.BigFilesTemporaryDir.
//
// Where the machine and the user have no policy.json, every image is accepted; where
// they have no registries.conf, short names are looked for on docker.io.
func NewRuntime(store storage.Store, sys *types.SystemContext) (_ *Runtime, err error) {
	r := &Runtime{store: layer.Keep(store)}
	if sys != nil {
		r.sys = *sys
	}
	base := r.sys.BigFilesTemporaryDir
	if base == "" {
		if base, err = copyTmpDir(); err != nil {
			return nil, err
		}
	}
	if r.scratch, r.remove, err = newScratch(base); err != nil {
		return nil, explain(context.Background(), err, base)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.remove())
		}
	}()
	r.sys.BigFilesTemporaryDir = r.scratch
	if err = addDefaults(&r.sys, r.scratch); err != nil {
		return nil, err
	}
	storageTransport.Transport.SetStore(r.store)
	r.lib, err = libimage.RuntimeFromStore(r.store, &libimage.RuntimeOptions{SystemContext: &r.sys})
	if err != nil {
		return nil, fmt.Errorf("prepare to change images: %w", err)
	}
	return r, nil
}

// SystemContext returns what NewRuntime was given, with what it put in place of missing configuration
// files. It holds until Close.
func (r *Runtime) SystemContext() *types.SystemContext {
	sys := r.sys
	return &sys
}

// Close removes the temporary files, and the layers of what failed.
func (r *Runtime) Close() error {
	if r.noted != nil {
		r.noted()
	}
	// The caller's context may be over, and what it has begun is to be cleared away nevertheless.
	return errors.Join(r.store.End(context.Background()), r.remove())
}

func copyTmpDir() (string, error) {
	c, err := config.Default()
	if err != nil {
		return "", fmt.Errorf("read containers.conf: %w", err)
	}
	dir, err := c.ImageCopyTmpDir()
	if err != nil {
		return "", fmt.Errorf("find the directory for temporary files: %w", err)
	}
	if _, err := os.Stat(dir); dir == "/var/tmp" && errors.Is(err, fs.ErrNotExist) {
		return os.TempDir(), nil // the default, in a small container
	}
	return dir, nil
}
