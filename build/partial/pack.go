// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// Media types of a part as an OCI 1.1 artifact.
const (
	PartArtifactType  = "application/vnd.partials.part.v1"
	PartConfigType    = "application/vnd.partials.part.config.v1+json"
	ContainerfileType = "application/vnd.partials.part.containerfile.v1"
	FilesType         = "application/vnd.partials.part.files.v1.tar"
	manifestType      = "application/vnd.oci.image.manifest.v1+json"
)

// Packed is a part as an artifact. The same part makes the same bytes everywhere.
type Packed struct {
	Digest   string // of Manifest
	Manifest []byte
	Blobs    map[string][]byte // by digest: config and layers
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type artifactManifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Pack returns the part as the artifact that push sends: files sorted, times zero, owner root.
func (p *Part) Pack() (*Packed, error) {
	pk := &Packed{Blobs: map[string][]byte{}}
	add := func(mediaType, title string, data []byte) descriptor {
		d := digestOf(data)
		pk.Blobs[d] = data
		desc := descriptor{MediaType: mediaType, Digest: d, Size: int64(len(data))}
		if title != "" {
			desc.Annotations = map[string]string{"org.opencontainers.image.title": title}
		}
		return desc
	}
	config, err := json.Marshal(p.Meta)
	if err != nil {
		return nil, err
	}
	m := artifactManifest{SchemaVersion: 2, MediaType: manifestType, ArtifactType: PartArtifactType,
		Config: add(PartConfigType, "", config), Layers: []descriptor{add(ContainerfileType, "Containerfile", []byte(p.Text))}}
	if len(p.Files) > 0 {
		data, err := tarFiles(p.Files)
		if err != nil {
			return nil, err
		}
		m.Layers = append(m.Layers, add(FilesType, "files.tar", data))
	}
	m.Annotations = map[string]string{
		"dev.partials.name":                      p.Meta.Name,
		"org.opencontainers.image.title":         p.Meta.Name,
		"org.opencontainers.image.version":       p.Meta.Version,
		"org.opencontainers.image.description":   p.Meta.Summary,
		"org.opencontainers.image.licenses":      p.Meta.Licenses,
		"org.opencontainers.image.source":        p.Meta.Source,
		"dev.partials.provides":                  strings.Join(p.Meta.Provides, ","),
		"org.opencontainers.image.documentation": "",
	}
	for k, v := range m.Annotations {
		if v == "" {
			delete(m.Annotations, k)
		}
	}
	if pk.Manifest, err = json.Marshal(m); err != nil {
		return nil, err
	}
	pk.Digest = digestOf(pk.Manifest)
	return pk, nil
}

func tarFiles(files []File) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, dir := range parents(files) {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}); err != nil {
			return nil, err
		}
	}
	for _, f := range files {
		mode := int64(0o644)
		if f.Executable {
			mode = 0o755
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.Path, Mode: mode, Size: int64(len(f.Data)), ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.Path, err)
		}
		if _, err := w.Write([]byte(f.Data)); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// parents are the directories that the files are in, each before those in it.
func parents(files []File) []string {
	var dirs []string
	for _, f := range files {
		for d := path.Dir(f.Path); d != "."; d = path.Dir(d) {
			dirs = append(dirs, d)
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}
