package libctr

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
	securejoin "github.com/cyphar/filepath-securejoin"
	"go.podman.io/common/pkg/chown"
	"go.podman.io/storage/pkg/archive"
	"go.podman.io/storage/pkg/chrootarchive"
	"golang.org/x/sys/unix"
)

// A local volume is DATA/volumes/NAME/_data; NAME/anonymous marks one that goes with its container.

func (e *Engine) volumeDir(name string) string { return filepath.Join(e.data, "volumes", name) }

// prepareMounts makes the volumes that mounts name, fills new ones from the image, and checks the
// sources of binds. It sets each volume's Source. The returned function undoes what was made.
func (e *Engine) prepareMounts(mounts []spec.Mount, root record.Rootfs, uid, gid uint32) (undo func() error, err error) {
	var made []string
	undo = func() error {
		var errs []error
		for _, dir := range made {
			errs = append(errs, os.RemoveAll(dir))
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, undo())
		}
	}()
	for i := range mounts {
		m := &mounts[i]
		switch m.Type {
		case "bind":
			if err := prepareBind(m, uid, gid); err != nil {
				return undo, err
			}
		case "volume":
			dir, err := e.prepareVolume(m, root, uid, gid)
			if dir != "" {
				made = append(made, dir)
			}
			if err != nil {
				return undo, fmt.Errorf("volume for %s: %w", m.Destination, err)
			}
		}
	}
	return undo, nil
}

func prepareBind(m *spec.Mount, uid, gid uint32) error {
	path, err := filepath.Abs(m.Source)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return hint.Add(fmt.Errorf("mount %s: no such file or directory", m.Source), "make it first with: mkdir -p %s", path)
		}
		return fmt.Errorf("mount %s: %w", m.Source, err)
	}
	m.Source = path
	if m.Chown {
		if err := chown.ChangeHostPathOwnership(path, true, int(uid), int(gid)); err != nil {
			return fmt.Errorf("give %s to the container's user: %w", path, err)
		}
	}
	return nil
}

// prepareVolume makes the volume where it is missing, and returns its directory then.
func (e *Engine) prepareVolume(m *spec.Mount, root record.Rootfs, uid, gid uint32) (made string, err error) {
	anonymous := m.Name == ""
	if anonymous {
		m.Name = newID()
	}
	dir := e.volumeDir(m.Name)
	m.Source = filepath.Join(dir, "_data")
	if _, err := os.Stat(m.Source); err == nil {
		if m.Chown {
			return "", chown.ChangeHostPathOwnership(m.Source, true, int(uid), int(gid))
		}
		return "", nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", storeHint(err, e.storeOpts.GraphRoot)
	}
	if anonymous {
		if err := os.WriteFile(filepath.Join(dir, "anonymous"), nil, 0o600); err != nil {
			return dir, err
		}
	}
	// filled under another name first: a volume is there with all of its content or not at all
	tmp, err := os.MkdirTemp(dir, "new-")
	if err != nil {
		return dir, err
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return dir, err
	}
	if m.Copy {
		if err := copyUp(root, m.Destination, tmp); err != nil {
			return dir, fmt.Errorf("copy the image's files into it: %w", err)
		}
	}
	if m.Chown {
		if err := chown.ChangeHostPathOwnership(tmp, true, int(uid), int(gid)); err != nil {
			return dir, err
		}
	}
	if err := os.Rename(tmp, m.Source); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		return dir, err
	}
	return dir, nil
}

// copyUp copies what the image has at path into dir, its owner and mode too. The layer is mounted
// read-only in this process's own mount namespace for as long as it takes.
func copyUp(root record.Rootfs, path, dir string) (err error) {
	mnt, err := os.MkdirTemp("", "berth-rootfs-")
	if err != nil {
		return err
	}
	defer os.Remove(mnt)
	if err := mountReadOnly(root, mnt); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Unmount(mnt, unix.MNT_DETACH)) }()
	src, err := securejoin.SecureJoin(mnt, path) // the image's links stay inside it
	if err != nil {
		return err
	}
	st, err := os.Stat(src)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !st.IsDir() {
		return nil
	}
	if err != nil {
		return err
	}
	tar, err := chrootarchive.Tar(src, &archive.TarOptions{}, mnt)
	if err != nil {
		return err
	}
	defer tar.Close()
	if err := chrootarchive.UntarUncompressed(tar, dir, &archive.TarOptions{}); err != nil {
		return err
	}
	sys := st.Sys().(*syscall.Stat_t)
	if err := os.Lchown(dir, int(sys.Uid), int(sys.Gid)); err != nil {
		return err
	}
	return os.Chmod(dir, st.Mode())
}

func mountReadOnly(root record.Rootfs, mnt string) error {
	if root.Type == "bind" {
		return unix.Mount(root.Source, mnt, "", unix.MS_BIND|unix.MS_RDONLY, "")
	}
	if root.Type == "fuse" {
		return errors.New("with overlay.mount_program volumes are not filled from the image; use the option nocopy")
	}
	// the lower directories alone need no work directory; a second one is wanted by overlayfs for a read-only mount
	var lower, xattr string
	for o := range strings.SplitSeq(root.Options, ",") {
		if v, ok := strings.CutPrefix(o, "lowerdir="); ok {
			lower = v
		}
		if o == "userxattr" {
			xattr = ",userxattr"
		}
	}
	if !strings.Contains(lower, ":") {
		lower += ":" + root.Layer + "/diff"
	}
	here, err := os.Open(".")
	if err != nil {
		return err
	}
	defer here.Close()
	if err := os.Chdir(root.Workdir); err != nil { // the options' paths are relative to it
		return err
	}
	defer func() { _ = here.Chdir() }()
	return unix.Mount("overlay", mnt, "overlay", unix.MS_RDONLY, "lowerdir="+lower+xattr)
}

// removeAnonymous removes those of the volumes that were made for one container only.
func (e *Engine) removeAnonymous(mounts []record.Mount) error {
	var errs []error
	for _, m := range mounts {
		if m.Type != "volume" || m.Name == "" {
			continue
		}
		dir := e.volumeDir(m.Name)
		if _, err := os.Lstat(filepath.Join(dir, "anonymous")); err == nil {
			errs = append(errs, os.RemoveAll(dir))
		}
	}
	return errors.Join(errs...)
}
