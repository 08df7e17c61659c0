// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"slices"
)

// PruneOptions say what of everything that nothing uses is removed.
type PruneOptions struct {
	// Filters narrow it, each with a value; see ContainerFilter and SelectVolumes.
	Filters []string
	// Removed is called with the ID or name of each thing as soon as it has been removed; nil: nobody wants to know.
	Removed func(name string)
}

func (o PruneOptions) removed(name string) {
	if o.Removed != nil {
		o.Removed(name)
	}
}

// PruneContainers removes the containers that are neither active nor restarting, and leaves their volumes. A filter that
// cannot be read is a FieldError, and nothing is then removed. That one container cannot be removed does not keep the
// others from it; the errors come joined. What somebody else starts or removes meanwhile is no error.
func (e *Engine) PruneContainers(ctx context.Context, opts PruneOptions) error {
	idle := func(c *Container) bool { return !c.Active() && !c.Restarting() }
	list, err := e.Select(ctx, Selection{All: true, Filters: opts.Filters, Where: idle})
	if err != nil {
		return err
	}
	var errs []error
	slices.Reverse(list) // those that depend on others are newer
	for _, c := range list {
		switch removed, err := e.removeOrSay(ctx, c.Container, RemoveOptions{}); {
		case removed:
			opts.removed(c.ID)
		case err == nil, errors.Is(err, ErrRunning):
		case ctx.Err() != nil:
			return err
		default:
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// PruneVolumes removes the volumes that no container uses. Filters and errors are as with PruneContainers. What somebody
// else begins to use or removes meanwhile is no error.
func (e *Engine) PruneVolumes(ctx context.Context, opts PruneOptions) error {
	list, err := e.Volumes()
	if err != nil {
		return err
	}
	if list, err = e.SelectVolumes(ctx, list, opts.Filters); err != nil {
		return err
	}
	var errs []error
	for _, v := range list {
		switch err := e.RemoveVolume(ctx, v.Name, RemoveVolumeOptions{}); {
		case err == nil:
			opts.removed(v.Name)
		case errors.Is(err, ErrVolumeInUse), errors.Is(err, ErrNoSuchVolume):
		case ctx.Err() != nil:
			return err
		default:
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
