// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/berth-containers/berth/libctr/writable"
	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
)

// Keeper is a store for somebody who makes or removes images. It writes down the layers that would be without an owner
// if the process died. End it.
type Keeper struct {
	storage.Store
	journal journal
	refused refused
	entries entryCounts
}

// Keep returns a Keeper of a store. It makes nothing on disk until a layer is touched.
func Keep(store storage.Store) *Keeper {
	return &Keeper{Store: store, journal: journal{dir: journalDir(store.GraphRoot())}}
}

// End removes the layers that were made and belong to nothing, as after a failure, and the journal. What cannot be removed,
// or may be in use by others, stays noted for the next command.
func (k *Keeper) End(ctx context.Context) error {
	began, err := k.journal.close()
	if !began || err != nil {
		return err
	}
	_, err = Sweep(ctx, k.Store)
	return err
}

// CreateLayer notes the layer and makes it.
func (k *Keeper) CreateLayer(id, parent string, names []string, mountLabel string, writeable bool, options *storage.LayerOptions) (*storage.Layer, error) {
	if id == "" {
		id = newID()
	}
	if err := k.journal.note(id, parent); err != nil {
		return nil, err
	}
	return k.Store.CreateLayer(id, parent, names, mountLabel, writeable, options)
}

// ApplyStagedLayer notes the layer and makes it.
func (k *Keeper) ApplyStagedLayer(args storage.ApplyStagedLayerOptions) (*storage.Layer, error) {
	if args.ID == "" {
		args.ID = newID()
	}
	if err := k.journal.note(args.ID, args.ParentLayer); err != nil {
		return nil, err
	}
	return k.Store.ApplyStagedLayer(args)
}

// CreateContainer notes the container's layer and makes both.
func (k *Keeper) CreateContainer(id string, names []string, image, layer, metadata string, options *storage.ContainerOptions) (*storage.Container, error) {
	if layer == "" { // the store would choose one
		layer = newID()
	}
	if err := k.journal.note(layer); err != nil {
		return nil, err
	}
	return k.Store.CreateContainer(id, names, image, layer, metadata, options)
}

// Containers returns the containers of the store, and in place of the pins (package writable) those that need them.
func (k *Keeper) Containers() ([]storage.Container, error) {
	all, err := k.Store.Containers()
	if err != nil {
		return nil, err
	}
	list := make([]storage.Container, 0, len(all))
	for _, c := range all {
		if c.ID != writable.Pin(c.ImageID) {
			list = append(list, c)
			continue
		}
		users, err := writable.In(k.GraphRoot()).Users(c.ImageID)
		if err != nil {
			return nil, err
		}
		for _, id := range users {
			list = append(list, storage.Container{ID: id, ImageID: c.ImageID, LayerID: c.LayerID})
		}
	}
	return list, nil
}

// DeleteContainer deletes a container of the store; one that needs an image's pin is not its to delete: storage.ErrImageUsedByContainer.
func (k *Keeper) DeleteContainer(id string) error {
	err := k.Store.DeleteContainer(id)
	if !errors.Is(err, storage.ErrNotAContainer) && !errors.Is(err, storage.ErrContainerUnknown) {
		return err
	}
	if paths, ferr := writable.In(k.GraphRoot()).Find(id); ferr != nil || len(paths) == 0 {
		return errors.Join(err, ferr)
	}
	return fmt.Errorf("image used by %s: %w", id, storage.ErrImageUsedByContainer)
}

// DeleteImage notes the image's layers, which lose their owner before they are removed.
func (k *Keeper) DeleteImage(id string, commit bool) (layers []string, err error) {
	if commit {
		if err := k.unpin(id); err != nil {
			return nil, err
		}
		// On a disk too full for a note, an image can be removed all the same.
		if err := k.noteImage(id); err != nil && !TooFull(err) {
			return nil, err
		}
	}
	err = WithRoom(k.GraphRoot(), func() error {
		layers, err = k.Store.DeleteImage(id, commit)
		return err
	})
	return layers, err
}

func (k *Keeper) unpin(image string) error {
	var users []string
	err := WithRoom(k.GraphRoot(), func() (err error) {
		users, err = Unpin(k.Store, image)
		return err
	})
	if err == nil && len(users) > 0 {
		err = fmt.Errorf("image used by %s: %w", users[0], storage.ErrImageUsedByContainer) // as the library has it
	}
	return err
}

// RemoveNames takes names from an image, also on a full disk.
func (k *Keeper) RemoveNames(id string, names []string) error {
	return WithRoom(k.GraphRoot(), func() error { return k.Store.RemoveNames(id, names) })
}

// SetNames gives an image other names, also on a full disk: it is how the last one is taken.
func (k *Keeper) SetNames(id string, names []string) error {
	return WithRoom(k.GraphRoot(), func() error { return k.Store.SetNames(id, names) })
}

func (k *Keeper) noteImage(id string) error {
	img, err := k.Store.Image(id)
	if err != nil {
		return err
	}
	var ids []string
	for _, top := range append([]string{img.TopLayer}, img.MappedTopLayers...) {
		for top != "" {
			l, err := k.Store.Layer(top)
			if err != nil {
				break // the image is damaged: it can be removed nevertheless
			}
			ids = append(ids, l.ID)
			top = l.Parent
		}
	}
	return k.journal.note(ids...)
}

// Layer returns a layer that nobody removes before the Keeper ends, whoever else had made it.
func (k *Keeper) Layer(id string) (*storage.Layer, error) {
	_ = k.journal.note(id) // on a read-only disk nobody removes anything
	return k.Store.Layer(id)
}

// LayersByCompressedDigest returns layers as Layer does; so do the methods that follow.
func (k *Keeper) LayersByCompressedDigest(d digest.Digest) ([]storage.Layer, error) {
	return k.found(k.Store.LayersByCompressedDigest, d)
}

func (k *Keeper) LayersByUncompressedDigest(d digest.Digest) ([]storage.Layer, error) {
	return k.found(k.Store.LayersByUncompressedDigest, d)
}

func (k *Keeper) LayersByTOCDigest(d digest.Digest) ([]storage.Layer, error) {
	return k.found(k.Store.LayersByTOCDigest, d)
}

func (k *Keeper) found(find func(digest.Digest) ([]storage.Layer, error), d digest.Digest) (layers []storage.Layer, err error) {
	looked := false
	nerr := k.journal.noteFound(func() []string {
		looked = true
		layers, err = find(d)
		ids := make([]string, len(layers))
		for i := range layers {
			ids[i] = layers[i].ID
		}
		return ids
	})
	if nerr != nil && !looked {
		return find(d)
	}
	return layers, err
}

func newID() string {
	var b [32]byte
	rand.Read(b[:]) // never fails: crypto/rand.Read
	return hex.EncodeToString(b[:])
}
