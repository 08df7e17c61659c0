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
	users   map[string]int          // layer to how many images are made of it; made when it is asked for
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

// SharedSize returns the bytes of those of img's layers that other images are made of, too.
func (r *Relations) SharedSize(img *Image) (int64, error) {
	if r.users == nil {
		r.users = map[string]int{}
		for _, images := range r.byLayer {
			for _, other := range images {
				chain, err := other.layerChain()
				if err != nil {
					continue // a damaged image
				}
				for _, l := range chain {
					r.users[l.ID]++
				}
			}
		}
	}
	chain, err := img.layerChain()
	var size int64
	for _, l := range chain {
		if r.users[l.ID] > 1 {
			size += max(0, l.Size)
		}
	}
	return size, err
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

// Dangling reports whether nothing refers to img: no name, no child, no manifest list.
func (r *Relations) Dangling(img *Image) bool {
	return len(img.Names) == 0 && !r.listed[img.Digest] && len(r.Children(img)) == 0
}

// Listed reports whether a manifest list in the store names img.
func (r *Relations) Listed(img *Image) bool { return r.listed[img.Digest] }

// Intermediate reports whether img has no name but children.
func (r *Relations) Intermediate(img *Image) bool {
	return len(img.Names) == 0 && len(r.Children(img)) > 0
}

// isParent reports whether child's layers and history are parent's, with one more step of history.
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
