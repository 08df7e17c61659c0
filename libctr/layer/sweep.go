// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"go.podman.io/storage"
	"golang.org/x/sys/unix"
)

// OldAge is how old a layer without an owner must be to be nobody's, whoever made it; the storage library and podman take the same.
const OldAge = 24 * time.Hour

// Orphan is a layer that belongs to no image and no container.
type Orphan struct {
	ID      string
	Kept    string // why it must stay, or empty
	Foreign bool   // no journal of Berth's names it
}

// Orphans lists the layers that belong to nothing, and that no living Berth process works on, children before parents. Those older than age
// are nobody's.
func Orphans(store storage.Store, age time.Duration) ([]Orphan, error) {
	var found []Orphan
	err := withJournals(store, unix.LOCK_EX, func(js *journals) error {
		var err error
		found, _, err = orphans(store, js, age)
		return err
	})
	return found, err
}

// Sweep removes images that were never finished, layers without an owner that may go, and the journals that are done with. It returns the layers' IDs.
func Sweep(ctx context.Context, store storage.Store) ([]string, error) {
	return SweepOlder(ctx, store, OldAge)
}

// SweepOlder is Sweep for layers that are nobody's when they are older than age.
func SweepOlder(ctx context.Context, store storage.Store, age time.Duration) ([]string, error) {
	var gone []string
	err := withJournals(store, unix.LOCK_EX, func(js *journals) error {
		if err := removeHalf(store); err != nil {
			return err
		}
		all, c, err := orphans(store, js, age)
		if err != nil {
			return err
		}
		var errs []error
		for _, o := range all {
			if o.Kept != "" {
				continue
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := remove(store, o.ID); err != nil {
				errs = append(errs, fmt.Errorf("remove layer %.12s, which belongs to nothing: %w", o.ID, err))
				continue
			}
			gone = append(gone, o.ID)
			delete(c.layers, o.ID)
		}
		// What only a working container of a dead build owns may be without an owner soon.
		errs = append(errs, js.forget(func(id string) bool { return c.layers[id] != nil && !c.inImage[id] }))
		return errors.Join(errs...)
	})
	return gone, err
}

// HalfImages lists the images that were being written when the process died. Who writes an image has the lock that is taken
// here to read, until the manifest is there; the names come after that.
func HalfImages(store storage.Store) ([]string, error) {
	images, err := store.Images()
	if err != nil {
		return nil, err
	}
	var half []string
	for _, img := range images {
		if !img.ReadOnly && len(img.Names) == 0 && !slices.Contains(img.BigDataNames, storage.ImageDigestBigDataKey) {
			half = append(half, img.ID)
		}
	}
	return half, nil
}

// removeHalf removes them, with their layers.
func removeHalf(store storage.Store) error {
	half, err := HalfImages(store)
	if err != nil {
		return err
	}
	for _, id := range half {
		if _, err := store.DeleteImage(id, true); err != nil && !errors.Is(err, storage.ErrImageUnknown) && !errors.Is(err, storage.ErrNotAnImage) {
			return fmt.Errorf("remove image %.12s, which was never finished: %w", id, err)
		}
	}
	return nil
}

// withJournals runs work with the directory of journals locked and read. Where there is none, nothing was ever noted.
func withJournals(store storage.Store, how int, work func(*journals) error) error {
	dir := journalDir(store.GraphRoot())
	lock, err := lockDir(dir, how)
	if errors.Is(err, fs.ErrNotExist) {
		return work(&journals{})
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	js, err := readJournals(dir)
	if err != nil {
		return fmt.Errorf("read the journals of layers: %w", err)
	}
	return work(js)
}

// orphans requires the journals' lock.
func orphans(store storage.Store, js *journals, age time.Duration) ([]Orphan, *census, error) {
	c, err := takeCensus(store)
	if err != nil {
		return nil, nil, err
	}
	for id := range js.live {
		c.own(id)
	}
	ids := c.unowned()
	if len(ids) == 0 {
		return nil, c, nil
	}
	others := otherEngines(store.GraphRoot())
	boot := bootTime()
	found := make([]Orphan, 0, len(ids))
	for _, id := range ids {
		l := c.layers[id]
		o := Orphan{ID: id, Foreign: !js.dead[id]}
		old := l.Created.Before(boot) || time.Since(l.Created) > age
		switch {
		case old:
		case o.Foreign:
			o.Kept = fmt.Sprintf("another program may be making an image of it; it goes when it is older than %s, or after the next boot", age)
		case len(others) > 0:
			o.Kept = fmt.Sprintf("%s may have taken it for an image of its own; try again when that has ended", others[0])
		}
		// A layer that stays keeps those below it.
		if o.Kept == "" && slices.ContainsFunc(found, func(f Orphan) bool { return f.Kept != "" && c.layers[f.ID].Parent == id }) {
			o.Kept = "a layer on top of it stays"
		}
		found = append(found, o)
	}
	return found, c, nil
}

// remove removes a layer; it is no error if somebody else has removed it, or owns it by now.
func remove(store storage.Store, id string) error {
	err := WithRoom(store.GraphRoot(), func() error { return store.DeleteLayer(id) })
	for _, fine := range []error{storage.ErrLayerUnknown, storage.ErrNotALayer, storage.ErrLayerHasChildren, storage.ErrLayerUsedByImage, storage.ErrLayerUsedByContainer} {
		if errors.Is(err, fine) {
			return nil
		}
	}
	return err
}

// census is what the records of a store say of its layers.
type census struct {
	layers   map[string]*storage.Layer
	children map[string][]string
	owned    map[string]bool
	inImage  map[string]bool // owned by an image
}

// takeCensus reads the layers first: one that is given an owner meanwhile is seen to have it.
func takeCensus(store storage.Store) (*census, error) {
	layers, err := store.Layers()
	if err != nil {
		return nil, err
	}
	images, err := store.Images()
	if err != nil {
		return nil, err
	}
	containers, err := store.Containers()
	if err != nil {
		return nil, err
	}
	c := &census{layers: map[string]*storage.Layer{}, children: map[string][]string{}, owned: map[string]bool{"": true}}
	for i := range layers {
		l := &layers[i]
		c.layers[l.ID] = l
		c.children[l.Parent] = append(c.children[l.Parent], l.ID)
	}
	for _, img := range images {
		c.own(img.TopLayer)
		for _, l := range img.MappedTopLayers {
			c.own(l)
		}
	}
	c.inImage = maps.Clone(c.owned)
	for _, ctr := range containers {
		c.own(ctr.LayerID)
	}
	return c, nil
}

// own marks a layer and those below it.
func (c *census) own(id string) {
	for l := c.layers[id]; l != nil && !c.owned[l.ID]; l = c.layers[l.Parent] {
		c.owned[l.ID] = true
	}
}

// unowned lists the layers that are left, children before parents. Layers of other, read-only stores are none of them.
func (c *census) unowned() []string {
	var found []string
	seen := map[string]bool{}
	var visit func(id string)
	visit = func(id string) {
		if seen[id] || c.owned[id] || c.layers[id].ReadOnly {
			return
		}
		seen[id] = true
		for _, child := range c.children[id] {
			visit(child)
		}
		found = append(found, id)
	}
	ids := make([]string, 0, len(c.layers))
	for id := range c.layers {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		visit(id)
	}
	return found
}
