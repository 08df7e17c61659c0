// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/berth-containers/berth/libctr/writable"
	"go.podman.io/storage"
	"golang.org/x/sys/unix"
)

// Unpin removes the pin of an image (package writable) unless containers need it: these it returns.
func Unpin(store storage.Store, image string) (users []string, err error) {
	dir := writable.In(store.GraphRoot())
	if _, err := os.Lstat(string(dir)); err != nil {
		return nil, nil // there never was a pin
	}
	lock, err := dir.Lock(unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if users, err = dir.Users(image); err != nil || len(users) > 0 {
		return users, err
	}
	err = store.DeleteContainer(writable.Pin(image))
	if err != nil && !errors.Is(err, storage.ErrContainerUnknown) && !errors.Is(err, storage.ErrNotAContainer) {
		return nil, fmt.Errorf("have the store keep image %.12s no longer: %w", image, err)
	}
	// A layer whose maker was killed before it was the pin's.
	err = store.DeleteLayer(writable.Layer(image))
	if err != nil && !errors.Is(err, storage.ErrLayerUnknown) && !errors.Is(err, storage.ErrNotALayer) {
		return nil, fmt.Errorf("remove the layer of a pin: %w", err)
	}
	err = os.Remove(filepath.Join(string(dir), image))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return nil, nil
}
