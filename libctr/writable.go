// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/libctr/layer"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/writable"
	selinux "github.com/opencontainers/selinux/go-selinux"
	"go.podman.io/storage"
	"golang.org/x/sys/unix"
)

func (e *Engine) writable() writable.Dir { return writable.In(e.storeOpts.GraphRoot) }

// ownLayers reports whether the container's layer can be Berth's own (package writable). containers/storage makes those that it
// does more for: it copies files (vfs), gives them to other users, sets quotas, and keeps the labels of SELinux.
func (e *Engine) ownLayers(m *making) bool {
	switch {
	case e.storeOpts.GraphDriverName != "overlay", e.storeOpts.TransientStore, selinux.GetEnabled():
		return false
	case e.driverOption("size") != "", e.driverOption("inodes") != "", e.driverOption("force_mask") != "":
		return false
	}
	return !m.spec.UserNS.Nested()
}

// addOwnLayer makes the container's layer below GRAPHROOT/berth, and has the store keep the image.
func (e *Engine) addOwnLayer(_ context.Context, m *making) (err error) {
	if m.cfg.Rootfs, err = e.makeOwnLayer(m, m.img.ID, m.cfg.ID); err != nil {
		return err
	}
	m.logTo(m.cfg.Rootfs.Writable)
	trace("layer made")
	return nil
}

// makeOwnLayer makes a layer of the container on top of an image.
func (e *Engine) makeOwnLayer(m *making, image, name string) (r record.Rootfs, err error) {
	lock, err := e.writable().Lock(unix.LOCK_SH)
	if err != nil {
		return r, err
	}
	defer lock.Close()
	m.back.Push(func() error { return e.discardWritable(m.cfg.ID) })
	path, err := e.writable().Claim(image, name, m.dir)
	if err != nil {
		return r, err
	}
	pinned, err := e.pinned(image)
	if err != nil {
		return r, err
	}
	if err := lock.Close(); err != nil {
		return r, err
	}
	if !pinned {
		if err := e.pin(image); err != nil {
			return r, err
		}
	}
	pin := writable.Layer(image)
	if err := writable.Fill(path, filepath.Join(e.storeOpts.GraphRoot, "overlay", pin, "diff")); err != nil {
		return r, err
	}
	home := filepath.Join(e.storeOpts.GraphRoot, "overlay")
	short, err := filepath.Rel(home, path) // as the layers below: the options of a mount are one page at most
	if err != nil {
		return r, err
	}
	r, err = e.rootfsOn(home, pin, short, m.opts.AutoRemove)
	r.Layer, r.Writable = "", path
	return r, err
}

// pin has the store keep an image for containers whose layers it does not know.
func (e *Engine) pin(image string) error {
	store, err := e.Store()
	if err != nil {
		return err
	}
	trace("store opened")
	lock, err := e.writable().Lock(unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer lock.Close()
	id, top := writable.Pin(image), writable.Layer(image)
	if there, err := e.pinned(image); there || err != nil {
		return err
	}
	// One whose file lower is empty: power was cut before it was on the disk. What runs does not need it.
	if err := store.DeleteContainer(id); err != nil && !errors.Is(err, storage.ErrContainerUnknown) && !errors.Is(err, storage.ErrNotAContainer) {
		return fmt.Errorf("remove a damaged record of image %.12s: %w", image, err)
	}
	_, err = store.CreateContainer(id, nil, image, top, writable.Metadata(image), nil)
	if errors.Is(err, storage.ErrDuplicateID) { // who made the layer was killed before it was the pin's
		if err = store.DeleteLayer(top); err == nil {
			_, err = store.CreateContainer(id, nil, image, top, writable.Metadata(image), nil)
		}
	}
	if err != nil {
		return storeHint(fmt.Errorf("have the store keep image %.12s: %w", image, err), e.storeOpts.GraphRoot)
	}
	// The library syncs its records, not the files of a layer.
	files, err := storedFiles(&record.Rootfs{Workdir: filepath.Join(e.storeOpts.GraphRoot, "overlay"), Layer: top})
	if err != nil {
		return err
	}
	return storeHint(atomicfile.Sync(files...), e.storeOpts.GraphRoot)
}

// pinned reports whether the store keeps an image, and says what its layers are.
func (e *Engine) pinned(image string) (bool, error) {
	there, err := writable.Pinned(e.storeOpts.GraphRoot, e.storeOpts.GraphDriverName, image)
	if !there || err != nil {
		return false, err
	}
	st, err := os.Stat(filepath.Join(e.storeOpts.GraphRoot, "overlay", writable.Layer(image), "lower"))
	if errors.Is(err, fs.ErrNotExist) { // an image without layers, or a damaged store, which has other words for that
		return true, nil
	}
	return err == nil && st.Size() > 0, err
}

// discardWritable removes the layers that Berth has made for the container, if there are some.
func (e *Engine) discardWritable(id string) error {
	paths, err := e.writable().Find(id)
	for _, path := range paths {
		err = errors.Join(err, e.discard(e.data, path))
	}
	return err
}

// upperDir is the directory with what the container has changed; empty for one that has no layer.
func (e *Engine) upperDir(r record.Rootfs) string {
	switch {
	case r.Type == record.GivenRootfs && r.Overlay == nil: // it writes to the user's directory
		return ""
	case r.Writable != "":
		return filepath.Join(r.Writable, writable.Upper)
	case r.Layer == "":
		return ""
	case e.storeOpts.GraphDriverName == "vfs":
		return filepath.Join(e.storeOpts.GraphRoot, "vfs/dir", r.Layer)
	default:
		return filepath.Join(e.storeOpts.GraphRoot, "overlay", r.Layer, "diff")
	}
}

// sweepWritable removes the layers of containers that are gone, and the pins of images that no container needs.
func (e *Engine) sweepWritable(ctx context.Context, store storage.Store) error {
	strays, err := e.strayLayers()
	for _, path := range strays {
		err = errors.Join(err, e.discard(e.data, path))
	}
	images, ierr := e.writable().Images()
	err = errors.Join(err, ierr)
	for _, image := range images {
		if ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		_, uerr := layer.Unpin(store, image)
		err = errors.Join(err, uerr)
	}
	return err
}

// strayLayers are the layers of containers that are gone.
func (e *Engine) strayLayers() ([]string, error) {
	if _, err := os.Lstat(string(e.writable())); err != nil {
		return nil, nil // there never was one
	}
	lock, err := e.writable().Lock(unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	return e.writable().Strays(filepath.Join(e.runtime, "containers"))
}
