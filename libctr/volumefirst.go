// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/libctr/spec"
	"golang.org/x/sys/unix"
)

// A volume that nobody has used yet takes the image's files, or at least an owner, from the first containers that
// have it mounted (docs/decisions/0014). Until then there is firstUseFile beside its data.
type firstUse struct {
	Copy  bool `json:"copy"`  // it takes the files of the image's directory
	Owner bool `json:"owner"` // it takes an owner and a mode
	Used  bool `json:"used"`  // a container has it mounted, and left it empty

	UID, GID uint32      // what Berth gave it last; another owner or mode is the user's own choice
	Mode     fs.FileMode `json:"mode"`
}

const firstUseFile = "first-use.json"

func newFirstUse() firstUse { return firstUse{Copy: true, Owner: true, Mode: 0o755} }

func readFirstUse(dir string) (f firstUse, err error) {
	data, err := os.ReadFile(filepath.Join(dir, firstUseFile))
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil // it has been used, or an older Berth made it
	}
	if err == nil {
		err = json.Unmarshal(data, &f)
	}
	if err != nil {
		return f, fmt.Errorf("read the volume's state: %w", err)
	}
	return f, nil
}

// write keeps f, or removes the file where nothing is left to do.
func (f firstUse) write(dir string) error {
	path := filepath.Join(dir, firstUseFile)
	if !f.Copy && !f.Owner {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	data, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, data, 0o600, false)
}

// owner is who a volume belongs to where the image does not say: the container's user, in the IDs of the
// namespace that Berth runs in.
type owner struct{ uid, gid uint32 }

// useVolume prepares the volume in dir for a container that has it mounted as m says. The caller holds its lock alone.
func useVolume(dir string, m *spec.Mount, img imageFiles, user owner) error {
	first, err := readFirstUse(dir)
	if err != nil {
		return err
	}
	data := filepath.Join(dir, "_data")
	if first.Copy || first.Owner {
		if first, err = takeFromImage(dir, first, m, img, user); err != nil {
			return err
		}
		if err := first.write(dir); err != nil {
			return err
		}
	}
	if m.Chown {
		fd, err := unix.Open(data, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return giveTo(fd, user)
	}
	return nil
}

// takeFromImage is the first use of a volume, as podman has it: one that is not empty is left alone; the image's
// directory gives its files, owner and mode; where there is none, the volume belongs to the container's user.
func takeFromImage(dir string, first firstUse, m *spec.Mount, img imageFiles, user owner) (firstUse, error) {
	data := filepath.Join(dir, "_data")
	done := firstUse{}
	there := true
	switch entries, err := os.ReadDir(data); {
	case errors.Is(err, fs.ErrNotExist):
		there = false
	case err != nil:
		return first, err
	case len(entries) > 0:
		return done, nil
	}
	if there && first.changed(data) {
		first.Owner = false
		if err := first.ownerOf(data); err != nil {
			return first, err
		}
	}
	if err := removeHalfFilled(dir); err != nil {
		return first, err
	}
	tmp, err := os.MkdirTemp(dir, "new-") // a volume has all of the image's files or none
	if err != nil {
		return first, err
	}
	defer os.RemoveAll(tmp)
	from, err := img.copyUp(m.Destination, tmp, m.Copy && first.Copy)
	if err != nil {
		return first, fmt.Errorf("copy the image's files into it: %w", err)
	}
	if first.Owner {
		first.UID, first.GID, first.Mode = user.uid, user.gid, 0o755
		if from.found {
			first.UID, first.GID, first.Mode = from.uid, from.gid, from.mode
		}
	}
	if err := setOwner(tmp, first); err != nil {
		return first, err
	}
	if !there || !first.Used {
		err = unix.Rename(tmp, data) // which may replace an empty directory; os.Rename does not
	} else if err = moveAll(tmp, data); err == nil && first.Owner {
		err = setOwner(data, first)
	}
	switch {
	case err != nil:
		return first, err
	case from.copied:
		return done, nil
	case from.found && from.uid == 0 && from.gid == 0:
		first.Owner = false // as podman has it: a volume of root's stays root's
	}
	first.Used = true
	return first, nil
}

// changed reports whether somebody has given the volume another owner or mode than Berth.
func (f firstUse) changed(data string) bool {
	var st unix.Stat_t
	return unix.Stat(data, &st) == nil && (st.Uid != f.UID || st.Gid != f.GID || fileMode(st.Mode) != f.Mode)
}

// ownerOf has the volume keep the owner and mode that it has.
func (f *firstUse) ownerOf(data string) error {
	var st unix.Stat_t
	if err := unix.Stat(data, &st); err != nil {
		return err
	}
	f.UID, f.GID, f.Mode = st.Uid, st.Gid, fileMode(st.Mode)
	return nil
}

func setOwner(dir string, f firstUse) error {
	if err := os.Lchown(dir, int(f.UID), int(f.GID)); err != nil {
		return err
	}
	return os.Chmod(dir, f.Mode)
}

func fileMode(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	for bit, flag := range map[uint32]fs.FileMode{unix.S_ISUID: fs.ModeSetuid, unix.S_ISGID: fs.ModeSetgid, unix.S_ISVTX: fs.ModeSticky} {
		if mode&bit != 0 {
			m |= flag
		}
	}
	return m
}

// moveAll moves what is in one directory to another, which running containers may have mounted.
func moveAll(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, d := range entries {
		if err := os.Rename(filepath.Join(from, d.Name()), filepath.Join(to, d.Name())); err != nil {
			return err
		}
	}
	return nil
}

// halfFilled are the directories that killed commands were filling for the volume in dir.
func halfFilled(dir string) ([]string, error) { return filepath.Glob(filepath.Join(dir, "new-*")) }

func removeHalfFilled(dir string) error {
	half, err := halfFilled(dir)
	for _, d := range half {
		err = errors.Join(err, os.RemoveAll(d))
	}
	return err
}

// lockVolume takes the lock of a volume: shared, by those who make a container with it, until the container has its
// record; alone, by those who fill or remove it. The error is fs.ErrNotExist where there is no volume.
func (e *Engine) lockVolume(ctx context.Context, name string, how int) (*os.File, error) {
	dir := e.volumeDir(name)
	for {
		f, err := os.Open(dir)
		if err != nil {
			return nil, err
		}
		if err := flock(ctx, f, how); err != nil {
			f.Close()
			return nil, err
		}
		var held, there unix.Stat_t
		if unix.Fstat(int(f.Fd()), &held) == nil && unix.Stat(dir, &there) == nil && held.Ino == there.Ino && held.Dev == there.Dev {
			return f, nil
		}
		f.Close() // removed while we waited
	}
}

// flock takes a lock, or waits for it until ctx ends: a blocked flock(2) would not see that.
func flock(ctx context.Context, f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) || how&syscall.LOCK_NB != 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}
