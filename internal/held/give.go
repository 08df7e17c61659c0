// SPDX-License-Identifier: Apache-2.0

package held

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Give gives an open file, or directory with all in it, to a user. Containers may be at work in it, and put links in the place of
// directories: nothing outside is changed.
func Give(fd int, uid, gid uint32) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return unix.Fchownat(fd, "", int(uid), int(gid), unix.AT_EMPTY_PATH)
	}
	root, err := os.OpenRoot("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = giveEntry(root, name, uid, gid)
		}
		if errors.Is(err, fs.ErrNotExist) && name != "." {
			return nil // removed meanwhile
		}
		return err
	})
}

func giveEntry(root *os.Root, name string, uid, gid uint32) error {
	st, err := root.Lstat(name)
	if err != nil {
		return err
	}
	if sys := st.Sys().(*syscall.Stat_t); sys.Uid == uid && sys.Gid == gid {
		return nil
	}
	return root.Lchown(name, int(uid), int(gid))
}
