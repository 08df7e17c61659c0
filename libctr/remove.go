// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/layer"
	"github.com/berth-containers/berth/libctr/record"
	"go.podman.io/storage"
)

// RemoveOptions say how a container is removed.
type RemoveOptions struct {
	Force   bool           // stop it first if it runs
	Timeout *time.Duration // for that stop; nil is the container's own
	Volumes bool           // remove its anonymous volumes too; --rm containers' always go
	Depend  bool           // remove first, in the same way, the containers that depend on it (see Dependents), and those that depend on them

	orphan bool // leave the containers that depend on it; else they are an error
}

// Remove removes a container: name, layer, record. It waits until nothing of it is left. The error wraps
// ErrRunning where the container runs, or waits to be restarted, and opts.Force is not set, and ErrDependents where others depend
// on it and opts.Depend is not set. A removal that was
// killed half way is finished by the next command.
func (e *Engine) Remove(ctx context.Context, c *Container, opts RemoveOptions) error {
	_, err := e.removeOrSay(ctx, c, opts)
	return err
}

// removeOrSay is Remove, and reports whether there was something to remove.
func (e *Engine) removeOrSay(ctx context.Context, c *Container, opts RemoveOptions) (removed bool, err error) {
	err = e.removeDependents(ctx, c, opts)
	if errors.Is(err, ErrDependents) || err != nil && opts.Depend {
		return false, err // it says what it is about
	}
	if err == nil {
		removed, err = e.remove(ctx, c, opts)
	}
	return removed, about("remove", c, err)
}

func (e *Engine) remove(ctx context.Context, c *Container, opts RemoveOptions) (bool, error) {
	err := e.needRunDir(c)
	var lock *os.File
	if err == nil {
		lock, err = e.lockStopped(ctx, c, opts)
	}
	if errors.Is(err, ErrNoSuchContainer) || record.IsNotExist(err) {
		return false, nil // a --rm container that its monitor has removed, or one that another command has
	}
	if err != nil {
		return false, err
	}
	defer lock.Close()
	if err := e.removeAbandoned(ctx, c.ID, opts.Volumes); err != nil {
		return false, err
	}
	e.event(c.State, "remove")
	return true, nil
}

// lockStopped takes the lock of a container that does not run, with its state read again. With opts.Force it stops one that
// does; the error is that of Remove.
func (e *Engine) lockStopped(ctx context.Context, c *Container, opts RemoveOptions) (*os.File, error) {
	stopped := false
	for end, pause := time.Now().Add(15*time.Second), time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		lock, err := tryLock(c.RunDir)
		if err != nil {
			return nil, err
		}
		if err := e.Refresh(c); err != nil {
			if lock != nil {
				lock.Close()
			}
			return nil, err
		}
		runs := Alive(c.State)
		if lock != nil && !runs {
			return lock, nil
		}
		if lock != nil { // its monitor was killed: the next one will want it
			lock.Close()
		}
		if runs && c.Initialized() { // it has not been started, so nothing is lost
			if err := e.drop(ctx, c); err != nil {
				return nil, err
			}
			continue
		}
		if !opts.Force && (runs || c.Restarting()) {
			return nil, runningHint(c)
		}
		if opts.Force && (!stopped || runs && time.Now().Before(end)) { // somebody else may have started it again
			if err := e.stopByForce(ctx, c, opts.Timeout); err != nil {
				return nil, err
			}
			stopped = true
			continue
		}
		if time.Now().After(end) {
			return nil, ErrBusy
		}
		time.Sleep(pause)
	}
}

// drop ends a container that Init has made, which is then as it was before. That it runs by now, or has ended, is no error.
func (e *Engine) drop(ctx context.Context, c *Container) error {
	_, err := e.ask(ctx, c, ctl.Request{Op: "drop"})
	if errors.Is(err, ErrNotRunning) || errors.Is(err, ErrRunning) {
		return nil
	}
	return err
}

func runningHint(c *Container) error {
	err := ErrRunning
	if c.Restarting() {
		err = fmt.Errorf("%w, or rather waits to be restarted", err)
	}
	return hint.Add(err, "stop it first with: %s, or use: %s", hint.To(hint.StopContainer, c.State.Name), hint.To(hint.ForceRemoveContainer, c.State.Name))
}

// stopByForce stops a container for good, frozen or not, and also where its monitor does not answer.
func (e *Engine) stopByForce(ctx context.Context, c *Container, timeout *time.Duration) error {
	if c.State.Status == record.Paused {
		if err := e.Unpause(ctx, c); err != nil && !errors.Is(err, ErrNotRunning) && !errors.Is(err, ErrNotPaused) {
			return err
		}
	}
	err := e.Stop(ctx, c, StopOptions{Timeout: timeout})
	var silent *ctl.SilentError
	if errors.As(err, &silent) {
		e.log.Warn("the container's monitor does not answer: it is ended", "id", c.ID, "monitor", silent.Pid)
		_ = syscall.Kill(silent.Pid, syscall.SIGKILL)
		err = e.Stop(ctx, c, StopOptions{Timeout: timeout}) // by a new one
	}
	if errors.Is(err, ErrNotRunning) {
		return nil
	}
	return err
}

// removeDelegated removes a --rm container for its monitor, which holds the lock and waits.
func (e *Engine) removeDelegated(ctx context.Context, c *Container) error {
	if err := e.removeAll(ctx, c.ID, true); err != nil {
		return about("remove", c, err)
	}
	e.event(c.State, "remove")
	return nil
}

// RemoveInherited removes a --rm container whose monitor handed the lock on as descriptor 3 and has ended.
func (e *Engine) RemoveInherited(ctx context.Context, id string) error {
	c, err := e.load(id)
	if record.IsNotExist(err) {
		return e.removeAll(ctx, id, true)
	}
	if err != nil {
		return err
	}
	return e.removeDelegated(ctx, c)
}

// removeAbandoned is removeAll for a container without a monitor, of which the OCI runtime may still know.
func (e *Engine) removeAbandoned(ctx context.Context, id string, volumes bool) error {
	dir, runDir := e.dirs(id, false)
	cfg, err := record.ReadConfig(dir)
	if err != nil {
		cfg, err = record.ReadConfig(runDir)
	}
	if err == nil {
		if err := e.endAbandoned(ctx, cfg); err != nil {
			return err
		}
	}
	return e.removeAll(ctx, id, volumes)
}

// removeAll removes whatever there is of a container, also of a half-made one, and with volumes set its anonymous volumes
// too; those of --rm containers and half-made ones go in any case. The caller holds the lock, or the
// monitor that holds it waits for this. The order matters: the record goes last, so that a removal that is killed can be finished.
func (e *Engine) removeAll(ctx context.Context, id string, volumes bool) error {
	remove := func() error { return e.removeStepwise(ctx, id, volumes) }
	err := layer.WithRoom(e.storeOpts.GraphRoot, remove)
	if !layer.TooFull(err) {
		return err
	}
	// There is no reserve: what the container has written makes room.
	if rerr := e.dropContent(id); rerr != nil {
		return errors.Join(err, rerr)
	}
	return remove()
}

// dropContent removes the files of a container that is being removed before its records, and has the store read these again.
func (e *Engine) dropContent(id string) error {
	paths, err := e.writable().Find(id)
	if err != nil {
		return err
	}
	layers := []record.Rootfs{{Layer: layerOf(id)}}
	for _, own := range paths {
		layers = append(layers, record.Rootfs{Writable: own})
	}
	for _, r := range layers {
		if err := emptyDir(e.upperDir(r)); err != nil {
			return err
		}
	}
	return e.reopenStore()
}

// emptyDir removes what is in a directory, if there is one.
func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, d := range entries {
		if err := os.RemoveAll(filepath.Join(dir, d.Name())); err != nil {
			return err
		}
	}
	return nil
}

// removeStepwise is removeAll where there is room on the disk.
func (e *Engine) removeStepwise(ctx context.Context, id string, volumes bool) error {
	if err := e.markPending(id); err != nil {
		return err
	}
	dir, runDir := e.dirs(id, false)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		dir = runDir
	} else if volumes, err = noteRemoval(dir, volumes); err != nil {
		return err
	}
	if err := e.dropMounted(id); err != nil {
		return fmt.Errorf("unmount it: %w", err)
	}
	if err := e.dropNamesOf(dir, id); err != nil {
		return err
	}
	trace("name dropped")
	cfg, err := record.ReadConfig(dir)
	if err != nil {
		cfg = nil
	}
	if rerr := e.removeLayer(id, cfg); rerr != nil {
		return fmt.Errorf("remove its layer: %w", rerr)
	}
	trace("layer removed")
	if err := e.removeNetNS(id, cfg); err != nil {
		return err
	}
	if err := e.forgetRequired(cfg); err != nil {
		return err
	}
	if err := removeIDFile(cfg); err != nil {
		e.log.Warn("the file with the container's ID is left", "error", err)
	}
	switch _, there := os.Lstat(dir); {
	case cfg != nil && (volumes || cfg.AutoRemove):
		err = e.removeAnonymous(ctx, id, cfg.Mounts)
	case record.IsNotExist(err) && there == nil:
		err = e.removeHalfMade(ctx, id)
	default:
		err = nil
	}
	if err != nil {
		return fmt.Errorf("remove its anonymous volumes: %w", err)
	}
	if dir != runDir {
		if err := e.discard(e.data, dir); err != nil {
			return err
		}
	}
	if err := e.discard(e.runtime, runDir); err != nil {
		return err
	}
	e.removeBinds(id)
	if err := e.clearPending(id); err != nil {
		return err
	}
	if cfg != nil && cfg.RemoveImage {
		e.removeImageOf(ctx, cfg)
	}
	return nil
}

// removeIDFile removes the file that a container's ID was written to, unless it says something else by now.
func removeIDFile(cfg *record.Config) error {
	if cfg == nil || cfg.IDFile == "" {
		return nil
	}
	st, err := os.Lstat(cfg.IDFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || !st.Mode().IsRegular() {
		return err
	}
	text, err := os.ReadFile(cfg.IDFile)
	if err != nil || strings.TrimSpace(string(text)) != cfg.ID {
		return err
	}
	return os.Remove(cfg.IDFile)
}

// noteRemoval notes that the removal of a container has begun, for the command that may have to finish it. It
// reports whether the anonymous volumes are to go, which that command is not told.
func noteRemoval(dir string, volumes bool) (bool, error) {
	path := filepath.Join(dir, removingFile)
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return volumes, err
	}
	volumes = volumes || string(before) == removingVolumes
	text := ""
	if volumes {
		text = removingVolumes
	}
	return volumes, os.WriteFile(path, []byte(text), 0o600)
}

// removeLayer removes a container's layer; without a record it may be anywhere.
func (e *Engine) removeLayer(id string, cfg *record.Config) error {
	if cfg != nil && cfg.Rootfs.Writable != "" {
		err := e.discard(e.data, cfg.Rootfs.Writable)
		for _, b := range cfg.Binds {
			if b.Image != nil && b.Image.Writable != "" {
				err = errors.Join(err, e.discard(e.data, b.Image.Writable))
			}
		}
		return err
	}
	if err := e.discardWritable(id); err != nil {
		return err
	}
	store, err := e.Store()
	if err != nil {
		return err
	}
	return deleteStored(store, id)
}

// layerOf is the ID of a container's layer where the store has it. The store makes the layer before it writes down whose it is: so it can be found.
func layerOf(id string) string {
	sum := sha256.Sum256([]byte("layer of container " + id))
	return hex.EncodeToString(sum[:])
}

// deleteStored has the store delete a container, or the layer of one that was never finished.
func deleteStored(store storage.Store, id string) error {
	err := store.DeleteContainer(id)
	if !errors.Is(err, storage.ErrContainerUnknown) && !errors.Is(err, storage.ErrNotAContainer) {
		return err
	}
	err = store.DeleteLayer(layerOf(id))
	if errors.Is(err, storage.ErrLayerUnknown) || errors.Is(err, storage.ErrNotALayer) {
		return nil
	}
	return err
}

// dropNamesOf gives up the container's name; of one that has no config yet, every link is looked at.
func (e *Engine) dropNamesOf(dir, id string) error {
	if s, err := record.ReadState(dir); err == nil {
		return e.dropName(s.Name, id)
	}
	names, err := os.ReadDir(filepath.Join(e.data, "names"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, n := range names {
		if err := e.dropName(n.Name(), id); err != nil {
			return err
		}
	}
	return nil
}

// deleteFromRuntime has the OCI runtime forget a container that a killed monitor left to it.
func (e *Engine) deleteFromRuntime(ctx context.Context, cfg *record.Config) {
	root := runtimeRoot(cfg.Runtime.Args)
	if root == "" {
		return
	}
	if _, err := os.Lstat(filepath.Join(root, cfg.ID)); err != nil {
		return
	}
	args := append(append([]string(nil), cfg.Runtime.Args...), "delete", "--force", cfg.ID)
	if out, err := exec.CommandContext(ctx, cfg.Runtime.Path, args...).CombinedOutput(); err != nil {
		e.log.Debug("the runtime would not delete a container", "id", cfg.ID, "output", string(out), "error", err)
		os.RemoveAll(filepath.Join(root, cfg.ID))
	}
}

func runtimeRoot(args []string) string {
	for i, a := range args {
		if a == "--root" && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

// withLock runs change while it holds the lock of a container that has no monitor, with the state read again.
func (e *Engine) withLock(c *Container, change func() error) error {
	if err := e.needRunDir(c); err != nil {
		return err
	}
	lock, err := waitLock(c.RunDir, 5*time.Second)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := e.Refresh(c); err != nil {
		return err
	}
	return change()
}

// needRunDir makes the runtime directory of a container that has not been started in this boot. It makes none for
// a container that is gone, which would then be half a container. The error wraps ErrNoSuchContainer for that.
func (e *Engine) needRunDir(c *Container) error {
	if _, err := os.Lstat(c.Dir); errors.Is(err, fs.ErrNotExist) {
		return noSuchID(c.ID)
	}
	if c.Dir == c.RunDir {
		return nil
	}
	if err := os.MkdirAll(c.RunDir, 0o700); err != nil {
		return fmt.Errorf("make the runtime directory of container %q: %w", c.State.Name, err)
	}
	return nil
}
