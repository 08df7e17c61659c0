// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/record"
	"golang.org/x/sys/unix"
)

// Change is a file that a container has added, changed or deleted.
type Change struct {
	Kind ChangeKind
	Path string // absolute, in the container
}

// ChangeKind is what has become of a file: the letter that podman shows.
type ChangeKind string

// The kinds of changes.
const (
	Added   ChangeKind = "A"
	Changed ChangeKind = "C"
	Deleted ChangeKind = "D"
)

// Diff tells what a container has changed of its image's files, by path. What the engine makes in each container, and what is mounted in it, is
// left out. The process has to be in the user namespace.
func (e *Engine) Diff(ctx context.Context, c *Container) ([]Change, error) {
	list, err := e.diff(ctx, c)
	return list, about("compare", c, err)
}

// madeByEngine are the files that every container has, whatever its image.
var madeByEngine = []string{
	"/dev", "/etc/hostname", "/etc/hosts", "/etc/mtab", "/etc/resolv.conf", "/proc", "/run", "/run/.containerenv", "/run/notify", "/run/secrets", "/sys",
}

func (e *Engine) diff(ctx context.Context, c *Container) (changes []Change, err error) {
	cfg, err := c.Config()
	if err != nil {
		return nil, err
	}
	s, err := c.spec()
	if err != nil {
		return nil, err
	}
	own := e.upperDir(cfg.Rootfs)
	if own == "" {
		return nil, errors.New("it has no layer, since it was made with --rootfs")
	}
	below, unmount, err := e.imageBelow(cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unmount()) }()
	lower, err := openDirAt(unix.AT_FDCWD, below)
	if err != nil {
		return nil, err
	}
	defer lower.Close()
	upper, err := openDirAt(unix.AT_FDCWD, own)
	if err != nil {
		return nil, err
	}
	defer upper.Close()
	d := &comparison{ctx: ctx, layer: cfg.Rootfs.Type != "bind", skip: slices.Clone(madeByEngine)}
	for _, m := range s.Mounts {
		d.skip = append(d.skip, path.Clean(m.Destination))
	}
	if err := d.directory("", lower, upper); err != nil {
		return nil, err
	}
	slices.SortFunc(d.found, func(a, b Change) int { return cmp.Compare(a.Path, b.Path) })
	return d.found, nil
}

// imageBelow makes the files of a container's image appear in a directory, until unmount is called.
func (e *Engine) imageBelow(cfg *record.Config) (dir string, unmount func() error, err error) {
	if cfg.Rootfs.Type == record.GivenRootfs {
		return cfg.Rootfs.Source, func() error { return nil }, nil
	}
	if r := cfg.Rootfs; r.Type != "bind" {
		for o := range strings.SplitSeq(r.Options, ",") {
			// One layer is looked at as it is: with the container's own in its place, a mount would show what has changed.
			if lower, ok := strings.CutPrefix(o, "lowerdir="); ok && !strings.Contains(lower, ":") {
				return withoutLink(r.Workdir, lower), func() error { return nil }, nil
			}
		}
		return imageFiles{cfg.Rootfs, func() error { return Leash(e.opts.Program) }}.mount()
	}
	img, err := e.ImageView().Lookup(cfg.ImageID, image.LookupOptions{})
	if err != nil {
		return "", nil, err
	}
	return filepath.Join(e.storeOpts.GraphRoot, "vfs/dir", img.TopLayer), func() error { return nil }, nil
}

// comparison finds what differs between two trees.
type comparison struct {
	ctx   context.Context
	layer bool // the upper one is a layer of overlay's: it has only what differs, and marks of what is deleted
	skip  []string
	found []Change
}

// openDirAt opens a directory, not through a link.
func openDirAt(at int, name string) (*os.File, error) {
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

func (d *comparison) add(kind ChangeKind, name string) {
	if !slices.Contains(d.skip, name) {
		d.found = append(d.found, Change{kind, name})
	}
}

// Marks that fuse-overlayfs, as AUFS before, makes files of.
const (
	deletedPrefix = ".wh."
	opaqueMark    = ".wh..wh..opq"
)

// directory compares two directories; lower is nil where there is none.
func (d *comparison) directory(name string, lower, upper *os.File) error {
	if err := d.ctx.Err(); err != nil {
		return err
	}
	names, err := upper.Readdirnames(-1)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, n := range names {
		there[n] = true
		if err := d.entry(name, n, lower, upper); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.ELOOP) {
			return fmt.Errorf("%s/%s: %w", name, n, err) // others: changed meanwhile
		}
	}
	if lower == nil || d.layer && !there[opaqueMark] && !isOpaque(upper) {
		return nil
	}
	names, err = lower.Readdirnames(-1)
	for _, n := range names {
		if !there[n] && !there[deletedPrefix+n] {
			d.add(Deleted, name+"/"+n)
		}
	}
	return err
}

func (d *comparison) entry(dir, n string, lower, upper *os.File) error {
	name := dir + "/" + n
	var is, was unix.Stat_t
	if err := unix.Fstatat(int(upper.Fd()), n, &is, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	existed := func(n string) bool {
		return lower != nil && unix.Fstatat(int(lower.Fd()), n, &was, unix.AT_SYMLINK_NOFOLLOW) == nil
	}
	if d.layer {
		if mark, ok := strings.CutPrefix(n, deletedPrefix); ok {
			if existed(mark) {
				d.add(Deleted, dir+"/"+mark)
			}
			return nil
		}
		if is.Mode&unix.S_IFMT == unix.S_IFCHR && is.Rdev == 0 {
			if existed(n) {
				d.add(Deleted, name)
			}
			return nil
		}
	}
	before := existed(n)
	isDir := is.Mode&unix.S_IFMT == unix.S_IFDIR
	wasDir := before && was.Mode&unix.S_IFMT == unix.S_IFDIR
	at := len(d.found)
	if isDir {
		above, err := openDirAt(int(upper.Fd()), n)
		if err != nil {
			return err
		}
		defer above.Close()
		var below *os.File
		if wasDir {
			if below, err = openDirAt(int(lower.Fd()), n); err != nil {
				return err
			}
			defer below.Close()
		}
		if err := d.directory(name, below, above); err != nil {
			return err
		}
	}
	switch {
	case !before:
		d.add(Added, name)
	case len(d.found) > at || !sameFile(&is, &was):
		d.add(Changed, name)
	}
	return nil
}

func sameFile(a, b *unix.Stat_t) bool {
	isDir := a.Mode&unix.S_IFMT == unix.S_IFDIR
	return a.Mode == b.Mode && a.Uid == b.Uid && a.Gid == b.Gid && a.Rdev == b.Rdev && a.Mtim == b.Mtim && (isDir || a.Size == b.Size)
}

// isOpaque reports whether nothing of the layers below is seen in a directory of a layer.
func isOpaque(dir *os.File) bool {
	value := make([]byte, 8)
	for _, name := range []string{"user.overlay.opaque", "trusted.overlay.opaque", "user.fuseoverlayfs.opaque"} {
		if n, err := unix.Fgetxattr(int(dir.Fd()), name, value); err == nil && string(value[:n]) == "y" {
			return true
		}
	}
	return false
}
