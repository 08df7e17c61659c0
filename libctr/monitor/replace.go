// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
)

// replaceTries is how often a monitor that is killed again before it has joined the others is replaced.
const replaceTries = 6

// replace starts a monitor for another container if that has lost its own. Of all who try, the one that gets the
// container's lock does it; who else has the lock sees to the container itself.
func (m *Monitor) replace(id string) {
	conn := m.startReplacement(id)
	if conn == nil {
		return
	}
	// Until the new one is connected with others, this one watches it.
	go func() {
		for try := range replaceTries {
			if conn == nil || m.watchReplacement(conn) {
				return
			}
			time.Sleep(calm << try)
			conn = m.startReplacement(id)
		}
	}()
}

// watchReplacement returns true when a new monitor has joined the others, or says that it cannot do its work, and
// false if it was killed before.
func (m *Monitor) watchReplacement(conn *ctl.Conn) bool {
	defer conn.Close()
	for {
		p, err := conn.Recv()
		if err != nil {
			return false
		}
		if p.JSON != nil { // guarded, or an error
			return true
		}
	}
}

// startReplacement returns the connection with the new monitor, or nil where there is none to be started.
func (m *Monitor) startReplacement(id string) *ctl.Conn {
	lock := tryLock(m.neighbour(id))
	if lock < 0 {
		return nil
	}
	defer unix.Close(lock)
	dir, state := m.neighbourState(id)
	if state == nil || !Abandoned(state) || !sameUserNS(state) {
		return nil
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fds[1])
	if err := m.startMonitor(dir, fds[1], lock); err != nil {
		unix.Close(fds[0])
		return nil
	}
	conn, err := ctl.NewConn(fds[0])
	if err != nil {
		return nil
	}
	return conn
}

// startMonitor starts a monitor as the CLI does, and as a child of this one's parent: it is to outlive this one, and this
// one, which gets the orphans of its descendants, is not to get its container.
func (m *Monitor) startMonitor(dir string, conn, lock int) error {
	path, err := os.Readlink("/proc/self/exe")
	if err != nil || unix.Access(path, unix.X_OK) != nil {
		path = "/proc/self/exe" // it has been replaced by another version
	}
	mounts := envGuard + "=" + m.rootfs() + "\n" + m.cfg.NetNSPath()
	for _, b := range m.cfg.Binds { // it may be starting now
		mounts += "\n" + b.At
	}
	null := uintptr(m.null)
	_, err = syscall.ForkExec(path, []string{os.Args[0], "--adopt", dir}, &syscall.ProcAttr{
		Dir: "/", Env: append(m.env[:len(m.env):len(m.env)], "GOMAXPROCS=1", mounts),
		Files: []uintptr{null, null, null, uintptr(conn), uintptr(lock)},
		Sys:   &syscall.SysProcAttr{Setsid: true, Cloneflags: unix.CLONE_NEWNS | unix.CLONE_PARENT},
	})
	return err
}

// neighbourState reads the state of another container, which is in one of two places.
func (m *Monitor) neighbourState(id string) (dir string, s *record.State) {
	for _, dir := range []string{filepath.Join(m.cfg.Data, "containers", id), m.neighbour(id)} {
		if s, err := record.ReadState(dir); err == nil {
			return dir, s
		}
	}
	return "", nil
}

// tryLock takes the lock of a container, or returns -1 where somebody has it or the container is gone.
func tryLock(runDir string) int {
	path := filepath.Join(runDir, record.LockFile)
	fd, err := openFD(path, unix.O_RDWR)
	if err != nil {
		return -1
	}
	var held, there unix.Stat_t
	if unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) != nil || unix.Fstat(fd, &held) != nil || unix.Stat(path, &there) != nil || held.Ino != there.Ino {
		unix.Close(fd)
		return -1
	}
	return fd
}

// sameUserNS reports whether the monitor of a container lives in this one's user namespace, as all monitors of a user do
// as long as they find each other. A container may be in one below.
func sameUserNS(s *record.State) bool {
	if s.Pid <= 0 || !initAlive(s) {
		return true // nothing to join
	}
	var own, theirs, above unix.Stat_t
	fd, err := openUserNS(s.Pid)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	if unix.Stat("/proc/self/ns/user", &own) != nil || unix.Fstat(fd, &theirs) != nil {
		return false
	}
	if own.Ino == theirs.Ino {
		return true
	}
	parent, err := unix.IoctlRetInt(fd, unix.NS_GET_PARENT)
	if err != nil {
		return false
	}
	defer unix.Close(parent)
	return unix.Fstat(parent, &above) == nil && own.Ino == above.Ino
}

func openUserNS(pid int) (int, error) {
	return unix.Open("/proc/"+strconv.Itoa(pid)+"/ns/user", unix.O_RDONLY|unix.O_CLOEXEC, 0)
}
