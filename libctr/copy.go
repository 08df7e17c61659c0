// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/transfer"
	"go.podman.io/storage/pkg/archive"
	"golang.org/x/sys/unix"
)

// CopyEnd is where Copy copies from or to: a path in a container or on the host, or an archive.
type CopyEnd struct {
	Container *Container // nil: the host
	Path      string     // in a container, a relative one begins at its working directory

	In  io.Reader // to copy from: a tar archive, perhaps compressed, in place of a path on the host
	Out io.Writer // to copy to: gets a tar archive, in place of a path on the host
}

// CopyOptions are those of Copy.
type CopyOptions struct {
	// KeepOwner leaves what is copied into a container to the users it belongs to. Else it is given to the container's user.
	KeepOwner bool
	// Overwrite puts files in the place of directories, and the other way round.
	Overwrite bool
}

// Copy copies a file, or a directory with all in it, between containers, the host and archives. A path that ends with "/." stands for
// what is in the directory. What a running container sees is copied, its mounts included; of one that does not run, its files, volumes and
// binds. The process has to be in the user namespace.
func (e *Engine) Copy(ctx context.Context, from, to CopyEnd, o CopyOptions) (err error) {
	var opened []*containerRoot
	defer func() {
		for _, r := range opened {
			err = errors.Join(err, r.Close())
		}
	}()
	open := func(end CopyEnd) (*containerRoot, error) {
		if end.Container == nil {
			return nil, nil
		}
		for _, r := range opened {
			if r.id == end.Container.ID {
				return r, nil
			}
		}
		r, err := e.openRoot(ctx, end.Container, path.Join("/", from.Path), path.Join("/", to.Path))
		if err == nil {
			opened = append(opened, r)
		}
		return r, err
	}
	source, err := open(from)
	if err != nil {
		return about("copy from", from.Container, err)
	}
	if err := to.takesFiles(); err != nil {
		return about("copy to", to.Container, err)
	}
	target, err := open(to)
	if err != nil {
		return about("copy to", to.Container, err)
	}
	c := &copying{from: place{from, source}, to: place{to, target}, o: o}
	return c.run(ctx)
}

// takesFiles refuses a container in memory that does not run: a copy would end with the command.
func (end CopyEnd) takesFiles() error {
	if end.Container == nil || Alive(end.Container.State) {
		return nil
	}
	cfg, err := end.Container.Config()
	if err == nil && cfg.Rootfs.Memory != nil {
		err = hint.Add(errors.New("what it writes is in memory, and it does not run"), "start it first with: %s", hint.To(hint.StartContainer, end.Container.State.Name))
	}
	return err
}

// place is an end with the container's root, which is nil on the host.
type place struct {
	CopyEnd
	ctr *containerRoot
}

func (p *place) root() *transfer.Root {
	if p.ctr == nil {
		return transfer.Host()
	}
	return p.ctr.root
}

// path is where the path begins at the root, or on the host what was given.
func (p *place) path() string {
	if p.ctr == nil || strings.HasPrefix(p.Path, "/") {
		return p.Path
	}
	return p.ctr.workdir + "/" + p.Path
}

func (p *place) where() string {
	if p.ctr == nil {
		return "the host"
	}
	return "container " + p.ctr.name
}

// missing says that a path was not found, in podman's words.
func (p *place) missing(err error) error {
	return fmt.Errorf("%q could not be found on %s: %w", p.Path, p.where(), err)
}

// copying is one call of Copy.
type copying struct {
	from, to place
	o        CopyOptions
}

var (
	errNotIntoFile = errors.New("destination must be a directory when copying a directory")
	errNoArchive   = errors.New("source must be a (compressed) tar archive when copying from stdin")
)

func (c *copying) run(ctx context.Context) error {
	if c.from.In != nil {
		return c.unpack(ctx)
	}
	found, err := c.from.root().Find(c.from.path())
	if err != nil {
		return c.from.missing(err)
	}
	defer found.Close()
	tree := &transfer.Tree{Top: found, As: found.Name}
	if c.from.ctr != nil {
		tree.IDs, tree.SkipUnreadable = c.from.ctr.ids.inside, c.from.ctr.unreadable
	}
	if found.Name == "/" || found.IsDir() && endsWithDot(c.from.Path) {
		tree.As = ""
	}
	if found.Name == "/" && c.from.ctr != nil {
		tree.Skip = []string{"dev", "proc", "sys"} // the kernel's, not the container's
	}
	if c.to.Out != nil {
		return transfer.Copy(ctx, tree, transfer.NewArchiveWriter(c.to.Out))
	}
	w, as, err := c.destination(found, tree.As)
	if err != nil {
		return err
	}
	if tree.As = as; found.IsDir() && w.IsIn(found) {
		return errors.Join(fmt.Errorf("copy %q into itself", c.from.Path), w.Close())
	}
	return c.write(ctx, tree, w)
}

// unpack copies an archive to a directory.
func (c *copying) unpack(ctx context.Context) error {
	found, err := c.to.root().Find(c.to.path())
	if err != nil && strings.HasSuffix(c.to.Path, "/") {
		return c.to.missing(err)
	}
	if err != nil || !found.IsDir() {
		return errors.New("destination must be a directory when copying from stdin")
	}
	defer found.Close()
	plain, err := archive.DecompressStream(c.from.In)
	if err != nil {
		return errNoArchive
	}
	defer plain.Close()
	content, err := transfer.NewArchive(plain)
	if err != nil {
		return errNoArchive
	}
	w, err := c.to.root().In(c.to.path())
	if err != nil {
		return c.to.missing(err)
	}
	return c.write(ctx, content, w)
}

// destination opens the directory that is copied into, and returns the name of what is copied there; it is as, unless the
// destination is the file itself.
func (c *copying) destination(source *transfer.Found, as string) (*transfer.Writer, string, error) {
	root, name := c.to.root(), c.to.path()
	found, err := root.Find(name)
	if err == nil {
		defer found.Close()
		if c.to.ctr == nil && !found.IsDir() && !found.IsRegular() {
			return nil, "", fmt.Errorf("invalid destination: %q must be a directory or a regular file", c.to.Path)
		}
		if found.IsDir() {
			w, err := root.In(name)
			if err != nil {
				err = c.to.missing(err)
			}
			return w, as, err
		}
		if source.IsDir() {
			return nil, "", errNotIntoFile
		}
	}
	if err != nil && (!errors.Is(err, unix.ENOENT) || strings.HasSuffix(name, "/")) {
		return nil, "", c.to.missing(err)
	}
	dir, base, err := root.Place(name)
	if err != nil {
		return nil, "", c.to.missing(err)
	}
	w, err := root.In(dir)
	if err != nil {
		return nil, "", c.to.missing(err)
	}
	return w, base, nil
}

func (c *copying) write(ctx context.Context, from transfer.Source, w *transfer.Writer) error {
	w.Overwrite = c.o.Overwrite
	if r := c.to.ctr; r == nil {
		w.Harmless, w.Owner = true, &transfer.Owner{UID: uint32(unix.Geteuid()), GID: uint32(unix.Getegid())}
	} else if w.IDs = r.ids.outside; !c.o.KeepOwner {
		uid, gid, err := r.ids.outside(r.user.UID, r.user.GID)
		if err != nil {
			return errors.Join(err, w.Close())
		}
		w.Owner = &transfer.Owner{UID: uid, GID: gid}
	}
	err := transfer.Copy(ctx, from, w)
	if err == nil {
		return nil
	}
	err = errors.Join(err, w.Close())
	if errors.Is(err, transfer.ErrKind) {
		err = hint.Add(err, "to have it replaced, use %s", field.Name("overwrite"))
	}
	return fmt.Errorf("copying to %s: %w", c.to.where(), storeHint(err, c.to.Path))
}

// endsWithDot reports whether a path stands for what is in a directory.
func endsWithDot(p string) bool { return p == "." || strings.HasSuffix(p, "/.") }
