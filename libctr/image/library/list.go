// SPDX-License-Identifier: Apache-2.0

package library

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/pkg/shortnames"
	"go.podman.io/image/v5/types"
)

// Platforms returns the platforms that a registry has an image for, as the list of images says that the name stands for. The guard
// looks at the list as in a pull.
func (r *Runtime) Platforms(ctx context.Context, name string) (_ []imagespec.Platform, err error) {
	sys := r.SystemContext()
	resolved, err := shortnames.Resolve(sys, name)
	if err != nil {
		return nil, fmt.Errorf("find image %q: %w", name, err)
	}
	g, err := r.newGuard(&libimage.CopyOptions{})
	if err != nil {
		return nil, err
	}
	defer func() { err = g.close(err) }()
	var failed []error
	for _, candidate := range resolved.PullCandidates {
		ref, err := docker.NewReference(candidate.Value)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		list, err := g.list(ctx, ref, sys)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", candidate.Value, err))
			continue
		}
		var platforms []imagespec.Platform
		for _, m := range list.Manifests {
			if m.Platform != nil && m.ArtifactType == "" {
				platforms = append(platforms, *m.Platform)
			}
		}
		return platforms, candidate.Record()
	}
	return nil, fmt.Errorf("read the list of images %q: %w", name, errors.Join(failed...))
}

// list reads a list of images.
func (g *guard) list(ctx context.Context, ref types.ImageReference, sys *types.SystemContext) (*manifest.OCI1Index, error) {
	guarded, err := g.lookup(ref)
	if err != nil {
		return nil, err
	}
	src, err := guarded.NewImageSource(ctx, sys)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	raw, mime, err := src.GetManifest(ctx, nil)
	if err != nil {
		return nil, err
	}
	if !manifest.MIMETypeIsMultiImage(mime) {
		return nil, hint.Add(errors.New("it is one image, and no list of images for several platforms"), "name the platforms with %s", field.Name("platform"))
	}
	list, err := manifest.ListFromBlob(raw, mime)
	if err != nil {
		return nil, err
	}
	if list, err = list.ConvertToMIMEType(imagespec.MediaTypeImageIndex); err != nil {
		return nil, err
	}
	if raw, err = list.Serialize(); err != nil {
		return nil, err
	}
	return manifest.OCI1IndexFromManifest(raw)
}
