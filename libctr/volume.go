// SPDX-License-Identifier: Apache-2.0

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
	"syscall"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
	"golang.org/x/sys/unix"
)

// A local volume is DATA/volumes/NAME: _data is what containers see. volume.json says when it was made and its labels;
// anonymous, where it is there, names the container that it was made for, and goes with; first-use.json see firstUse.

func (e *Engine) volumeDir(name string) string { return filepath.Join(e.data, "volumes", name) }

// preparing is the mounts of a container that is being made.
type preparing struct {
	e     *Engine
	id    string // the container's
	cfg   *record.Config
	root  record.Rootfs
	label string // of its files
	user  owner
	held  map[string]*os.File // locks of its volumes by name, until the container has its record
	made  []string            // volumes that were made for it
}

// prepareMounts makes the volumes that mounts name, fills new ones from the image, and checks the sources of binds.
// It sets each volume's Source. The returned value holds the volumes' locks, and undoes what was made.
func (e *Engine) prepareMounts(ctx context.Context, cfg *record.Config, mounts []spec.Mount, user owner) (*preparing, error) {
	p := &preparing{e: e, id: cfg.ID, cfg: cfg, root: cfg.Rootfs, label: cfg.MountLabel, user: user, held: map[string]*os.File{}}
	var volumes []*spec.Mount
	for i := range mounts {
		m := &mounts[i]
		switch m.Type {
		case "bind":
			if err := prepareBind(m, user); err != nil {
				return p, err
			}
			if err := p.relabel(m); err != nil {
				return p, err
			}
		case "volume":
			volumes = append(volumes, m)
		}
	}
	// In one order everywhere: two containers with the same volumes do not wait for each other.
	slices.SortStableFunc(volumes, func(a, b *spec.Mount) int { return strings.Compare(a.Name, b.Name) })
	for _, m := range volumes {
		if err := p.volume(ctx, m); err != nil {
			return p, fmt.Errorf("volume for %s: %w", m.Destination, err)
		}
	}
	return p, nil
}

// relabel does what z or Z ask for.
func (p *preparing) relabel(m *spec.Mount) error {
	if m.Relabel == "" {
		return nil
	}
	return relabel(m.Source, p.label, m.Relabel == "z")
}

// release lets go of the volumes' locks.
func (p *preparing) release() error {
	var errs []error
	for _, f := range p.held {
		errs = append(errs, f.Close())
	}
	clear(p.held)
	return errors.Join(errs...)
}

// undo removes the volumes that were made and that no other container has taken up meanwhile.
func (p *preparing) undo() error {
	err := p.release()
	for _, name := range p.made {
		rerr := p.e.RemoveVolume(context.Background(), name, RemoveVolumeOptions{})
		if !errors.Is(rerr, ErrVolumeInUse) && !errors.Is(rerr, ErrNoSuchVolume) {
			err = errors.Join(err, rerr)
		}
	}
	return err
}

func prepareBind(m *spec.Mount, user owner) error {
	path, err := filepath.Abs(m.Source)
	if err != nil {
		return err
	}
	source, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return hint.Add(fmt.Errorf("statfs %s: no such file or directory", m.Source), "make it first with: mkdir -p %s", path)
	}
	if err != nil {
		return fmt.Errorf("mount %s: %w", m.Source, err)
	}
	defer unix.Close(source)
	m.Source = path
	if m.Chown {
		if err := giveTo(source, user); err != nil {
			return fmt.Errorf("give %s to the container's user: %w", path, err)
		}
	}
	return nil
}

// volume makes the volume of m where it is missing, and prepares it for the container.
func (p *preparing) volume(ctx context.Context, m *spec.Mount) error {
	v := volumeMeta{}
	if m.NoCreate {
		if _, err := p.e.Volume(m.Name); err != nil {
			return err
		}
	}
	if m.Name == "" {
		m.Name, v.container = newID(), p.id
	}
	m.Source = filepath.Join(p.e.volumeDir(m.Name), "_data")
	lock, err := p.held[m.Name], error(nil)
	if lock != nil { // mounted twice
		err = flock(ctx, lock, syscall.LOCK_EX)
	} else {
		var made bool
		if lock, made, err = p.e.lockOrMakeVolume(ctx, m.Name, v); err == nil {
			p.held[m.Name] = lock
		}
		if made {
			p.made = append(p.made, m.Name)
		}
	}
	if err != nil {
		return storeHint(err, p.e.storeOpts.GraphRoot)
	}
	meta, err := readVolumeMeta(p.e.volumeDir(m.Name))
	if err != nil {
		return err
	}
	if meta.plugin() {
		if err := p.pluginVolume(m, &meta); err != nil {
			return err
		}
		return flock(ctx, lock, syscall.LOCK_SH)
	}
	if meta.mounted() {
		if err := p.mountedVolume(m, &meta); err != nil {
			return err
		}
		return flock(ctx, lock, syscall.LOCK_SH)
	}
	if err := p.relabel(m); err != nil {
		return err
	}
	if err := useVolume(p.e.volumeDir(m.Name), m, p.e.filesIn(p.root), p.user); err != nil {
		return err
	}
	return flock(ctx, lock, syscall.LOCK_SH)
}

// removeAnonymous removes those of the volumes that were made for one container only, unless another has one mounted
// by its name.
func (e *Engine) removeAnonymous(ctx context.Context, id string, mounts []record.Mount) error {
	var errs []error
	for _, m := range mounts {
		if m.Type != "volume" || m.Name == "" {
			continue
		}
		if _, err := os.Lstat(filepath.Join(e.volumeDir(m.Name), anonymousFile)); err == nil {
			errs = append(errs, e.removeVolumeOf(ctx, m.Name, id))
		}
	}
	return errors.Join(errs...)
}

// removeHalfMade removes the anonymous volumes that were made for a container which never got its record.
func (e *Engine) removeHalfMade(ctx context.Context, id string) error {
	marks, err := filepath.Glob(filepath.Join(e.data, "volumes", "*", anonymousFile))
	for _, mark := range marks {
		if made, rerr := os.ReadFile(mark); rerr == nil && string(made) == id {
			err = errors.Join(err, e.removeVolumeOf(ctx, filepath.Base(filepath.Dir(mark)), id))
		}
	}
	return err
}

// removeVolumeOf removes a volume that no container but id has.
func (e *Engine) removeVolumeOf(ctx context.Context, name, id string) error {
	err := e.removeVolume(ctx, name, id)
	if errors.Is(err, ErrVolumeInUse) || errors.Is(err, ErrNoSuchVolume) {
		return nil
	}
	return err
}
