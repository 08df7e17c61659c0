// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/loopback"
	"github.com/berth-containers/berth/internal/thread"
)

// makeNetNS makes the container's network namespace, with its loopback up, and
// mounts it on Config.NetNSPath, where the runtime and the helper find it.
func (m *Monitor) makeNetNS() error {
	err := thread.Own(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		if err := loopback.Up(); err != nil {
			return fmt.Errorf("bring lo up: %w", err)
		}
		return m.mountNetNS("/proc/thread-self/ns/net")
	})
	if err != nil {
		return fmt.Errorf("make network namespace: %w", err)
	}
	return nil
}

// mountNetNS mounts the network namespace with the given path on Config.NetNSPath.
func (m *Monitor) mountNetNS(ns string) error {
	path := m.cfg.NetNSPath()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(m.cfg.RunDir), 0o600); err != nil {
		return err
	}
	if err := unix.Mount(ns, path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s on %s: %w", ns, path, err)
	}
	return nil
}

// removeNetNS lets go of the network namespace. Helpers watch the file.
func (m *Monitor) removeNetNS() {
	unix.Unmount(m.cfg.NetNSPath(), unix.MNT_DETACH)
	os.Remove(m.cfg.NetNSPath())
}
