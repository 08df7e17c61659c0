// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/proc"
	"github.com/berth-containers/berth/network/attach"
)

// The bridges' namespace outlives its keeper: each process that has connected a container, a monitor usually, has it mounted in its own mount namespace, on
// a file of the state directory. When the last container leaves, the file is removed, and with it all these mounts.

// hold mounts the namespace of the keeper with this pid in the caller's mount namespace, unless it is there.
func (s State) hold(pid int) error {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/fd/"+strconv.Itoa(bridgesNS), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	path := filepath.Join(s.Dir, heldFile)
	var want, got unix.Stat_t
	if err := unix.Fstat(fd, &want); err != nil {
		return err
	}
	if unix.Stat(path, &got) == nil && got.Dev == want.Dev && got.Ino == want.Ino {
		return nil
	}
	_ = unix.Unmount(path, unix.MNT_DETACH)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	if err := unix.Mount("/proc/self/fd/"+strconv.Itoa(fd), path, "", unix.MS_BIND, ""); err != nil {
		return &fs.PathError{Op: "mount", Path: path, Err: err}
	}
	return nil
}

// survivor opens the namespace of a keeper that has ended before its containers; nil if there is none.
func (s State) survivor() *os.File {
	roots := []string{"/"}
	for _, m := range s.Members() {
		if _, start, ok := proc.Stat(m.Holder.Pid); ok && start == m.Holder.Start {
			roots = append(roots, "/proc/"+strconv.Itoa(m.Holder.Pid)+"/root")
		}
	}
	for _, root := range roots {
		f, err := os.Open(filepath.Join(root, s.Dir, heldFile))
		if err != nil {
			continue
		}
		var st unix.Statfs_t
		if unix.Fstatfs(int(f.Fd()), &st) == nil && st.Type == unix.NSFS_MAGIC {
			return f
		}
		f.Close()
	}
	return nil
}

// release ends the namespace, once nothing is in it: the mounts of others go with the file.
func (s State) release() error {
	path := filepath.Join(s.Dir, heldFile)
	for unix.Unmount(path, unix.MNT_DETACH) == nil { // a keeper's mounts are copies of those of its parent
		continue
	}
	return remove(path)
}

// Clear removes what a keeper that was killed has left, once nobody is connected. It requires the lock.
func (s State) Clear(outsideNS string) error {
	err := errors.Join(s.release(), remove(filepath.Join(s.Dir, pidFile)), remove(filepath.Join(s.Dir, socketFile)))
	if outsideNS != "" {
		err = errors.Join(err, endLeft(outsideNS))
	}
	return err
}

// endLeft ends the helper of a keeper that was killed. One that may not be signalled ends when the file has gone.
func endLeft(outsideNS string) error {
	if _, err := os.Lstat(outsideNS); err != nil {
		return nil
	}
	left := attach.Unrecorded(outsideNS)
	for _, e := range left {
		e.Detach()
	}
	for unix.Unmount(outsideNS, unix.MNT_DETACH) == nil {
		continue
	}
	err := remove(outsideNS)
	for _, e := range left {
		e.AwaitEnd(time.Second, true)
	}
	return err
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
