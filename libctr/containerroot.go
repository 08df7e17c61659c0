// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/berth-containers/berth/libctr/monitor"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/transfer"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// containerRoot is a container's root directory while this process works with it. A container that does not run cannot be started
// meanwhile.
type containerRoot struct {
	id, name   string
	dir        *os.File
	root       *transfer.Root
	workdir    string
	user       specs.User // of its process
	ids        idMaps
	unreadable bool // there may be files in it that this process may not read

	undo func() error
}

// Close lets it go.
func (r *containerRoot) Close() error {
	err := r.dir.Close()
	if r.undo != nil {
		err = errors.Join(err, r.undo())
	}
	return err
}

// openRoot opens the root directory of a container that runs, or of one that does not, with its volumes and binds. Of the latter those are
// made appear in any case that paths lead to.
func (e *Engine) openRoot(ctx context.Context, c *Container, paths ...string) (*containerRoot, error) {
	return e.openFiles(ctx, c, true, paths)
}

// openBareRoot is openRoot without anything mounted in it.
func (e *Engine) openBareRoot(ctx context.Context, c *Container) (*containerRoot, error) {
	return e.openFiles(ctx, c, false, nil)
}

func (e *Engine) openFiles(ctx context.Context, c *Container, mounts bool, paths []string) (*containerRoot, error) {
	cfg, err := c.Config()
	if err != nil {
		return nil, err
	}
	s, err := c.spec()
	if err != nil {
		return nil, err
	}
	r := &containerRoot{id: c.ID, name: c.State.Name, workdir: "/" + cfg.WorkingDir}
	if s.Process != nil {
		r.user, r.workdir = s.Process.User, s.Process.Cwd
	}
	if s.Linux != nil {
		r.ids = idMaps{s.Linux.UIDMappings, s.Linux.GIDMappings}
	}
	for end := time.Now().Add(monitorPatience); ; time.Sleep(5 * time.Millisecond) {
		if Alive(c.State) {
			if mounts {
				r.dir, err = openRunning(c.State)
			} else {
				r.dir, err = e.openAtMonitor(ctx, c, cfg)
			}
			if err == nil {
				r.unreadable = e.Rootless()
				break
			}
			if !errors.Is(err, ErrNotRunning) {
				return nil, err
			}
		}
		if err := e.needRunDir(c); err != nil {
			return nil, err
		}
		lock, err := tryLock(c.RunDir)
		if err != nil {
			return nil, err
		}
		if lock != nil {
			err := e.Refresh(c)
			if err == nil && !Alive(c.State) {
				err = e.openStopped(r, c, cfg)
				if err == nil && mounts {
					err = mountAll(r.dir, cfg, s, paths)
				}
				r.undo = func() error { return errors.Join(unmountTree(bundleRoot(c)), lock.Close()) }
				if err != nil {
					return nil, errors.Join(err, r.undo())
				}
				break
			}
			lock.Close()
			if err != nil {
				return nil, err
			}
			continue
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if time.Now().After(end) {
			return nil, ErrBusy
		}
		if err := e.Refresh(c); err != nil { // it is being started or has just ended
			return nil, err
		}
	}
	r.root = transfer.Confined(r.dir)
	return r, nil
}

// spec reads the OCI spec with which the container is run.
func (c *Container) spec() (*specs.Spec, error) {
	data, err := os.ReadFile(filepath.Join(c.Dir, record.BundleDir, "config.json"))
	s := new(specs.Spec)
	if err == nil {
		err = json.Unmarshal(data, s)
	}
	if err != nil {
		return nil, fmt.Errorf("read the container's OCI spec: %w", err)
	}
	return s, nil
}

// openRunning opens the root of a running container's mount namespace. That of its process may be another: it can call chroot(2).
func openRunning(s *record.State) (*os.File, error) {
	pidfd, err := unix.PidfdOpen(s.Pid, 0)
	if err == unix.ESRCH {
		return nil, ErrNotRunning
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(pidfd)
	if !Alive(s) { // the descriptor was opened before, so it is this process's
		return nil, ErrNotRunning
	}
	return inMountNamespace(pidfd, func() (*os.File, error) {
		fd, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return os.NewFile(uintptr(fd), "/"), err
	})
}

// openAtMonitor opens the root file system of a running container as it is without what is mounted in it.
func (e *Engine) openAtMonitor(ctx context.Context, c *Container, cfg *record.Config) (*os.File, error) {
	tree, err := e.cloneRoot(ctx, c, cfg)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(tree), "/"), nil
}

// cloneRoot clones the mount of a running container's root file system: that of its monitor, or the container's own where the monitor has none, since it has
// taken over from one that was killed. The error wraps ErrNotRunning where the container has ended.
func (e *Engine) cloneRoot(ctx context.Context, c *Container, cfg *record.Config) (tree int, err error) {
	conn, err := e.connect(ctx, c) // one that was killed is replaced
	if err != nil {
		return -1, err
	}
	defer conn.Close()
	if err := e.Refresh(c); err != nil {
		return -1, err
	}
	if !c.monitorLives() {
		return -1, ErrNotRunning
	}
	from := bundleRoot(c)
	if cfg.Stage != "" {
		from = filepath.Join(cfg.Stage, "rootfs")
	}
	tree, err = cloneIn(c.State.Monitor, from)
	if !errors.Is(err, ErrNotMounted) {
		return tree, err
	}
	if !Alive(c.State) {
		return -1, ErrNotRunning
	}
	return cloneIn(c.State.Pid, "/")
}

// inMountNamespace calls work in a thread that is in the mount namespace of a process, and ends with it.
func inMountNamespace(pidfd int, work func() (*os.File, error)) (f *os.File, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err = unix.Unshare(unix.CLONE_FS); err == nil {
			err = unix.Setns(pidfd, unix.CLONE_NEWNS)
		}
		switch err {
		case nil:
			f, err = work()
		case unix.ESRCH:
			err = ErrNotRunning
		default:
			err = fmt.Errorf("enter the container's mount namespace: %w", err)
		}
	}()
	<-done
	return f, err
}

func bundleRoot(c *Container) string { return filepath.Join(c.Dir, record.BundleDir, "rootfs") }

// openStopped mounts the files of a container whose lock the caller holds, in the mount namespace of this process, where its monitor
// does so in its own.
func (e *Engine) openStopped(r *containerRoot, c *Container, cfg *record.Config) error {
	at := bundleRoot(c)
	if err := os.MkdirAll(at, 0o700); err != nil {
		return err
	}
	if err := e.shareMounted(c.ID); err != nil {
		return err
	}
	if shared := e.Mounted(c); shared != "" {
		if err := unix.Mount(shared, at, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount its root file system, which is mounted, on %s: %w", at, err)
		}
	} else if err := e.mountRootfs(cfg.Rootfs, at); err != nil {
		return fmt.Errorf("mount its root file system (%s) on %s: %w", cfg.Rootfs.Type, at, err)
	}
	fd, err := unix.Open(at, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	r.dir = os.NewFile(uintptr(fd), at)
	return nil
}

// mountAll mounts the volumes and binds of a container in the tree below dir.
func mountAll(dir *os.File, cfg *record.Config, s *specs.Spec, paths []string) error {
	mounts := slices.Clone(cfg.Mounts)
	slices.SortStableFunc(mounts, func(a, b record.Mount) int {
		return strings.Count(path.Clean(a.Destination), "/") - strings.Count(path.Clean(b.Destination), "/")
	})
	for _, m := range mounts {
		if m.Type != "bind" && m.Type != "volume" || slices.ContainsFunc(cfg.Volumes, func(v record.Volume) bool { return v.Name == m.Name }) {
			continue // what a tmpfs had in it is gone; a volume that is a mount is mounted for containers that run alone
		}
		b := bindOf(m, s, cfg)
		if b.Image != nil {
			continue
		}
		wanted := slices.ContainsFunc(paths, func(p string) bool { return p == m.Destination || strings.HasPrefix(p, path.Clean(m.Destination)+"/") })
		if err := mountIn(dir, m, b, wanted); err != nil {
			return errors.Join(fmt.Errorf("mount %s on %s: %w", m.Source, m.Destination, err), dir.Close())
		}
	}
	return nil
}

// bindOf is what the monitor knows of a mount. Without that it is a volume, in a directory of the engine's own.
func bindOf(m record.Mount, s *specs.Spec, cfg *record.Config) record.Bind {
	for _, mount := range s.Mounts {
		if mount.Destination != m.Destination {
			continue
		}
		if i := slices.IndexFunc(cfg.Binds, func(b record.Bind) bool { return b.At == mount.Source }); i >= 0 {
			return cfg.Binds[i]
		}
	}
	return record.Bind{Source: m.Source, Links: true}
}

// mountIn makes the source of a mount appear in the tree below dir. Where there is no such place, one is made if it is wanted. What a
// container writes over a source (:O) ends with it, so nothing is written there.
func mountIn(dir *os.File, m record.Mount, b record.Bind, wanted bool) error {
	source, err := monitor.OpenSource(b)
	if err != nil {
		return err
	}
	if b.Subpath != "" {
		whole := source
		source, err = unix.Openat2(whole, b.Subpath, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
		unix.Close(whole)
		if err != nil {
			return fmt.Errorf("subpath %q: %w", b.Subpath, err)
		}
	}
	defer unix.Close(source)
	var st unix.Stat_t
	if err := unix.Fstat(source, &st); err != nil {
		return err
	}
	isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	target, err := openPlace(dir, m.Destination, isDir, wanted)
	if target < 0 {
		return err
	}
	defer unix.Close(target)
	tree, err := unix.OpenTree(source, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH|unix.AT_RECURSIVE)
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	if !m.RW || b.Overlay != nil {
		if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
			return err
		}
	}
	return unix.MoveMount(tree, "", target, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}

// openPlace opens where something is to be mounted in the tree below dir; -1 without an error says that there is no such place.
func openPlace(dir *os.File, name string, isDir, make bool) (int, error) {
	how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT}
	fd, err := unix.Openat2(int(dir.Fd()), name, how)
	if err != unix.ENOENT {
		return fd, err
	}
	if !make {
		return -1, nil
	}
	parent, err := openPlace(dir, path.Dir(path.Clean(name)), true, true)
	if err != nil {
		return -1, err
	}
	defer unix.Close(parent)
	if isDir {
		err = unix.Mkdirat(parent, path.Base(name), 0o755)
	} else if fd, err = unix.Openat(parent, path.Base(name), unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644); err == nil {
		unix.Close(fd)
	}
	if err != nil && err != unix.EEXIST {
		return -1, err
	}
	return unix.Openat2(int(dir.Fd()), name, how)
}

// unmountTree unmounts what is mounted at a place and below it.
func unmountTree(at string) error {
	if err := unix.Unmount(at, unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return fmt.Errorf("unmount %s: %w", at, err)
	}
	return nil
}

// mountRootfs mounts a container's root file system in the mount namespace of this process, for as long as this process lives.
func (e *Engine) mountRootfs(r record.Rootfs, at string) error {
	if r.Type == "fuse" || r.Overlay != nil && r.Overlay.Program != "" {
		if err := Leash(e.opts.Program); err != nil {
			return err
		}
	}
	return e.mountRootfsDetached(r, at)
}

// mountRootfsDetached is mountRootfs for as long as nobody unmounts it.
func (e *Engine) mountRootfsDetached(r record.Rootfs, at string) (err error) {
	// Where the mount ends with a power cut, what was copied has to be on the disk as far as it can.
	options := strings.Join(slices.DeleteFunc(strings.Split(r.Options, ","), func(o string) bool { return o == "volatile" }), ",")
	if err := monitor.MountMemory(r); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, monitor.UnmountMemory(r)) }() // the overlay keeps it
	switch r.Type {
	case "bind":
		return unix.Mount(r.Source, at, "", unix.MS_BIND|unix.MS_REC, "")
	case "fuse":
		return mountFuse(r.Program, r.Workdir, options, at)
	case record.GivenRootfs:
		return monitor.MountGiven(r, at, func(r record.Rootfs, at string) error { return mountFuse(r.Program, "/", r.Options, at) })
	}
	return in(r.Workdir, func() error { return monitor.MountOverlayHere(options, at) })
}

// idMaps are a container's user and group IDs, and those of the namespace that this process is in. Without any they are the same.
type idMaps struct{ users, groups []specs.LinuxIDMapping }

// inside are the container's IDs for those of this process.
func (m idMaps) inside(uid, gid uint32) (u, g uint32) {
	return toInside(m.users, uid), toInside(m.groups, gid)
}

func toInside(maps []specs.LinuxIDMapping, id uint32) uint32 {
	for _, m := range maps {
		if id >= m.HostID && id-m.HostID < m.Size {
			return id - m.HostID + m.ContainerID
		}
	}
	if len(maps) == 0 {
		return id
	}
	return 65534 // as the kernel shows it
}

// outside are this process's IDs for those of the container.
func (m idMaps) outside(uid, gid uint32) (u, g uint32, err error) {
	if u, err = toOutside(m.users, uid, "user"); err == nil {
		g, err = toOutside(m.groups, gid, "group")
	}
	return u, g, err
}

func toOutside(maps []specs.LinuxIDMapping, id uint32, kind string) (uint32, error) {
	for _, m := range maps {
		if id >= m.ContainerID && id-m.ContainerID < m.Size {
			return id - m.ContainerID + m.HostID, nil
		}
	}
	if len(maps) == 0 {
		return id, nil
	}
	return 0, fmt.Errorf("the container has no %s ID %d", kind, id)
}
