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

	"github.com/berth-containers/berth/internal/hint"
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

// Files are those of a container or of an image: one of the two is set.
type Files struct {
	Container *Container
	Image     *image.Image
}

// FindFiles returns the container with a name or ID or, where there is none, the image. Where there is neither, the error wraps ErrNoSuchContainer and
// image.ErrNotFound.
func (e *Engine) FindFiles(ctx context.Context, name string) (Files, error) {
	c, err := e.Lookup(ctx, name)
	if err == nil {
		return Files{Container: c}, nil
	}
	if !errors.Is(err, ErrNoSuchContainer) {
		return Files{}, err
	}
	img, ierr := e.ImageView().Lookup(name, image.LookupOptions{})
	switch {
	case ierr == nil:
		return Files{Image: img}, nil
	case errors.Is(ierr, image.ErrNotFound) || errors.Is(ierr, image.ErrBadReference):
		err := fmt.Errorf("%s not found: %w, and %w of that name", name, ErrNoSuchContainer, image.ErrNotFound)
		return Files{}, hint.Add(err, "see what there is with: %s, %s", hint.To(hint.ListContainers), hint.To(hint.ListImages))
	}
	return Files{}, ierr
}

// about says whose files were being compared when err happened.
func (f Files) about(err error) error {
	if f.Container != nil || err == nil {
		return about("compare", f.Container, err)
	}
	return fmt.Errorf("compare image %.12s: %w", f.Image.ID, err)
}

// Diff tells what a container has changed of its image's files, or what the last layer of an image has changed of those below, by path. What the
// engine makes in each container, and what is mounted in it, is left out. The process has to be in the user namespace.
func (e *Engine) Diff(ctx context.Context, of Files) (list []Change, err error) {
	if of.Image != nil {
		list, err = e.diffImage(ctx, of.Image)
	} else {
		list, err = e.diff(ctx, of.Container)
	}
	return list, of.about(err)
}

// DiffFrom tells in what the files of a container or an image differ from those of another, as Diff does.
func (e *Engine) DiffFrom(ctx context.Context, of, from Files) ([]Change, error) {
	if c, other := of.Container, from.Container; c != nil && other != nil && c.ID == other.ID {
		return nil, nil
	}
	lower, err := e.openTree(ctx, from)
	if err != nil {
		return nil, from.about(err)
	}
	upper, err := e.openTree(ctx, of)
	if err != nil {
		return nil, errors.Join(of.about(err), lower.close())
	}
	d := &comparison{ctx: ctx, skip: slices.Concat(madeByEngine, lower.mounts, upper.mounts), lowerIDs: lower.ids, upperIDs: upper.ids}
	list, err := d.compare(lower.dir, upper.dir)
	return list, of.about(errors.Join(err, upper.close(), lower.close()))
}

// filesTree is the root directory of a container or an image, as it is seen in it.
type filesTree struct {
	dir    *os.File
	ids    idMaps
	mounts []string // where other things are mounted in it
	close  func() error
}

func (e *Engine) openTree(ctx context.Context, f Files) (*filesTree, error) {
	if f.Image != nil {
		return e.openImageTree(f.Image)
	}
	root, err := e.openBareRoot(ctx, f.Container)
	if err != nil {
		return nil, err
	}
	t := &filesTree{ids: root.ids, close: root.Close}
	if t.mounts, err = f.Container.mountPoints(); err == nil {
		t.dir, err = openDirAt(int(root.dir.Fd()), ".")
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	t.close = func() error { return errors.Join(t.dir.Close(), root.Close()) }
	return t, nil
}

func (e *Engine) openImageTree(img *image.Image) (*filesTree, error) {
	r, err := e.rootfsOfImage(img)
	if err != nil {
		return nil, err
	}
	at, unmount, err := e.filesIn(r).mount()
	if err != nil {
		return nil, err
	}
	dir, err := openDirAt(unix.AT_FDCWD, at)
	if err != nil {
		return nil, errors.Join(err, unmount())
	}
	return &filesTree{dir: dir, close: func() error {
		return errors.Join(e.stillThere(img), dir.Close(), unmount())
	}}, nil
}

// filesIn are the files of an image, as what is mounted for a while.
func (e *Engine) filesIn(r record.Rootfs) imageFiles {
	return imageFiles{r, func() error { return Leash(e.opts.Program) }}
}

// stillThere is an error where an image that was looked at was removed meanwhile: what was missed then is no error.
func (e *Engine) stillThere(img *image.Image) error {
	_, err := e.ImageView().Lookup(img.ID, image.LookupOptions{})
	return err
}

// mountPoints are where the container has something mounted.
func (c *Container) mountPoints() (paths []string, err error) {
	s, err := c.spec()
	if err != nil {
		return nil, err
	}
	for _, m := range s.Mounts {
		paths = append(paths, path.Clean(m.Destination))
	}
	return paths, nil
}

// diffImage compares the last layer of an image with those below it.
func (e *Engine) diffImage(ctx context.Context, img *image.Image) (list []Change, err error) {
	dirs, err := img.LayerDirs()
	if err != nil || len(dirs) == 0 {
		return nil, err
	}
	upper, err := openDirAt(unix.AT_FDCWD, dirs[0])
	if err != nil {
		return nil, err
	}
	defer upper.Close()
	defer func() { err = errors.Join(err, e.stillThere(img)) }()
	d := &comparison{ctx: ctx, layer: e.storeOpts.GraphDriverName != "vfs", skip: madeByEngine}
	below := img.Below()
	if below.TopLayer == "" {
		return d.compare(nil, upper)
	}
	lower, err := e.openImageTree(below)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lower.close()) }()
	return d.compare(lower.dir, upper)
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
	mounts, err := c.mountPoints()
	if err != nil {
		return nil, err
	}
	upper, err := e.openLayer(ctx, c, cfg)
	if err != nil {
		return nil, err
	}
	if upper == nil {
		return nil, errors.New("it has no layer, since it was made with --rootfs")
	}
	defer upper.Close()
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
	d := &comparison{ctx: ctx, layer: cfg.Rootfs.Type != "bind", skip: slices.Concat(madeByEngine, mounts)}
	return d.compare(lower, upper)
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
		return e.filesIn(cfg.Rootfs).mount()
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

	lowerIDs, upperIDs idMaps // whose IDs the owners of files are
}

// compare returns what differs, by path; lower is nil where nothing is below.
func (d *comparison) compare(lower, upper *os.File) ([]Change, error) {
	if err := d.directory("", lower, upper); err != nil {
		return nil, err
	}
	slices.SortFunc(d.found, func(a, b Change) int { return cmp.Compare(a.Path, b.Path) })
	return d.found, nil
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
	case len(d.found) > at || !d.sameFile(&is, &was):
		d.add(Changed, name)
	}
	return nil
}

func (d *comparison) sameFile(is, was *unix.Stat_t) bool {
	uid, gid := d.upperIDs.inside(is.Uid, is.Gid)
	wasUID, wasGID := d.lowerIDs.inside(was.Uid, was.Gid)
	isDir := is.Mode&unix.S_IFMT == unix.S_IFDIR
	return is.Mode == was.Mode && uid == wasUID && gid == wasGID && is.Rdev == was.Rdev && d.sameTime(is.Mtim, was.Mtim) && (isDir || is.Size == was.Size)
}

// sameTime compares times of files. An archive may have cut them to whole seconds, which tells nothing of a file that is in a layer only since it was written to.
func (d *comparison) sameTime(a, b unix.Timespec) bool {
	return a.Sec == b.Sec && (a.Nsec == b.Nsec || !d.layer && (a.Nsec == 0 || b.Nsec == 0))
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
