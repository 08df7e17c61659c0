// SPDX-License-Identifier: Apache-2.0

package image

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ociv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/storage"
)

// LayerDirs returns the directories that hold the image's file system, the uppermost first, as
// spec.NewRootfs takes them. Inside the user namespace they can be read whatever their modes.
func (img *Image) LayerDirs() ([]string, error) {
	chain, err := img.layerChain()
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, l := range chain {
		if img.view.driver == "vfs" { // a layer has everything that is below it
			return []string{filepath.Join(l.root, "vfs", "dir", l.ID)}, nil
		}
		dirs = append(dirs, filepath.Join(l.root, img.view.driver, l.ID, "diff"))
	}
	return dirs, nil
}

// Below returns the image without its last layer; its TopLayer is empty where that was all.
func (img *Image) Below() *Image {
	below := *img
	below.TopLayer = ""
	if chain, err := img.layerChain(); err == nil && len(chain) > 1 {
		below.TopLayer = chain[1].ID
	}
	return &below
}

// Index returns the image index that the image was pulled by, and its digest; nil if it came by
// its manifest. An image pulled by several has the first that lists it.
func (img *Image) Index() (*ociv1.Index, digest.Digest, error) {
	for _, name := range slices.Sorted(slices.Values(img.BigDataNames)) {
		if !strings.HasPrefix(name, storage.ImageDigestManifestBigDataNamePrefix) {
			continue
		}
		data, err := img.bigData(name)
		if err != nil {
			return nil, "", err
		}
		var x ociv1.Index
		if json.Unmarshal(data, &x) == nil && len(x.Manifests) > 0 {
			return &x, digest.FromBytes(data), nil
		}
	}
	return nil, "", nil
}
