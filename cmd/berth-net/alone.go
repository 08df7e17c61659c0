// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/network/attach"
)

// alone waits until no other berth-net is at work for the container, and keeps others waiting until this process ends: the one that a killed monitor has
// left goes on, and what it makes is to be undone after it, not beside it.
func alone(c *attach.CNI) error {
	dir := filepath.Join(c.StateDir, "locks")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(dir, c.Container[:min(3, len(c.Container))]) // not a file for each: nobody could remove it
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	for {
		if err := unix.Flock(fd, unix.LOCK_EX); err != unix.EINTR {
			return err // the descriptor stays open
		}
	}
}
