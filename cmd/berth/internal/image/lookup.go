// SPDX-License-Identifier: Apache-2.0

package image

import (
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
)

// lookup finds a local image; where there is none the hint says how to see those there are.
func lookup(v *image.View, name string) (*image.Image, error) {
	img, err := v.Lookup(name, image.LookupOptions{})
	if err != nil {
		return nil, hint.Add(err, "see the local images with: berth images")
	}
	return img, nil
}
