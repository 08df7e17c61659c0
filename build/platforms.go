// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"go/types"
	"maps"
	"slices"

	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/containerd/platforms"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
)

// findPlatforms does what --all-platforms asks for: it takes the platforms that all base images are for from the lists in their
// registries. buildah would ask for the lists without the bounds that images are fetched with.
func (s *Session) findPlatforms(ctx context.Context, o *Options, r *recipe) error {
	bases, err := r.bases(o)
	if err != nil {
		return err
	}
	store, err := s.store()
	if err != nil {
		return err
	}
	rt, err := library.NewRuntime(store, o.SystemContext)
	if err != nil {
		return err
	}
	var common map[string]imagespec.Platform
	for _, x := range bases {
		var all []imagespec.Platform
		if all, err = rt.Platforms(ctx, x.name); err != nil {
			err = r.at(x.node, err)
			break
		}
		of := map[string]imagespec.Platform{}
		for _, p := range all {
			if p.OS == "" || p.OS == "unknown" || types.SizesFor("gc", p.Architecture) == nil {
				continue // what is attached to an image, or made up
			}
			p = platforms.Normalize(imagespec.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant})
			of[platforms.Format(p)] = p
		}
		if common == nil {
			common = of
		}
		maps.DeleteFunc(common, func(name string, _ imagespec.Platform) bool { _, there := of[name]; return !there })
	}
	if err = errors.Join(err, rt.Close()); err != nil {
		return err
	}
	switch {
	case len(bases) == 0:
		return errors.New("--all-platforms: there is no base image that says which platforms there are")
	case len(common) == 0:
		return errors.New("--all-platforms: the base images have no platform in common")
	}
	o.AllPlatforms, o.Platforms = false, nil
	for _, name := range slices.Sorted(maps.Keys(common)) {
		p := common[name]
		o.Platforms = append(o.Platforms, struct{ OS, Arch, Variant string }{p.OS, p.Architecture, p.Variant})
	}
	return nil
}

// bases are the images that stages begin with, with --from in the place of the first.
func (r *recipe) bases(o *Options) ([]external, error) {
	stages, err := r.resolved(o)
	if err != nil {
		return nil, err
	}
	var bases []external
	for i := range stages {
		name := o.From
		if i > 0 || name == "" {
			if name, err = stages[i].Builder.From(stages[i].Node); err != nil {
				return nil, r.at(r.stages[i].from, err)
			}
		}
		if c, ok := o.AdditionalBuildContexts[name]; ok {
			if !c.IsImage {
				return nil, r.at(r.stages[i].from, fmt.Errorf("the context %q is no image", name))
			}
			name = c.Value
		}
		if name != "" && name != "scratch" && r.find(name, i) < 0 {
			bases = append(bases, external{name: name, node: r.stages[i].from, stage: i})
		}
	}
	return bases, nil
}
