package image

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"go.podman.io/common/libimage"
)

// builtinName is what the image that the program carries is called in the store.
const builtinName = "localhost/hello:latest"

// IsBuiltin tells whether name is an image that the program carries for this machine's
// architecture: hello. contrib/hello makes it.
func IsBuiltin(name string) bool {
	if len(helloArchive) == 0 {
		return false
	}
	switch name {
	case "hello", "hello:latest", "localhost/hello", builtinName:
		return true
	}
	return false
}

// Builtin returns the OCI archive of an image that the program carries.
func Builtin(name string) (io.ReadSeeker, bool) {
	if !IsBuiltin(name) {
		return nil, false
	}
	return bytes.NewReader(helloArchive), true
}

// installBuiltin puts the image that the program carries into the store.
func (r *Runtime) installBuiltin(ctx context.Context) (string, error) {
	path, err := r.spool(ctx, bytes.NewReader(helloArchive))
	if err != nil {
		return "", err
	}
	names, err := r.lib.Load(ctx, path, &libimage.LoadOptions{})
	if err != nil {
		return "", err
	}
	if len(names) != 1 || names[0] != builtinName {
		return "", fmt.Errorf("it is called %q, not %s", names, builtinName)
	}
	img, _, err := r.lib.LookupImage(names[0], nil)
	if err != nil {
		return "", err
	}
	return img.ID(), nil
}
