// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// AppendShared appends a line, with its end, to a file that several processes write to, in one write, so
// that lines do not mix. A file larger than maxSize is renamed to PATH.1, in place of the one before, by whoever
// wrote last to it, but as late as Writer does where somebody follows. Lines reads both.
func AppendShared(path string, line []byte, maxSize int64) error {
	fd, err := openShared(path)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, line); err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	rotateShared(fd, path, maxSize)
	return nil
}

// openShared opens the file at path, and keeps it there until it is closed: writers share a lock, which
// is not the followers' (fcntl(2), "Open file description locks"), and who renames the file has it alone. So a follower
// that finds a new file knows that the one before is complete.
func openShared(path string) (int, error) {
	for tries := 0; ; tries++ {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_APPEND|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return -1, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		err = lockOFD(fd, unix.F_RDLCK)
		var mine, there unix.Stat_t
		if err == nil && unix.Fstat(fd, &mine) == nil && unix.Stat(path, &there) == nil && mine.Ino == there.Ino && mine.Dev == there.Dev {
			return fd, nil
		}
		// It is being renamed. Whoever does that may have been stopped: a line is not worth waiting for it.
		if tries == 100 || err != nil && err != unix.EAGAIN && err != unix.EACCES {
			return fd, nil
		}
		unix.Close(fd)
		time.Sleep(time.Millisecond)
	}
}

func lockOFD(fd int, kind int16) error {
	return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: kind})
}

// rotateShared renames the file if it is too large, nobody else writes to it this moment, and no follower still reads
// the one that would go: else the next writer does.
func rotateShared(fd int, path string, maxSize int64) {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Size <= maxSize || lockOFD(fd, unix.F_WRLCK) != nil {
		return
	}
	free, held := claim(rotated(path, 1))
	defer closeFD(free)
	if held && st.Size < maxSize+followSlack {
		return
	}
	if err := os.Rename(path, rotated(path, 1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return // the next writer tries again
	}
}
