// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/berth-containers/berth/internal/atomicfile"
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
	Labels     map[string]string
	Scope      string
	Options    map[string]string
	Anonymous  bool
	// What it takes at its next use, see docs/decisions/0014.
	NeedsCopyUp bool `json:",omitempty"`
	NeedsChown  bool `json:",omitempty"`
}

// Volumes returns every volume, by name.
func (e *Engine) Volumes() ([]Volume, error) {
	names, err := e.volumeNames()
	var list []Volume
	for _, name := range names {
		if v, err := e.Volume(name); err == nil {
			list = append(list, v)
		}
	}
	return list, err
}

// volumeNames lists the directories of volumes, of half-made ones too.
func (e *Engine) volumeNames() (names []string, err error) {
	entries, err := os.ReadDir(filepath.Join(e.data, "volumes"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, d := range entries {
		names = append(names, d.Name())
	}
	return names, nil
}

// removeHalfMadeVolume removes what a killed command has left of a volume that it was making.
func (e *Engine) removeHalfMadeVolume(ctx context.Context, name string) error {
	lock, err := e.lockVolume(ctx, name, syscall.LOCK_EX)
	if err != nil {
		return err
	}
	defer lock.Close()
	if _, err := os.Lstat(filepath.Join(e.volumeDir(name), "_data")); err == nil {
		return nil // another command has made it
	}
	return e.discard(e.data, e.volumeDir(name))
}

// Volume finds a volume. The error wraps ErrNoSuchVolume.
func (e *Engine) Volume(name string) (Volume, error) {
	if spec.ValidName(name) {
		dir := e.volumeDir(name)
		data := filepath.Join(dir, "_data")
		if st, err := os.Lstat(data); err == nil {
			v := Volume{Name: name, Driver: "local", Mountpoint: data, Scope: "local", Labels: map[string]string{}, Options: map[string]string{}}
			_, anon := os.Lstat(filepath.Join(dir, anonymousFile))
			v.Anonymous = anon == nil
			meta, err := readVolumeMeta(dir)
			if err != nil {
				return Volume{}, fmt.Errorf("volume %q: %w", name, err)
			}
			first, err := readFirstUse(dir)
			if err != nil {
				return Volume{}, fmt.Errorf("volume %q: %w", name, err)
			}
			v.NeedsCopyUp, v.NeedsChown = first.Copy, first.Owner
			maps.Copy(v.Labels, meta.Labels)
			if v.CreatedAt = meta.Created; v.CreatedAt.IsZero() {
				v.CreatedAt = st.ModTime() // made by an older Berth
			}
			return v, nil
		}
	}
	return Volume{}, hint.Add(fmt.Errorf("%w: %q", ErrNoSuchVolume, name), "list the volumes with: berth volume ls")
}

const (
	anonymousFile = "anonymous"
	metaFile      = "volume.json"
)

// volumeMeta is what is kept of a volume beside its data.
type volumeMeta struct {
	Created time.Time         `json:"created"`
	Labels  map[string]string `json:"labels,omitempty"`

	container string // that an anonymous one is made for
}

func readVolumeMeta(dir string) (m volumeMeta, err error) {
	data, err := os.ReadFile(filepath.Join(dir, metaFile))
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	return m, err
}

// CreateVolume makes an empty volume; an empty name is a random one. The first container that has it mounted may fill
// it. The error wraps fs.ErrExist where there is one of that name.
func (e *Engine) CreateVolume(ctx context.Context, name string, labels map[string]string) (Volume, error) {
	if name == "" {
		name = newID()
	}
	if !spec.ValidName(name) {
		return Volume{}, fmt.Errorf("volume name %q: only letters, digits, and _ . - after the first letter or digit are allowed", name)
	}
	lock, made, err := e.lockOrMakeVolume(ctx, name, volumeMeta{Labels: labels})
	if err != nil {
		return Volume{}, storeHint(fmt.Errorf("create volume %q: %w", name, err), e.storeOpts.GraphRoot)
	}
	defer lock.Close()
	v, err := e.Volume(name)
	if err == nil && !made {
		err = fmt.Errorf("create volume %q: %w", name, fs.ErrExist)
	}
	return v, err
}

// lockOrMakeVolume takes the lock of a volume for this command alone. It makes the volume where it is missing.
func (e *Engine) lockOrMakeVolume(ctx context.Context, name string, meta volumeMeta) (lock *os.File, made bool, err error) {
	dir := e.volumeDir(name)
	for lock == nil {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, false, err
		}
		if lock, err = e.lockVolume(ctx, name, syscall.LOCK_EX); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, false, err
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "_data")); err == nil {
		return lock, false, nil
	}
	if err := fillNewVolume(dir, meta); err != nil {
		return nil, false, errors.Join(err, os.RemoveAll(dir), lock.Close())
	}
	return lock, true, nil
}

// fillNewVolume makes what a volume consists of; it exists when _data does.
func fillNewVolume(dir string, meta volumeMeta) error {
	if meta.container != "" {
		if err := os.WriteFile(filepath.Join(dir, anonymousFile), []byte(meta.container), 0o600); err != nil {
			return err
		}
	}
	meta.Created = time.Now()
	record, err := json.Marshal(meta)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(dir, metaFile), record, 0o600, false); err != nil {
		return err
	}
	first := newFirstUse()
	if err := first.write(dir); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(dir, "new-")
	if err != nil {
		return err
	}
	if err := os.Chmod(tmp, first.Mode); err != nil { // whatever the umask is
		return err
	}
	if err := relabelVolume(tmp); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, "_data"))
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

// usedVolumes are the names of the volumes that containers have.
func (e *Engine) usedVolumes(ctx context.Context) (map[string]bool, error) {
	all, err := e.List(ctx)
	used := map[string]bool{}
	for _, c := range all {
		cfg, err := c.Config()
		if err != nil {
			continue // removed this moment, or damaged: system check tells
		}
		for _, m := range cfg.Mounts {
			if m.Type == "volume" {
				used[m.Name] = true
			}
		}
	}
	return used, err
}

// RemoveVolume removes a volume. The error wraps ErrVolumeInUse where containers have it; with force they are
// removed first.
func (e *Engine) RemoveVolume(ctx context.Context, name string, force bool) error {
	if _, err := e.Volume(name); err != nil {
		return err
	}
	if force {
		users, err := e.VolumeUsers(ctx, name)
		if err != nil {
			return err
		}
		for _, c := range users {
			if err := e.Remove(ctx, c, RemoveOptions{Force: true}); err != nil {
				return err
			}
		}
	}
	return e.removeVolume(ctx, name, "")
}

// removeVolume removes a volume that no container but id has. It waits for commands that make containers with it.
func (e *Engine) removeVolume(ctx context.Context, name, id string) error {
	lock, err := e.lockVolume(ctx, name, syscall.LOCK_EX)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %q", ErrNoSuchVolume, name)
	}
	if err != nil {
		return fmt.Errorf("remove volume %q: %w", name, err)
	}
	defer lock.Close()
	users, err := e.VolumeUsers(ctx, name)
	if err != nil {
		return err
	}
	var names []string
	for _, c := range users {
		if c.ID != id {
			names = append(names, c.State.Name)
		}
	}
	if len(names) > 0 {
		return hint.Add(fmt.Errorf("remove volume %q: %w: %s", name, ErrVolumeInUse, strings.Join(names, ", ")), "remove the containers first, or use: berth volume rm --force %s", name)
	}
	return e.discard(e.data, e.volumeDir(name))
}
