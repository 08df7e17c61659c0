// SPDX-License-Identifier: Apache-2.0

package image

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ociv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/manifest"
)

// Tags returns the image's names that have a tag.
func (img *Image) Tags() []string {
	tags := []string{}
	for _, name := range img.Names {
		if ref, err := reference.Parse(name); err == nil {
			if _, ok := ref.(reference.NamedTagged); ok {
				tags = append(tags, name)
			}
		}
	}
	return tags
}

// RepoDigests returns each repository of the image's names with each of its digests, sorted.
func (img *Image) RepoDigests() []string {
	set := make(map[string]bool)
	for _, name := range img.Names {
		named, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			continue
		}
		for _, d := range append([]digest.Digest{img.Digest}, img.Digests...) {
			if d != "" {
				set[named.Name()+"@"+d.String()] = true
			}
		}
	}
	all := make([]string, 0, len(set))
	for s := range set {
		all = append(all, s)
	}
	sort.Strings(all)
	return all
}

// Data is what `image inspect` shows, in podman's words.
type Data struct {
	ID           string                        `json:"Id"`
	Digest       digest.Digest                 `json:"Digest"`
	RepoTags     []string                      `json:"RepoTags"`
	RepoDigests  []string                      `json:"RepoDigests"`
	Parent       string                        `json:"Parent"` // ID of the image it was built on, if that is here
	Comment      string                        `json:"Comment"`
	Created      *time.Time                    `json:"Created"`
	Config       *InspectConfig                `json:"Config"`
	Version      string                        `json:"Version"` // of Docker, where it made the image
	Author       string                        `json:"Author"`
	Architecture string                        `json:"Architecture"`
	Os           string                        `json:"Os"`
	Size         int64                         `json:"Size"`        // bytes of all layers
	VirtualSize  int64                         `json:"VirtualSize"` // the same
	GraphDriver  *DriverData                   `json:"GraphDriver"`
	RootFS       *RootFS                       `json:"RootFS"`
	Labels       map[string]string             `json:"Labels"`
	Annotations  map[string]string             `json:"Annotations"`
	ManifestType string                        `json:"ManifestType"`
	User         string                        `json:"User"`
	History      []ociv1.History               `json:"History"`
	NamesHistory []string                      `json:"NamesHistory"`
	HealthCheck  *manifest.Schema2HealthConfig `json:"Healthcheck,omitempty"`
}

// Healthcheck is HealthCheck, by the name that it has in JSON and in Docker's templates.
func (d *Data) Healthcheck() *manifest.Schema2HealthConfig { return d.HealthCheck }

// InspectConfig is the configuration as Docker shows it: OCI's, and what Docker's format adds.
type InspectConfig struct {
	ociv1.ImageConfig
	Healthcheck *manifest.Schema2HealthConfig `json:"Healthcheck,omitempty"`
	Shell       []string                      `json:"Shell,omitempty"`
	OnBuild     []string                      `json:"OnBuild,omitempty"`
}

// DriverData says where the storage driver keeps the image's layers.
type DriverData struct {
	Name string            `json:"Name"`
	Data map[string]string `json:"Data"`
}

// RootFS are the layers, the lowest first.
type RootFS struct {
	Type   string          `json:"Type"`
	Layers []digest.Digest `json:"Layers"`
}

// Inspect returns what `image inspect` shows, in podman's words.
func (img *Image) Inspect() (*Data, error) {
	c, err := img.Config()
	if err != nil {
		return nil, fmt.Errorf("inspect image %s: %w", img.shortID(), err)
	}
	size, err := img.Size()
	if err != nil {
		return nil, fmt.Errorf("inspect image %s: %w", img.shortID(), err)
	}
	raw, mime, err := img.Manifest()
	if err != nil {
		return nil, fmt.Errorf("inspect image %s: %w", img.shortID(), err)
	}
	relations, err := img.view.Relations()
	if err != nil {
		return nil, err
	}
	data := &Data{
		ID: img.ID, Digest: img.Digest, RepoTags: img.Tags(), RepoDigests: img.RepoDigests(),
		NamesHistory: img.NamesHistory,
		Created:      c.Created, Author: c.Author, Comment: c.Comment, Version: c.Version,
		Architecture: c.Architecture, Os: c.OS, User: c.Image.Config.User,
		Config: &InspectConfig{ImageConfig: c.Image.Config, Healthcheck: c.Healthcheck, Shell: c.Shell, OnBuild: c.OnBuild},
		Size:   size, VirtualSize: size,
		Labels: c.Image.Config.Labels, Annotations: map[string]string{},
		RootFS:       &RootFS{Type: c.RootFS.Type, Layers: c.RootFS.DiffIDs},
		GraphDriver:  img.graphDriver(),
		ManifestType: mime, History: c.History, HealthCheck: c.Healthcheck,
	}
	if parent := relations.Parent(img); parent != nil {
		data.Parent = parent.ID
	}
	if mime == ociv1.MediaTypeImageManifest {
		if len(c.History) > 0 {
			data.Comment = c.History[0].Comment
		}
		var m ociv1.Manifest
		if json.Unmarshal(raw, &m) == nil && m.Annotations != nil {
			data.Annotations = m.Annotations
		}
	}
	return data, nil
}

// graphDriver says where the image's layers are, in the words of the drivers.
func (img *Image) graphDriver() *DriverData {
	d := &DriverData{Name: img.view.driver, Data: map[string]string{}}
	chain, err := img.layerChain()
	if err != nil || len(chain) == 0 || img.view.driver != "overlay" {
		return d
	}
	dir := func(l *layer, name string) string { return filepath.Join(l.root, "overlay", l.ID, name) }
	d.Data["UpperDir"], d.Data["WorkDir"] = dir(chain[0], "diff"), dir(chain[0], "work")
	var lower []string
	for _, l := range chain[1:] {
		lower = append(lower, dir(l, "diff"))
	}
	if len(lower) > 0 {
		d.Data["LowerDir"] = strings.Join(lower, ":")
	}
	return d
}

func (img *Image) shortID() string { return img.ID[:min(12, len(img.ID))] }

// HistoryStep is one line of an image's history.
type HistoryStep struct {
	ID        string     `json:"id"` // of the image that the step made, or <missing>
	Created   *time.Time `json:"created"`
	CreatedBy string     `json:"createdBy"`
	Size      int64      `json:"size"` // bytes of the layer, 0 for a step without one
	Comment   string     `json:"comment"`
	Tags      []string   `json:"tags"`
}

// History returns how the image came to be, the last step first.
func (img *Image) History() ([]HistoryStep, error) {
	c, err := img.Config()
	if err != nil {
		return nil, fmt.Errorf("read the history of image %s: %w", img.shortID(), err)
	}
	chain, err := img.layerChain()
	if err != nil {
		return nil, fmt.Errorf("read the history of image %s: %w", img.shortID(), err)
	}
	relations, err := img.view.Relations()
	if err != nil {
		return nil, err
	}
	steps := make([]HistoryStep, 0, len(c.History))
	used := make(map[string]bool)
	for i := len(c.History) - 1; i >= 0; i-- {
		h := c.History[i]
		step := HistoryStep{ID: "<missing>", Created: h.Created, CreatedBy: h.CreatedBy, Comment: h.Comment}
		if len(chain) > 0 {
			for n, owner := range relations.byLayer[chain[0].ID] {
				if n == 0 && !used[owner.ID] {
					step.ID, used[owner.ID] = owner.ID, true
				}
				step.Tags = append(step.Tags, owner.Names...)
			}
		}
		if !h.EmptyLayer {
			if len(chain) == 0 {
				return nil, fmt.Errorf("read the history of image %s: it tells of more layers than there are: %w", img.shortID(), ErrUnreadable)
			}
			step.Size, chain = max(0, chain[0].Size), chain[1:]
		}
		steps = append(steps, step)
	}
	return steps, nil
}
