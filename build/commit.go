// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/unpack"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/transfer"
	"github.com/berth-containers/berth/libctr/writable"
	"github.com/openshift/imagebuilder"
	"go.podman.io/buildah"
	"go.podman.io/buildah/define"
	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/manifest"
	istorage "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
	"golang.org/x/sys/unix"
)

// CommitOptions are those of Commit.
type CommitOptions struct {
	Name    string   // of the image; empty is none
	Author  string   // of the image
	Message string   // in its history
	Changes []string // instructions that change its config, as in a Containerfile
	// Config is merged into the image's config, before Changes: what it has takes the place of the container's. nil is none.
	Config         *manifest.Schema2Config
	Format         string    // define.OCIv1ImageManifest or define.Dockerv2ImageManifest; empty is Docker's if the image needs it (format.go), else OCI's
	Squash         bool      // one layer of all
	Pause          bool      // freeze a running container meanwhile
	IncludeVolumes bool      // list the places of its volumes in the config
	Progress       io.Writer `json:"-"` // is told what is done; nil: nobody. Of the function Commit, what is logged
}

// Commit makes an image of what a container has changed in its root file system, and returns its ID. The container may
// run. Its settings become the image's: environment, command, user, working directory, labels, ports.
//
// The container's own layer is read, never mounted: its root is mounted already, in its monitor's namespace. The image is made of a working container
// of this session, in which the layer is seen, or where the library would mount it, or has to change the files' IDs, a copy of it.
func (s *Session) Commit(ctx context.Context, c *libctr.Container, o CommitOptions) (string, error) {
	id, err := s.commit(ctx, c, o)
	if err != nil {
		s.failed = true
		return "", fmt.Errorf("commit container %q: %w", c.State.Name, err)
	}
	return id, nil
}

func (s *Session) commit(ctx context.Context, c *libctr.Container, o CommitOptions) (id string, err error) {
	cfg, err := c.Config()
	if err != nil {
		return "", err
	}
	if cfg.Rootfs.Type == record.GivenRootfs {
		return "", hint.Add(errors.New("cannot commit a container that uses an exploded rootfs"), "write its files to an archive with: %s, and make an image of that with: %s", hint.To(hint.ExportContainer, c.State.Name), hint.To(hint.ImportImage))
	}
	kept, err := s.store()
	if err != nil {
		return "", err
	}
	store := &gate{Store: kept}
	sys, err := s.systemContext()
	if err != nil {
		return "", err
	}
	var dest types.ImageReference
	if o.Name != "" {
		name, err := libimage.NormalizeName(o.Name)
		if err != nil {
			return "", hint.Add(fmt.Errorf("image name %q: %w", o.Name, err), "an image is called NAME, NAME:TAG or REGISTRY/NAME:TAG, in small letters")
		}
		if dest, err = istorage.Transport.ParseStoreReference(store, name.String()); err != nil {
			return "", err
		}
	}
	if o.Format == "" {
		if o.Format, err = s.commitFormat(cfg, o.Changes); err != nil {
			return "", err
		}
		if c := o.Config; c != nil && (c.Healthcheck != nil || len(c.Shell) > 0 || len(c.OnBuild) > 0) { // which OCI's has not
			o.Format = define.Dockerv2ImageManifest
		}
	}
	from := cfg.ImageID
	if from == "" {
		from = buildah.BaseImageFakeName // scratch
	}
	b, err := buildah.NewBuilder(ctx, store, buildah.BuilderOptions{
		FromImage: from, PullPolicy: define.PullNever, ContainerSuffix: s.suffix(), SystemContext: sys, Format: o.Format,
		NetworkInterface: newRunNetwork(ctx, s.run, networkNone), CommonBuildOpts: &define.CommonBuildOptions{},
		IDMappingOptions: &define.IDMappingOptions{HostUIDMapping: true, HostGIDMapping: true}, NamespaceOptions: nil,
	})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, b.Delete()) }()
	if o.Pause && c.State.Status == record.Running {
		if err := s.engine.Pause(ctx, c); err != nil {
			return "", hint.Add(fmt.Errorf("pause it: %w", err), "use %s=false, and see that nothing writes to its files meanwhile", field.Name("pause"))
		}
		defer func() { err = errors.Join(err, s.engine.Unpause(context.WithoutCancel(ctx), c)) }()
	}
	if cfg.Rootfs.Writable == "" || o.Squash {
		err = s.copyLayer(ctx, store, c, b)
	} else {
		var hide func() error
		if hide, err = s.showLayer(ctx, store, c, b.ContainerID); err == nil {
			defer func() { err = errors.Join(err, hide()) }()
		}
	}
	if err != nil {
		return "", err
	}
	adopt(b, cfg, o)
	r, err := b.CommitResults(ctx, dest, buildah.CommitOptions{
		PreferredManifestType: o.Format, SystemContext: sys, Squash: o.Squash, OverrideConfig: o.Config, OverrideChanges: o.Changes, ReportWriter: o.Progress,
	})
	if err != nil {
		return "", err
	}
	return r.ImageID, nil
}

// commitFormat is the format that keeps all that the container's image has, and the changes ask for.
func (s *Session) commitFormat(cfg *record.Config, changes []string) (string, error) {
	d := &dockerOnly{from: map[string]string{}}
	if cfg.ImageID != "" {
		img, err := s.engine.ImageView().Lookup(cfg.ImageID, image.LookupOptions{})
		if err != nil {
			return "", err
		}
		c, err := img.Config()
		if err != nil {
			return "", err
		}
		d.inherit(c, cfg.ImageID)
		d.onbuild = len(c.OnBuild) > 0
	}
	tree, err := imagebuilder.ParseDockerfile(strings.NewReader(strings.Join(changes, "\n")))
	if err != nil {
		return "", field.Errorf("%s: %w", field.Name("change"), err)
	}
	for _, n := range tree.Children {
		d.apply(n, "--change", true)
	}
	if len(d.words()) > 0 {
		return define.Dockerv2ImageManifest, nil
	}
	return define.OCIv1ImageManifest, nil
}

// showLayer has the working container have what the container has changed as its layer, until hide is called: the library, which knows how whiteouts are written, reads
// it there, and writes nothing to it. The mount is seen by this process only.
func (s *Session) showLayer(ctx context.Context, store storage.Store, c *libctr.Container, working string) (hide func() error, err error) {
	n, _, err := s.engine.Size(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := s.room(2 * n); err != nil { // for the image's archive, and its layer
		return nil, err
	}
	to, err := store.Container(working)
	if err != nil {
		return nil, err
	}
	return s.mountLayer(ctx, store, c, to.LayerID)
}

// mountLayer mounts a layer of Berth's own (package writable), which may be in memory, in the place of an empty one on top of the same image, and one of the
// store's that is in memory in the place of that on the disk.
func (s *Session) mountLayer(ctx context.Context, store storage.Store, c *libctr.Container, layer string) (unmount func() error, err error) {
	cfg, err := c.Config()
	if err != nil {
		return nil, err
	}
	memory, err := s.engine.MemoryLayer(ctx, c)
	if err != nil {
		return nil, err
	}
	place := filepath.Join(store.GraphRoot(), "overlay", layer, "diff")
	switch {
	case memory != nil && cfg.Rootfs.Type == "fuse" && !knowsXattrs(memory):
		var dir string
		if dir, err = s.copyOut(ctx, memory); err == nil {
			err = unix.Mount(dir, place, "", unix.MS_BIND, "")
		}
	case memory != nil:
		err = errors.Join(unix.MoveMount(int(memory.Fd()), "", unix.AT_FDCWD, place, unix.MOVE_MOUNT_F_EMPTY_PATH), memory.Close())
	case cfg.Rootfs.Writable != "":
		err = unix.Mount(filepath.Join(cfg.Rootfs.Writable, writable.Upper), place, "", unix.MS_BIND, "")
	default:
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, fmt.Errorf("mount its layer on %s: %w", place, err)
	}
	return func() error { return unix.Unmount(place, unix.MNT_DETACH) }, nil
}

// knowsXattrs reports whether files there can have users' extended attributes. The library takes the error of a tmpfs before Linux 6.6 for one of the file.
func knowsXattrs(dir *os.File) bool {
	_, err := unix.Getxattr(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()), "user.berth", nil)
	return err != unix.ENOTSUP
}

// copyOut copies a layer in memory to the disk, and closes it. What was deleted there is noted in files.
func (s *Session) copyOut(ctx context.Context, layer *os.File) (dir string, err error) {
	defer layer.Close()
	if dir, err = os.MkdirTemp(s.tmp, "layer-"); err != nil {
		return "", err
	}
	to, err := os.Open(dir)
	if err != nil {
		return "", err
	}
	defer to.Close()
	top, err := transfer.Confined(layer).Find("/")
	if err != nil {
		return "", err
	}
	defer top.Close()
	w, err := transfer.Confined(to).In("/")
	if err != nil {
		return "", err
	}
	if err := transfer.Copy(ctx, &transfer.Tree{Top: top}, withoutOpaqueDevices{w}); err != nil {
		return "", fmt.Errorf("copy its layer to the disk: %w", errors.Join(err, w.Close()))
	}
	return dir, nil
}

// withoutOpaqueDevices leaves out the devices .wh..opq, which fuse-overlayfs makes beside the files .wh..wh..opq: the library would make a second file of that name of each.
type withoutOpaqueDevices struct{ *transfer.Writer }

func (w withoutOpaqueDevices) Put(ctx context.Context, e *transfer.Entry) error {
	if path.Base(e.Name) == ".wh..opq" {
		return nil
	}
	return w.Writer.Put(ctx, e)
}

// room checks that there is room for what making an image writes.
func (s *Session) room(n int64) error {
	if err := unpack.Room(s.engine.DataDir(), "to commit it", n); err != nil {
		return hint.Add(err, "make room, see df -h %s; holes of files count in full while an image is made", s.engine.DataDir())
	}
	return nil
}

// copyLayer puts what the container has changed into the working container.
func (s *Session) copyLayer(ctx context.Context, store storage.Store, c *libctr.Container, b *buildah.Builder) (err error) {
	to, err := store.Container(b.ContainerID)
	if err != nil {
		return err
	}
	// The store cannot be changed while a layer is read from it, so there is a file in between.
	spool, err := os.Create(filepath.Join(s.tmp, "layer.tar"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, spool.Close(), os.Remove(spool.Name())) }()
	n, err := s.readLayer(ctx, store, c, to.LayerID, spool)
	if err != nil {
		return fmt.Errorf("read its layer: %w", err)
	}
	// What comes next writes all of it: the working container, the image's archive, the image's layer.
	if err := s.room(3 * n); err != nil {
		return err
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := store.ApplyDiff(to.LayerID, spool); err != nil {
		return fmt.Errorf("copy its layer: %w", err)
	}
	return nil
}

// readLayer writes the archive of a container's layer, and returns its size without holes. One that the store does not have is read in the place of an empty one.
func (s *Session) readLayer(ctx context.Context, store storage.Store, c *libctr.Container, empty string, to *os.File) (n int64, err error) {
	layer := empty
	if stored, err := store.Container(c.ID); err == nil {
		layer = stored.LayerID
	} else if !errors.Is(err, storage.ErrContainerUnknown) {
		return 0, err
	}
	unmount, err := s.mountLayer(ctx, store, c, layer)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, unmount()) }()
	return storedLayer(store, layer, to)
}

func storedLayer(store storage.Store, layer string, to *os.File) (int64, error) {
	diff, err := store.Diff("", layer, nil)
	if err != nil {
		return 0, err
	}
	n, err := unpack.CopySparse(to, diff)
	return n, errors.Join(err, diff.Close())
}

// engineEnv are variables that the engine sets for each container.
var engineEnv = []string{"HOSTNAME", "TERM", "container", "HOME"}

// adopt gives the image the container's settings.
func adopt(b *buildah.Builder, cfg *record.Config, o CommitOptions) {
	for _, kv := range cfg.Env {
		k, v, _ := strings.Cut(kv, "=")
		if !slices.Contains(engineEnv, k) {
			b.SetEnv(k, v)
		}
	}
	b.SetEntrypoint(cfg.Entrypoint)
	b.SetCmd(cfg.Cmd)
	if cfg.User != "" {
		b.SetUser(cfg.User)
	}
	if cfg.WorkingDir != "" {
		b.SetWorkDir(cfg.WorkingDir)
	}
	for k, v := range cfg.Labels {
		b.SetLabel(k, v)
	}
	for _, p := range cfg.Network.Ports {
		b.SetPort(fmt.Sprintf("%d/%s", p.ContainerPort, p.Protocol))
	}
	if o.IncludeVolumes {
		for _, m := range cfg.Mounts {
			b.AddVolume(m.Destination)
		}
	}
	if o.Author != "" {
		b.SetMaintainer(o.Author)
	}
	if o.Message != "" {
		b.SetHistoryComment(o.Message)
		if o.Format == define.Dockerv2ImageManifest {
			b.SetComment(o.Message) // of the image; OCI's format has none
		}
	}
}
