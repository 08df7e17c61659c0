// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/lastwords"
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

func (m *Monitor) rootfs() string {
	if m.cfg.Stage != "" {
		return filepath.Join(m.cfg.Stage, "rootfs")
	}
	return filepath.Join(m.cfg.Dir, record.BundleDir, "rootfs")
}

// mountRootfs makes the container's root file system appear in its bundle.
func (m *Monitor) mountRootfs() error {
	if m.cfg.Stage != "" {
		if err := unix.Mount("tmpfs", m.cfg.Stage, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=64k"); err != nil {
			return fmt.Errorf("mount a directory that the container can reach on %s: %w", m.cfg.Stage, err)
		}
		if err := unix.Mkdir(m.rootfs(), 0o755); err != nil {
			return err
		}
	}
	if shared := m.mountedByUser(); shared != "" {
		if err := unix.Mount(shared, m.rootfs(), "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount the root file system, which is mounted on %s, on %s: %w", shared, m.rootfs(), err)
		}
		_ = unix.Unmount(shared, unix.MNT_DETACH)
		return nil
	}
	if err := MountMemory(m.cfg.Rootfs); err != nil {
		return err
	}
	if err := m.mountOn(m.cfg.Rootfs, m.rootfs()); err != nil {
		return errors.Join(err, UnmountMemory(m.cfg.Rootfs))
	}
	return nil
}

// MountedDir is the directory beside those of RunDirs in which root file systems are mounted for the user, each as ID/root.
const MountedDir = "mounted"

// mountedByUser is where the root file system is mounted already, in this mount namespace, which began as a copy of the one of whoever has
// started the container; or empty. What is mounted of other containers is let go of: it would be in use for as long as this one runs.
func (m *Monitor) mountedByUser() (at string) {
	dir := filepath.Join(filepath.Dir(filepath.Dir(m.cfg.RunDir)), MountedDir)
	d, err := os.Open(dir)
	if err != nil {
		return ""
	}
	defer d.Close()
	ids, _ := d.Readdirnames(-1)
	for _, id := range ids {
		root := filepath.Join(dir, id, "root")
		if id == m.cfg.ID && isMountPoint(root) {
			at = root
		} else if id != m.cfg.ID {
			_ = unix.Unmount(root, unix.MNT_DETACH) // it is not mounted here
		}
	}
	return at
}

func isMountPoint(dir string) bool {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, dir, unix.AT_SYMLINK_NOFOLLOW, 0, &st)
	return err == nil && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

// mountOn mounts a root file system on a directory.
func (m *Monitor) mountOn(r record.Rootfs, target string) error {
	var err error
	switch r.Type {
	case "overlay":
		err = mountOverlay(r, target)
	case "bind":
		err = unix.Mount(r.Source, target, "", unix.MS_BIND|unix.MS_REC, "")
	case "fuse":
		err = m.mountFuse(r, target)
	case record.GivenRootfs:
		err = MountGiven(r, target, m.mountFuse)
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
	return MountOverlayHere(r.Options, target)
}

// MountOverlayHere mounts overlay on target; relative paths in the options start from the working directory.
func MountOverlayHere(options, target string) error {
	flags, data := splitFlags(options)
	err := unix.Mount("overlay", target, "overlay", flags, data)
	if errors.Is(err, unix.EPERM) {
		err = hint.Add(err, "the kernel lets no user mount overlay: install fuse-overlayfs, or use %s vfs", field.Name("storage-driver"))
	}
	return err
}

// mountFlags are the options of a mount(8) that mount(2) takes as flags. storage.conf's mountopt often has nodev.
var mountFlags = map[string]uintptr{
	"nodev": unix.MS_NODEV, "nosuid": unix.MS_NOSUID, "noexec": unix.MS_NOEXEC, "noatime": unix.MS_NOATIME, "nodiratime": unix.MS_NODIRATIME,
	"relatime": unix.MS_RELATIME, "strictatime": unix.MS_STRICTATIME, "sync": unix.MS_SYNCHRONOUS, "dirsync": unix.MS_DIRSYNC, "ro": unix.MS_RDONLY,
	"dev": 0, "suid": 0, "exec": 0, "atime": 0, "diratime": 0, "async": 0, "rw": 0, "defaults": 0,
}

// splitFlags parts what mount(2) takes as flags from what the file system reads.
func splitFlags(options string) (flags uintptr, data string) {
	var rest []string
	for o := range strings.SplitSeq(options, ",") {
		if flag, is := mountFlags[o]; is {
			flags |= flag
			continue
		}
		rest = append(rest, o)
	}
	return flags, strings.Join(rest, ",")
}

func (m *Monitor) mountFuse(r record.Rootfs, target string) error {
	dir := r.Workdir
	if dir == "" {
		dir = "/"
	}
	out, err := lastwords.New()
	if err != nil {
		return err
	}
	defer out.Close()
	_, status, err := m.reap.spawn(r.Program, []string{r.Program, "-o", r.Options, target}, &syscall.ProcAttr{
		Dir: dir, Env: m.env, Files: []uintptr{uintptr(m.null), uintptr(out.FD), uintptr(out.FD)},
	})
	if err != nil {
		return fmt.Errorf("run %s: %w", r.Program, err)
	}
	// The program goes to the background when it has mounted.
	if code := exitCode(<-status); code != 0 {
		return fmt.Errorf("%s exited with %d: %s", r.Program, code, out.Tail())
	}
	var inside, outside unix.Stat_t
	if err := errors.Join(unix.Stat(target, &inside), unix.Stat(filepath.Dir(target), &outside)); err != nil {
		return err
	}
	if inside.Dev == outside.Dev {
		return fmt.Errorf("%s exited, and nothing is mounted: %s", r.Program, out.Tail())
	}
	return nil
}

// unmountRootfs lets the root file system go as soon as nobody uses it.
func (m *Monitor) unmountRootfs() error {
	if err := unix.Unmount(m.rootfs(), unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return fmt.Errorf("unmount %s: %w", m.rootfs(), err)
	}
	if m.cfg.Stage != "" {
		if err := unix.Unmount(m.cfg.Stage, unix.MNT_DETACH); err != nil && err != unix.EINVAL {
			return fmt.Errorf("unmount %s: %w", m.cfg.Stage, err)
		}
	}
	return UnmountMemory(m.cfg.Rootfs)
}
