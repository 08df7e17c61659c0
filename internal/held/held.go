// SPDX-License-Identifier: Apache-2.0

// Package held mounts what a path led to when it was looked up, whatever the path leads to since: see docs/decisions/0029.
package held

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Mount mounts the file or directory that fd is open on, with all mounts below it, on at, a path in an existing directory where
// nothing is. The mount is in the mount namespace of this process.
func Mount(fd int, at string) error {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	if err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		err = os.Mkdir(at, 0o700)
	} else {
		err = os.WriteFile(at, nil, 0o600)
	}
	if err != nil {
		return err
	}
	return unix.Mount("/proc/self/fd/"+strconv.Itoa(fd), at, "", unix.MS_BIND|unix.MS_REC, "")
}

// Unmount undoes Mount, also where it has not come to its end. What has been mounted from there stays, and of what is mounted still,
// nothing is removed.
func Unmount(at string) {
	_ = unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if err := unix.Unlink(at); err == unix.EISDIR || err == unix.EPERM {
		_ = unix.Rmdir(at)
	}
}
