// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// How writer and followers agree, without a word: a follower holds a shared lock (flock(2)) on each file that it
// has still to read. Before a rotation drops the oldest file, the writer takes that file's exclusive lock. Where a
// follower has it, the writer goes on with the present file: so a follower that reads one file finds the next. The
// kernel gives the lock back when the follower ends, however it ends.
const (
	// followSlack is how much too large the present file may become for the sake of a follower that is slow, or
	// stopped. Then the writer rotates all the same, and the follower says what it has missed.
	followSlack = 64 << 20
	// lookAgain is how much is written at least before the lock is looked at once more.
	lookAgain = 16 << 10
)

// claim locks a file that is to be dropped. It returns -1 where there is none, and held where a follower reads it.
func claim(path string) (fd int, held bool) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return -1, false
	}
	if unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) == unix.EWOULDBLOCK {
		unix.Close(fd)
		return -1, true
	}
	return fd, false // also where the file system has no locks
}

func closeFD(fd int) {
	if fd >= 0 {
		unix.Close(fd)
	}
}

// hold locks a follower's files, and reports whether the last of them was still in the log then: if so, it
// and whatever comes after it stay until it is closed.
func hold(files []*os.File) bool {
	for _, f := range files {
		for range 1000 { // the writer has it for the moment of a renaming
			if unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != unix.EWOULDBLOCK {
				break
			}
			time.Sleep(100 * time.Microsecond)
		}
	}
	st, err := files[len(files)-1].Stat()
	return err == nil && st.Sys().(*syscall.Stat_t).Nlink > 0
}

// resumePos finds where the current file begins, if the last writer has noted it.
func (w *Writer) resumePos() {
	if w.opts.MaxSize <= 0 || w.opts.Pos == "" {
		return
	}
	if st, err := os.Stat(w.opts.Path); err == nil {
		w.begin = max(0, readPos(w.opts.Pos, st))
	}
	w.notePos()
}

// notePos writes down which file is the current one, and where it begins. That it cannot be written
// is no reason to lose a line.
func (w *Writer) notePos() {
	if w.opts.Pos == "" {
		return
	}
	var st unix.Stat_t
	fd, err := unix.Open(w.opts.Pos, unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if unix.Fstat(w.fd, &st) == nil {
		unix.Pwrite(fd, fmt.Appendf(nil, "%20d %20d\n", st.Ino, w.begin), 0) // as long as what it replaces
	}
}

// readPos returns where the current file begins in its log, or -1 where that is not known.
func readPos(path string, current fs.FileInfo) int64 {
	if path == "" {
		return -1
	}
	for range 20 { // between the making of a file and its note there is a moment
		data, err := os.ReadFile(path)
		if err != nil {
			return -1
		}
		f := bytes.Fields(data)
		if len(f) == 2 && string(f[0]) == strconv.FormatUint(current.Sys().(*syscall.Stat_t).Ino, 10) {
			if begin, err := strconv.ParseInt(string(f[1]), 10, 64); err == nil {
				return begin
			}
		}
		time.Sleep(100 * time.Microsecond)
	}
	return -1
}
