// SPDX-License-Identifier: Apache-2.0

package base

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/opencontainers/go-digest"
	ociv1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Config is what instructions set of an image's configuration.
func Config(img *image.Image) (partial.ImageConfig, error) {
	c, err := img.Config()
	if err != nil {
		return partial.ImageConfig{}, err
	}
	return configOf(c), nil
}

func configOf(c *image.Config) partial.ImageConfig {
	o := partial.ImageConfig{Env: c.Config.Env, User: c.Config.User, WorkingDir: c.Config.WorkingDir, Entrypoint: c.Config.Entrypoint, Cmd: c.Config.Cmd,
		Labels: c.Config.Labels, StopSignal: c.Config.StopSignal, Shell: c.Shell, OnBuild: c.OnBuild}
	if c.Healthcheck != nil {
		o.Healthcheck = c.Healthcheck.Test
	}
	for p := range c.Config.ExposedPorts {
		o.Exposed = append(o.Exposed, p)
	}
	for v := range c.Config.Volumes {
		o.Volumes = append(o.Volumes, v)
	}
	slices.Sort(o.Exposed)
	slices.Sort(o.Volumes)
	return o
}

// Rebase makes an image of the layers of now and those of img above its first oldLayers, with the
// configuration of r, and gives it a name. Nothing is run. It returns the image's ID.
func (b *Images) Rebase(ctx context.Context, img, now *image.Image, oldLayers int, r *partial.Rebased, name string) (string, error) {
	return b.assemble(ctx, img, now, name, func(app, base *layout) error {
		return app.rebase(base, oldLayers, r)
	})
}

// ReplaceLayers makes an image of img's layers, those with the numbers at taken from the image with, in their order.
func (b *Images) ReplaceLayers(ctx context.Context, img, with *image.Image, at []int, r *partial.Rebased, name string) (string, error) {
	return b.assemble(ctx, img, with, name, func(app, part *layout) error {
		return app.replace(part, at, r)
	})
}

// assemble writes two images as layouts, has work change the first, and takes it into the store.
func (b *Images) assemble(ctx context.Context, img, other *image.Image, name string, work func(app, other *layout) error) (id string, err error) {
	rt, err := library.Open(b.Engine)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, rt.Close()) }()
	tmp, err := os.MkdirTemp("", "berth-rebase-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	var layouts []*layout
	for i, x := range []*image.Image{img, other} {
		dir := filepath.Join(tmp, fmt.Sprint(i))
		if err := rt.Save(ctx, []string{x.ID}, dir, library.SaveOptions{Format: "oci-dir", Uncompressed: true}); err != nil {
			return "", err
		}
		l, err := openLayout(dir)
		if err != nil {
			return "", err
		}
		layouts = append(layouts, l)
	}
	if err := work(layouts[0], layouts[1]); err != nil {
		return "", err
	}
	ids, err := rt.Load(ctx, layouts[0].dir, nil)
	if err != nil {
		return "", err
	}
	if len(ids) != 1 {
		return "", fmt.Errorf("load the new image: it gave %d images", len(ids))
	}
	id = layouts[0].config.String()
	return id, rt.Tag(strings.TrimPrefix(id, "sha256:"), name)
}

// layout is an OCI image layout with one image.
type layout struct {
	dir      string
	manifest ociv1.Manifest
	image    ociv1.Image
	config   digest.Digest
}

func (l *layout) blob(d digest.Digest) string {
	return filepath.Join(l.dir, "blobs", d.Algorithm().String(), d.Encoded())
}

func openLayout(dir string) (*layout, error) {
	l := &layout{dir: dir}
	var index ociv1.Index
	if err := readJSON(filepath.Join(dir, "index.json"), &index); err != nil {
		return nil, err
	}
	if len(index.Manifests) != 1 {
		return nil, fmt.Errorf("read image layout: %d manifests, want one", len(index.Manifests))
	}
	if err := readJSON(l.blob(index.Manifests[0].Digest), &l.manifest); err != nil {
		return nil, err
	}
	return l, readJSON(l.blob(l.manifest.Config.Digest), &l.image)
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// rebase replaces the layout's first old layers by those of base, and writes it again.
func (l *layout) rebase(base *layout, old int, r *partial.Rebased) error {
	if old > len(l.manifest.Layers) {
		return fmt.Errorf("rebase: the image has %d layers, its base %d", len(l.manifest.Layers), old)
	}
	for _, d := range base.manifest.Layers {
		if err := os.Rename(base.blob(d.Digest), l.blob(d.Digest)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	l.manifest.Layers = append(slices.Clone(base.manifest.Layers), l.manifest.Layers[old:]...)
	c := &l.image
	c.RootFS.DiffIDs = append(slices.Clone(base.image.RootFS.DiffIDs), c.RootFS.DiffIDs[old:]...)
	own := slices.Clone(c.History[stepsOf(c.History, old):])
	if len(own) > 0 && strings.HasPrefix(own[0].Comment, "FROM ") {
		own[0].Comment = "FROM " + r.Base
	}
	c.History = append(slices.Clone(base.image.History), own...)
	return l.configure(r)
}

// replace takes the layers with the numbers at from part, which has no others.
func (l *layout) replace(part *layout, at []int, r *partial.Rebased) error {
	if len(part.manifest.Layers) != len(at) {
		return fmt.Errorf("replace layers: the part has %d, the image %d of it", len(part.manifest.Layers), len(at))
	}
	for i, n := range at {
		d := part.manifest.Layers[i]
		if err := os.Rename(part.blob(d.Digest), l.blob(d.Digest)); err != nil && !os.IsNotExist(err) {
			return err
		}
		l.manifest.Layers[n], l.image.RootFS.DiffIDs[n] = d, part.image.RootFS.DiffIDs[i]
	}
	return l.configure(r)
}

// configure writes the configuration of r, and the layout again.
func (l *layout) configure(r *partial.Rebased) error {
	o := &l.image.Config
	o.Env, o.User, o.WorkingDir, o.Entrypoint, o.Cmd, o.Labels, o.StopSignal = r.Config.Env, r.Config.User, r.Config.WorkingDir, r.Config.Entrypoint, r.Config.Cmd, r.Config.Labels, r.Config.StopSignal
	o.ExposedPorts, o.Volumes = set(r.Config.Exposed), set(r.Config.Volumes)
	return l.write()
}

func set(list []string) map[string]struct{} {
	if len(list) == 0 {
		return nil
	}
	m := map[string]struct{}{}
	for _, s := range list {
		m[s] = struct{}{}
	}
	return m
}

// stepsOf is how many steps of a history belong to the first layers: up to the step that made the next one, less
// the empty ones before it that the child made, which cannot be told apart and stay with the child.
func stepsOf(h []ociv1.History, layers int) int {
	n := 0
	for i, s := range h {
		if !s.EmptyLayer {
			if n++; n == layers {
				for j := i + 1; j < len(h); j++ {
					if strings.HasPrefix(h[j].Comment, "FROM ") {
						return j
					}
				}
				return i + 1
			}
		}
	}
	return len(h)
}

func (l *layout) write() error {
	put := func(v any) (ociv1.Descriptor, error) {
		data, err := json.Marshal(v)
		if err != nil {
			return ociv1.Descriptor{}, err
		}
		d := ociv1.Descriptor{Digest: digest.FromBytes(data), Size: int64(len(data))}
		return d, os.WriteFile(l.blob(d.Digest), data, 0o600)
	}
	c, err := put(l.image)
	if err != nil {
		return err
	}
	c.MediaType = l.manifest.Config.MediaType
	l.manifest.Config, l.config = c, c.Digest
	delete(l.manifest.Annotations, ociv1.AnnotationBaseImageDigest)
	delete(l.manifest.Annotations, ociv1.AnnotationBaseImageName)
	m, err := put(l.manifest)
	if err != nil {
		return err
	}
	m.MediaType = ociv1.MediaTypeImageManifest
	index := ociv1.Index{MediaType: ociv1.MediaTypeImageIndex, Manifests: []ociv1.Descriptor{m}}
	index.SchemaVersion = 2
	data, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(l.dir, "index.json"), data, 0o600)
}
