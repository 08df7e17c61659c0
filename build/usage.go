package build

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/record"
	"go.podman.io/storage"
)

// Usage is what takes room on the disk. Sizes are in bytes.
type Usage struct {
	Images     []ImageUsage
	ImageSize  int64 // of all images together; each layer counts once
	ImageFree  int64 // what would be free without the images that no container is of
	Containers []ContainerUsage
	Volumes    []VolumeUsage
	Cache      int64 // see CacheSize
}

// ImageUsage is an image's. Shared is in layers that other images have too.
type ImageUsage struct {
	ID             string
	Names          []string
	Created        time.Time
	Shared, Unique int64
	Containers     int // that are of it
}

// ContainerUsage is what a container has changed.
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

// MeasureUsage looks what takes room on the disk. The process must be in the user namespace.
func MeasureUsage(ctx context.Context, e *libctr.Engine) (*Usage, error) {
	store, err := e.Store()
	if err != nil {
		return nil, err
	}
	u := &Usage{}
	list, err := e.List(ctx)
	if err != nil {
		return nil, err
	}
	if err := u.measureImages(store); err != nil {
		return nil, fmt.Errorf("measure the images: %w", err)
	}
	if err := u.measureMapped(store); err != nil {
		return nil, fmt.Errorf("measure the images' copies for --userns: %w", err)
	}
	for _, c := range list {
		if err := u.measureContainer(store, c); err != nil {
			return nil, fmt.Errorf("measure container %q: %w", c.State.Name, err)
		}
	}
	volumes, err := e.Volumes()
	if err != nil {
		return nil, err
	}
	for _, v := range volumes {
		size, err := diskUsage(v.Mountpoint)
		if err != nil {
			return nil, fmt.Errorf("measure volume %q: %w", v.Name, err)
		}
		users, err := e.VolumeUsers(ctx, v.Name)
		if err != nil {
			return nil, err
		}
		u.Volumes = append(u.Volumes, VolumeUsage{v.Name, len(users), size})
	}
	u.Cache, err = CacheSize(e)
	return u, err
}

func (u *Usage) measureContainer(store storage.Store, c *libctr.Container) error {
	cfg, err := c.Config()
	if err != nil {
		return err
	}
	row := ContainerUsage{ID: c.ID, Name: c.State.Name, Image: cfg.ImageName, Created: cfg.Created, Status: c.State.Status}
	row.Command = append(append([]string{}, cfg.Entrypoint...), cfg.Cmd...)
	for _, m := range cfg.Mounts {
		if m.Type == "volume" {
			row.Volumes++
		}
	}
	owned, err := store.Container(c.ID)
	switch {
	case errors.Is(err, storage.ErrContainerUnknown): // of a root file system of the user's, or removed this moment
	case err != nil:
		return err
	default:
		if row.Size, err = store.DiffSize("", owned.LayerID); err != nil && !errors.Is(err, storage.ErrLayerUnknown) {
			return err
		}
		more, err := shiftedSize(store, owned.LayerID) // of an image in a read-only store
		if err != nil {
			return err
		}
		row.Size += more
	}
	u.Containers = append(u.Containers, row)
	return nil
}

// measureMapped adds the copies of images whose files belong to other IDs, which containers with --userns are made of.
// The store's records have the size of the image's own layer for them, but they hold all of the image's files.
func (u *Usage) measureMapped(store storage.Store) error {
	images, err := store.Images()
	if err != nil {
		return err
	}
	for _, img := range images {
		for _, layer := range img.MappedTopLayers {
			size, err := shiftedSize(store, layer)
			if err != nil {
				return err
			}
			u.ImageSize += size
			for i := range u.Images {
				row := &u.Images[i]
				if row.ID != img.ID {
					continue
				}
				if row.Unique += size; row.Containers == 0 {
					u.ImageFree += size
				}
			}
		}
	}
	return nil
}

// shiftedSize is what the files of a layer take that were copied for other IDs: in the overlay driver's diff1, diff2 …,
// in vfs its whole directory.
func shiftedSize(store storage.Store, layer string) (size int64, err error) {
	for _, pattern := range []string{"overlay/" + layer + "/diff[0-9]*", "vfs/dir/" + layer} {
		dirs, err := filepath.Glob(filepath.Join(store.GraphRoot(), pattern))
		if err != nil {
			return 0, err
		}
		for _, d := range dirs {
			n, err := diskUsage(d)
			if err != nil {
				return 0, err
			}
			size += n
		}
	}
	return size, nil
}

// measureImages looks at the store's own records, in which layers have their sizes.
func (u *Usage) measureImages(store storage.Store) error {
	layers, err := store.Layers()
	if err != nil {
		return err
	}
	images, err := store.Images()
	if err != nil {
		return err
	}
	containers, err := store.Containers()
	if err != nil {
		return err
	}
	users := map[string]int{} // containers by image
	for _, c := range containers {
		users[c.ImageID]++
	}
	byID := map[string]*storage.Layer{}
	for i := range layers {
		byID[layers[i].ID] = &layers[i]
	}
	count, inUse := map[string]int{}, map[string]bool{}
	for _, img := range images {
		for l := byID[img.TopLayer]; l != nil; l = byID[l.Parent] {
			count[l.ID]++
			inUse[l.ID] = inUse[l.ID] || users[img.ID] > 0
		}
	}
	for id := range count {
		size := max(byID[id].UncompressedSize, 0)
		u.ImageSize += size
		if !inUse[id] {
			u.ImageFree += size
		}
	}
	for _, img := range images {
		row := ImageUsage{ID: img.ID, Names: img.Names, Created: img.Created, Containers: users[img.ID]}
		for l := byID[img.TopLayer]; l != nil; l = byID[l.Parent] {
			if size := max(l.UncompressedSize, 0); count[l.ID] > 1 {
				row.Shared += size
			} else {
				row.Unique += size
			}
		}
		for _, size := range img.BigDataSizes {
			row.Unique += size
			u.ImageSize += size
			if users[img.ID] == 0 {
				u.ImageFree += size
			}
		}
		u.Images = append(u.Images, row)
	}
	return nil
}
