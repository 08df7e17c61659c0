// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/monitor"
	"github.com/berth-containers/berth/rootless"
	"golang.org/x/sys/unix"
)

// Mounts of containers' and images' root file systems for the user, outside of monitors' mount namespaces. RUNROOT/berth/mounted/ID, or image-ID, has
//
//	ns      the mount namespace that it was mounted in, as /proc/PID/ns/mnt has it
//	root    where it is mounted there
//
// An overlay is never mounted twice: a start of a container that is mounted takes that mount along, and the mount of one that runs is a
// clone of its monitor's (decisions/0062).

// ErrNotMounted is for Unmount.
var ErrNotMounted = errors.New("layer is not mounted")

// Mount mounts the root file system of a container, which may run, in the mount namespace of this process, and returns where. It stays there
// until Unmount, the removal of the container, or the end of the namespace. One that is mounted already is left as it is.
func (e *Engine) Mount(ctx context.Context, c *Container) (string, error) {
	at, err := e.mountShared(c.ID, func(at string) error { return e.mountAt(ctx, c, at) })
	return at, about("mount", c, err)
}

// mountShared has mount make files appear in the directory of an ID, unless they are there.
func (e *Engine) mountShared(id string, mount func(at string) error) (at string, err error) {
	if rootless.IsRootless() && os.Geteuid() != 0 {
		return "", errors.New("an ordinary user cannot mount outside of the user namespace")
	}
	done, err := e.lockMounted()
	if err != nil {
		return "", err
	}
	defer done.Close()
	own, err := mountNamespace("self")
	if err != nil {
		return "", err
	}
	at = e.mountedRoot(id)
	ns, err := e.mountedIn(id)
	switch {
	case err == nil && ns == own && isMountPoint(at):
		return at, nil
	case err == nil && ns != own && processInMounts(ns) > 0:
		return "", hint.Add(errors.New("it is mounted in another mount namespace"), "unmount it there first: process %d is in it", processInMounts(ns))
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	if err := os.MkdirAll(at, 0o700); err != nil {
		return "", err
	}
	if err := atomicfile.Write(e.mountedNote(id), []byte(own), 0o600, false); err != nil {
		return "", err
	}
	if err := mount(at); err != nil {
		return "", errors.Join(err, e.dropMounted(id))
	}
	return at, nil
}

// mountAt mounts the root file system of a container on a directory: that of its monitor if it runs.
func (e *Engine) mountAt(ctx context.Context, c *Container, at string) error {
	cfg, err := c.Config()
	if err != nil {
		return err
	}
	if err := e.needRunDir(c); err != nil {
		return err
	}
	lock, err := e.lockEnded(c)
	switch {
	case err == nil:
		defer lock.Close()
		return e.mountRootfsDetached(cfg.Rootfs, at)
	case !errors.Is(err, ErrInitialized):
		return err
	}
	tree, err := e.cloneRoot(ctx, c, cfg)
	if err != nil {
		return fmt.Errorf("take its mount from its monitor: %w", err)
	}
	return putTree(tree, at)
}

// Unmount undoes Mount. The error wraps ErrNotMounted where there is nothing to undo.
func (e *Engine) Unmount(_ context.Context, c *Container) error {
	err := e.unmountShared(c.ID)
	if errors.Is(err, ErrNotMounted) {
		return fmt.Errorf("unmounting container %s: %w", c.ID, err)
	}
	return about("unmount", c, err)
}

func (e *Engine) unmountShared(id string) error {
	done, err := e.lockMounted()
	if err != nil {
		return err
	}
	defer done.Close()
	was := e.visiblyMounted(id)
	if err := e.dropMounted(id); err != nil || was != "" {
		return err
	}
	return ErrNotMounted
}

// mountedImage is what stands for an image in the place of a container's ID.
func mountedImage(id string) string { return "image-" + id }

// MountImage mounts the files of an image read-only, as Mount does those of a container; they stay until UnmountImage, the image's removal, or the end of the namespace.
func (e *Engine) MountImage(img *image.Image) (string, error) {
	at, err := e.mountShared(mountedImage(img.ID), func(at string) error {
		r, err := e.rootfsOfImage(img)
		if err != nil {
			return err
		}
		if err := e.mountRootfsDetached(r, at); err != nil {
			return err
		}
		return unix.MountSetattr(unix.AT_FDCWD, at, 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	})
	if err != nil {
		return "", fmt.Errorf("mount image %.12s: %w", img.ID, err)
	}
	return at, nil
}

// UnmountImage undoes MountImage, for the image with that ID, which need not be there any more. The error wraps ErrNotMounted where there is nothing to undo.
func (e *Engine) UnmountImage(id string) error {
	if err := e.unmountShared(mountedImage(id)); err != nil {
		return fmt.Errorf("unmount image %.12s: %w", id, err)
	}
	return nil
}

// MountedImage returns where an image is mounted, as Mounted does.
func (e *Engine) MountedImage(img *image.Image) string {
	if at := e.mountedRoot(mountedImage(img.ID)); isMountPoint(at) {
		return at
	}
	return ""
}

// Mounted returns where a container is mounted for the user; empty is nowhere, or in another mount namespace.
func (e *Engine) Mounted(c *Container) string {
	if at := e.mountedRoot(c.ID); isMountPoint(at) {
		return at
	}
	return ""
}

// visiblyMounted is where a container is mounted, in whatever namespace there is still.
func (e *Engine) visiblyMounted(id string) string {
	at := e.mountedRoot(id)
	if isMountPoint(at) {
		return at
	}
	ns, err := e.mountedIn(id)
	if err != nil || processInMounts(ns) == 0 {
		return ""
	}
	return at
}

func (e *Engine) mountedDir() string           { return filepath.Join(e.runtime, monitor.MountedDir) }
func (e *Engine) mountedNote(id string) string { return filepath.Join(e.mountedDir(), id, "ns") }
func (e *Engine) mountedRoot(id string) string { return filepath.Join(e.mountedDir(), id, "root") }

// mountedIn is the mount namespace that a container was mounted in; the error wraps fs.ErrNotExist where it was not.
func (e *Engine) mountedIn(id string) (string, error) {
	ns, err := os.ReadFile(e.mountedNote(id))
	return strings.TrimSpace(string(ns)), err
}

// lockMounted has others wait who mount and unmount.
func (e *Engine) lockMounted() (*os.File, error) {
	if err := os.MkdirAll(e.mountedDir(), 0o700); err != nil {
		return nil, err
	}
	d, err := os.Open(e.mountedDir())
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX); err != nil {
		d.Close()
		return nil, fmt.Errorf("lock %s: %w", d.Name(), err)
	}
	return d, nil
}

// dropMounted unmounts a container here and where it was mounted, and forgets that.
func (e *Engine) dropMounted(id string) error {
	dir := filepath.Join(e.mountedDir(), id)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	at := e.mountedRoot(id)
	if err := unmountTree(at); err != nil {
		return err
	}
	own, _ := mountNamespace("self")
	if ns, err := e.mountedIn(id); err == nil && ns != own {
		if pid := processInMounts(ns); pid > 0 {
			err := inNamespaceOf(pid, func() error { return unmountTree(at) })
			if err != nil && !errors.Is(err, ErrNotRunning) {
				return err
			}
		}
	}
	// What is mounted in a namespace that the note does not know of is not deleted with the directory: rmdir does not enter it.
	for _, path := range []string{at, e.mountedNote(id), dir} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// shareMounted has the monitor that is about to start find the mount of a container that was mounted in another namespace.
func (e *Engine) shareMounted(id string) error {
	at := e.mountedRoot(id)
	ns, err := e.mountedIn(id)
	if err != nil || isMountPoint(at) {
		return nil // not mounted, or here
	}
	pid := processInMounts(ns)
	if pid == 0 {
		return nil
	}
	tree, err := cloneIn(pid, at)
	if errors.Is(err, ErrNotRunning) || errors.Is(err, ErrNotMounted) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("take along where it is mounted: %w", err)
	}
	return putTree(tree, at)
}

// mountNamespace is the mount namespace of a process, as /proc has it.
func mountNamespace(pid string) (string, error) { return os.Readlink("/proc/" + pid + "/ns/mnt") }

// processInMounts finds a process in a mount namespace; 0 is none.
func processInMounts(ns string) int {
	names, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || ns == "" {
		return 0
	}
	for _, name := range names {
		base := filepath.Base(name)
		if other, err := mountNamespace(base); err == nil && other == ns {
			pid, _ := strconv.Atoi(base)
			return pid
		}
	}
	return 0
}

// isMountPoint checks whether something is mounted on a directory, as this process sees it.
func isMountPoint(dir string) bool {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, dir, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, 0, &st)
	return err == nil && st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

// inNamespaceOf calls work in the mount namespace of a process.
func inNamespaceOf(pid int, work func() error) error {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return ErrNotRunning
	}
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	_, err = inMountNamespace(pidfd, func() (*os.File, error) { return nil, work() })
	return err
}

// cloneIn clones what is mounted at a place in the mount namespace of a process. The error wraps ErrNotMounted where that is nothing.
func cloneIn(pid int, at string) (tree int, err error) {
	err = inNamespaceOf(pid, func() error {
		if !isMountPoint(at) {
			return fmt.Errorf("%s: %w", at, ErrNotMounted)
		}
		tree, err = unix.OpenTree(unix.AT_FDCWD, at, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
		return err
	})
	return tree, err
}

// putTree mounts a clone on a directory.
func putTree(tree int, at string) error {
	defer unix.Close(tree)
	return unix.MoveMount(tree, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH)
}
