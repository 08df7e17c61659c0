// SPDX-License-Identifier: Apache-2.0

package image

import "slices"

// LayerNode is a layer in a tree of layers.
type LayerNode struct {
	ID       string
	Size     int64    // bytes, unpacked
	Tags     []string // of the images whose top layer it is
	Children []LayerNode
}

// LayerTree returns the image's layers, the base first, or with children set its top
// layer with all that lies upon it.
func (img *Image) LayerTree(children bool) ([]LayerNode, error) {
	chain, err := img.layerChain()
	if err != nil {
		return nil, err
	}
	rel, err := img.view.Relations()
	if err != nil || len(chain) == 0 {
		return nil, err
	}
	if children {
		return []LayerNode{rel.upon(chain[0])}, nil
	}
	slices.Reverse(chain)
	nodes := make([]LayerNode, len(chain))
	for i, l := range chain {
		nodes[i] = rel.node(l)
	}
	return nodes, nil
}

func (r *Relations) node(l *layer) LayerNode {
	n := LayerNode{ID: l.ID, Size: max(0, l.Size)}
	for _, img := range r.byLayer[l.ID] {
		n.Tags = append(n.Tags, img.Tags()...)
	}
	return n
}

// upon returns the layer with those that lie on it, and on them, sorted by ID.
func (r *Relations) upon(l *layer) LayerNode {
	n := r.node(l)
	var ids []string
	for id, other := range r.layers {
		if other.Parent == l.ID {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		n.Children = append(n.Children, r.upon(r.layers[id]))
	}
	return n
}
