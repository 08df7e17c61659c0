// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"time"
)

// Reset removes all containers, running or not, then all volumes and secrets. Images are for who can change them. That one thing cannot be
// removed does not keep the others from it; the errors come joined.
func (e *Engine) Reset(ctx context.Context) error {
	list, err := e.List(ctx)
	errs := []error{err}
	now := time.Duration(0)
	for _, c := range list {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		errs = append(errs, e.Remove(ctx, c, RemoveOptions{Force: true, Volumes: true, Timeout: &now, orphan: true}))
	}
	volumes, err := e.Volumes()
	errs = append(errs, err)
	for _, v := range volumes {
		if err := e.RemoveVolume(ctx, v.Name, RemoveVolumeOptions{}); !errors.Is(err, ErrNoSuchVolume) {
			errs = append(errs, err)
		}
	}
	secrets, err := e.Secrets().List(ctx)
	errs = append(errs, err)
	for _, s := range secrets {
		_, err := e.RemoveSecret(ctx, s.ID)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
