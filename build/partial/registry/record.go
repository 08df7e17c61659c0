// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/berth-containers/berth/build/partial"

	"go.podman.io/image/v5/docker/reference"
)

// Types of a record and of its layers.
const (
	RecordArtifactType = "application/vnd.partials.build.v1"
	composedType       = "application/vnd.partials.build.containerfile.v1"
	lockType           = "application/vnd.partials.build.lock.v1+json"
	sourceType         = "application/vnd.partials.build.source.v1"
	layersType         = "application/vnd.partials.build.layers.v1+json"
)

// AnnotationPrevious names, on the record of a rebased image, the manifest of the image that it was made from.
const AnnotationPrevious = "dev.partials.previous"

// maxRecord bounds each document of a record.
const maxRecord = 4 << 20

// Record is what composition leaves of a build. Empty documents are left out.
type Record struct {
	Composed   []byte // the composed file
	Lock       []byte // JSON
	Source     []byte
	SourceName string // Containerfile, partials.yaml
	Layers     []byte // JSON: which block made which layers
	// Annotations go to the manifest, such as the record that this one replaces.
	Annotations map[string]string

	Digest string // of the manifest; set by Records
}

// part of a record, in the order of the manifest's layers.
type document struct {
	mediaType, title string
	data             *[]byte
}

func (r *Record) documents() []document {
	return []document{
		{composedType, "Containerfile", &r.Composed},
		{lockType, "Containerfile.lock", &r.Lock},
		{sourceType, r.SourceName, &r.Source},
		{layersType, "layers.json", &r.Layers},
	}
}

// pack returns the manifest and blobs. The config has the artifact's type, too: registries and clients of before
// OCI 1.1 show that one.
func (r *Record) pack(subject *descriptor) ([]byte, map[string][]byte, error) {
	empty := []byte("{}")
	m := manifest{
		SchemaVersion: 2, MediaType: manifestType, ArtifactType: RecordArtifactType,
		Config: describe(RecordArtifactType, "", empty), Subject: subject, Annotations: r.Annotations,
	}
	blobs := map[string][]byte{digestOf(empty): empty}
	for _, d := range r.documents() {
		if len(*d.data) > maxRecord {
			return nil, nil, fmt.Errorf("pack the record: %s has %d bytes; %d are the most", d.title, len(*d.data), maxRecord)
		}
		if len(*d.data) > 0 {
			m.Layers = append(m.Layers, describe(d.mediaType, d.title, *d.data))
			blobs[digestOf(*d.data)] = *d.data
		}
	}
	if len(m.Layers) == 0 {
		return nil, nil, errors.New("pack the record: it is empty")
	}
	data, err := json.Marshal(m)
	return data, blobs, err
}

// Attach sends a record as a referrer of an image that is in a registry (HOST/REPOSITORY[:TAG][@DIGEST]) and, if that
// is an index, of each image in it. Registries without the referrers API get the tag that stands in for
// it. It returns the digests of the manifests that it wrote.
func (l *Library) Attach(ctx context.Context, image string, r Record) ([]string, error) {
	loc, e, ref, err := l.image(image)
	if err != nil {
		return nil, err
	}
	if l.opts.Offline {
		return nil, partial.Errorf("P052", "offline: cannot publish the record of %s", image)
	}
	subjects, err := e.subjects(ctx, ref)
	if err != nil {
		return nil, explain(ctx, loc, err)
	}
	var written []string
	for _, s := range subjects {
		data, blobs, err := r.pack(&s)
		if err != nil {
			return nil, err
		}
		if err := e.publish(ctx, loc, "", data, blobs); err != nil {
			return nil, fmt.Errorf("attach the record to %s@%s: %w", loc.path, s.Digest, err)
		}
		written = append(written, digestOf(data))
	}
	return written, nil
}

// subjects are a manifest and, if it is an index, the manifests in it.
func (e *endpoint) subjects(ctx context.Context, ref string) ([]descriptor, error) {
	data, mediaType, err := e.manifest(ctx, ref)
	if err != nil {
		return nil, err
	}
	var x layoutIndex
	if err := json.Unmarshal(data, &x); err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", ref, err)
	}
	if x.MediaType == "" {
		x.MediaType, _, _ = strings.Cut(mediaType, ";")
	}
	all := []descriptor{{MediaType: x.MediaType, Digest: digestOf(data), Size: int64(len(data))}}
	for _, d := range x.Manifests {
		if d.Annotations["vnd.docker.reference.type"] == "" { // BuildKit's attestations are no images
			all = append(all, descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size})
		}
	}
	return all, nil
}

// PublishRecord sends a record that belongs to no image, as HOST/REPOSITORY:TAG. It returns its digest.
func (l *Library) PublishRecord(ctx context.Context, name string, r Record) (string, error) {
	loc, e, ref, err := l.image(name)
	if err != nil {
		return "", err
	}
	if l.opts.Offline {
		return "", partial.Errorf("P052", "offline: cannot publish %s", name)
	}
	data, blobs, err := r.pack(nil)
	if err != nil {
		return "", err
	}
	if isDigest(ref) {
		return "", fmt.Errorf("publish %s: a digest is what comes of it; give a tag", name)
	}
	return digestOf(data), e.publish(ctx, loc, ref, data, blobs)
}

// Record fetches a record that was published by itself; nil if what the name leads to is something else.
func (l *Library) Record(ctx context.Context, name string) (*Record, error) {
	if l.opts.Offline {
		return nil, nil
	}
	loc, e, ref, err := l.image(name)
	if err != nil {
		return nil, err
	}
	data, _, err := e.manifest(ctx, ref)
	if err != nil {
		return nil, explain(ctx, loc, err)
	}
	var m manifest
	if json.Unmarshal(data, &m) != nil || m.ArtifactType != RecordArtifactType {
		return nil, nil
	}
	r, err := l.record(ctx, loc, e, data)
	return &r, err
}

// Records fetches the records of an image: those attached to it, in the order of their digests, or the one that it is. What is
// attached can come from anybody who may write to the repository, and is not verified beyond its digests.
func (l *Library) Records(ctx context.Context, image string) ([]Record, error) {
	loc, e, ref, err := l.image(image)
	if err != nil {
		return nil, err
	}
	if l.opts.Offline {
		return nil, partial.Errorf("P052", "offline: cannot ask for the records of %s", image)
	}
	data, _, err := e.manifest(ctx, ref)
	if err != nil {
		return nil, explain(ctx, loc, err)
	}
	subject := digestOf(data)
	var m manifest
	if err := json.Unmarshal(data, &m); err == nil && m.ArtifactType == RecordArtifactType {
		r, err := l.record(ctx, loc, e, data)
		return []Record{r}, err
	}
	list, err := e.referrers(ctx, subject, RecordArtifactType)
	if err != nil {
		return nil, explain(ctx, loc, err)
	}
	var found []Record
	for _, d := range list {
		if d.ArtifactType != "" && d.ArtifactType != RecordArtifactType || !isDigest(d.Digest) {
			continue
		}
		data, _, err := e.manifest(ctx, d.Digest)
		if isMissing(err) {
			continue // deleted since
		}
		if err != nil {
			return nil, explain(ctx, loc, err)
		}
		var m manifest
		if json.Unmarshal(data, &m) != nil || m.ArtifactType != RecordArtifactType || m.Subject == nil || m.Subject.Digest != subject {
			continue
		}
		r, err := l.record(ctx, loc, e, data)
		if err != nil {
			return nil, err
		}
		found = append(found, r)
	}
	slices.SortFunc(found, func(a, b Record) int { return strings.Compare(a.Digest, b.Digest) })
	return found, nil
}

func (l *Library) record(ctx context.Context, loc location, e *endpoint, data []byte) (Record, error) {
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return Record{}, fmt.Errorf("read the record of %s: %w", loc.ref, err)
	}
	r := Record{Digest: digestOf(data), Annotations: m.Annotations}
	for _, d := range r.documents() {
		layer, err := m.layer(d.mediaType)
		if err != nil || layer == nil {
			continue
		}
		if layer.Size > maxRecord || !isDigest(layer.Digest) {
			return r, fmt.Errorf("read the record of %s: a document of %d bytes; %d are the most", loc.ref, layer.Size, maxRecord)
		}
		body, err := e.blob(ctx, layer.Digest)
		if err != nil {
			return r, explain(ctx, loc, err)
		}
		if err := layer.check(body); err != nil {
			return r, partial.Errorf("P051", "record of %s: %v", loc.ref, err)
		}
		*d.data = body
		if d.mediaType == sourceType {
			r.SourceName = layer.Annotations[annotationTitle]
		}
	}
	return r, nil
}

// image finds the repository of an image and the tag or digest to ask for.
func (l *Library) image(image string) (loc location, e *endpoint, ref string, err error) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return loc, nil, "", fmt.Errorf("read reference %q: %w", image, err)
	}
	ref = "latest"
	if t, ok := named.(reference.Tagged); ok {
		ref = t.Tag()
	}
	if d, ok := named.(reference.Digested); ok {
		ref = d.Digest().String()
	}
	loc = location{kind: registry, ref: image, path: named.Name()}
	places, err := l.sources(loc.path)
	if err != nil {
		return loc, nil, "", err
	}
	return loc, places[len(places)-1], ref, nil
}
