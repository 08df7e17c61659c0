// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/berth-containers/berth/libctr/writable"
	"golang.org/x/sys/unix"
)

// A layer in memory (decisions/0065) is one on a disk to which nothing is written, with a directory `memory` beside its diff. Whoever mounts the overlay mounts
// a tmpfs there first, and the overlay's upper and work directories are in that.

const memoryDir = "memory"

// parseStorage reads memory[:size=SIZE]; nil is the disk.
func parseStorage(text string) (*record.Memory, error) {
	if text == "" {
		return nil, nil
	}
	kind, options, given := strings.Cut(text, ":")
	value, sized := strings.CutPrefix(options, "size=")
	if kind != "memory" || given && !sized {
		return nil, field.Errorf("%s %q: want memory or memory:size=SIZE", field.Name("storage"), text)
	}
	r := new(record.Memory)
	if given {
		n, err := spec.ParseSize("storage", value)
		if err == nil && n == 0 {
			err = field.Errorf("%s %q: a layer without room", field.Name("storage"), text)
		}
		if err != nil {
			return nil, err
		}
		r.Size = n
	}
	return r, nil
}

// canBeInMemory refuses what has no overlay.
func (e *Engine) canBeInMemory(o *CreateOptions) error {
	switch {
	case o.Rootfs != "":
		err := field.Errorf("%s %s: with %s the container writes to the directory itself", field.Name("storage"), o.Storage, field.Name("rootfs"))
		return hint.Add(err, "mount a tmpfs where it writes, or make an image of the directory")
	case e.storeOpts.GraphDriverName == "vfs":
		err := field.Errorf("%s %s: the storage driver vfs copies images to the disk, and has no layer to keep in memory", field.Name("storage"), o.Storage)
		return hint.Add(err, "use a store with the driver overlay")
	}
	return nil
}

// keepInMemory has the layer that was made for the container be in memory.
func (e *Engine) keepInMemory(m *making) error {
	if m.memory == nil {
		return nil
	}
	r := &m.cfg.Rootfs
	m.memory.At = filepath.Join(filepath.Dir(e.upperDir(*r)), memoryDir)
	if err := os.Mkdir(m.memory.At, 0o700); err != nil {
		return err
	}
	r.Memory = m.memory
	options := slices.DeleteFunc(strings.Split(r.Options, ","), func(o string) bool { return o == "volatile" })
	for i, o := range options {
		key, dir, _ := strings.Cut(o, "=")
		if key == "upperdir" || key == "workdir" {
			options[i] = key + "=" + filepath.Join(filepath.Dir(dir), memoryDir, filepath.Base(dir))
		}
	}
	if r.Program == "" && slices.Contains(options, "userxattr") {
		kept, err := tmpfsKeepsXattrs(m.memory.At)
		if err != nil {
			return err
		}
		if !kept { // fuse-overlayfs has files in their place, as commit knows them
			if r.Program, err = exec.LookPath("fuse-overlayfs"); err != nil {
				err := field.Errorf("%s %s: this kernel's tmpfs has no extended attributes of users, which an ordinary user's overlay needs", field.Name("storage"), m.opts.Storage)
				return hint.Add(err, "install fuse-overlayfs, which does without, or use Linux 6.6 or newer")
			}
			r.Type = "fuse"
			options = slices.DeleteFunc(options, func(o string) bool { return o == "userxattr" })
		}
	}
	r.Options = strings.Join(options, ",")
	return nil
}

// tmpfsKeepsXattrs reports whether an ordinary user's overlay can note in a tmpfs what was deleted: since Linux 6.6.
func tmpfsKeepsXattrs(at string) (bool, error) {
	if err := unix.Mount("tmpfs", at, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0700,size=64k"); err != nil {
		return false, fmt.Errorf("mount tmpfs on %s: %w", at, err)
	}
	err := unix.Setxattr(at, "user.berth", []byte("y"), 0)
	if uerr := unix.Unmount(at, unix.MNT_DETACH); uerr != nil {
		return false, fmt.Errorf("unmount %s: %w", at, uerr)
	}
	if err == unix.ENOTSUP {
		return false, nil
	}
	return err == nil, err
}

// errUnreachable is for what a layer in memory has, where no monitor has it mounted.
var errUnreachable = errors.New("its layer in memory is not reachable, since its monitor was killed or it was mounted for a user when it started")

// MemoryLayer opens the directory of what a container with a layer in memory has written, as a mount that is nowhere yet. It is nil for a container whose layer
// is on a disk, or does not run: it has written nothing then. Without it, its files can still be seen as a whole.
func (e *Engine) MemoryLayer(ctx context.Context, c *Container) (*os.File, error) {
	cfg, err := c.Config()
	if err != nil || cfg.Rootfs.Memory == nil || !Alive(c.State) {
		return nil, err
	}
	conn, err := e.connect(ctx, c)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := e.Refresh(c); err != nil || !c.monitorLives() {
		return nil, err
	}
	at := cfg.Rootfs.Memory.At
	tree := -1
	err = inNamespaceOf(c.State.Monitor, func() (err error) {
		if !isMountPoint(at) {
			return errUnreachable
		}
		tree, err = unix.OpenTree(unix.AT_FDCWD, filepath.Join(at, writable.Upper), unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
		return err
	})
	switch {
	case errors.Is(err, errUnreachable):
		return nil, hint.Add(err, "see its files with: %s", hint.To(hint.ExportContainer, c.State.Name))
	case errors.Is(err, ErrNotRunning):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return os.NewFile(uintptr(tree), at), nil
}

// openLayer opens the directory of what a container has written, on whatever it is; nil is one without a layer.
func (e *Engine) openLayer(ctx context.Context, c *Container, cfg *record.Config) (*os.File, error) {
	own := e.upperDir(cfg.Rootfs)
	if own == "" {
		return nil, nil
	}
	tree, err := e.MemoryLayer(ctx, c)
	if err != nil || tree == nil {
		if err != nil {
			return nil, err
		}
		return openDirAt(unix.AT_FDCWD, own)
	}
	defer tree.Close()
	return openDirAt(int(tree.Fd()), ".")
}
