package libctr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/monitor"
	"github.com/berth-containers/berth/libctr/record"
	"go.podman.io/storage"
)

// RemoveOptions say how a container is removed.
type RemoveOptions struct {
	Force   bool           // stop it first if it runs
	Timeout *time.Duration // for that stop; nil is the container's own
	Volumes bool           // remove its anonymous volumes too; --rm containers' always go
}

// Remove removes a container: name, layer, record. It waits until nothing of it is left. The error wraps
// ErrRunning where the container runs and opts.Force is not set. A removal that was killed half way is
// finished by the next command.
func (e *Engine) Remove(ctx context.Context, c *Container, opts RemoveOptions) error {
	if c.State.Status == record.Running || c.State.Status == record.Paused {
		if !opts.Force {
			return hint.Add(fmt.Errorf("remove container %q: %w", c.State.Name, ErrRunning), "stop it first with: berth stop %s, or use: berth rm --force %s", c.State.Name, c.State.Name)
		}
		if c.State.Status == record.Paused {
			if err := e.Unpause(ctx, c); err != nil && !errors.Is(err, ErrNotRunning) && !errors.Is(err, ErrNotPaused) {
				return err
			}
		}
		if err := e.Stop(ctx, c, StopOptions{Timeout: opts.Timeout}); err != nil {
			return fmt.Errorf("remove container %q: %w", c.State.Name, err)
		}
	}
	if err := e.needRunDir(c); err != nil {
		if errors.Is(err, ErrNoSuchContainer) {
			return nil // a --rm container that its monitor has removed
		}
		return err
	}
	lock, err := waitLock(c.RunDir, 15*time.Second)
	if record.IsNotExist(err) {
		return nil // removed while we waited
	}
	if err != nil {
		return fmt.Errorf("remove container %q: %w", c.State.Name, err)
	}
	defer lock.Close()
	if err := e.Refresh(c); err != nil {
		if errors.Is(err, ErrNoSuchContainer) {
			return nil
		}
		return err
	}
	if Alive(c.State) {
		return fmt.Errorf("remove container %q: %w", c.State.Name, ErrRunning)
	}
	var volumes []record.Mount
	if cfg, err := c.Config(); err == nil && (opts.Volumes || cfg.AutoRemove) {
		volumes = cfg.Mounts
	}
	if err := e.removeAbandoned(ctx, c.ID); err != nil {
		return fmt.Errorf("remove container %q: %w", c.State.Name, err)
	}
	e.event(c.State, "remove")
	return e.removeAnonymous(volumes)
}

// removeDelegated removes a --rm container for its monitor, which holds the lock and waits.
func (e *Engine) removeDelegated(c *Container) error {
	var volumes []record.Mount
	if cfg, err := c.Config(); err == nil {
		volumes = cfg.Mounts
	}
	if err := e.removeAll(c.ID); err != nil {
		return fmt.Errorf("remove container %q: %w", c.State.Name, err)
	}
	e.event(c.State, "remove")
	return e.removeAnonymous(volumes)
}

// RemoveInherited removes a --rm container whose monitor handed the lock on as descriptor 3 and has ended.
func (e *Engine) RemoveInherited(id string) error {
	c, err := e.load(id)
	if record.IsNotExist(err) {
		return e.removeAll(id)
	}
	if err != nil {
		return err
	}
	return e.removeDelegated(c)
}

// removeAbandoned is removeAll for a container without a monitor, of which the OCI runtime may still know.
func (e *Engine) removeAbandoned(ctx context.Context, id string) error {
	dir, runDir := e.dirs(id, false)
	cfg, err := record.ReadConfig(dir)
	if err != nil {
		cfg, err = record.ReadConfig(runDir)
	}
	if err == nil {
		if err := monitor.EndHalfStart(&cfg.Supervised); err != nil {
			return fmt.Errorf("end what its killed monitor had begun to start: %w", err)
		}
		e.deleteFromRuntime(ctx, cfg)
	}
	return e.removeAll(id)
}

// removeAll removes whatever there is of a container, also of a half-made one. The caller holds the lock, or the
// monitor that holds it waits for this. The order matters: the record goes last, so that a removal that is killed can be finished.
func (e *Engine) removeAll(id string) error {
	if err := e.markPending(id); err != nil {
		return err
	}
	dir, runDir := e.dirs(id, false)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		dir = runDir
	} else if err := os.WriteFile(filepath.Join(dir, removingFile), nil, 0o600); err != nil {
		return err
	}
	if err := e.dropNamesOf(dir, id); err != nil {
		return err
	}
	trace("name dropped")
	store, err := e.Store()
	if err != nil {
		return err
	}
	err = store.DeleteContainer(id)
	trace("layer removed")
	if err != nil && !errors.Is(err, storage.ErrContainerUnknown) && !errors.Is(err, storage.ErrNotAContainer) {
		return fmt.Errorf("delete its layer: %w", err)
	}
	cfg, err := record.ReadConfig(dir)
	if err != nil {
		cfg = nil
	}
	if err := e.removeNetNS(id, cfg); err != nil {
		return err
	}
	if dir != runDir {
		if err := e.discard(e.data, dir); err != nil {
			return err
		}
	}
	if err := e.discard(e.runtime, runDir); err != nil {
		return err
	}
	return e.clearPending(id)
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

// withLock runs change while it holds the lock of a container that has no monitor, with the state read anew.
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
		return fmt.Errorf("%w: %s", ErrNoSuchContainer, c.ID)
	}
	if c.Dir == c.RunDir {
		return nil
	}
	if err := os.MkdirAll(c.RunDir, 0o700); err != nil {
		return fmt.Errorf("make the runtime directory of container %q: %w", c.State.Name, err)
	}
	return nil
}
