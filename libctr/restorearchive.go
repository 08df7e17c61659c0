// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"archive/tar"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/transfer"
	"golang.org/x/sys/unix"
)

// ImportOptions say how a container is made of the archive of a checkpoint, and started from it.
type ImportOptions struct {
	RestoreOptions

	Open     func() (io.ReadCloser, error) // the archive, packed or not; it is read twice
	Previous func() (io.ReadCloser, error) // the archive of the pre-checkpoint before it; nil is none
	What     string                        // the archive is called in errors

	Name          string   // of the container, which gets an ID of its own then; empty is that of the one that was checkpointed, with its ID
	Publish       []string // in place of the ports that it published; nil is those
	IgnoreRootFS  bool     // leave the changed files in the archive out
	IgnoreVolumes bool     // leave the volumes in the archive out
}

// RestoreFrom makes the container of an archive that Checkpoint has exported, with its changed files and its volumes, and starts it from the checkpoint.
// Nothing is left behind where it fails. The archive's configuration passes the checks of Create, its files go nowhere else, and it is bounded as images
// are; but its processes become what it says that they are, with the rights that it says: whoever restores it trusts it as a program that root runs.
func (e *Engine) RestoreFrom(ctx context.Context, opts ImportOptions) (*Container, *CheckpointReport, error) {
	c, report, err := e.restoreFrom(ctx, opts)
	if err != nil {
		return nil, nil, fmt.Errorf("restore from %s: %w", opts.What, err)
	}
	return c, report, nil
}

func (e *Engine) restoreFrom(ctx context.Context, opts ImportOptions) (c *Container, report *CheckpointReport, err error) {
	about, err := e.readArchived(ctx, opts)
	if err != nil {
		return nil, nil, err
	}
	request, err := askedOf(&record.Config{Asked: about.Berth.Request})
	if err != nil {
		return nil, nil, err
	}
	request.Name, request.IDFile, request.Replace = about.Name, "", false
	if request.runtime, err = e.archivedRuntime(about.Runtime); err != nil {
		return nil, nil, err
	}
	if opts.Publish != nil {
		request.Publish, request.PublishAll = opts.Publish, false
	}
	if request.id = about.ID; opts.Name != "" {
		request.Name, request.id = opts.Name, ""
	} else if other, err := e.load(about.ID); err == nil {
		return nil, nil, hint.Add(fmt.Errorf("the container %s is there already, with the name %q: %w", about.ID, other.State.Name, ErrNameInUse), "remove it, or choose another name")
	}
	if about.ImageID != "" {
		if _, err := e.ImageView().Lookup(about.ImageID, image.LookupOptions{}); err == nil {
			request.Image = about.ImageID
		} else if about.ImageName != "" {
			request.Image = about.ImageName
		}
	}
	volumes := about.Berth.Volumes
	if opts.IgnoreVolumes {
		volumes = nil
	}
	for _, v := range volumes {
		if _, err := e.Volume(v.Name); err == nil && !v.Anonymous {
			return nil, nil, hint.Add(field.Errorf("volume with name %s already exists. Use %s to not restore content of volumes: %w", v.Name, field.Name("ignore-volumes"), ErrVolumeExists), "or remove it first")
		}
	}
	c, lock, err := e.create(ctx, request, false)
	if err != nil {
		return nil, nil, err
	}
	defer lock.Close()
	made := c
	defer func() {
		if err != nil {
			lock.Close()
			err = errors.Join(err, e.removeAfterFailedStart(context.WithoutCancel(ctx), made))
		}
	}()
	cfg, err := c.Config()
	if err != nil {
		return nil, nil, err
	}
	if cfg.ImageID != about.ImageID {
		return nil, nil, hint.Add(fmt.Errorf("the container was made of the image %s, and %s is %s here", about.ImageID, about.ImageName, cfg.ImageID), "get that image first")
	}
	if err := e.needCRIU(ctx, "restoring", cfg.Runtime); err != nil {
		return nil, nil, err
	}
	in := &importing{e: e, c: c, cfg: cfg, opts: opts, volumes: volumes}
	if opts.Previous != nil {
		if err := in.read(ctx, opts.Previous, record.PreCheckpointDir); err != nil {
			return nil, nil, fmt.Errorf("the archive before it: %w", err)
		}
	}
	if err := in.read(ctx, opts.Open, record.CheckpointDir); err != nil {
		return nil, nil, err
	}
	if err := e.vouch(c.Dir); err != nil {
		return nil, nil, err
	}
	if report, err = e.restoreLocked(ctx, c, lock, opts.RestoreOptions); err != nil {
		return nil, nil, err
	}
	if !cfg.AutoRemove {
		err = e.clearPending(c.ID)
	}
	return c, report, err
}

// archivedRuntime is the OCI runtime for a container of an archive: the engine's option, or the one that it had, which alone may understand the
// checkpoint. An archive cannot have any program run: it is one that containers.conf names.
func (e *Engine) archivedRuntime(name string) (string, error) {
	if e.opts.Runtime != "" || name == "" {
		return e.opts.Runtime, nil
	}
	conf, err := e.conf()
	if err != nil {
		return "", err
	}
	if _, known := conf.Engine.OCIRuntimes[name]; !known {
		return "", hint.Add(fmt.Errorf("its OCI runtime %q is none that containers.conf names", name), "if you trust it, name it with %s", field.Name("runtime"))
	}
	return name, nil
}

// maxArchivedConfig bounds what is read of an archive into memory at once.
const maxArchivedConfig = 8 << 20

// readArchived reads of which container an archive is.
func (e *Engine) readArchived(ctx context.Context, opts ImportOptions) (*archivedContainer, error) {
	var about archivedContainer
	found := errors.New("found")
	err := eachArchived(ctx, opts.Open, opts.What, e.data, func(h *tar.Header, name string, content io.Reader) error {
		if name != archivedConfig {
			return nil
		}
		data, err := io.ReadAll(io.LimitReader(content, maxArchivedConfig))
		if err == nil {
			err = json.Unmarshal(data, &about)
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		return found
	})
	switch {
	case err == nil:
		return nil, hint.Add(fmt.Errorf("it is no checkpoint of a container: it has no %s", archivedConfig), "make one with: %s", hint.To(hint.ExportCheckpoint, "FILE", "CONTAINER"))
	case !errors.Is(err, found):
		return nil, err
	case about.Berth == nil:
		return nil, hint.Add(errors.New("another engine has made it, which describes containers in its own way"), "restore it with that engine, podman for instance")
	case about.Berth.Version != archiveVersion:
		return nil, fmt.Errorf("it has version %d, this Berth reads %d", about.Berth.Version, archiveVersion)
	case about.Berth.Partial:
		return nil, hint.Add(errors.New("it has only the memory of a pre-checkpoint"), "give it as %s, with the checkpoint that was made %s as %s", field.Name("import-previous"), field.Name("with-previous"), field.Name("import"))
	case !record.ValidID(about.ID):
		return nil, fmt.Errorf("its container's ID %q is none", about.ID)
	case slices.ContainsFunc(about.Berth.Volumes, func(v archivedVolume) bool { return !record.ValidName(v.Name) }):
		return nil, errors.New("it has a volume with a name that is none")
	}
	return &about, nil
}

// eachArchived calls do for each regular file in an archive, and for links, by its clean name, until there is an error.
func eachArchived(ctx context.Context, open func() (io.ReadCloser, error), what, dir string, do func(h *tar.Header, name string, content io.Reader) error) error {
	packed, err := open()
	if err != nil {
		return err
	}
	defer packed.Close()
	plain, done, err := boundedArchive(ctx, packed, what, dir)
	if err != nil {
		return err
	}
	defer done()
	r := tar.NewReader(plain)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return cmp.Or(ctx.Err(), plain.Err(), err)
		}
		if h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeSymlink {
			if err := do(h, strings.TrimPrefix(path.Clean("/"+h.Name), "/"), r); err != nil {
				return cmp.Or(ctx.Err(), plain.Err(), err)
			}
		}
	}
}

// importing fills a container that was made for it from an archive.
type importing struct {
	e       *Engine
	c       *Container
	cfg     *record.Config
	opts    ImportOptions
	volumes []archivedVolume
}

// read takes what the archive has; of CRIU's files those in the directory dir of the bundle. What else is in it is passed over.
func (in *importing) read(ctx context.Context, open func() (io.ReadCloser, error), dir string) error {
	bundle := filepath.Join(in.c.Dir, record.BundleDir)
	at, err := makeDir(filepath.Join(bundle, dir))
	if err != nil {
		return err
	}
	defer at.Close()
	err = eachArchived(ctx, open, in.opts.What, bundle, func(h *tar.Header, name string, content io.Reader) error {
		above, base := path.Dir(name), path.Base(name)
		switch {
		case above == dir && h.Typeflag == tar.TypeSymlink:
			if base != parentLink || h.Linkname != parentTarget {
				return fmt.Errorf("%s is a link", name)
			}
			return unix.Symlinkat(parentTarget, int(at.Fd()), parentLink)
		case h.Typeflag != tar.TypeReg:
			return nil
		case above == dir && !record.ValidName(base):
			return fmt.Errorf("%q is no name of a file of CRIU's", name)
		case above == dir:
			return putImage(at, base, content)
		case dir != record.CheckpointDir:
			return nil // of the pre-checkpoint, the rest is of another time
		case name == archivedRootfs && !in.opts.IgnoreRootFS:
			return in.rootfs(ctx, content)
		case name == archivedDeleted && !in.opts.IgnoreRootFS:
			return in.delete(content)
		case above == archivedVolumes && strings.HasSuffix(base, ".tar"):
			return in.volume(ctx, strings.TrimSuffix(base, ".tar"), content)
		}
		return nil
	})
	return storeHint(err, in.e.storeOpts.GraphRoot)
}

func makeDir(path string) (*os.File, error) {
	if err := os.Mkdir(path, 0o700); err != nil {
		return nil, err
	}
	return os.Open(path)
}

// putImage writes a file of CRIU's. There is none of that name yet.
func putImage(at *os.File, name string, content io.Reader) error {
	fd, err := unix.Openat(int(at.Fd()), name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &fs.PathError{Op: "make", Path: name, Err: err}
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

// inRoot works in the root file system of the container, out of which no name leads.
func (in *importing) inRoot(work func(r *containerRoot, w *transfer.Writer) error) (err error) {
	r, err := in.e.openLocked(in.c, in.cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	w, err := r.root.In("/")
	if err != nil {
		return err
	}
	w.IDs, w.Overwrite = r.ids.outside, true
	return errors.Join(work(r, w), w.Close())
}

// rootfs puts the container's changed files into its layer.
func (in *importing) rootfs(ctx context.Context, content io.Reader) error {
	bounded, done, err := boundedArchive(ctx, content, archivedRootfs+" of "+in.opts.What, in.c.Dir)
	if err != nil {
		return err
	}
	defer done()
	return in.inRoot(func(_ *containerRoot, w *transfer.Writer) error {
		source, err := transfer.NewArchive(bounded)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return cmp.Or(bounded.Err(), err)
		}
		err = source.Each(ctx, func(e *transfer.Entry) error { return w.Put(ctx, e) })
		return cmp.Or(bounded.Err(), err)
	})
}

// delete removes what the container has removed.
func (in *importing) delete(content io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(content, maxArchivedConfig))
	if err != nil {
		return err
	}
	var names []string
	if err := json.Unmarshal(data, &names); err != nil {
		return fmt.Errorf("read %s: %w", archivedDeleted, err)
	}
	return in.inRoot(func(_ *containerRoot, w *transfer.Writer) error {
		for _, name := range names {
			if err := w.Remove(name); err != nil {
				return err
			}
		}
		return nil
	})
}

// volume puts the content of a volume into that which the container has in its place.
func (in *importing) volume(ctx context.Context, name string, content io.Reader) error {
	i := slices.IndexFunc(in.volumes, func(v archivedVolume) bool { return v.Name == name })
	if i < 0 {
		return nil
	}
	for _, m := range in.cfg.Mounts {
		if m.Type != "volume" || path.Clean(m.Destination) != path.Clean(in.volumes[i].Destination) {
			continue
		}
		files, err := in.e.openVolume(m.Name)
		if err != nil {
			return err
		}
		err = emptyDir(fmt.Sprintf("/proc/self/fd/%d", files.Fd())) // of what the image has there
		if err = errors.Join(err, files.Close()); err != nil {
			return err
		}
		return in.e.ImportVolume(ctx, m.Name, content)
	}
	return nil
}

// openLocked opens the root file system of a container that does not run, and whose lock the caller holds.
func (e *Engine) openLocked(c *Container, cfg *record.Config) (*containerRoot, error) {
	s, err := c.spec()
	if err != nil {
		return nil, err
	}
	r := &containerRoot{id: c.ID, name: c.State.Name}
	if s.Linux != nil {
		r.ids = idMaps{s.Linux.UIDMappings, s.Linux.GIDMappings}
	}
	r.undo = func() error { return unmountTree(bundleRoot(c)) }
	if err := forgetVolatile(cfg.Rootfs); err != nil {
		return nil, err
	}
	if err := e.openStopped(r, c, cfg); err != nil {
		return nil, errors.Join(err, r.undo())
	}
	r.root = transfer.Confined(r.dir)
	return r, nil
}

// forgetVolatile has overlay mount a layer again that was mounted as volatile: what the host has not written to the disk is lost only with the host.
func forgetVolatile(r record.Rootfs) error {
	for o := range strings.SplitSeq(r.Options, ",") {
		if dir, ok := strings.CutPrefix(o, "workdir="); ok {
			if !filepath.IsAbs(dir) {
				dir = filepath.Join(r.Workdir, dir)
			}
			return os.RemoveAll(filepath.Join(dir, "work", "incompat")) // Documentation/filesystems/overlayfs.rst, "Volatile mount"
		}
	}
	return nil
}
