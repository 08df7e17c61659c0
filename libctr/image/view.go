// SPDX-License-Identifier: Apache-2.0

package image

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/berth-containers/berth/libctr/writable"
	jsoniter "github.com/json-iterator/go"
	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
)

// View reads a containers/storage store from its files. containers/storage replaces
// images.json and layers.json by rename, and writes what they name before, so that a
// reader without a lock sees a state that was true. A View reads each file once, when
// it is first needed; open a new one to see changes. Its methods may be called by
// several goroutines.
type View struct {
	// System says where registries.conf is; nil is the default places.
	System *types.SystemContext

	driver string
	roots  []string // the store that is written to first, then the additional ones

	images func() ([]*imageStore, error)
	layers func() (map[string]*layer, error)
	users  func() (map[string][]string, error)
}

// Image is an image as the store has it.
type Image struct {
	storage.Image
	// Resolved is the full name that Lookup found the image by; empty if it was an ID.
	Resolved string

	view *View
	dir  string // of the big data files
}

// imageStore is the content of one images.json.
type imageStore struct {
	images []*Image
	byID   map[string]*Image
	byName map[string]*Image
}

// layer is the part of a layers.json record that is used here.
type layer struct {
	ID        string        `json:"id"`
	Parent    string        `json:"parent"`
	DiffID    digest.Digest `json:"diff-digest"`
	Size      int64         `json:"diff-size"`
	TOCDigest digest.Digest `json:"toc-digest"`
	root      string
}

// OpenView returns a view of the store at graphRoot for driver (overlay, vfs) and of
// the additional image stores, which are read-only. A store that was never used has no
// images; that is no error. With a split store graphRoot is the image store, and the
// graph root is the first of additional.
func OpenView(graphRoot, driver string, additional []string) *View {
	v := &View{driver: driver, roots: append([]string{graphRoot}, additional...)}
	v.images = sync.OnceValues(v.readImages)
	v.layers = sync.OnceValues(v.readLayers)
	v.users = sync.OnceValues(v.readContainers)
	return v
}

// Images returns every image, those of the additional stores last.
func (v *View) Images() ([]*Image, error) {
	stores, err := v.images()
	if err != nil {
		return nil, err
	}
	var all []*Image
	seen := make(map[string]bool)
	for _, s := range stores {
		for _, img := range s.images {
			if !seen[img.ID] {
				seen[img.ID] = true
				all = append(all, img)
			}
		}
	}
	return all, nil
}

// Containers returns the storage IDs of the containers made from the image with the
// given ID, whichever engine made them.
func (v *View) Containers(imageID string) ([]string, error) {
	users, err := v.users()
	return users[imageID], err
}

func (v *View) readImages() ([]*imageStore, error) {
	var stores []*imageStore
	for i, root := range v.roots {
		dir := filepath.Join(root, v.driver+"-images")
		var records []storage.Image
		if err := readJSON(filepath.Join(dir, "images.json"), &records); err != nil {
			return nil, fmt.Errorf("read the list of images: %w", err)
		}
		s := &imageStore{byID: make(map[string]*Image, len(records)), byName: make(map[string]*Image, len(records))}
		for _, r := range records {
			img := &Image{Image: r, view: v, dir: filepath.Join(dir, r.ID)}
			img.ReadOnly = i > 0
			img.Digests = digestsOf(&r)
			if img.Digest == "" && len(img.Digests) > 0 {
				img.Digest = img.Digests[0]
			}
			s.images = append(s.images, img)
			s.byID[img.ID] = img
			for _, name := range img.Names {
				s.byName[name] = img
			}
		}
		stores = append(stores, s)
	}
	return stores, nil
}

// digestsOf returns the digests of an image's manifests, its explicit digest first.
// Big data whose name begins with "manifest" are manifests (containers/storage, images.go).
func digestsOf(r *storage.Image) []digest.Digest {
	var all []digest.Digest
	if r.Digest != "" {
		all = append(all, r.Digest)
	}
	for _, name := range r.BigDataNames {
		d, ok := r.BigDataDigests[name]
		if ok && strings.HasPrefix(name, storage.ImageDigestManifestBigDataNamePrefix) && !slices.Contains(all, d) {
			all = append(all, d)
		}
	}
	return all
}

func (v *View) readLayers() (map[string]*layer, error) {
	all := make(map[string]*layer)
	for _, root := range v.roots {
		var records []*layer
		if err := readJSON(filepath.Join(root, v.driver+"-layers", "layers.json"), &records); err != nil {
			return nil, fmt.Errorf("read the list of layers: %w", err)
		}
		for _, l := range records {
			l.root = root
			if _, ok := all[l.ID]; !ok {
				all[l.ID] = l
			}
		}
	}
	return all, nil
}

func (v *View) readContainers() (map[string][]string, error) {
	users := make(map[string][]string)
	for _, root := range v.roots {
		for _, file := range []string{"containers.json", "volatile-containers.json"} {
			var records []struct {
				ID    string `json:"id"`
				Image string `json:"image"`
			}
			if err := readJSON(filepath.Join(root, v.driver+"-containers", file), &records); err != nil {
				return nil, fmt.Errorf("read the list of containers: %w", err)
			}
			for _, r := range records {
				users[r.Image] = append(users[r.Image], r.ID)
			}
		}
		for image, ids := range users {
			var err error
			if users[image], err = writable.In(root).WithoutPins(image, ids); err != nil {
				return nil, err
			}
			if len(users[image]) == 0 {
				delete(users, image)
			}
		}
	}
	return users, nil
}

// Container is one that containers/storage has: of buildah, of podman, or of a build.
type Container struct {
	ID    string   `json:"id"`
	Names []string `json:"names"`
	Image string   `json:"image"` // ID; empty is none

	Metadata string `json:"metadata"`
}

// Is reports whether it is meant by a name, or an ID or its beginning.
func (c *Container) Is(name string) bool {
	return slices.Contains(c.Names, name) || name != "" && strings.HasPrefix(c.ID, name)
}

// StoreContainers are those that containers/storage has, but for what keeps the images of Berth's.
func (v *View) StoreContainers() (all []Container, err error) {
	for _, root := range v.roots {
		for _, file := range []string{"containers.json", "volatile-containers.json"} {
			var records []Container
			if err := readJSON(filepath.Join(root, v.driver+"-containers", file), &records); err != nil {
				return nil, fmt.Errorf("read the list of containers: %w", err)
			}
			all = append(all, records...)
		}
	}
	return slices.DeleteFunc(all, func(c Container) bool { return writable.IsPin(c.Metadata) }), nil
}

// readJSON reads path into v, three times as fast as encoding/json would; a file that is not there or empty leaves v as it is.
func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && len(data) == 0) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := jsoniter.ConfigCompatibleWithStandardLibrary.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// bigData reads one of the files that containers/storage keeps beside an image's record.
func (img *Image) bigData(key string) ([]byte, error) {
	file := key
	// containers/storage, store.go, makeBigDataBaseName.
	if strings.Trim(key, ".0123456789abcdefghijklmnopqrstuvwxyz") != "" {
		file = "=" + base64.StdEncoding.EncodeToString([]byte(key))
	}
	data, err := os.ReadFile(filepath.Join(img.dir, file))
	if err != nil {
		return nil, fmt.Errorf("read %s of image %s: %w: %w", key, img.ID, ErrUnreadable, err)
	}
	return data, nil
}

// Layers returns the image's layers as containers/storage IDs, the base first. It is
// empty for an image without layers and for a manifest list.
func (img *Image) Layers() ([]string, error) {
	chain, err := img.layerChain()
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(chain))
	for i, l := range chain {
		ids[len(chain)-1-i] = l.ID
	}
	return ids, nil
}

// layerChain returns the image's layers, the top one first.
func (img *Image) layerChain() ([]*layer, error) {
	layers, err := img.view.layers()
	if err != nil {
		return nil, err
	}
	var chain []*layer
	for id := img.TopLayer; id != ""; {
		l := layers[id]
		if l == nil || len(chain) > len(layers) {
			return nil, fmt.Errorf("find layer %s of image %s: %w", id, img.ID, ErrUnreadable)
		}
		chain = append(chain, l)
		id = l.Parent
	}
	return chain, nil
}

// Size returns the bytes of the image's layers, unpacked, and of its manifest and
// config. A layer whose size the store does not know (one pulled in parts) counts as
// nothing.
func (img *Image) Size() (int64, error) {
	chain, err := img.layerChain()
	if err != nil {
		return 0, err
	}
	var size int64
	for _, l := range chain {
		size += max(0, l.Size)
	}
	for _, n := range img.BigDataSizes {
		size += n
	}
	return size, nil
}
