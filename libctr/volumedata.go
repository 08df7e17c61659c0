// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/unpack"
	"github.com/berth-containers/berth/libctr/spec"
	"go.podman.io/storage/pkg/archive"
	"go.podman.io/storage/pkg/chrootarchive"
	"golang.org/x/sys/unix"
)

// ExportVolume writes what a volume holds as a tar archive. The volume is the root of the process that reads it: whatever its containers make of
// their links meanwhile, nothing else is read. The process must be in the user namespace.
func (e *Engine) ExportVolume(ctx context.Context, name string, to io.Writer) error {
	files, err := e.openVolume(name)
	if err != nil {
		return err
	}
	defer files.Close()
	dir := seenByChildren(files)
	if err := Leash(e.opts.Program); err != nil {
		return err
	}
	tar, err := chrootarchive.Tar(dir, &archive.TarOptions{IncludeSourceDir: true}, dir)
	if err != nil {
		return fmt.Errorf("export volume %q: %w", name, err)
	}
	stop := context.AfterFunc(ctx, func() { tar.Close() })
	defer stop()
	_, err = io.Copy(to, tar)
	if err = errors.Join(err, tar.Close()); err != nil {
		return fmt.Errorf("export volume %q: %w", name, cmp.Or(ctx.Err(), err))
	}
	e.note(Event{Type: "volume", Status: "export", Name: name})
	return nil
}

// ImportVolume unpacks a tar archive, which may be compressed, into a volume, over what it holds. The archive is not trusted: its links end in
// the volume, and it is bounded as images are. The process must be in the user namespace.
func (e *Engine) ImportVolume(ctx context.Context, name string, from io.Reader) (err error) {
	files, err := e.openVolume(name)
	if err != nil {
		return err
	}
	defer files.Close()
	dir := seenByChildren(files)
	lock, err := e.lockVolume(ctx, name, syscall.LOCK_SH)
	if err != nil {
		return fmt.Errorf("import volume %q: %w", name, err)
	}
	defer lock.Close()
	limits, err := unpack.LimitsFromEnv()
	if err != nil {
		return err
	}
	if err := Leash(e.opts.Program); err != nil {
		return err
	}
	plain, err := archive.DecompressStream(untilDone{ctx, from})
	if err != nil {
		return fmt.Errorf("import volume %q: %w", name, err)
	}
	defer plain.Close()
	bounded := unpack.NewReader(plain, unpack.Options{Limits: limits, What: "archive for volume " + name, Dir: dir})
	if err := chrootarchive.UntarUncompressed(bounded, dir, &archive.TarOptions{}); err != nil {
		err = cmp.Or(ctx.Err(), bounded.Err(), err)
		return storeHint(fmt.Errorf("import volume %q: %w", name, err), e.storeOpts.GraphRoot)
	}
	e.note(Event{Type: "volume", Status: "import", Name: name})
	return nil
}

// seenByChildren is a path by which a process that this one starts finds an open directory, whatever its name leads to by then.
func seenByChildren(dir *os.File) string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), dir.Fd()) }

// untilDone ends with ctx.
type untilDone struct {
	ctx context.Context
	io.Reader
}

func (r untilDone) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// RenameVolume gives a volume another name. The error wraps ErrVolumeInUse where containers have it, and fs.ErrExist where there is a volume of
// that name.
func (e *Engine) RenameVolume(ctx context.Context, name, to string) error {
	if _, err := e.Volume(name); err != nil {
		return err
	}
	if err := checkVolumeName(to); err != nil {
		return err
	}
	lock, err := e.lockVolume(ctx, name, syscall.LOCK_EX)
	if err != nil {
		return fmt.Errorf("rename volume %q: %w", name, err)
	}
	defer lock.Close()
	meta, err := readVolumeMeta(e.volumeDir(name))
	if err == nil && meta.plugin() {
		err = fmt.Errorf("rename volume %q: volume plugin %s knows it by its name", name, meta.Driver)
	}
	if err != nil {
		return err
	}
	users, err := e.VolumeUsers(ctx, name)
	if err != nil {
		return err
	}
	if len(users) > 0 {
		var names []string
		for _, c := range users {
			names = append(names, c.State.Name)
		}
		return hint.Add(fmt.Errorf("volume %s is being used by the following container(s): %s: %w", name, strings.Join(names, ", "), ErrVolumeInUse), "remove the containers first")
	}
	if _, err := e.Volume(to); errors.Is(err, ErrNoSuchVolume) {
		if err := e.removeHalfMadeVolume(ctx, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := e.forgetVolumeUsers(name); err != nil {
		return err
	}
	if err := unix.Renameat2(unix.AT_FDCWD, e.volumeDir(name), unix.AT_FDCWD, e.volumeDir(to), unix.RENAME_NOREPLACE); err != nil {
		if errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("volume with name %s already exists: %w", to, ErrVolumeExists)
		}
		return storeHint(fmt.Errorf("rename volume %q: %w", name, err), e.storeOpts.GraphRoot)
	}
	e.note(Event{Type: "volume", Status: "rename", Name: to, Attributes: map[string]string{"oldName": name}})
	return nil
}

func checkVolumeName(name string) error {
	if !spec.ValidName(name) {
		return fmt.Errorf("volume name %q: only letters, digits, and _ . - after the first letter or digit are allowed", name)
	}
	return nil
}

// CountMounts fills in how many running containers have each of the volumes.
func (e *Engine) CountMounts(ctx context.Context, list []Volume) error {
	all, err := e.List(ctx)
	if err != nil {
		return err
	}
	counts := map[string]uint{}
	for _, c := range all {
		if !c.Active() {
			continue
		}
		cfg, err := c.Config()
		if err != nil {
			continue // removed this moment, or damaged: system check tells
		}
		seen := map[string]bool{}
		for _, m := range cfg.Mounts {
			if m.Type == "volume" && !seen[m.Name] {
				seen[m.Name] = true
				counts[m.Name]++
			}
		}
	}
	for i := range list {
		list[i].MountCount = counts[list[i].Name]
	}
	return nil
}

// volumeOwner has a new volume belong to who was asked for, in the IDs of the namespace that Berth runs in.
func volumeOwner(data string, meta volumeMeta) error {
	if meta.UID == nil && meta.GID == nil {
		return nil
	}
	uid, gid := -1, -1
	if meta.UID != nil {
		uid = int(*meta.UID)
	}
	if meta.GID != nil {
		gid = int(*meta.GID)
	}
	if err := unix.Lchown(data, uid, gid); err != nil {
		return fmt.Errorf("give it to %d:%d: %w", uid, gid, err)
	}
	return nil
}
