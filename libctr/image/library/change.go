// SPDX-License-Identifier: Apache-2.0

package library

import (
	"context"
	"errors"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
)

// Owner has a store of images; libctr.Engine is one.
type Owner interface {
	Store() (storage.Store, error)
	SystemContext() *types.SystemContext
}

// Open returns a Runtime for the store of an owner, as NewRuntime does.
func Open(owner Owner) (*Runtime, error) {
	store, err := owner.Store()
	if err != nil {
		return nil, err
	}
	r, err := NewRuntime(store, owner.SystemContext())
	if n, ok := owner.(noter); ok && err == nil {
		r.noteEvents(n)
	}
	return r, err
}

// Change opens the store of an owner, lets work change its images, and closes what was opened.
func Change(owner Owner, work func(*Runtime) error) (err error) {
	r, err := Open(owner)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return work(r)
}

// Pull fetches an image that a new container needs: the Puller for Options of package libctr.
func Pull(ctx context.Context, e *libctr.Engine, name string, opts image.PullOptions) (ids []string, err error) {
	err = Change(e, func(r *Runtime) error {
		ids, err = r.Pull(ctx, name, opts)
		return err
	})
	return ids, err
}

var _ libctr.Puller = Pull
