// SPDX-License-Identifier: Apache-2.0

package library

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
	"go.podman.io/common/libimage"
	"go.podman.io/storage"
)

// RemoveOptions are those of Remove.
type RemoveOptions struct {
	// Force also removes an image that has several names by its ID, and one that
	// containers use, after RemoveContainers has removed those. RemoveContainers must be set then.
	Force            bool
	RemoveContainers func(imageID string) error
	Ignore           bool // a name that no image has is no error
	NoPrune          bool // leave the dangling parents of what is removed
}

// Removed is what became of one image.
type Removed struct {
	ID       string
	Untagged []string
	Deleted  bool  // false if it only lost names, or has children that keep its layers
	Freed    int64 // Prune only: bytes on disk
}

// Remove takes each name from its image, and removes an image that has no other. What
// cannot be removed is left, and each reason returned: ErrNotFound, ErrInUse, or another.
func (r *Runtime) Remove(ctx context.Context, names []string, opts RemoveOptions) ([]Removed, []error) {
	if len(names) == 0 {
		return nil, nil
	}
	return r.removeImages(ctx, names, &libimage.RemoveImagesOptions{
		Force: opts.Force, RemoveContainerFunc: opts.RemoveContainers,
		Ignore: opts.Ignore, NoPrune: opts.NoPrune,
	})
}

// RemoveAll removes every image but those of additional, read-only stores.
func (r *Runtime) RemoveAll(ctx context.Context, opts RemoveOptions) ([]Removed, []error) {
	return r.removeImages(ctx, nil, &libimage.RemoveImagesOptions{
		Force: opts.Force, RemoveContainerFunc: opts.RemoveContainers,
		NoPrune: opts.NoPrune, Filters: []string{"readonly=false"},
	})
}

func (r *Runtime) removeImages(ctx context.Context, names []string, opts *libimage.RemoveImagesOptions) ([]Removed, []error) {
	// The library takes an index for the image of this platform in it, unless told that it is one.
	lists := slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		_, err := r.lib.LookupManifestList(n)
		return err != nil
	})
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(lists, n) })
	var reports []*libimage.RemoveImageReport
	var errs []error
	if len(names) > 0 || len(lists) == 0 {
		reports, errs = r.lib.RemoveImages(ctx, names, opts)
	}
	if len(lists) > 0 {
		o := *opts
		o.LookupManifest = true
		more, moreErrs := r.lib.RemoveImages(ctx, lists, &o)
		reports, errs = append(reports, more...), append(errs, moreErrs...)
	}
	removed := make([]Removed, 0, len(reports))
	for _, rep := range reports {
		removed = append(removed, Removed{ID: rep.ID, Untagged: rep.Untagged, Deleted: rep.Removed})
	}
	for i, err := range errs {
		errs[i] = explainRemove(ctx, err, r.store.GraphRoot())
	}
	return removed, errs
}

// usedBy is which container uses an image, from the library's "image used by ID: image is in use by a container: …".
func usedBy(err error) string {
	if _, rest, ok := strings.Cut(err.Error(), "image used by "); ok {
		id, _, _ := strings.Cut(rest, ":")
		return id
	}
	return "a container"
}

func explainRemove(ctx context.Context, err error, root string) error {
	switch {
	case errors.Is(err, storage.ErrImageUsedByContainer):
		return hint.Add(fmt.Errorf("image used by %s: %w", usedBy(err), image.ErrInUse), "remove its containers first (%s shows them), or both with: %s", hint.To(hint.ListContainers), hint.To(hint.ForceRemoveImage))
	case errors.Is(err, storage.ErrImageUnknown):
		return hint.Add(err, "see the local images with: %s", hint.To(hint.ListImages))
	case strings.Contains(err.Error(), "please force removal"):
		return hint.Add(fmt.Errorf("remove image: %w", err), "remove one name after the other, or all at once with: %s", hint.To(hint.ForceRemoveImage))
	}
	return explain(ctx, fmt.Errorf("remove image: %w", err), root)
}
