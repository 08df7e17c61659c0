// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"errors"
	"fmt"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
)

// imageDriver makes volumes that have the files of an image.
const imageDriver = "image"

// checkImage says what options the driver image does not take, in podman's words.
func (o *VolumeOptions) checkImage() error {
	for key := range o.Options {
		if key != "image" {
			return field.Errorf("%s %s: invalid mount option %s for driver 'image'", field.Name("opt"), key, key)
		}
	}
	if o.Options["image"] == "" {
		return hint.Add(errors.New("must provide an image name when creating a volume with the image driver"), "name one with: %s image=NAME", field.Name("opt"))
	}
	return nil
}

// filesOf puts the files of an image that is in the store into a directory, with their owners. They are copied: the volume has nothing to do with the
// image afterwards, and is a directory as any other volume.
func (e *Engine) filesOf(name string) (fill func(dir string) (imageDir, error), err error) {
	img, err := e.ImageView().Lookup(name, image.LookupOptions{})
	if err != nil {
		return nil, hint.Add(fmt.Errorf("looking up image %s to create volume failed: %w", name, err), "pull it first with: %s", hint.To(hint.PullImage, name))
	}
	root, err := e.rootfsOfImage(img)
	if err != nil {
		return nil, err
	}
	return func(dir string) (imageDir, error) {
		found, err := e.filesIn(root).copyUp("/", dir, true)
		if err == nil {
			err = e.stillThere(img)
		}
		if err != nil {
			return found, fmt.Errorf("copy the files of image %s: %w", name, err)
		}
		return found, nil
	}, nil
}
