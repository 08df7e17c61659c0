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
	"github.com/opencontainers/go-digest"
	ociv1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Config is what instructions set of an image's configuration.
func Config(img *image.Image) (partial.ImageConfig, error) {
	c, err := img.Config()
	if err != nil {
		return partial.ImageConfig{}, err
	}
	o := partial.ImageConfig{Env: c.Config.Env, User: c.Config.User, WorkingDir: c.Config.WorkingDir, Entrypoint: c.Config.Entrypoint, Cmd: c.Config.Cmd,
		Labels: c.Config.Labels, StopSignal: c.Config.StopSignal}
	for p := range c.Config.ExposedPorts {
		o.Exposed = append(o.Exposed, p)
	}
	for v := range c.Config.Volumes {
		o.Volumes = append(o.Volumes, v)
	}
	slices.Sort(o.Exposed)
	slices.Sort(o.Volumes)
	return o, nil
}

// Rebase makes an image of the layers of now and those of img above its first oldLayers, with the
// configuration of r, and gives it a name. Nothing is run. It returns the image's ID.
func (b *Images) Rebase(ctx context.Context, img, now *image.Image, oldLayers int, r *partial.Rebased, name string) (id string, err error) {
	store, err := b.Engine.Store()
	if err != nil {
		return "", err
	}
	rt, err := image.NewRuntime(store, b.Engine.SystemContext())
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
	for i, x := range []*image.Image{img, now} {
		dir := filepath.Join(tmp, fmt.Sprint(i))
		if err := rt.Save(ctx, []string{x.ID}, dir, image.SaveOptions{Format: "oci-dir", Uncompressed: true}); err != nil {
			return "", err
		}
		l, err := openLayout(dir)
		if err != nil {
			return "", err
		}
		layouts = append(layouts, l)
	}
	app, base := layouts[0], layouts[1]
	if err := app.rebase(base, oldLayers, r); err != nil {
		return "", err
	}
	ids, err := rt.Load(ctx, app.dir, nil)
	if err != nil {
		return "", err
	}
	if len(ids) != 1 {
		return "", fmt.Errorf("load the rebased image: it gave %d images", len(ids))
	}
	id = app.config.String()
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

// rebase replaces the layout's first old layers by those of base, and writes it anew.
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
	c.History = append(slices.Clone(base.image.History), c.History[stepsOf(c.History, old):]...)
	o := &c.Config
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
