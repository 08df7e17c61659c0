// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/proc"
	"github.com/berth-containers/berth/libctr/record"
)

// startLock is there while a start is under way, and after a monitor that was
// killed in the middle of one. Monitor and OCI runtime share its lock.
const startLock = "start.lock"

// HalfStarted reports whether a start is under way or was cut short.
func HalfStarted(runDir string) bool {
	_, err := os.Lstat(filepath.Join(runDir, startLock))
	return err == nil
}

// EndHalfStart ends what a monitor that was killed in the middle of a start has
// left: a container that runs and is in no record. It waits, at most some seconds, for an OCI
// runtime that is still at work. The caller holds the container's lock and is
// in its user namespace. It does nothing where the last start was not cut short.
func EndHalfStart(cfg *record.Supervised) error {
	if !HalfStarted(cfg.RunDir) {
		return nil
	}
	if err := awaitStart(cfg, 10*time.Second); err != nil {
		return err
	}
	if s, err := record.ReadState(cfg.Dir); err == nil && initAlive(s) {
		// Killed after the record: the container is to be adopted.
		return removeIfThere(filepath.Join(cfg.RunDir, startLock))
	}
	argv := append(append([]string{cfg.Runtime.Path}, cfg.Runtime.Args...), "delete", "--force", cfg.ID)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	pid, err := syscall.ForkExec(cfg.Runtime.Path, argv, &syscall.ProcAttr{
		Dir: "/", Env: Environ(os.Environ()), Files: []uintptr{null.Fd(), null.Fd(), null.Fd()},
	})
	if err != nil {
		return fmt.Errorf("run OCI runtime %s: %w", cfg.Runtime.Path, err)
	}
	var ws syscall.WaitStatus
	for err = syscall.EINTR; err == syscall.EINTR; {
		_, err = syscall.Wait4(pid, &ws, 0, nil)
	}
	// Its status is no matter: it may not have got as far as to know the container.
	return errors.Join(removeIfThere(filepath.Join(cfg.RunDir, record.PidFile)), removeIfThere(filepath.Join(cfg.RunDir, startLock)))
}

// endHalfStart is EndHalfStart for the next monitor, whose reaper waits for all.
func (m *Monitor) endHalfStart() error {
	if !HalfStarted(m.cfg.RunDir) {
		return nil
	}
	if err := awaitStart(m.cfg, 10*time.Second); err != nil {
		return err
	}
	m.deleteFromRuntime()
	return nil
}

// awaitStart returns when no OCI runtime works for a monitor that was killed.
func awaitStart(cfg *record.Supervised, limit time.Duration) error {
	path := filepath.Join(cfg.RunDir, startLock)
	fd, err := openFD(path, unix.O_RDWR)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for end := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil || onlyMade(cfg) {
			return nil
		}
		if err != unix.EWOULDBLOCK && err != unix.EINTR || time.Now().After(end) {
			return fmt.Errorf("wait for the end of a start that was cut short: %w", &os.PathError{Op: "lock", Path: path, Err: err})
		}
	}
}

// onlyMade checks whether the OCI runtime has made the container and has ended: the lock is then held by the container's init, which
// waits to execute its command and has the runtime's descriptors until then.
func onlyMade(cfg *record.Supervised) bool {
	pid, err := readPid(filepath.Join(cfg.RunDir, record.PidFile))
	if err != nil {
		return false
	}
	parent, _, ok := procStat(pid)
	return ok && !proc.HasArgument(parent, cfg.ID)
}

// lockStart locks RunDir/start.lock. The lock ends when monitor and runtime have
// both closed the descriptor, so also when both were killed.
func lockStart(runDir string) (int, error) {
	path := filepath.Join(runDir, startLock)
	fd, err := openFD(path, unix.O_RDWR|unix.O_CREAT)
	if err != nil {
		return -1, err
	}
	if err := unix.Flock(fd, unix.LOCK_EX); err != nil {
		unix.Close(fd)
		return -1, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	return fd, nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
