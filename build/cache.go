package build

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/berth-containers/berth/libctr"
)

// CacheSize is the room on disk, in bytes, that cache mounts and memos take.
func CacheSize(e *libctr.Engine) (int64, error) {
	var size int64
	for _, dir := range []string{CacheDir(e), memoDir(e)} {
		n, err := diskUsage(dir)
		if err != nil {
			return 0, err
		}
		size += n
	}
	return size, nil
}

func diskUsage(dir string) (int64, error) {
	var size int64
	seen := map[uint64]bool{} // files with several names count once
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone meanwhile, or never made
		}
		if err != nil {
			return err
		}
		st, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		sys := st.Sys().(*syscall.Stat_t)
		if sys.Nlink > 1 && !d.IsDir() {
			if seen[sys.Ino] {
				return nil
			}
			seen[sys.Ino] = true
		}
		size += sys.Blocks * 512
		return nil
	})
	return size, err
}

// PruneCache removes the memos of builds, and with mounts what RUN --mount=type=cache has kept. It returns the room
// that was freed. The process must be in the user namespace.
func PruneCache(e *libctr.Engine, mounts bool) (int64, error) {
	dirs := []string{memoDir(e)}
	if mounts {
		dirs = append(dirs, CacheDir(e))
	}
	var freed int64
	for _, dir := range dirs {
		n, err := diskUsage(dir)
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
