// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/writable"
)

// MountMemory mounts the tmpfs in which a container's overlay keeps what is written, with that overlay's directories in it. It comes before the overlay's
// mount, which keeps it when it is unmounted. Where the layer is on a disk it does nothing.
func MountMemory(r record.Rootfs) error {
	if r.Memory == nil {
		return nil
	}
	options := "mode=0700"
	if n := r.Memory.Size; n > 0 {
		options += ",size=" + strconv.FormatInt(n, 10)
	}
	at := r.Memory.At
	err := unix.Mount("tmpfs", at, "tmpfs", unix.MS_NODEV, options)
	if err == nil {
		if err = writable.Fill(at, filepath.Join(filepath.Dir(at), writable.Upper)); err != nil {
			err = errors.Join(err, UnmountMemory(r))
		}
	}
	if err != nil {
		return fmt.Errorf("mount a layer in memory on %s: %w", at, err)
	}
	return nil
}

// UnmountMemory undoes MountMemory. An overlay that has its directories there still keeps them.
func UnmountMemory(r record.Rootfs) error {
	if r.Memory == nil {
		return nil
	}
	if err := unix.Unmount(r.Memory.At, unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return fmt.Errorf("unmount %s: %w", r.Memory.At, err)
	}
	return nil
}
