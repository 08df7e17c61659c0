// SPDX-License-Identifier: Apache-2.0

package image

import (
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	ociv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/manifest"
)

// Relations knows which image was built on which. It reads the config of those images
// only that share a layer.
type Relations struct {
	view    *View
	layers  map[string]*layer
	byLayer map[string][]*Image // top layer (empty for none) to its images
	above   map[string][]*Image // layer to the images whose top layer lies directly on it
	listed  map[digest.Digest]bool
	configs map[string]*ociv1.Image // image ID to config, nil where unreadable
}

// Relations works out how the view's images relate.
func (v *View) Relations() (*Relations, error) {
	layers, err := v.layers()
	if err != nil {
		return nil, err
	}
	all, err := v.Images()
	if err != nil {
		return nil, err
	}
	r := &Relations{
		view: v, layers: layers,
		byLayer: make(map[string][]*Image), above: make(map[string][]*Image),
		listed: make(map[digest.Digest]bool), configs: make(map[string]*ociv1.Image),
	}
	for _, img := range all {
		if img.isList() {
			r.addList(img)
			continue
		}
		r.byLayer[img.TopLayer] = append(r.byLayer[img.TopLayer], img)
		if l := layers[img.TopLayer]; l != nil && l.Parent != "" {
			r.above[l.Parent] = append(r.above[l.Parent], img)
		}
	}
	return r, nil
}

func (r *Relations) addList(img *Image) {
	raw, mime, err := img.Manifest()
	if err != nil {
		return
	}
	list, err := manifest.ListFromBlob(raw, mime)
	if err != nil {
		return
	}
	for _, d := range list.Instances() {
		r.listed[d] = true
	}
}

// Parent returns the image that img was built on, or nil.
func (r *Relations) Parent(img *Image) *Image {
	if img.isList() {
		return nil
	}
	near := r.byLayer[img.TopLayer]
	if l := r.layers[img.TopLayer]; l != nil && l.Parent != "" {
		near = slices.Concat(near, r.byLayer[l.Parent])
	}
	for _, other := range near {
		if other.ID != img.ID && r.isParent(other, img) {
			return other
		}
	}
	return nil
}

// Children returns the images that were built on img.
func (r *Relations) Children(img *Image) []*Image {
	if img.isList() {
		return nil
	}
	var children []*Image
	near := r.byLayer[img.TopLayer]
	if img.TopLayer != "" {
		near = slices.Concat(near, r.above[img.TopLayer])
	}
	for _, other := range near {
		if other.ID != img.ID && r.isParent(img, other) {
			children = append(children, other)
		}
	}
	return children
}

// Dangling tells whether nothing refers to img: no name, no child, no manifest list.
func (r *Relations) Dangling(img *Image) bool {
	return len(img.Names) == 0 && !r.listed[img.Digest] && len(r.Children(img)) == 0
}

// Listed tells whether a manifest list in the store names img.
func (r *Relations) Listed(img *Image) bool { return r.listed[img.Digest] }

// Intermediate tells whether img has no name but children.
func (r *Relations) Intermediate(img *Image) bool {
	return len(img.Names) == 0 && len(r.Children(img)) > 0
}

// isParent tells whether child's layers and history are parent's, with one more step of history.
func (r *Relations) isParent(parent, child *Image) bool {
	p, c := r.config(parent), r.config(child)
	if p == nil || c == nil || len(p.History)+1 != len(c.History) {
		return false
	}
	diffs := len(p.RootFS.DiffIDs)
	return diffs <= len(c.RootFS.DiffIDs) &&
		slices.Equal(p.RootFS.DiffIDs, c.RootFS.DiffIDs[:diffs]) &&
		slices.EqualFunc(p.History, c.History[:len(p.History)], sameStep)
}

func sameStep(a, b ociv1.History) bool {
	return sameTime(a.Created, b.Created) && a.CreatedBy == b.CreatedBy &&
		a.Author == b.Author && a.Comment == b.Comment && a.EmptyLayer == b.EmptyLayer
}

func sameTime(a, b *time.Time) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(*b)
}

func (r *Relations) config(img *Image) *ociv1.Image {
	c, ok := r.configs[img.ID]
	if !ok {
		if full, err := img.Config(); err == nil {
			c = &full.Image
		}
		r.configs[img.ID] = c
	}
	return c
}
