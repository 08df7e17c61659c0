// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package image

import (
	"context"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image/library"
)

// action is the work of a command that changes images.
type action[O any] func(ctx context.Context, e *libctr.Engine, r *library.Runtime, call cli.Call, o O) error

// withImages makes a Run of an action: it opens the engine and the store to be changed first, and cleans up.
func withImages[O any](do action[O]) cli.Run[O] {
	return func(ctx context.Context, call cli.Call, o O) error {
		e, err := call.Open(ctx)
		if err != nil {
			return err
		}
		return library.Change(e, func(r *library.Runtime) error { return do(ctx, e, r, call, o) })
	}
}
