// SPDX-License-Identifier: Apache-2.0

package library

import (
	"context"
	"fmt"

	"github.com/berth-containers/berth/libctr/image"
	"go.podman.io/common/libimage"
)

// installBuiltin puts the image that the program carries into the store.
func (r *Runtime) installBuiltin(ctx context.Context) (string, error) {
	archive, _ := image.Builtin(image.BuiltinName)
	path, err := r.spool(ctx, archive)
	if err != nil {
		return "", err
	}
	names, err := r.lib.Load(ctx, path, &libimage.LoadOptions{})
	if err != nil {
		return "", err
	}
	if len(names) != 1 || names[0] != image.BuiltinName {
		return "", fmt.Errorf("it is called %q, not %s", names, image.BuiltinName)
	}
	img, _, err := r.lib.LookupImage(names[0], nil)
	if err != nil {
		return "", err
	}
	return img.ID(), nil
}
