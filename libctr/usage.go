// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/berth-containers/berth/doctor"
	"github.com/berth-containers/berth/libctr/layer"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/writable"
	"go.podman.io/storage"
)

// Usage is what takes room on the disk below the store's root, in bytes and as du(1) counts it: all sizes together are what du
// says of that directory.
type Usage struct {
	Images     []ImageUsage
	ImageSize  int64 // of all images together; each layer counts once
	ImageFree  int64 // what would be free without the images that no container is of
	Containers []ContainerUsage
	Volumes    []VolumeUsage
	Others     []doctor.Share // of the subsystems that joined
	Rest       int64          // records, locks and events, and what belongs to other engines or to nothing
}

// ImageUsage is an image's. Shared is in layers that other images have too.
type ImageUsage struct {
	ID             string
	Names          []string
	Created        time.Time
	Shared, Unique int64
	Containers     int // that are of it
}

// ContainerUsage is a container's: its layer, its log, its records.
type ContainerUsage struct {
	ID, Name, Image string
	Command         []string
	Created         time.Time
	Status          record.Status
	Volumes         int
	Size            int64
}

// VolumeUsage is a volume's.
type VolumeUsage struct {
	Name  string
	Users int // containers that it is mounted in
	Size  int64
}

// measuring is a Usage on its way.
type measuring struct {
	*Usage
	store storage.Store
	ruler *layer.Ruler
}

// MeasureUsage looks what takes room on the disk: images, containers, volumes, and what those of the others take that measure it. The
// process must be in the user namespace.
func (e *Engine) MeasureUsage(ctx context.Context, others ...doctor.Subsystem) (*Usage, error) {
	store, err := e.Store()
	if err != nil {
		return nil, err
	}
	m := &measuring{&Usage{}, store, layer.NewRuler(store)}
	list, err := e.List(ctx)
	if err != nil {
		return nil, err
	}
	if err := m.images(); err != nil {
		return nil, fmt.Errorf("measure the images: %w", err)
	}
	for _, c := range list {
		if err := m.container(c); err != nil {
			return nil, fmt.Errorf("measure container %q: %w", c.State.Name, err)
		}
	}
	if err := m.volumes(ctx, e); err != nil {
		return nil, err
	}
	for _, s := range others {
		measurer, ok := s.(doctor.Measurer)
		if !ok {
			continue
		}
		share, err := measurer.Measure(ctx, m.ruler.Path)
		if err != nil {
			return nil, fmt.Errorf("measure the %s: %w", s.Name(), err)
		}
		m.Others = append(m.Others, share)
	}
	if m.Rest, err = layer.NewRuler(store).Path(store.GraphRoot()); err != nil {
		return nil, fmt.Errorf("measure %s: %w", store.GraphRoot(), err)
	}
	for _, s := range m.Shares() {
		m.Rest -= s.Size
	}
	return m.Usage, nil
}

// Shares is the summary: a line for images, containers, volumes, and each of the others.
func (u *Usage) Shares() []doctor.Share {
	images := doctor.Share{Kind: "Images", Total: len(u.Images), Size: u.ImageSize, Reclaimable: u.ImageFree}
	for _, img := range u.Images {
		if img.Containers > 0 {
			images.Active++
		}
	}

	containers := doctor.Share{Kind: "Containers", Total: len(u.Containers)}
	for _, c := range u.Containers {
		containers.Size += c.Size
		if c.Status.Runs() {
			containers.Active++
		} else {
			containers.Reclaimable += c.Size
		}
	}

	volumes := doctor.Share{Kind: "Local Volumes", Total: len(u.Volumes)}
	for _, v := range u.Volumes {
		volumes.Size += v.Size
		if v.Users > 0 {
			volumes.Active++
		} else {
			volumes.Reclaimable += v.Size
		}
	}
	return append([]doctor.Share{images, containers, volumes}, u.Others...)
}

func (m *measuring) volumes(ctx context.Context, e *Engine) error {
	volumes, err := e.Volumes()
	if err != nil {
		return err
	}
	for _, v := range volumes {
		size, err := m.ruler.Path(filepath.Dir(v.Mountpoint))
		if err != nil {
			return fmt.Errorf("measure volume %q: %w", v.Name, err)
		}
		users, err := e.VolumeUsers(ctx, v.Name)
		if err != nil {
			return err
		}
		m.Volumes = append(m.Volumes, VolumeUsage{v.Name, len(users), size})
	}
	return nil
}

func (m *measuring) container(c *Container) error {
	cfg, err := c.Config()
	if err != nil {
		return err
	}
	row := ContainerUsage{ID: c.ID, Name: c.State.Name, Image: cfg.ImageName, Created: cfg.Created, Status: c.State.Status}
	row.Command = append(append([]string{}, cfg.Entrypoint...), cfg.Cmd...)
	for _, mount := range cfg.Mounts {
		if mount.Type == "volume" {
			row.Volumes++
		}
	}
	if c.Dir != c.RunDir { // else its records are gone with the boot, and none of this disk
		if row.Size, err = m.ruler.Path(c.Dir); err != nil {
			return err
		}
	}
	if own := cfg.Rootfs.Writable; own != "" {
		n, err := m.ruler.Path(own)
		if err != nil {
			return err
		}
		row.Size += n
		m.Containers = append(m.Containers, row)
		return nil
	}
	owned, err := m.store.Container(c.ID)
	switch {
	case errors.Is(err, storage.ErrContainerUnknown): // of a root file system of the user's, or removed this moment
	case err != nil:
		return err
	default:
		n, err := m.ruler.Layer(owned.LayerID)
		if err != nil {
			return err
		}
		more, err := m.ruler.Container(c.ID)
		if err != nil {
			return err
		}
		row.Size += n + more
	}
	m.Containers = append(m.Containers, row)
	return nil
}

// images measures images and their layers, those too that were made of them for other users' IDs.
func (m *measuring) images() error {
	layers, err := m.store.Layers()
	if err != nil {
		return err
	}
	images, err := m.store.Images()
	if err != nil {
		return err
	}
	containers, err := m.store.Containers()
	if err != nil {
		return err
	}
	users := map[string]int{} // containers by image
	for _, c := range containers {
		if c.ID != writable.Pin(c.ImageID) {
			users[c.ImageID]++
			continue
		}
		needed, err := writable.In(m.store.GraphRoot()).Users(c.ImageID)
		if err != nil {
			return err
		}
		users[c.ImageID] += len(needed)
	}
	byID := map[string]*storage.Layer{}
	for i := range layers {
		byID[layers[i].ID] = &layers[i]
	}
	of := func(img *storage.Image) []string {
		var ids []string
		for _, top := range append([]string{img.TopLayer}, img.MappedTopLayers...) {
			for l := byID[top]; l != nil && !slices.Contains(ids, l.ID); l = byID[l.Parent] {
				ids = append(ids, l.ID)
			}
		}
		return ids
	}
	count, inUse, size := map[string]int{}, map[string]bool{}, map[string]int64{}
	for i := range images {
		for _, l := range of(&images[i]) {
			if count[l]++; count[l] == 1 && !byID[l].ReadOnly { // what is in another store takes no room in this one
				if size[l], err = m.ruler.Layer(l); err != nil {
					return err
				}
				m.ImageSize += size[l]
			}
			inUse[l] = inUse[l] || users[images[i].ID] > 0
		}
	}
	for l := range count {
		if !inUse[l] {
			m.ImageFree += size[l]
		}
	}
	for i := range images {
		img := &images[i]
		row := ImageUsage{ID: img.ID, Names: img.Names, Created: img.Created, Containers: users[img.ID]}
		for _, l := range of(img) {
			if count[l] > 1 {
				row.Shared += size[l]
			} else {
				row.Unique += size[l]
			}
		}
		own, err := m.ruler.Image(img.ID)
		if err != nil {
			return err
		}
		row.Unique += own
		m.ImageSize += own
		if users[img.ID] == 0 {
			m.ImageFree += own
		}
		m.Images = append(m.Images, row)
	}
	return nil
}
