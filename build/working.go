// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/berth-containers/berth/libctr"
	"go.podman.io/storage"
)

// buildahState is the file by which a container in the store is a working one of buildah's or of a build's (buildah 1.44, buildah.go, stateFile).
const buildahState = "buildah.json"

// RemoveWorking removes the working containers that builds have left in the store, by Berth, buildah or podman, of the images that are wanted and
// that only such containers use. Those of Berth's builds that run stay; of others nobody can tell. The process must be in the user namespace.
func RemoveWorking(e *libctr.Engine, wanted map[string]bool) error {
	store, err := e.Store()
	if err != nil {
		return err
	}
	all, err := store.Containers()
	if err != nil {
		return err
	}
	r := newRoots(e)
	working := map[string][]storage.Container{} // by the image's ID
	for _, c := range all {
		if !wanted[c.ImageID] {
			continue
		}
		if id := sessionOf(c); id != "" {
			if alive, err := r.alive(id); err != nil || alive {
				continue
			}
		}
		dir, err := store.ContainerDirectory(c.ID)
		if err != nil {
			continue // gone since
		}
		if _, err := os.Stat(filepath.Join(dir, buildahState)); err == nil {
			working[c.ImageID] = append(working[c.ImageID], c)
		}
	}
	var errs []error
	view := e.ImageView()
	for image, containers := range working {
		users, err := view.Containers(image)
		if err != nil {
			return err
		}
		if len(users) > len(containers) {
			continue // the image stays, and with it what is made of it
		}
		for _, c := range containers {
			if err := store.DeleteContainer(c.ID); !errors.Is(err, storage.ErrContainerUnknown) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}
