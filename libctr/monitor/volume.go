// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/internal/held"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/lastwords"
	"github.com/berth-containers/berth/internal/thread"
	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/transfer"
)

// A volume that is a mount (type=tmpfs, nfs, …) is mounted by the first container that has it, and is gone with the last: the kernel counts.
// Each monitor mounts it in its own namespace while it starts its container. That it is the same one for all, the second takes it out
// of the namespace of a container that runs (docs/decisions/0051).

// volumeUser is what a container that runs leaves for the next, in Volume.Users/ID: where it has the volume, and what it is.
type volumeUser struct {
	Pid   int    `json:"pid"`
	Start uint64 `json:"start"`
	At    string `json:"at"` // in the mount namespace of that process: the container's, or its monitor, where the container has only a part
	Dev   uint64 `json:"dev"`
	Ino   uint64 `json:"ino"`
}

// holdVolumes mounts the container's volumes where the OCI spec says. Until letVolumesGo nobody else mounts one of them.
func (m *Monitor) holdVolumes() error {
	m.releaseVolumes() // of a start that was killed
	for _, v := range m.cfg.Volumes {
		err := m.holdVolume(v)
		if err == nil && v.GiveTo != nil {
			err = give(v)
		}
		if err != nil {
			text := fmt.Errorf("mount volume %s: %w", v.Name, err)
			return hint.With(&ctl.RequestError{Text: text.Error(), Code: 126}, hint.Of(err))
		}
	}
	return nil
}

func (m *Monitor) holdVolume(v record.Volume) error {
	if err := os.MkdirAll(v.Users, 0o700); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(v.At), 0o700); err != nil {
		return err
	}
	if v.Plugin != nil {
		if err := m.mountFromPlugin(v); err != nil || v.From == "" {
			return err
		}
	} else if err := os.Mkdir(v.At, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	lock, err := openFD(v.Users, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	m.volumeLocks = append(m.volumeLocks, lock)
	if err := awaitVolume(lock, v.Users, volumeWait); err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(v.Users, startingFile), []byte(m.cfg.Name), 0o600, false); err != nil {
		return err
	}
	if v.Plugin != nil {
		return m.fillVolume(v)
	}
	entries, err := os.ReadDir(v.Users)
	if err != nil {
		return err
	}
	for _, d := range entries {
		if d.Name() == startingFile {
			continue
		}
		path := filepath.Join(v.Users, d.Name())
		var u volumeUser
		data, err := os.ReadFile(path)
		if err != nil || json.Unmarshal(data, &u) != nil || u.join(v.At) != nil {
			os.Remove(path) // it has ended, or has mounted something else there
			continue
		}
		return nil
	}
	if err := m.mountVolume(v); err != nil {
		return err
	}
	return m.fillVolume(v)
}

// fillVolume copies the files of the container's directory into a volume that is empty and has not taken any yet.
func (m *Monitor) fillVolume(v record.Volume) error {
	if v.From == "" {
		return nil
	}
	if v.Until != "" {
		if _, err := os.Lstat(v.Until); err != nil {
			return nil // it has, since the container was made
		}
	}
	if entries, err := os.ReadDir(v.At); err != nil || len(entries) > 0 {
		return err
	}
	if err := m.copyInto(v); err != nil {
		entries, _ := os.ReadDir(v.At)
		for _, d := range entries {
			err = errors.Join(err, os.RemoveAll(filepath.Join(v.At, d.Name())))
		}
		return hint.Add(fmt.Errorf("copy the container's %s into it: %w", v.From, err), "leave it empty with the option nocopy")
	}
	if v.Until == "" {
		return nil
	}
	return os.Remove(v.Until)
}

func (m *Monitor) copyInto(v record.Volume) error {
	root, err := openDir(m.rootfs())
	if err != nil {
		return err
	}
	defer unix.Close(root)
	fd, err := unix.Openat2(root, v.From, &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if err == unix.ENOENT || err == unix.ENOTDIR {
		return nil
	}
	if err != nil {
		return err
	}
	from := os.NewFile(uintptr(fd), v.From)
	defer from.Close()
	to, err := os.Open(v.At)
	if err != nil {
		return err
	}
	defer to.Close()
	top, err := transfer.Confined(from).Find("/")
	if err != nil {
		return err
	}
	defer top.Close()
	w, err := transfer.Confined(to).In("/")
	if err != nil {
		return err
	}
	if err := transfer.Copy(context.Background(), &transfer.Tree{Top: top}, w); err != nil {
		return errors.Join(err, w.Close())
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || !v.Furnish {
		return err
	}
	return errors.Join(unix.Fchown(int(to.Fd()), int(st.Uid), int(st.Gid)), unix.Fchmod(int(to.Fd()), st.Mode&0o7777))
}

// give gives all of a volume to the container's user.
func give(v record.Volume) error {
	fd, err := openDir(v.At)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return held.Give(fd, v.GiveTo.UID, v.GiveTo.GID)
}

const (
	startingFile = ".starting" // in Volume.Users: the name of the container that starts with the volume, or did so last

	volumeWait = 20 * time.Second  // for another container that starts with the same volume
	mountLimit = 130 * time.Second // for mount(8): mount.nfs gives up after two minutes by itself
)

// awaitVolume takes the lock of a volume. A start takes much less than limit, unless its mount hangs.
func awaitVolume(lock int, users string, limit time.Duration) error {
	for end := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		err := unix.Flock(lock, unix.LOCK_EX|unix.LOCK_NB)
		if err != unix.EWOULDBLOCK && err != unix.EINTR {
			return err
		}
		if time.Now().After(end) {
			name, _ := os.ReadFile(filepath.Join(users, startingFile))
			return hint.Add(fmt.Errorf("container %q has been mounting it for more than %s", name, limit),
				"its server may not answer: wait until that container has started or failed, then start this one again")
		}
	}
}

// join mounts at the path what another container has as the volume.
func (u *volumeUser) join(at string) error {
	ns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/mnt", u.Pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(ns)
	if _, start, ok := procStat(u.Pid); !ok || start != u.Start {
		return unix.ESRCH
	}
	tree := -1
	err = thread.Own(func() (err error) {
		if err := errors.Join(unix.Unshare(unix.CLONE_FS), unix.Setns(ns, unix.CLONE_NEWNS)); err != nil {
			return err
		}
		tree, err = unix.OpenTree(unix.AT_FDCWD, u.At, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW)
		return err
	})
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	var st unix.Stat_t
	if err := unix.Fstat(tree, &st); err != nil {
		return err
	}
	if st.Dev != u.Dev || st.Ino != u.Ino {
		return unix.ESTALE
	}
	return unix.MoveMount(tree, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// pluginMark says, in Volume.Users, where a plugin has mounted the volume for the container; it is there until the plugin is told that the container has ended.
func (m *Monitor) pluginMark(v record.Volume) string {
	return filepath.Join(v.Users, m.cfg.ID+".plugin")
}

// mountFromPlugin has the plugin mount the volume, once for all the container's restarts.
func (m *Monitor) mountFromPlugin(v record.Volume) error {
	path, err := os.ReadFile(m.pluginMark(v))
	if err != nil {
		at, err := v.Plugin.Mount(v.Name, m.cfg.ID)
		if err == nil && !filepath.IsAbs(at) {
			err = fmt.Errorf("volume plugin %s says that it is at %q", v.Plugin.Name, at)
		}
		if err == nil {
			err = atomicfile.Write(m.pluginMark(v), []byte(at), 0o600, false)
		}
		if err != nil {
			return err
		}
		path = []byte(at)
	}
	source, err := OpenSource(record.Bind{Source: string(path), Links: true})
	if err != nil {
		return fmt.Errorf("volume plugin %s has mounted it at %s: %w", v.Plugin.Name, path, err)
	}
	defer unix.Close(source)
	return held.Mount(source, v.At)
}

// OpenUsed opens a volume that is a mount in a container that runs and has it, of those that have left word in the directory users; -1 is none.
func OpenUsed(users string) (int, error) {
	entries, err := os.ReadDir(users)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return -1, err
	}
	for _, d := range entries {
		var u volumeUser
		data, err := os.ReadFile(filepath.Join(users, d.Name()))
		if err != nil || json.Unmarshal(data, &u) != nil {
			continue
		}
		if fd, err := u.open(); err == nil {
			return fd, nil
		}
	}
	return -1, nil
}

// open opens what the container has as the volume. No link of the container leads out of its files.
func (u *volumeUser) open() (int, error) {
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", u.Pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(root)
	if _, start, ok := procStat(u.Pid); !ok || start != u.Start {
		return -1, unix.ESRCH
	}
	fd, err := unix.Openat2(root, u.At, &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && (st.Dev != u.Dev || st.Ino != u.Ino) {
		err = unix.ESTALE
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// mountVolume has mount(8) mount it, which knows every type and option.
func (m *Monitor) mountVolume(v record.Volume) error {
	out, err := lastwords.New()
	if err != nil {
		return err
	}
	defer out.Close()
	pid, status, err := m.reap.spawn(v.Args[0], append(append([]string{}, v.Args...), v.At), &syscall.ProcAttr{
		Dir: "/", Env: m.env, Files: []uintptr{uintptr(m.null), uintptr(out.FD), uintptr(out.FD)},
		Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return fmt.Errorf("run %s: %w", v.Args[0], err)
	}
	select {
	case <-time.After(mountLimit):
		_ = unix.Kill(-pid, unix.SIGKILL) // which one that waits for a server in the kernel may outlast
		return fmt.Errorf("%s has not ended in %s, and was killed: %s", strings.Join(v.Args, " "), mountLimit, out.Tail())
	case ws := <-status:
		if exitCode(ws) == 0 {
			return nil
		}
		code := exitCode(ws)
		err := fmt.Errorf("%s exited with %d: %s", strings.Join(v.Args, " "), code, out.Tail())
		return hint.Add(err, "the kernel lets an ordinary user mount tmpfs, overlay and directories, and root the other types that the host has")
	}
}

// noteVolumes leaves word of the volumes that a container which has started has, and lets others mount them.
func (m *Monitor) noteVolumes(init *process) error {
	for _, v := range m.cfg.Volumes {
		var st unix.Stat_t
		if err := unix.Stat(v.At, &st); err != nil {
			return err
		}
		u := volumeUser{Pid: init.pid, Start: init.start, At: v.Destination, Dev: st.Dev, Ino: st.Ino}
		if v.Destination == "" { // this process keeps the whole
			u.Pid, u.At = os.Getpid(), v.At
			_, u.Start, _ = procStat(u.Pid)
		}
		data, err := json.Marshal(u)
		if err != nil {
			return err
		}
		if err := atomicfile.Write(filepath.Join(v.Users, m.cfg.ID), data, 0o600, false); err != nil {
			return err
		}
	}
	return nil
}

// letVolumesGo ends what a start needs of the volumes: what the container has mounted stays, and whole volumes that it has parts of.
func (m *Monitor) letVolumesGo() {
	for _, v := range m.cfg.Volumes {
		if v.Destination != "" {
			held.Unmount(v.At)
		}
	}
	for _, lock := range m.volumeLocks {
		unix.Close(lock)
	}
	m.volumeLocks = nil
}

// releaseVolumes undoes holdVolumes; what the container has mounted stays.
func (m *Monitor) releaseVolumes() {
	m.letVolumesGo()
	for _, v := range m.cfg.Volumes {
		if v.Destination == "" {
			held.Unmount(v.At)
		}
	}
}

// leaveVolumes takes the word back that noteVolumes has left.
func (m *Monitor) leaveVolumes() {
	m.releaseVolumes()
	for _, v := range m.cfg.Volumes {
		os.Remove(filepath.Join(v.Users, m.cfg.ID))
		if v.Plugin != nil && os.Remove(m.pluginMark(v)) == nil {
			_ = v.Plugin.Unmount(v.Name, m.cfg.ID) // nobody is there to be told
		}
	}
}
