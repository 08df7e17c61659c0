// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/libctr/record"
)

// Where a container finds the socket for messages to systemd: as with crun.
const (
	NotifyDir    = "/run/notify"
	NotifySocket = NotifyDir + "/notify.sock"
)

// openNotify makes the socket in the directory that the container has mounted, and passes on what comes, if the start was told where to. The OCI
// runtime could do so, but not after the first READY=1, and it would keep the start waiting for that.
func (m *Monitor) openNotify() error {
	if m.notify != nil {
		return nil
	}
	to, err := os.ReadFile(m.runPath(record.NotifyToFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	path := m.shortPath(record.NotifyDir + "/notify.sock")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("make a socket for messages to systemd: %w", err)
	}
	f := os.NewFile(uintptr(fd), path)
	_ = os.Remove(path)                                                                                       // of a killed monitor
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), os.Chmod(path, 0o777)); err != nil { // whoever the container's user is
		f.Close()
		return fmt.Errorf("make a socket for messages to systemd: %w", err)
	}
	m.notify = f
	go passOn(f, string(to))
	return nil
}

// passOn copies messages to systemd until from is closed.
func passOn(from *os.File, to string) {
	buf := make([]byte, 4<<10)
	for {
		n, err := from.Read(buf)
		if err != nil && err != io.EOF { // which is an empty message
			return
		}
		if text := forSystemd(buf[:n]); len(text) > 0 {
			_ = SendNotify(to, text)
		}
	}
}

// forSystemd is what a container may say: the process IDs that it knows are not the host's.
func forSystemd(message []byte) []byte {
	var kept [][]byte
	for line := range bytes.SplitSeq(message, []byte("\n")) {
		if len(line) > 0 && !bytes.HasPrefix(line, []byte("MAINPID")) {
			kept = append(kept, line)
		}
	}
	return bytes.Join(kept, []byte("\n"))
}

// SendNotify sends a message to a socket that NOTIFY_SOCKET names (sd_notify(3)). It does not wait.
func SendNotify(socket string, text []byte) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, text, unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: socket})
}

// closeNotify undoes openNotify.
func (m *Monitor) closeNotify() {
	if m.notify != nil {
		m.notify.Close()
		m.notify = nil
	}
	os.Remove(m.runPath(record.NotifyDir + "/notify.sock"))
}
