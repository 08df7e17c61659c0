// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/record"
)

// privateMounts keeps what is mounted here from the host. The process has a mount
// namespace of its own already.
func privateMounts() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("make mounts private to the monitor: %w", err)
	}
	return nil
}

func (m *Monitor) rootfs() string { return filepath.Join(m.cfg.Dir, record.BundleDir, "rootfs") }

// mountRootfs makes the container's root file system appear in its bundle.
func (m *Monitor) mountRootfs() error {
	r, target := m.cfg.Rootfs, m.rootfs()
	var err error
	switch r.Type {
	case "overlay":
		err = mountOverlay(r, target)
	case "bind":
		err = unix.Mount(r.Source, target, "", unix.MS_BIND|unix.MS_REC, "")
	case "fuse":
		err = m.mountFuse(r, target)
	default:
		err = fmt.Errorf("unknown type %q", r.Type)
	}
	if err != nil {
		return fmt.Errorf("mount root file system (%s) on %s: %w", r.Type, target, err)
	}
	return nil
}

// mountOverlay mounts from Workdir: relative paths keep the options below one
// page, which is all that mount(2) takes.
func mountOverlay(r record.Rootfs, target string) (err error) {
	if r.Workdir != "" {
		if err := unix.Chdir(r.Workdir); err != nil {
			return fmt.Errorf("chdir to %s: %w", r.Workdir, err)
		}
		defer func() { err = errors.Join(err, unix.Chdir("/")) }()
	}
	err = unix.Mount("overlay", target, "overlay", 0, r.Options)
	if errors.Is(err, unix.EPERM) {
		err = hint.Add(err, "the kernel lets no user mount overlay: install fuse-overlayfs, or use --storage-driver vfs")
	}
	return err
}

func (m *Monitor) mountFuse(r record.Rootfs, target string) error {
	dir := r.Workdir
	if dir == "" {
		dir = "/"
	}
	out, err := m.tempOutput()
	if err != nil {
		return err
	}
	defer out.close()
	_, status, err := m.reap.spawn(r.Program, []string{r.Program, "-o", r.Options, target}, &syscall.ProcAttr{
		Dir: dir, Env: m.env, Files: []uintptr{uintptr(m.null), uintptr(out.fd), uintptr(out.fd)},
	})
	if err != nil {
		return fmt.Errorf("run %s: %w", r.Program, err)
	}
	// The program goes to the background when it has mounted.
	if code := exitCode(<-status); code != 0 {
		return fmt.Errorf("%s exited with %d: %s", r.Program, code, out.tail())
	}
	var inside, outside unix.Stat_t
	if err := errors.Join(unix.Stat(target, &inside), unix.Stat(filepath.Dir(target), &outside)); err != nil {
		return err
	}
	if inside.Dev == outside.Dev {
		return fmt.Errorf("%s exited, and nothing is mounted: %s", r.Program, out.tail())
	}
	return nil
}

// unmountRootfs lets the root file system go as soon as nobody uses it.
func (m *Monitor) unmountRootfs() error {
	if err := unix.Unmount(m.rootfs(), unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return fmt.Errorf("unmount %s: %w", m.rootfs(), err)
	}
	return nil
}
