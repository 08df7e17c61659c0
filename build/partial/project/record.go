// SPDX-License-Identifier: Apache-2.0

package project

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/base"
	"github.com/berth-containers/berth/build/partial/registry"
	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"go.podman.io/image/v5/transports/alltransports"
)

// kept is what a build leaves for the push of its image: $DATA/part-records/DIGEST.json, where DIGEST is the one in
// the image's label.
type kept struct {
	Version                int `json:"version"` // 1
	Composed, Lock, Source []byte
	SourceName             string
	Previous               string               // digest of the manifest of the image that this one was rebased from
	Images                 map[string]keptImage // that were built of it, by ID
}

// keptImage is what is kept of one image.
type keptImage struct {
	Layers json.RawMessage // partial.BuildLayers
}

func recordFile(e *libctr.Engine, digest string) string {
	return filepath.Join(e.DataDir(), "part-records", strings.TrimPrefix(digest, "sha256:")+".json")
}

// KeepRecord keeps a composition for the push of the image that is built of it. name is what the source is called.
func KeepRecord(e *libctr.Engine, r *partial.Result, file, name string) error {
	source, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return keepRecord(e, r, filepath.Base(name), source)
}

// KeepRecord keeps a composition of the given source, whose image was made from another one, the previous.
func (p *Project) KeepRecord(r *partial.Result, source []byte, previous string) error {
	lock, err := r.Lock.Marshal()
	if err != nil {
		return err
	}
	return write(p.opts.Engine, r.Digest, &kept{Composed: []byte(r.Text), Lock: lock, Source: source, SourceName: sourceName(p.opts.File), Previous: previous})
}

func sourceName(file string) string {
	if file == "" {
		return "Containerfile"
	}
	return filepath.Base(file)
}

// KeptRecord returns what was kept of a build and of an image of it; nil if nothing was.
func (p *Project) KeptRecord(digest, image string) (*partial.Records, error) {
	k, err := readKept(p.opts.Engine, digest)
	if k == nil || err != nil {
		return nil, err
	}
	return &partial.Records{Composed: k.Composed, Lock: k.Lock, Source: k.Source, Layers: k.Images[image].Layers}, nil
}

// KeepLayers notes which layers the blocks made of an image that was built of a composed text, and returns the files that
// two parts wrote. It does nothing for what is no image of the store, such as an index.
func KeepLayers(e *libctr.Engine, text, id string) (overlaps []string, err error) {
	images := &base.Images{Engine: e}
	img, err := images.Local(id)
	if err != nil {
		return nil, nil //nolint:nilerr // an index, or nothing in the store at all
	}
	c, err := img.Config()
	if err != nil {
		return nil, err
	}
	digest := c.Config.Labels["dev.partials.digest"]
	k, err := readKept(e, digest)
	if k == nil || err != nil || len(k.Images[img.ID].Layers) > 0 {
		return nil, err
	}
	under := 0
	if ref := partial.FirstImage(partial.BodyOf(text)); ref != "scratch" {
		b, err := images.Local(ref)
		if err != nil {
			return nil, nil //nolint:nilerr // what is the base's and what is not cannot be told
		}
		bc, err := b.Config()
		if err != nil {
			return nil, err
		}
		under = len(bc.RootFS.DiffIDs)
	}
	var diffIDs []string
	for _, d := range c.RootFS.DiffIDs {
		diffIDs = append(diffIDs, d.String())
	}
	l, err := partial.LayersOf(partial.BodyOf(text), diffIDs, under)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	if k.Images == nil {
		k.Images = map[string]keptImage{}
	}
	for old := range k.Images {
		if _, err := images.Local(old); err != nil {
			delete(k.Images, old)
		}
	}
	k.Images[img.ID] = keptImage{Layers: data}
	if err := write(e, digest, k); err != nil {
		return nil, err
	}
	return images.Overlaps(img, l)
}

// readKept returns nil for a build of which nothing was kept.
func readKept(e *libctr.Engine, digest string) (*kept, error) {
	data, err := os.ReadFile(recordFile(e, digest))
	if errors.Is(err, fs.ErrNotExist) || digest == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var k kept
	if err := json.Unmarshal(data, &k); err != nil {
		return nil, fmt.Errorf("read the build's record: %w", err)
	}
	return &k, nil
}

func keepRecord(e *libctr.Engine, r *partial.Result, name string, source []byte) error {
	lock, err := r.Lock.Marshal()
	if err != nil {
		return err
	}
	return write(e, r.Digest, &kept{Composed: []byte(r.Text), Lock: lock, Source: source, SourceName: name})
}

// write keeps a record. What an earlier one knows of images stays.
func write(e *libctr.Engine, digest string, k *kept) error {
	path := recordFile(e, digest)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep the build's record: %w", err)
	}
	if old, err := readKept(e, digest); err == nil && old != nil {
		if k.Images == nil {
			k.Images = old.Images
		}
		if k.Previous == "" {
			k.Previous = old.Previous
		}
	}
	k.Version = 1
	data, err := json.Marshal(k)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(path, data, 0o600, false); err != nil {
		return fmt.Errorf("keep the build's record: %w", err)
	}
	return nil
}

// AttachRecord sends what was kept of an image's build next to the image in its registry, as a referrer. id is the image's in
// the store, digest the one in its label. It reports whether there was something to send.
func AttachRecord(ctx context.Context, o Options, name, id, digest string) (sent bool, err error) {
	k, err := readKept(o.Engine, digest)
	if k == nil || err != nil {
		return false, err
	}
	p, err := OpenDir(o, ".")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	r := registry.Record{Composed: k.Composed, Lock: k.Lock, Source: k.Source, SourceName: k.SourceName, Layers: k.Images[id].Layers}
	if k.Previous != "" {
		r.Annotations = map[string]string{registry.AnnotationPrevious: k.Previous}
	}
	_, err = p.Parts.Attach(ctx, name, r)
	return err == nil, err
}

// PushRecord sends the record of a composed image after the image, which has been pushed by its name, or to a destination if that is not
// empty. It does nothing for what is no image of a composition, or has not gone to a registry.
func PushRecord(ctx context.Context, e *libctr.Engine, name, destination string, o image.RegistryOptions) error {
	img, err := e.ImageView().Lookup(name, image.LookupOptions{})
	if err != nil {
		return nil //nolint:nilerr // an index, or a name with a transport
	}
	c, err := img.Config()
	if err != nil || c.Config.Labels["dev.partials.digest"] == "" {
		return nil //nolint:nilerr // the push has said it
	}
	if destination == "" {
		destination = img.Resolved
	}
	destination = strings.TrimPrefix(destination, "docker://")
	if destination == "" || strings.Contains(destination, "://") || alltransports.TransportFromImageName(destination) != nil {
		return nil
	}
	_, err = AttachRecord(ctx, Options{Engine: e, Registry: o}, destination, img.ID, c.Config.Labels["dev.partials.digest"])
	return err
}

// PublishFile sends a composed file, with its lock and source, to a registry, where it belongs to no image. It returns the
// digest of its manifest.
func PublishFile(ctx context.Context, o Options, r *partial.Result, name string) (digest string, err error) {
	source, err := os.ReadFile(o.File)
	if err != nil {
		return "", err
	}
	lock, err := r.Lock.Marshal()
	if err != nil {
		return "", err
	}
	p, err := OpenDir(o, filepath.Dir(o.File))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	return p.Parts.PublishRecord(ctx, name, registry.Record{Composed: []byte(r.Text), Lock: lock, Source: source, SourceName: sourceName(o.File)})
}
