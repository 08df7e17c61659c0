// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// console is a socket on which the runtime delivers a terminal's master
// (--console-socket).
type console struct {
	f    *os.File
	arg  string // for the runtime
	path string
}

func (m *Monitor) listenConsole() (*console, error) {
	name := "console-" + m.nextSerial()
	c := &console{arg: m.shortPath(name), path: m.runPath(name)}
	os.Remove(c.path)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err == nil {
		if err = unix.Bind(fd, &unix.SockaddrUnix{Name: c.arg}); err == nil {
			err = unix.Listen(fd, 1)
		}
		if err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("make console socket: %w", err)
	}
	c.f = os.NewFile(uintptr(fd), name)
	return c, nil
}

func (c *console) close() {
	c.f.Close()
	os.Remove(c.path)
}

// master returns the terminal's master, which the runtime has sent before it
// reported success.
func (c *console) master() (*os.File, error) {
	f, err := c.receive()
	if err != nil {
		return nil, fmt.Errorf("get the container's terminal from the runtime: %w", err)
	}
	return f, nil
}

func (c *console) receive() (*os.File, error) {
	c.f.SetDeadline(time.Now().Add(5 * time.Second))
	raw, err := c.f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var conn int
	var opErr error
	err = raw.Read(func(fd uintptr) bool {
		for {
			conn, _, opErr = unix.Accept4(int(fd), unix.SOCK_CLOEXEC)
			if opErr != unix.EINTR {
				return opErr != unix.EAGAIN
			}
		}
	})
	if err = errors.Join(err, opErr); err != nil {
		return nil, err
	}
	defer unix.Close(conn)
	unix.SetsockoptTimeval(conn, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5})
	var data [256]byte
	var oob [64]byte
	_, n, _, _, err := unix.Recvmsg(conn, data[:], oob[:], unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) == 0 {
		return nil, errors.Join(errors.New("it sent no file"), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) == 0 {
		return nil, errors.Join(errors.New("it sent no file"), err)
	}
	for _, fd := range fds[1:] {
		unix.Close(fd)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		unix.Close(fds[0])
		return nil, err
	}
	return os.NewFile(uintptr(fds[0]), "ptmx"), nil
}

// holdTerminal opens the terminal's other end, so that reading the master does not
// fail while no process of the container has it open, as systemd does with its console.
func holdTerminal(master *os.File) (slave *os.File, err error) {
	raw, err := master.SyscallConn()
	if err != nil {
		return nil, err
	}
	var opErr error
	err = raw.Control(func(fd uintptr) {
		// ioctl_tty(2): works also for a terminal of another mount namespace.
		n, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
		if errno != 0 {
			opErr = errno
			return
		}
		slave = os.NewFile(n, "tty")
	})
	if err = errors.Join(err, opErr); err != nil {
		return nil, fmt.Errorf("open the container's terminal: %w", err)
	}
	return slave, nil
}

// setSize sets a terminal's size.
func setSize(master *os.File, rows, cols uint16) error {
	raw, err := master.SyscallConn()
	if err != nil {
		return err
	}
	var opErr error
	err = raw.Control(func(fd uintptr) {
		opErr = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
	})
	return errors.Join(err, opErr)
}
