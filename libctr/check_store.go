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
	"sync"
	"syscall"

	"github.com/berth-containers/berth/doctor"
	"github.com/berth-containers/berth/libctr/layer"
	"github.com/berth-containers/berth/libctr/writable"
	"go.podman.io/storage"
)

// volumeCheck looks for volumes that killed commands were making or filling. One that was ever there stays, whoever it
// was made for: its data may be wanted, and volume prune removes it.
type volumeCheck struct{ e *Engine }

func (volumeCheck) Name() string { return "volumes" }

func (c volumeCheck) Check(ctx context.Context, _ bool) ([]doctor.Problem, error) {
	var p problems
	names, err := c.e.volumeNames()
	for _, name := range names {
		lock, lerr := c.e.lockVolume(ctx, name, syscall.LOCK_EX|syscall.LOCK_NB)
		if lerr != nil {
			continue // a command is making, filling or removing it
		}
		if err := lock.Close(); err != nil {
			return p.found, err
		}

		dir := c.e.volumeDir(name)
		if _, err := os.Lstat(filepath.Join(dir, "_data")); errors.Is(err, fs.ErrNotExist) {
			p.report(func(ctx context.Context) error { return c.e.removeHalfMadeVolume(ctx, name) }, "volume %s is half-made", name)
			continue
		}

		half, err := halfFilled(dir)
		if err != nil {
			return p.found, err
		}
		for _, d := range half {
			p.report(func(context.Context) error { return os.RemoveAll(d) }, "files of a command that was killed while it filled a volume: %s", d)
		}
	}
	return p.found, err
}

// imageCheck looks for damaged images, and for what belongs to none.
type imageCheck struct {
	e *Engine
	o CheckOptions
}

func (imageCheck) Name() string { return "images" }

func (c imageCheck) Check(ctx context.Context, quick bool) ([]doctor.Problem, error) {
	store, err := c.e.Store()
	if err != nil {
		return nil, err
	}
	look := &imageLook{e: c.e, o: c.o, store: store, quick: quick}
	for _, step := range []func(context.Context) error{look.links, look.layers, look.strays, look.damage} {
		if err := step(ctx); err != nil {
			return look.found, err
		}
		if err := ctx.Err(); err != nil {
			return look.found, err
		}
	}
	return look.found, nil
}

// imageLook is one look at the image store.
type imageLook struct {
	problems
	e     *Engine
	o     CheckOptions
	store storage.Store
	quick bool
}

// links finds the layers that others can no longer name.
func (l *imageLook) links(context.Context) error {
	missing, err := l.e.missingLinks()
	if len(missing) > 0 {
		l.report(func(context.Context) error { return l.e.RemakeLinks() }, "short links of %d layers are missing", len(missing))
	}
	return err
}

// layers finds those that belong to no image and no container, and images that are not whole.
func (l *imageLook) layers(ctx context.Context) error {
	all, err := layer.Orphans(l.store, l.o.LayerAge)
	if err != nil {
		return err
	}
	half, err := layer.HalfImages(l.store)
	if err != nil {
		return err
	}

	sweep := once(func(ctx context.Context) error { _, err := layer.SweepOlder(ctx, l.store, l.o.LayerAge); return err })
	for _, id := range half {
		l.report(sweep, "image %.12s was never finished: it has no manifest", id)
	}
	for _, o := range all {
		if o.Kept != "" {
			l.note("layer %.12s belongs to no image and no container: %s", o.ID, o.Kept)
			continue
		}
		l.report(sweep, "layer %.12s belongs to no image and no container", o.ID)
	}
	return nil
}

// strays finds the files of the store that no record names.
func (l *imageLook) strays(context.Context) error {
	all, err := layer.Strays(l.store)
	for _, s := range all {
		l.report(func(context.Context) error { return s.Remove(l.store) }, "%s", s.What)
	}
	return err
}

// damage has the storage library check itself.
func (l *imageLook) damage(ctx context.Context) error {
	opts := &storage.CheckOptions{LayerData: true, ImageData: true, ContainerData: true}
	if !l.quick {
		opts = storage.CheckMost()
	}
	r, err := layer.Check(ctx, l.store, opts)
	if err != nil {
		return err
	}

	users, err := l.users(r.Containers)
	if err != nil {
		return err
	}
	repair := once(func(context.Context) error {
		if len(users) > 0 && !l.o.RemoveContainers {
			return fmt.Errorf("%w: %s", ErrDamagedInUse, strings.Join(users, ", "))
		}
		return errors.Join(l.store.Repair(r, &storage.RepairOptions{RemoveContainers: true})...)
	})
	for kind, broken := range map[string]map[string][]error{"layer": r.Layers, "image": r.Images, "container layer": r.Containers} {
		for id, errs := range broken {
			l.report(repair, "%s %.12s is damaged: %v", kind, id, errors.Join(errs...))
		}
	}
	return nil
}

// users are the containers, by name or the beginning of their ID, that the storage library found to have something damaged. The records that
// keep the images of Berth's containers stand for these.
func (l *imageLook) users(found map[string][]error) (users []string, err error) {
	all, err := l.store.Containers()
	if err != nil {
		return nil, err
	}
	for _, sc := range all {
		if _, damaged := found[sc.ID]; !damaged {
			continue
		}
		ids := []string{sc.ID}
		if writable.IsPin(sc.Metadata) {
			if ids, err = l.e.writable().Users(sc.ImageID); err != nil {
				return nil, err
			}
		}
		for _, id := range ids {
			name := id[:min(12, len(id))]
			if c, err := l.e.load(id); err == nil {
				name = c.State.Name
			}
			users = append(users, name)
		}
	}
	slices.Sort(users)
	return users, nil
}

// once is one repair for several problems.
func once(repair func(context.Context) error) func(context.Context) error {
	var do sync.Once
	var err error
	return func(ctx context.Context) error {
		do.Do(func() { err = repair(ctx) })
		return err
	}
}
