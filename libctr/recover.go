// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/layer"
	"github.com/berth-containers/berth/libctr/monitor"
	"github.com/berth-containers/berth/libctr/record"
	"go.podman.io/storage"
)

func (e *Engine) pendingPath(id string) string { return filepath.Join(e.runtime, "pending", id) }

// markPending notes that a container is being made or removed, or goes at its end.
func (e *Engine) markPending(id string) error {
	err := os.WriteFile(e.pendingPath(id), nil, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(e.pendingPath(id)), 0o700); err == nil {
			err = os.WriteFile(e.pendingPath(id), nil, 0o600)
		}
	}
	return err
}

// makersPatience is longer than the disk takes for a new container.
const makersPatience = 10 * time.Second

// pendingFor is how long a container has been pending.
func (e *Engine) pendingFor(id string) time.Duration {
	st, err := os.Stat(e.pendingPath(id))
	if err != nil {
		return 0
	}
	return time.Since(st.ModTime())
}

func (e *Engine) clearPending(id string) error {
	if err := os.Remove(e.pendingPath(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Between the mark of a new container and its lock there is a moment in which it looks like one whose
// maker was killed. Makers hold a shared lock of the directory pending for that moment, and those who
// look for leftovers an exclusive one while they take the leftovers' locks.
func (e *Engine) lockPending(how int) (*os.File, error) {
	d, err := os.Open(filepath.Join(e.runtime, "pending"))
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(d.Fd()), how); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// Recover finishes what killed commands and monitors began: it removes half-made containers, those
// whose removal was under way, and --rm containers that have ended without anybody to remove
// them. It costs one readdir where there is nothing to do. Commands that have entered
// the user namespace call it first.
func (e *Engine) Recover(ctx context.Context) error {
	d, err := os.Open(filepath.Join(e.runtime, "pending"))
	if errors.Is(err, fs.ErrNotExist) {
		return e.firstOfBoot(ctx)
	}
	if err != nil {
		return err
	}
	ids, err := d.Readdirnames(-1)
	d.Close()
	if err != nil {
		return err
	}
	if err := e.sweepLayers(ctx); err != nil {
		e.log.Warn("remove the layers of a killed command", "error", err, "see", hint.To(hint.Repair))
	}
	if len(ids) == 0 {
		return e.emptyTrash()
	}
	left, err := e.leftovers(ids)
	for _, l := range left {
		if ctx.Err() == nil {
			err = errors.Join(err, e.recoverOne(ctx, l.id))
		}
		l.lock.Close()
	}
	if len(left) > 0 {
		err = errors.Join(err, e.RemakeLinks())
	}
	return errors.Join(err, e.emptyTrash())
}

type leftover struct {
	id   string
	lock *os.File
}

// leftovers takes the locks of those pending containers that nobody works on.
func (e *Engine) leftovers(ids []string) (left []leftover, err error) {
	all, err := e.lockPending(syscall.LOCK_EX | syscall.LOCK_NB)
	if err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, nil // a container is being made this moment: the next command will look
		}
		return nil, err
	}
	defer all.Close()
	for _, id := range ids {
		if !isID(id) {
			continue
		}
		dir, runDir := e.dirs(id, false)
		if _, err := os.Lstat(runDir); errors.Is(err, fs.ErrNotExist) {
			if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
				if err := e.clearPending(id); err != nil { // killed between the last two steps of a removal
					return left, err
				}
				continue
			}
			if err := os.MkdirAll(runDir, 0o700); err != nil {
				return left, err
			}
		}
		lock, err := tryLock(runDir)
		switch {
		case lock != nil:
			left = append(left, leftover{id, lock})
		case err == nil && e.pendingFor(id) > makersPatience:
			// Its command was killed after the monitor had begun, so nobody else says that it is whole.
			if err := e.vouch(dir); err != nil && !record.IsNotExist(err) {
				return left, err
			}
		case err != nil && !record.IsNotExist(err):
			return left, err
		}
	}
	return left, nil
}

// recoverOne removes the pending container id, unless it is to stay. The caller holds its lock.
func (e *Engine) recoverOne(ctx context.Context, id string) error {
	c, err := e.load(id)
	if err == nil {
		cfg, cerr := record.ReadConfig(c.Dir)
		switch {
		case cerr != nil && !record.IsNotExist(cerr):
			return cerr
		case cerr == nil && Alive(c.State):
			return nil // its monitor was killed: the next command that wants it adopts it
		case cerr == nil && !cfg.AutoRemove && !c.removing():
			// killed just before its making was over, or while it was started
			return errors.Join(monitor.EndHalfStart(&cfg.Supervised), e.vouch(c.Dir), e.clearPending(id))
		}
	} else if !record.IsNotExist(err) {
		return err
	}
	if err := e.removeAbandoned(ctx, id, false); err != nil {
		return fmt.Errorf("remove what is left of container %.12s: %w", id, err)
	}
	e.log.Debug("removed a half-made or ended container", "id", id)
	return nil
}

// discard makes a directory disappear at once, and then deletes it: nobody finds it by its name meanwhile,
// and puts something into it.
func (e *Engine) discard(root, dir string) error {
	trash := filepath.Join(root, "trash")
	if err := os.MkdirAll(trash, 0o700); isErrno(err, errNoSpace...) {
		return os.RemoveAll(dir) // nothing was ever removed here, and there is no room for the directory
	} else if err != nil {
		return err
	}
	gone := filepath.Join(trash, filepath.Base(dir)+"-"+newID()[:8])
	if err := os.Rename(dir, gone); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return os.RemoveAll(gone)
}

// emptyTrash deletes what a killed command had put there.
func (e *Engine) emptyTrash() error {
	var errs []error
	for _, root := range []string{e.data, e.runtime} {
		entries, _ := os.ReadDir(filepath.Join(root, "trash"))
		for _, d := range entries {
			errs = append(errs, os.RemoveAll(filepath.Join(root, "trash", d.Name())))
		}
	}
	return errors.Join(errs...)
}

// sweepLayers removes the layers of killed commands that made or removed images. It costs one readdir where there are none.
func (e *Engine) sweepLayers(ctx context.Context) error {
	if !layer.AnyDead(e.storeOpts.GraphRoot) {
		return nil
	}
	store, err := e.Store()
	if err != nil {
		return err
	}
	_, err = layer.Sweep(ctx, store)
	return err
}

// sweepStore removes the layers that belong to nothing, and the files of the store that are in no record.
func (e *Engine) sweepStore(ctx context.Context, store storage.Store) error {
	err := e.sweepWritable(ctx, store)
	_, lerr := layer.Sweep(ctx, store)
	err = errors.Join(err, lerr)
	strays, serr := layer.Strays(store)
	err = errors.Join(err, serr)
	for _, s := range strays {
		err = errors.Join(err, s.Remove(store))
	}
	return err
}

// firstOfBoot does once after a boot what volatile files can no longer tell: the storage library
// forgets volatile containers with the boot, their layers stay.
func (e *Engine) firstOfBoot(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(e.data, "containers")); errors.Is(err, fs.ErrNotExist) {
		return e.sweepLayers(ctx) // a store without containers; prepare makes the directories
	}
	store, err := e.Store()
	if err != nil {
		return err
	}
	// another engine's leftovers go with ours
	if err := e.sweepStore(ctx, store); err != nil {
		e.log.Warn("clear away what the last boot left in the store", "error", err, "see", hint.To(hint.Repair))
	}
	ids, err := e.ids()
	if err != nil {
		return err
	}
	for _, id := range ids { // a making or removal that the end of the last boot cut short
		dir, runDir := e.dirs(id, false)
		c := &Container{Dir: dir}
		if _, cerr := record.ReadConfig(dir); cerr == nil && !c.removing() && !c.making() {
			continue
		} else if cerr != nil && !record.IsNotExist(cerr) && !c.making() {
			continue // system check says what is wrong with it
		}
		if err := os.MkdirAll(runDir, 0o700); err != nil {
			return err
		}
		if err := e.markPending(id); err != nil {
			return err
		}
		if err := e.removeUnlessBusy(ctx, id); err != nil {
			return err
		}
	}
	e.note(Event{Type: "system", Status: "refresh"})
	return os.MkdirAll(filepath.Join(e.runtime, "pending"), 0o700)
}

// prepare makes the directories that records go to.
func (e *Engine) prepare() error {
	for _, dir := range []string{
		filepath.Join(e.data, "containers"), filepath.Join(e.data, "names"),
		filepath.Join(e.runtime, "containers"), filepath.Join(e.runtime, "pending"),
	} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return storeHint(fmt.Errorf("make %s: %w", dir, err), e.storeOpts.GraphRoot)
		}
	}
	return nil
}

const (
	removingFile    = "removing" // in Dir: removal has begun and will be finished, whatever happens
	makingFile      = "making"   // in Dir: not all of the container is on the disk yet; the first command of a boot removes it
	removingVolumes = "volumes"  // what it says where the anonymous volumes go too
)

func (c *Container) removing() bool { return c.has(removingFile) }
func (c *Container) making() bool   { return c.has(makingFile) }

func (c *Container) has(mark string) bool {
	_, err := os.Lstat(filepath.Join(c.Dir, mark))
	return err == nil
}
