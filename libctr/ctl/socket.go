// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/libctr/record"
)

// ErrNoMonitor says that nobody serves the container's socket.
var ErrNoMonitor = errors.New("no monitor serves the container")

// SilentError says that a monitor has a socket, and took no connection in time.
type SilentError struct{ Pid int }

func (e *SilentError) Error() string {
	return fmt.Sprintf("the container's monitor (process %d) does not answer", e.Pid)
}

// greetAfter is when Dial looks whether a monitor that says nothing has been stopped.
const greetAfter = 200 * time.Millisecond

// Dial connects to the monitor whose container has runDir, and waits until it has taken the connection, or
// until ctx ends: one that waits in the queue of a monitor that is being killed is none. A monitor that
// somebody has stopped (SIGSTOP) is woken. The error is ErrNoMonitor where there is none (any more), and a
// *SilentError where ctx's deadline passed before the monitor answered.
func Dial(ctx context.Context, runDir string) (*Conn, error) {
	conn, fd, err := connect(runDir, 0)
	if err != nil {
		return nil, err
	}
	pid := peer(fd)
	wake := time.AfterFunc(greetAfter, func() { Wake(pid) })
	_, _, err = conn.Event(ctx) // hello
	wake.Stop()
	if err != nil {
		conn.Close()
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, &SilentError{Pid: pid}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) {
			err = ErrNoMonitor
		}
		return nil, fmt.Errorf("connect to %s: %w", filepath.Join(runDir, record.SocketFile), err)
	}
	return conn, nil
}

// Connect is Dial for who cannot wait: the monitor may have been stopped, or is being killed, and says hello later, or never.
func Connect(runDir string) (*Conn, error) {
	conn, _, err := connect(runDir, unix.SOCK_NONBLOCK)
	return conn, err
}

// connect returns the connection and its descriptor, which the connection owns.
func connect(runDir string, flag int) (*Conn, int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|flag, 0)
	if err != nil {
		return nil, -1, fmt.Errorf("connect to the monitor: %w", err)
	}
	err = inDir(runDir, func(dir string) error {
		for {
			err := unix.Connect(fd, &unix.SockaddrUnix{Name: dir + "/" + record.SocketFile})
			if err != unix.EINTR {
				return err
			}
		}
	})
	if err != nil {
		unix.Close(fd)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ECONNREFUSED) {
			err = fmt.Errorf("%w: %w", ErrNoMonitor, err)
		}
		return nil, -1, fmt.Errorf("connect to %s: %w", filepath.Join(runDir, record.SocketFile), err)
	}
	conn, err := NewConn(fd)
	return conn, fd, err
}

// peer returns the process that listens on the socket which fd is connected to, or 0.
func peer(fd int) int {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0
	}
	return int(cred.Pid)
}

// Wake lets a process go on that a signal has stopped, and does nothing to any other.
func Wake(pid int) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil || pid <= 0 {
		return
	}
	if i := bytes.LastIndexByte(stat, ')'); i >= 0 && bytes.HasPrefix(stat[i:], []byte(") T")) {
		_ = unix.Kill(pid, unix.SIGCONT) // it may be another user's: then it stays as it is
	}
}

// Listener is the monitor's side of the socket.
type Listener struct {
	f    *os.File
	raw  syscall.RawConn
	path string
}

// Listen makes runDir's socket, which only its owner may use, in place of one
// that a dead monitor has left.
func Listen(runDir string) (*Listener, error) {
	path := filepath.Join(runDir, record.SocketFile)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	// unix(7): a socket's file takes its mode from the descriptor's, as long as it is unbound.
	err = unix.Fchmod(fd, 0o600)
	if err == nil {
		err = inDir(runDir, func(dir string) error {
			name := dir + "/" + record.SocketFile
			if err := unix.Unlink(name); err != nil && err != unix.ENOENT {
				return err
			}
			return unix.Bind(fd, &unix.SockaddrUnix{Name: name})
		})
	}
	if err == nil {
		err = unix.Listen(fd, 128)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l := &Listener{f: os.NewFile(uintptr(fd), path), path: path}
	if l.raw, err = l.f.SyscallConn(); err != nil {
		l.f.Close()
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return l, nil
}

// Accept waits for a client of the same user that is in no container: others are turned away.
func (l *Listener) Accept() (*Conn, error) {
	for {
		fd, err := l.accept()
		if err != nil {
			return nil, fmt.Errorf("accept on %s: %w", l.path, err)
		}
		cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil || int(cred.Uid) != os.Geteuid() {
			unix.Close(fd)
			continue
		}
		conn, err := NewConn(fd)
		if err == nil && contained(int(cred.Pid)) {
			_ = conn.SendEvent(&Event{Event: "error", Error: "its monitor takes no request from a container, nor from another PID namespace"})
			conn.Close()
			continue
		}
		if err == nil {
			_ = conn.SendEvent(&Event{Event: "hello"}) // a client that has gone already is seen by Recv
		}
		return conn, err
	}
}

// contained reports whether a process is in a PID namespace below this one's: in a container that somebody has given the
// socket's directory. There, root has this process's user ID, but not its rights. Of a process that has ended nothing is
// known; whoever it gave the connection to has to connect for himself.
func contained(pid int) bool {
	if pid == 0 {
		return false // in a PID namespace above
	}
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/status", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	status.Lock()
	defer status.Unlock()
	for kept := 0; ; {
		n, err := retry(func() (int, error) { return unix.Read(fd, status.buf[kept:]) })
		if err != nil {
			return true
		}
		// proc_pid_status(5): the process's ID in each namespace from that of /proc downwards, each after a tab.
		const label = "\nNSpid:"
		text := status.buf[:kept+n]
		if _, line, found := bytes.Cut(text, []byte(label)); found && (n == 0 || bytes.IndexByte(line, '\n') >= 0) {
			line, _, _ = bytes.Cut(line, []byte{'\n'})
			return bytes.Count(line, []byte{'\t'}) > 1
		} else if n == 0 {
			return false // a kernel without such namespaces
		} else if found {
			kept = copy(status.buf[:], text[len(text)-len(line)-len(label):])
		} else {
			kept = copy(status.buf[:], text[max(0, len(text)-len(label)):])
		}
	}
}

// status is where contained reads, which a long list of groups may make long: no part of the heap, see monitor's scan.
var status struct {
	sync.Mutex
	buf [1024]byte
}

func (l *Listener) accept() (fd int, err error) {
	waitErr := l.raw.Read(func(listener uintptr) bool {
		fd, err = retry(func() (int, error) {
			fd, _, err := unix.Accept4(int(listener), unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
			return fd, err
		})
		return err != unix.EAGAIN
	})
	if waitErr != nil {
		return -1, waitErr
	}
	return fd, err
}

// Close removes the socket. Connections stay.
func (l *Listener) Close() error {
	return errors.Join(os.Remove(l.path), l.f.Close())
}

// inDir calls do with a short name of dir: unix(7) bounds a socket's path to 108
// bytes, which a container's run directory passes easily.
func inDir(dir string, do func(short string) error) error {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return do("/proc/self/fd/" + strconv.Itoa(fd))
}
