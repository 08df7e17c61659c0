// SPDX-License-Identifier: Apache-2.0

package library

import (
	"errors"
	"fmt"
	"slices"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
	"go.podman.io/common/libimage"
)

// ErrNoSuchTag says that the image does not have the name that was to be taken from it.
var ErrNoSuchTag = errors.New("the image does not have this name")

// Tag gives the image more names. A name without a registry gets localhost/ in front, one
// without a tag :latest; a name that another image has is taken from it.
func (r *Runtime) Tag(of string, names ...string) error {
	img, err := r.lookup(of)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := libimage.NormalizeName(name); err != nil {
			return hint.Add(fmt.Errorf("tag image %q as %q: %w: %w", of, name, image.ErrBadReference, err),
				"an image is called NAME, NAME:TAG or REGISTRY/NAME:TAG, in small letters")
		}
		if err := img.Tag(name); err != nil {
			return fmt.Errorf("tag image %q as %q: %w", of, name, err)
		}
	}
	return nil
}

// Untag takes names from the image, or all of them if none is given. The error is
// ErrNoSuchTag if it lacks one of them; then those before it are gone.
func (r *Runtime) Untag(of string, names ...string) error {
	img, err := r.lookup(of)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		names = slices.Clone(img.Names())
	}
	for _, name := range names {
		full, err := libimage.NormalizeName(name)
		if err != nil {
			return fmt.Errorf("untag image %q: %q: %w: %w", of, name, image.ErrBadReference, err)
		}
		if !slices.Contains(img.Names(), full.String()) {
			return fmt.Errorf("untag image %q: %s: %w", of, full, ErrNoSuchTag)
		}
		if err := img.Untag(name); err != nil {
			return fmt.Errorf("untag image %q: %w", of, err)
		}
	}
	return nil
}

// lookup finds a local image to change. A manifest list without an instance for this
// machine is found as such.
func (r *Runtime) lookup(name string) (*libimage.Image, error) {
	img, _, err := r.lib.LookupImage(name, &libimage.LookupImageOptions{ManifestList: true})
	if err != nil {
		return nil, hint.Add(image.NotFoundOr(name, err), "see the local images with: %s", hint.To(hint.ListImages))
	}
	return img, nil
}
