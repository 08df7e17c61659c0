// SPDX-License-Identifier: Apache-2.0

// Package host adapts what an OCI runtime sees of this machine. It imports nothing that the monitor, a small
// program, would have to carry.
package host

import (
	"bytes"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Unified is where a host with cgroups v1 has the version 2 hierarchy, if it has one.
const Unified = "/sys/fs/cgroup/unified"

// Hybrid reports whether the host has cgroups v1 and controllers in the version 2 hierarchy as well. crun up to 1.8
// refuses such a host: "cgroups in hybrid mode not supported".
func Hybrid() bool {
	var st unix.Statfs_t
	if unix.Statfs("/sys/fs/cgroup", &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
		return false
	}
	b, err := os.ReadFile(Unified + "/cgroup.controllers")
	return err == nil && len(bytes.TrimSpace(b)) > 0
}

// NoCgroups reports whether no cgroup hierarchy is mounted, as in a container whose engine could not make cgroups. crun up to
// 1.8 refuses such a place, also with --cgroup-manager=disabled: "invalid file system type on '/sys/fs/cgroup'".
func NoCgroups() bool {
	var st unix.Statfs_t
	return unix.Statfs("/sys/fs/cgroup", &st) == nil && st.Type != unix.CGROUP2_SUPER_MAGIC && st.Type != unix.TMPFS_MAGIC
}

// HideUnified makes the version 2 hierarchy look as if it had no controllers, in this process's mount namespace, which
// must not be the host's: a cgroup whose parent hands none down takes the root's place. That parent is one of ours, for the
// root may hand controllers down to its children. A process that may not make cgroups uses none, and gets an empty directory.
// Where nothing needs hiding, or it is hidden already, HideUnified does nothing.
//
// Where there are no cgroups at all, it makes that look like a version 1 without hierarchies.
func HideUnified() error {
	if NoCgroups() {
		if err := unix.Mount("tmpfs", "/sys/fs/cgroup", "tmpfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=555"); err != nil {
			return fmt.Errorf("mount an empty /sys/fs/cgroup for the OCI runtime: %w", err)
		}
		return nil
	}
	if !Hybrid() {
		return nil
	}
	bare := Unified + "/berth/bare"
	err := os.MkdirAll(bare, 0o755)
	if err == nil {
		err = unix.Mount(bare, Unified, "", unix.MS_BIND, "")
	} else {
		err = unix.Mount("tmpfs", Unified, "tmpfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=555")
	}
	if err != nil {
		return fmt.Errorf("hide %s from the OCI runtime: %w", Unified, err)
	}
	return nil
}

// OnlineCPUs lists the host's processors, as cpuset-cpus has it.
func OnlineCPUs() string {
	data, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(data))
}
