// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/berth-containers/berth/libctr/record"
)

var (
	errROFS    = syscall.EROFS
	errNoSpace = []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT}
	errAccess  = syscall.EACCES
)

func isErrno(err error, any ...syscall.Errno) bool {
	for _, e := range any {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// tryLock takes the container's lock, or returns nil where somebody holds it. The
// lock belongs to the open file: whoever inherits the descriptor holds it too.
func tryLock(runDir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(runDir, record.LockFile), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the container's lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	// The holder before may have removed the directory: then the lock is of no file.
	var held, there syscall.Stat_t
	if syscall.Fstat(int(f.Fd()), &held) != nil || syscall.Stat(f.Name(), &there) != nil || held.Ino != there.Ino {
		f.Close()
		return nil, record.ErrGone
	}
	return f, nil
}

// waitLock is tryLock, again and again until limit is over; then it returns ErrBusy.
func waitLock(runDir string, limit time.Duration) (*os.File, error) {
	for end, pause := time.Now().Add(limit), time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		f, err := tryLock(runDir)
		if f != nil || err != nil {
			return f, err
		}
		if time.Now().After(end) {
			return nil, ErrBusy
		}
		time.Sleep(pause)
	}
}
