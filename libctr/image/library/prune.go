// SPDX-License-Identifier: Apache-2.0

package library

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/layer"
	"go.podman.io/storage"
)

// Prune removes the dangling images, or with all set every image that no container uses; of them, those that pass the
// filters (label, until; see View.Select). What is left without a name and without children by that goes too. An image that
// others are built on loses its names only.
func (r *Runtime) Prune(ctx context.Context, all bool, filters []string) ([]Removed, []error) {
	p := &pruning{r: r, ruler: layer.NewRuler(r.store.Store)}
	for { // the images that an index lists may be dangling without it
		n := len(p.removed)
		if err := p.plan(all, filters); err != nil {
			return p.removed, []error{fmt.Errorf("remove images: %w", err)}
		}
		for len(p.next) > 0 {
			if ctx.Err() != nil {
				return p.removed, append(p.errs, ctx.Err())
			}
			img := p.next[len(p.next)-1]
			p.next = p.next[:len(p.next)-1]
			p.remove(ctx, img)
		}
		if err := p.untag(); err != nil {
			p.errs = append(p.errs, explainRemove(ctx, err, r.store.GraphRoot()))
		}
		if len(p.removed) == n || len(p.errs) > 0 {
			return p.removed, p.errs
		}
	}
}

// pruning knows how the images of one moment are related, so that each is looked at once.
type pruning struct {
	r     *Runtime
	ruler *layer.Ruler

	rel      *image.Relations
	selected []*image.Image
	wanted   map[string]bool // IDs of those selected
	orphans  map[string]bool // IDs of those that go once they have no children
	children map[string]int  // of an image, those that are left
	users    map[string]int  // of a layer, the images that are left
	chains   map[string][]string
	next     []*image.Image // that have no children any more

	removed []Removed
	errs    []error
}

// view is a reader of the store as it is now.
func (r *Runtime) view() *image.View {
	root, more := r.store.GraphRoot(), []string(nil)
	if own := r.store.ImageStore(); own != "" {
		root, more = own, []string{root}
	}
	v := image.OpenView(root, r.store.GraphDriverName(), more)
	v.System = r.SystemContext()
	return v
}

func (p *pruning) plan(all bool, filters []string) error {
	view := p.r.view()
	images, err := view.Images()
	if err != nil {
		return err
	}
	free, err := view.Select(images, []string{"readonly=false", "containers=false"})
	if err != nil {
		return err
	}
	if p.selected, err = view.Select(free, filters); err != nil {
		return err
	}
	if p.rel, err = view.Relations(); err != nil {
		return err
	}
	if err := p.count(images); err != nil {
		return err
	}
	p.wanted, p.orphans = map[string]bool{}, map[string]bool{}
	for _, img := range free {
		p.orphans[img.ID] = len(img.Names) == 0 && !p.rel.Listed(img)
	}
	p.next = nil
	kept := p.selected[:0]
	for _, img := range p.selected {
		if !all && !p.rel.Dangling(img) {
			continue
		}
		kept = append(kept, img)
		p.wanted[img.ID] = true
		if p.children[img.ID] == 0 {
			p.next = append(p.next, img)
		}
	}
	p.selected = kept
	return nil
}

// count counts the children of images and the images of layers.
func (p *pruning) count(images []*image.Image) error {
	layers, err := p.r.store.Layers()
	if err != nil {
		return err
	}
	parent := map[string]string{}
	for _, l := range layers {
		parent[l.ID] = l.Parent
	}
	p.children, p.users, p.chains = map[string]int{}, map[string]int{}, map[string][]string{}
	for _, img := range images {
		if up := p.rel.Parent(img); up != nil {
			p.children[up.ID]++
		}
		var chain []string
		for _, top := range append([]string{img.TopLayer}, img.MappedTopLayers...) {
			for l := top; l != ""; l = parent[l] {
				chain = append(chain, l)
			}
		}
		p.chains[img.ID] = chain
		for _, l := range chain {
			p.users[l]++
		}
	}
	return nil
}

// remove removes an image that has no children, and puts its parent in line if that has none any more.
func (p *pruning) remove(ctx context.Context, img *image.Image) {
	done := Removed{ID: img.ID, Untagged: img.Names, Deleted: true}
	room := map[string]int64{} // of the layers that may go with it
	for _, l := range p.chains[img.ID] {
		if p.users[l]--; p.users[l] == 0 {
			room[l], _ = p.ruler.Layer(l) // what cannot be measured is not told of
		}
	}
	own, _ := p.ruler.Image(img.ID)
	gone, err := p.r.store.DeleteImage(img.ID, true)
	if errors.Is(err, storage.ErrImageUnknown) || errors.Is(err, storage.ErrNotAnImage) {
		return // somebody else has removed it
	}
	if err != nil {
		p.errs = append(p.errs, explainRemove(ctx, err, p.r.store.GraphRoot()))
		return
	}
	done.Freed = own
	for _, l := range gone {
		done.Freed += room[l]
	}
	p.removed = append(p.removed, done)
	up := p.rel.Parent(img)
	if up == nil {
		return
	}
	if p.children[up.ID]--; p.children[up.ID] == 0 && (p.wanted[up.ID] || p.orphans[up.ID]) {
		p.next = append(p.next, up)
	}
}

// untag takes the names of the selected images that others are built on.
func (p *pruning) untag() error {
	for _, img := range p.selected {
		if p.children[img.ID] == 0 || len(img.Names) == 0 {
			continue
		}
		if err := p.r.store.SetNames(img.ID, nil); err != nil {
			return fmt.Errorf("remove the names of image %.12s: %w", img.ID, err)
		}
		p.removed = append(p.removed, Removed{ID: img.ID, Untagged: img.Names})
	}
	return nil
}
