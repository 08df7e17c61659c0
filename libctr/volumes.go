package libctr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
)

// ErrNoSuchVolume and ErrVolumeInUse come wrapped from the methods on volumes.
var (
	ErrNoSuchVolume = errors.New("no such volume")
	ErrVolumeInUse  = errors.New("volume is in use")
)

// Volume is a local volume. The names in JSON are podman's.
type Volume struct {
	Name       string
	Driver     string
	Mountpoint string
	CreatedAt  time.Time
	Scope      string
	Anonymous  bool
}

// Volumes returns every volume, by name.
func (e *Engine) Volumes() ([]Volume, error) {
	entries, err := os.ReadDir(filepath.Join(e.data, "volumes"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var list []Volume
	for _, d := range entries {
		if v, err := e.Volume(d.Name()); err == nil {
			list = append(list, v)
		}
	}
	return list, nil
}

// Volume finds a volume. The error wraps ErrNoSuchVolume.
func (e *Engine) Volume(name string) (Volume, error) {
	if spec.ValidName(name) {
		data := filepath.Join(e.volumeDir(name), "_data")
		if st, err := os.Lstat(data); err == nil {
			_, anon := os.Lstat(filepath.Join(e.volumeDir(name), "anonymous"))
			return Volume{Name: name, Driver: "local", Mountpoint: data, CreatedAt: st.ModTime(), Scope: "local", Anonymous: anon == nil}, nil
		}
	}
	return Volume{}, hint.Add(fmt.Errorf("%w: %q", ErrNoSuchVolume, name), "list the volumes with: berth volume ls")
}

// CreateVolume makes an empty volume; an empty name is a random one.
func (e *Engine) CreateVolume(name string) (Volume, error) {
	if name == "" {
		name = newID()
	}
	if !spec.ValidName(name) {
		return Volume{}, fmt.Errorf("volume name %q: only letters, digits, and _ . - after the first letter or digit are allowed", name)
	}
	if v, err := e.Volume(name); err == nil {
		return v, fmt.Errorf("create volume %q: %w", name, fs.ErrExist)
	}
	if err := os.MkdirAll(e.volumeDir(name), 0o700); err != nil {
		return Volume{}, storeHint(err, e.storeOpts.GraphRoot)
	}
	if err := os.Mkdir(filepath.Join(e.volumeDir(name), "_data"), 0o755); err != nil {
		return Volume{}, storeHint(err, e.storeOpts.GraphRoot)
	}
	return e.Volume(name)
}

// VolumeUsers names the containers that a volume is mounted in.
func (e *Engine) VolumeUsers(ctx context.Context, name string) ([]*Container, error) {
	all, err := e.List(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(c *Container) bool {
		cfg, err := c.Config()
		return err != nil || !slices.ContainsFunc(cfg.Mounts, func(m record.Mount) bool { return m.Type == "volume" && m.Name == name })
	}), nil
}

// RemoveVolume removes a volume. The error wraps ErrVolumeInUse where containers have it; with force they are
// removed first.
func (e *Engine) RemoveVolume(ctx context.Context, name string, force bool) error {
	if _, err := e.Volume(name); err != nil {
		return err
	}
	users, err := e.VolumeUsers(ctx, name)
	if err != nil {
		return err
	}
	if len(users) > 0 && !force {
		var names []string
		for _, c := range users {
			names = append(names, c.State.Name)
		}
		return hint.Add(fmt.Errorf("remove volume %q: %w: %s", name, ErrVolumeInUse, strings.Join(names, ", ")), "remove the containers first, or use: berth volume rm --force %s", name)
	}
	for _, c := range users {
		if err := e.Remove(ctx, c, RemoveOptions{Force: true}); err != nil {
			return err
		}
	}
	return os.RemoveAll(e.volumeDir(name))
}
