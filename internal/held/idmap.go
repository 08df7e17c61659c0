// SPDX-License-Identifier: Apache-2.0

package held

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// IDRange has IDs from Inside on stand for as many from Outside on.
type IDRange struct {
	Inside  uint32 `json:"inside"`
	Outside uint32 `json:"outside"`
	Size    uint32 `json:"size"`
}

// MountMapped is Mount on an existing directory, with the files' owners mapped: whoever is Inside on the disk is Outside in the mount
// (mount_setattr(2), "ID-mapped mounts"). It needs a file system that can do so, and root. At is empty for a trial.
func MountMapped(fd int, at string, uids, gids []IDRange) error {
	ns, err := userNamespace(uids, gids)
	if err != nil {
		return fmt.Errorf("make a user namespace: %w", err)
	}
	defer ns.Close()
	tree, err := unix.OpenTree(fd, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH|unix.AT_RECURSIVE)
	if err != nil {
		return fmt.Errorf("open_tree: %w", err)
	}
	defer unix.Close(tree)
	attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(ns.Fd())}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, attr); err != nil {
		return fmt.Errorf("mount_setattr: %w", err)
	}
	if at == "" {
		return nil
	}
	return unix.MoveMount(tree, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// userNamespace makes a user namespace that has these maps. No process is in it.
func userNamespace(uids, gids []IDRange) (*os.File, error) {
	runtime.LockOSThread() // the child ends with the thread
	defer runtime.UnlockOSThread()
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD)|unix.CLONE_NEWUSER, 0, 0, 0, 0, 0)
	if errno != 0 {
		return nil, errno
	}
	if pid == 0 { // system calls only: there is no Go runtime here
		syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0)
		for {
			syscall.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
		}
	}
	defer func() {
		_ = unix.Kill(int(pid), unix.SIGKILL)
		_, _ = unix.Wait4(int(pid), nil, 0, nil)
	}()
	proc := fmt.Sprintf("/proc/%d/", pid)
	for file, maps := range map[string][]IDRange{"uid_map": uids, "gid_map": gids} {
		var text bytes.Buffer
		for _, m := range maps {
			fmt.Fprintf(&text, "%d %d %d\n", m.Inside, m.Outside, m.Size)
		}
		if err := os.WriteFile(proc+file, text.Bytes(), 0); err != nil {
			return nil, err
		}
	}
	return os.Open(proc + "ns/user")
}
