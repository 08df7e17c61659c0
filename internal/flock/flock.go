// SPDX-License-Identifier: Apache-2.0

// Package flock takes locks (flock(2)) by which others know that their owner lives.
package flock

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Try takes the lock on f, unix.LOCK_EX or unix.LOCK_SH, without waiting for its owner: the error is unix.EWOULDBLOCK where another
// process has it. A process that is killed while it starts a child leaves the lock to that child until it has executed its
// program; Try waits for that, a second at most.
func Try(f *os.File, how int) error {
	for range 100 {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) || ownerLives(f) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return unix.EWOULDBLOCK
}

// ownerLives reports whether a process that took a lock on f lives (proc_locks(5): "1: FLOCK ADVISORY WRITE PID DEVICE:INODE 0 EOF").
func ownerLives(f *os.File) bool {
	var st unix.Stat_t
	locks, err := os.ReadFile("/proc/locks")
	if err != nil || unix.Fstat(int(f.Fd()), &st) != nil {
		return true // nothing tells otherwise
	}
	inode := fmt.Sprintf(":%d", st.Ino)
	for line := range strings.Lines(string(locks)) {
		words := strings.Fields(line)
		if len(words) < 6 || words[1] != "FLOCK" || !strings.HasSuffix(words[5], inode) {
			continue
		}
		var pid int
		if _, err := fmt.Sscan(words[4], &pid); err == nil && pid > 0 && !errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			return true
		}
	}
	return false
}
