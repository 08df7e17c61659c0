// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// forward sends slirp4netns one request a published port, each on a connection of
// its own (slirp4netns(1), "API socket").
func forward(sock string, requests []json.RawMessage) error {
	for _, r := range requests {
		if err := forwardOne(sock, r); err != nil {
			return fmt.Errorf("publish a port (%s): %w", r, err)
		}
	}
	return nil
}

func forwardOne(sock string, request []byte) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10})
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: sock}); err != nil {
		return err
	}
	if _, err := unix.Write(fd, request); err != nil {
		return err
	}
	if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
		return err
	}
	var answer []byte
	for buf := make([]byte, 4096); ; {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		answer = append(answer, buf[:n]...)
	}
	var reply struct {
		Error *struct{ Desc string }
	}
	if err := json.Unmarshal(answer, &reply); err != nil {
		return fmt.Errorf("the answer %q is no JSON: %w", answer, err)
	}
	if reply.Error != nil {
		return errors.New(reply.Error.Desc)
	}
	return nil
}
