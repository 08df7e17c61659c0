// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"

	"go.podman.io/storage"
)

// Errors that callers act upon. They come wrapped.
var (
	// ErrNotFound says that no local image has the name or ID. It is containers/storage's own.
	ErrNotFound = storage.ErrImageUnknown
	// ErrAmbiguous says that several images begin with the ID.
	ErrAmbiguous = errors.New("more than one image has this ID prefix")
	// ErrBadReference says that the text cannot be an image's name.
	ErrBadReference = errors.New("not an image reference")
	// ErrInUse says that a container, or another image, needs the image.
	ErrInUse = errors.New("image is in use by a container")
	// ErrUnreadable says that the store has an image whose data are missing or broken.
	ErrUnreadable = errors.New("image data are missing or damaged")
)
