// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"go.podman.io/storage"
)

// Ruler measures room on disk as du(1) does: blocks, not lengths, and a file with several names once. It counts nothing
// twice: ask it for what shares files in the order in which they should be counted.
type Ruler struct {
	w    *walker
	seen map[inode]bool
}

type inode struct{ dev, ino uint64 }

// NewRuler returns a Ruler for a store.
func NewRuler(store storage.Store) *Ruler {
	return &Ruler{w: newWalker(store), seen: map[inode]bool{}}
}

// Path measures a file or a tree, in bytes; what is not there takes no room.
func (r *Ruler) Path(path string) (int64, error) {
	var size int64
	err := filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone meanwhile, or never made
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		size += r.count(info)
		return nil
	})
	return size, err
}

func (r *Ruler) count(info os.FileInfo) int64 {
	st := info.Sys().(*syscall.Stat_t)
	// Files with one name are found once anyway.
	if st.Nlink > 1 && !info.IsDir() {
		i := inode{uint64(st.Dev), st.Ino}
		if r.seen[i] {
			return 0
		}
		r.seen[i] = true
	}
	return st.Blocks * 512
}

// Layer measures a layer: its files, and what the store keeps about it.
func (r *Ruler) Layer(id string) (int64, error) {
	meta := r.w.dir(r.w.graph, "layers")
	return r.all(filepath.Join(r.w.home, id), filepath.Join(meta, id), filepath.Join(meta, id+".tar-split.gz"))
}

// Image measures what an image has besides layers.
func (r *Ruler) Image(id string) (int64, error) {
	return r.Path(filepath.Join(r.w.dir(r.w.graph, "images"), id))
}

// Container measures what the store has of a container besides its layer.
func (r *Ruler) Container(id string) (int64, error) {
	return r.Path(filepath.Join(r.w.dir(r.w.graph, "containers"), id))
}

func (r *Ruler) all(paths ...string) (int64, error) {
	var sum int64
	for _, p := range paths {
		n, err := r.Path(p)
		if err != nil {
			return sum, err
		}
		sum += n
	}
	return sum, nil
}
