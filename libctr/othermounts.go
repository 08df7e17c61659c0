// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/berth-containers/berth/libctr/writable"
)

// mountsOfOthers finds what the mounts need before anything of the container exists: the containers of --volumes-from, and the images.
func (e *Engine) mountsOfOthers(ctx context.Context, m *making) error {
	for _, v := range m.opts.VolumesFrom {
		mounts, err := e.volumesFrom(ctx, v)
		if err != nil {
			return field.Errorf("%s %q: %w", field.Name("volumes-from"), v, err)
		}
		m.mountsOf.From = append(m.mountsOf.From, mounts...)
	}
	mounts, err := spec.Mounts(m.mountsOf)
	if err != nil {
		return err
	}
	for _, v := range mounts {
		if v.Type != "image" || m.images[v.Name] != nil {
			continue
		}
		if m.images == nil {
			m.images = map[string]*image.Image{}
		}
		if m.images[v.Name], err = e.resolveImage(ctx, m, v.Name); err != nil {
			return fmt.Errorf("mount %s: %w", v.Destination, err)
		}
	}
	return nil
}

// volumesFrom are the mounts of another container, from CONTAINER[:OPTIONS].
func (e *Engine) volumesFrom(ctx context.Context, value string) (list []spec.Mount, err error) {
	name, options, _ := strings.Cut(value, ":")
	other, err := e.Lookup(ctx, name)
	if err != nil {
		return nil, err
	}
	cfg, err := other.Config()
	if err != nil {
		return nil, err
	}
	for _, r := range cfg.Mounts {
		v, err := spec.MountFrom(r, options)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// prepared is how the monitor mounts the source of the container's n-th mount.
func (e *Engine) prepared(m *making, v *spec.Mount, n int) (b record.Bind, err error) {
	b = record.Bind{Source: v.Source, At: fmt.Sprintf("%s-%d", e.bindsPath(m.cfg.ID), n), Links: !v.Pinned && hasLinks(v.Source), Subpath: v.Subpath}
	if v.Pinned {
		b.Volume = v.Name
	}
	if v.Type == "image" {
		img := m.images[v.Name]
		root, err := e.imageMount(m, img, v, n)
		if err != nil {
			return b, err
		}
		b.Source, b.Links, b.Image = "", false, &root
	}
	if o := v.Overlay; o != nil {
		if b.Overlay, err = e.overlay(); err != nil {
			return b, err
		}
		if b.Overlay.Upper, b.Overlay.Work = o.Upper, o.Work; o.Upper == "" {
			b.Overlay.Dir = filepath.Join(m.disk, fmt.Sprintf("overlay-%d", n))
		}
	}
	return b, nil
}

// overlay is an overlay as this store's driver and host have it.
func (e *Engine) overlay() (*record.Overlay, error) {
	program := e.mountProgram()
	opts, err := e.mountOptions(program)
	return &record.Overlay{Program: program, UserXattr: slices.Contains(opts, "userxattr")}, err
}

// imageMount is the root file system of an image as a container has it mounted: with a layer of the container's own on top, which keeps the image, too.
func (e *Engine) imageMount(m *making, img *image.Image, v *spec.Mount, n int) (r record.Rootfs, err error) {
	if e.storeOpts.GraphDriverName != "overlay" {
		if !v.ReadOnly {
			return r, field.Errorf("%s type=image with rw needs the overlay driver", field.Name("mount"))
		}
		return e.rootfs(img.TopLayer, false)
	}
	r, err = e.makeOwnLayer(m, img.ID, writable.Mounted(m.cfg.ID, n))
	return mountedWith(r, m.cfg.MountLabel), err
}
