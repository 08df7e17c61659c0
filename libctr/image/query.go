// SPDX-License-Identifier: Apache-2.0

package image

import (
	"cmp"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"go.podman.io/image/v5/docker/reference"
)

// Query says which images a listing shows, and in which order.
type Query struct {
	All     bool     // with the images that have no name and that others stand on
	Filters []string // see View.Select
	Order   string   // created (the newest first), id, repository, size or tag; empty is created
}

// Named is an image by one of its names.
type Named struct {
	*Image
	Repository, Tag string // empty where it has no name, or one without a tag
	Bytes           int64  // see Image.Size
	Damage          error  // why Bytes cannot be had; nil for an image that is whole
}

// Query returns the images that a listing shows, one with several names once for each. An order that there is not is a field.Error.
func (v *View) Query(q Query) ([]Named, error) {
	order, err := namedOrder(q.Order)
	if err != nil {
		return nil, err
	}
	all, err := v.Images()
	if err != nil {
		return nil, err
	}
	filters := q.Filters
	if !q.All {
		filters = append(slices.Clone(filters), "intermediate=false")
	}
	selected, err := v.Select(all, filters)
	if err != nil {
		return nil, err
	}
	var list []Named
	for _, img := range selected {
		list = append(list, img.named()...)
	}
	slices.SortStableFunc(list, order)
	return list, nil
}

// named is the image by each of its names.
func (img *Image) named() (list []Named) {
	n := Named{Image: img}
	n.Bytes, n.Damage = img.Size()
	if len(img.Names) == 0 {
		return []Named{n}
	}
	for _, name := range img.Names {
		n.Repository, n.Tag = "", ""
		if ref, err := reference.ParseNormalizedNamed(name); err == nil {
			n.Repository = ref.Name()
			if tagged, ok := ref.(reference.Tagged); ok {
				n.Tag = tagged.Tag()
			}
		}
		list = append(list, n)
	}
	return list
}

// namedOrder returns the comparison of Query.Order.
func namedOrder(key string) (func(a, b Named) int, error) {
	switch key {
	case "", "created":
		return func(a, b Named) int { return b.Created.Compare(a.Created) }, nil
	case "id":
		return func(a, b Named) int { return strings.Compare(a.ID, b.ID) }, nil
	case "repository":
		return func(a, b Named) int { return strings.Compare(a.Repository, b.Repository) }, nil
	case "size":
		return func(a, b Named) int { return cmp.Compare(a.Bytes, b.Bytes) }, nil
	case "tag":
		return func(a, b Named) int { return strings.Compare(a.Tag, b.Tag) }, nil
	}
	return nil, field.Errorf("%s %q: must be created, id, repository, size or tag", field.Name("sort"), key)
}
