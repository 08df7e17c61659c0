// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"os"

	"golang.org/x/sys/unix"
)

// reap waits for a child of this process that nobody else waits for, so that a program which goes on for long keeps no zombie of it. It takes
// a goroutine and a descriptor, and no thread: a server may have thousands of monitors.
func reap(pid int) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return // a kernel before 5.10
	}
	f := os.NewFile(uintptr(fd), "monitor")
	defer f.Close()
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Read(func(fd uintptr) bool {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PIDFD, int(fd), &info, unix.WEXITED|unix.WNOHANG, nil)
		return err != unix.EAGAIN && (err != nil || info.Signo != 0)
	})
}
