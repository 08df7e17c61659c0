// SPDX-License-Identifier: Apache-2.0

package build

import (
	"os"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/layer"
)

// cacheDirs are where builds keep what makes the next one faster, besides images of single steps.
func cacheDirs(e *libctr.Engine) []string { return []string{memoDir(e), CacheDir(e)} }

// PruneCache removes the memos of builds, and with mounts what RUN --mount=type=cache has kept. It returns the room
// on disk that was freed. The process must be in the user namespace.
func PruneCache(e *libctr.Engine, mounts bool) (int64, error) {
	store, err := e.Store()
	if err != nil {
		return 0, err
	}
	dirs := cacheDirs(e)
	if !mounts {
		dirs = dirs[:1]
	}
	ruler := layer.NewRuler(store)
	var freed int64
	for _, dir := range dirs {
		n, err := ruler.Path(dir)
		if err != nil {
			return freed, err
		}
		if err := os.RemoveAll(dir); err != nil {
			return freed, err
		}
		freed += n
	}
	return freed, nil
}
