// SPDX-License-Identifier: Apache-2.0

package base

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/spec"
	ociv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/docker/reference"
)

// Local finds an image of the store by any name.
func (b *Images) Local(name string) (*image.Image, error) {
	return b.Engine.ImageView().Lookup(withoutTag(name), image.LookupOptions{})
}

// Extraction reads from an image what partial.Extract wants to know.
func (b *Images) Extraction(img *image.Image) (*partial.ImageFacts, error) {
	c, err := img.Config()
	if err != nil {
		return nil, err
	}
	f := facts(img, c)
	f.Image = b.other
	if err := b.findBase(img, f); err != nil {
		return nil, err
	}
	dirs, err := img.LayerDirs()
	if err != nil {
		return nil, err
	}
	if f.Labels["dev.partials.digest"] != "" {
		if data, err := spec.NewRootfs(dirs...).ReadFile("/usr/share/containerfile/Containerfile"); err == nil {
			f.File = string(data)
		}
	}
	f.Paths = func(layer int) ([]string, error) { return layerPaths(dirs, layer) }
	return f, nil
}

// facts are what an image's configuration says.
func facts(img *image.Image, c *image.Config) *partial.ImageFacts {
	config := configOf(c)
	f := &partial.ImageFacts{Ref: Name(img), Labels: c.Config.Labels, Env: c.Config.Env, Config: &config}
	for _, d := range c.RootFS.DiffIDs {
		f.DiffIDs = append(f.DiffIDs, d.String())
	}
	for _, h := range c.History {
		f.History = append(f.History, partial.History{CreatedBy: h.CreatedBy, Comment: h.Comment, Empty: h.EmptyLayer})
	}
	return f
}

// other returns the facts of another image; nil if the store does not have it, or cannot read it.
func (b *Images) other(ref string) *partial.ImageFacts {
	img, err := b.Local(ref)
	if err != nil {
		return nil
	}
	c, err := img.Config()
	if err != nil {
		return nil
	}
	return facts(img, c)
}

// Name is a name that the image can be found by again: name:tag@digest, name@digest, or its ID.
func Name(img *image.Image) string {
	name := img.Resolved
	if name == "" && len(img.Names) > 0 {
		name = img.Names[0]
	}
	named, err := reference.ParseNormalizedNamed(name)
	if name == "" || err != nil {
		return img.ID
	}
	if _, ok := named.(reference.Digested); ok {
		return name
	}
	return name + "@" + img.Digest.String()
}

// findBase looks for what the image was built on: the annotations of its manifest, buildah's
// history comment, or the local image that has most of its first layers.
func (b *Images) findBase(img *image.Image, f *partial.ImageFacts) error {
	raw, _, err := img.Manifest()
	if err != nil {
		return err
	}
	var m ociv1.Manifest
	if json.Unmarshal(raw, &m) == nil {
		f.BaseRef, f.BaseDigest = m.Annotations[ociv1.AnnotationBaseImageName], m.Annotations[ociv1.AnnotationBaseImageDigest]
	}
	comment := -1
	for i, h := range f.History {
		if ref, ok := strings.CutPrefix(h.Comment, "FROM "); ok && comment < 0 {
			comment = i
			if f.BaseRef == "" {
				f.BaseRef = strings.TrimSpace(ref)
			}
		}
	}
	if f.BaseRef != "" {
		known, err := b.Local(f.BaseRef)
		if err == nil {
			if n := prefix(known, f.DiffIDs); n > 0 {
				f.BaseLayers, f.BaseDigest, f.BaseSteps = n, known.Digest.String(), steps(known, f.History)
				return nil
			}
		} else if !errors.Is(err, image.ErrNotFound) && !errors.Is(err, image.ErrBadReference) {
			return err
		}
		if comment >= 0 {
			for _, h := range f.History[:comment] {
				if !h.Empty {
					f.BaseLayers++
				}
			}
			if f.BaseLayers > 0 {
				return nil
			}
		}
	}
	f.BaseRef, f.BaseDigest, f.BaseLayers = "", "", 0
	return b.longestPrefix(img, f)
}

// prefix is the number of the image's layers if they are the first of diffIDs, else 0.
func prefix(img *image.Image, diffIDs []string) int {
	c, err := img.Config()
	if err != nil || len(c.RootFS.DiffIDs) >= len(diffIDs) {
		return 0
	}
	for i, d := range c.RootFS.DiffIDs {
		if d.String() != diffIDs[i] {
			return 0
		}
	}
	return len(c.RootFS.DiffIDs)
}

// steps is the number of steps of the image's history if they are the first of another's, else 0.
func steps(img *image.Image, history []partial.History) int {
	c, err := img.Config()
	if err != nil || len(c.History) > len(history) {
		return 0
	}
	for i, h := range c.History {
		if h.CreatedBy != history[i].CreatedBy {
			return 0
		}
	}
	return len(c.History)
}

func (b *Images) longestPrefix(img *image.Image, f *partial.ImageFacts) error {
	all, err := b.Engine.ImageView().Images()
	if err != nil {
		return err
	}
	for _, other := range all {
		if other.ID == img.ID || len(other.Names) == 0 {
			continue
		}
		if n := prefix(other, f.DiffIDs); n > f.BaseLayers {
			f.BaseRef, f.BaseDigest, f.BaseLayers, f.BaseSteps = other.Names[0], other.Digest.String(), n, steps(other, f.History)
		}
	}
	return nil
}

// maxPaths bounds the COPY lines that one lost step becomes.
const maxPaths = 40

// layerPaths lists the topmost paths that a layer adds: a directory that the layers below have too is
// looked into. dirs are the layers' directories, the uppermost first.
func layerPaths(dirs []string, layer int) ([]string, error) {
	i := len(dirs) - 1 - layer
	if i < 0 || i >= len(dirs) {
		return nil, fs.ErrNotExist
	}
	below := dirs[i+1:]
	var out []string
	var walk func(rel string) error
	walk = func(rel string) error {
		entries, err := os.ReadDir(filepath.Join(dirs[i], rel))
		if err != nil {
			return err
		}
		for _, e := range entries {
			p := path.Join(rel, e.Name())
			info, err := e.Info()
			if err != nil {
				return err
			}
			if strings.HasPrefix(e.Name(), ".wh.") || info.Mode()&fs.ModeCharDevice != 0 {
				continue // a whiteout: what was removed cannot be copied
			}
			if e.IsDir() && slices.ContainsFunc(below, func(d string) bool { st, err := os.Lstat(filepath.Join(d, p)); return err == nil && st.IsDir() }) {
				if err := walk(p); err != nil {
					return err
				}
				continue
			}
			out = append(out, "/"+p)
		}
		return nil
	}
	if err := walk(""); err != nil {
		return nil, err
	}
	if len(out) > maxPaths {
		return topLevel(out), nil
	}
	return out, nil
}

// Overlaps names the files that two parts wrote in an image.
func (b *Images) Overlaps(img *image.Image, l *partial.BuildLayers) ([]string, error) {
	dirs, err := img.LayerDirs()
	if err != nil || len(dirs) != len(l.DiffIDs) { // the vfs driver has no layers to tell apart
		return nil, err
	}
	return l.Overlaps(func(layer int) ([]string, error) { return layerFiles(dirs[len(dirs)-1-layer]) })
}

// layerFiles lists the files and links of a layer, whiteouts and directories apart.
func layerFiles(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".wh.") || d.Type()&fs.ModeCharDevice != 0 {
			return err
		}
		files = append(files, strings.TrimPrefix(p, dir))
		return nil
	})
	return files, err
}

// topLevel reduces paths to their first components.
func topLevel(paths []string) []string {
	var out []string
	for _, p := range paths {
		first, _, _ := strings.Cut(p[1:], "/")
		out = append(out, "/"+first)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
