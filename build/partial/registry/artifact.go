// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/berth-containers/berth/build/partial"
)

// artifact is a part as it is stored and sent. Without blobs only its metadata is there.
type artifact struct {
	digest   string
	manifest []byte
	blobs    map[string][]byte // by digest
}

// descriptor and manifest are the image specification's, as far as they are read here.
type descriptor struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Subject       *descriptor       `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	indexType    = "application/vnd.oci.image.index.v1+json"

	annotationYanked  = "dev.partials.yanked"
	annotationRefName = "org.opencontainers.image.ref.name"
	annotationTitle   = "org.opencontainers.image.title"
)

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func describe(mediaType, title string, data []byte) descriptor {
	d := descriptor{MediaType: mediaType, Digest: digestOf(data), Size: int64(len(data))}
	if title != "" {
		d.Annotations = map[string]string{annotationTitle: title}
	}
	return d
}

// partManifest reads the manifest of a part and refuses anything else.
func partManifest(raw []byte) (*manifest, error) {
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	if m.ArtifactType != partial.PartArtifactType || m.Config.MediaType != partial.PartConfigType {
		return nil, fmt.Errorf("read manifest: it is no part (artifact type %q, config %q)", m.ArtifactType, m.Config.MediaType)
	}
	if m.Config.Size > maxMeta {
		return nil, fmt.Errorf("read manifest: metadata of %d bytes; %d are the most", m.Config.Size, maxMeta)
	}
	for _, d := range m.Layers {
		if d.Size > maxBlob || d.Size < 0 {
			return nil, fmt.Errorf("read manifest: a layer of %d bytes; %d are the most", d.Size, maxBlob)
		}
	}
	return &m, nil
}

// check wants data to be what the descriptor promises.
func (d descriptor) check(data []byte) error {
	if int64(len(data)) != d.Size {
		return fmt.Errorf("blob %s has %d bytes; the manifest says %d", d.Digest, len(data), d.Size)
	}
	if is := digestOf(data); is != d.Digest {
		return fmt.Errorf("blob %s has the digest %s; it was changed or damaged", d.Digest, is)
	}
	return nil
}

// layer returns the only layer of a type, or nil.
func (m *manifest) layer(mediaType string) (*descriptor, error) {
	var found *descriptor
	for i := range m.Layers {
		if m.Layers[i].MediaType == mediaType {
			if found != nil {
				return nil, fmt.Errorf("read manifest: two layers of type %s", mediaType)
			}
			found = &m.Layers[i]
		}
	}
	return found, nil
}

// meta reads the metadata. The digest of the config must have been checked.
func (a *artifact) meta(loc location) (*partial.Meta, error) {
	m, err := partManifest(a.manifest)
	if err != nil {
		return nil, improper(loc, err)
	}
	meta, errs := partial.ParseMeta(string(a.blobs[m.Config.Digest]), 0)
	for _, e := range errs {
		return nil, fmt.Errorf("read metadata of part %s: %w", loc.ref, e)
	}
	return meta, nil
}

// improper is P070 for what a source has in the place of a part and is none, by mistake or to do harm. Errors of the
// catalogue stay what they are.
func improper(loc location, err error) error {
	var known *partial.Error
	if errors.As(err, &known) {
		return fmt.Errorf("part %s: %w", loc.ref, err)
	}
	return partial.Errorf("P070", "part %s is not as parts are: %v", loc.ref, err)
}

// part unpacks an artifact with all its blobs. What the config says must be what the
// Containerfile says: the solver reads the one, composition the other.
func (a *artifact) part(loc location) (*partial.Part, error) {
	m, err := partManifest(a.manifest)
	if err != nil {
		return nil, improper(loc, err)
	}
	for _, d := range append([]descriptor{m.Config}, m.Layers...) {
		if err := d.check(a.blobs[d.Digest]); err != nil {
			return nil, partial.Errorf("P051", "part %s: %v", loc.ref, err)
		}
	}
	p, err := a.unpack(loc, m)
	if err != nil {
		return nil, improper(loc, err)
	}
	config, err := json.Marshal(p.Meta)
	if err != nil {
		return nil, err
	}
	if !sameJSON(config, a.blobs[m.Config.Digest]) {
		return nil, partial.Errorf("P051", "part %s: its config does not say what its Containerfile says", loc.ref)
	}
	p.Digest = a.digest
	return p, nil
}

func (a *artifact) unpack(loc location, m *manifest) (*partial.Part, error) {
	body, err := m.layer(partial.ContainerfileType)
	if err != nil {
		return nil, err
	}
	if body == nil {
		return nil, fmt.Errorf("it has no Containerfile")
	}
	tar, err := m.layer(partial.FilesType)
	if err != nil {
		return nil, err
	}
	var files []partial.File
	if tar != nil {
		if files, err = filesOf(a.blobs[tar.Digest]); err != nil {
			return nil, err
		}
	}
	return partial.NewPart(loc.ref+"/Containerfile", string(a.blobs[body.Digest]), files)
}

// sameJSON compares two documents whatever the order of their keys.
func sameJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}
