// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"os"

	"golang.org/x/sys/unix"
)

// Givable reports whether f can be a standard stream of a container's process as it is: an anonymous pipe, a socket or
// /dev/null. OCI runtimes give their files to the container's user (fchown), so that it can open /dev/stdout; only of these nobody sees
// another owner. False if it cannot be found out.
func Givable(f *os.File) bool {
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	givable := false
	_ = raw.Control(func(fd uintptr) {
		var fs unix.Statfs_t
		var st unix.Stat_t
		if unix.Fstatfs(int(fd), &fs) != nil || unix.Fstat(int(fd), &st) != nil {
			return
		}
		switch {
		case fs.Type == unix.PIPEFS_MAGIC, fs.Type == unix.SOCKFS_MAGIC:
			givable = true
		case st.Mode&unix.S_IFMT == unix.S_IFCHR:
			givable = st.Rdev == unix.Mkdev(1, 3) // null(4)
		}
	})
	return givable
}
