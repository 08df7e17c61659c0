package libctr

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
)

// ask sends one request to the container's monitor and returns its answer.
func (e *Engine) ask(ctx context.Context, c *Container, r ctl.Request) (*ctl.Event, error) {
	conn, err := e.connect(ctx, c)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ev, _, err := call(ctx, conn, r)
	return ev, err
}

// Kill sends sig to the container's init process and does not wait for it to exit. It returns
// ErrNotRunning unless the container runs (runtime-spec, runtime.md, "Kill").
func (e *Engine) Kill(ctx context.Context, c *Container, sig syscall.Signal) error {
	_, err := e.ask(ctx, c, ctl.Request{Op: "signal", Signal: int(sig)})
	return err
}

// StopOptions say how a container is stopped.
type StopOptions struct {
	Timeout *time.Duration // before SIGKILL; nil is the container's own
	Signal  syscall.Signal // 0 is the container's own
}

// Stop stops a container and waits for its end; its restart policy does not bring it back. A container
// that does not run is no error.
func (e *Engine) Stop(ctx context.Context, c *Container, opts StopOptions) error {
	r, err := stopRequest("stop", c, opts)
	if err != nil {
		return err
	}
	_, err = e.ask(ctx, c, r)
	if errors.Is(err, ErrNotRunning) {
		return nil
	}
	return err
}

func stopRequest(op string, c *Container, opts StopOptions) (ctl.Request, error) {
	r := ctl.Request{Op: op, Signal: int(opts.Signal)}
	if opts.Timeout != nil {
		r.TimeoutMs = opts.Timeout.Milliseconds()
		return r, nil
	}
	cfg, err := c.Config()
	if err != nil {
		return r, err
	}
	r.TimeoutMs = int64(cfg.StopTimeout) * 1000
	return r, nil
}

// Restart stops a container if it runs, and starts it again. The process has to be in the user namespace.
func (e *Engine) Restart(ctx context.Context, c *Container, opts StopOptions) error {
	r, err := stopRequest("restart", c, opts)
	if err != nil {
		return err
	}
	_, err = e.ask(ctx, c, r)
	if errors.Is(err, ErrNotRunning) {
		_, err = e.Start(ctx, c, StartOptions{})
	}
	return err
}

// Pause freezes every process of a container; Unpause lets them go on.
func (e *Engine) Pause(ctx context.Context, c *Container) error {
	_, err := e.ask(ctx, c, ctl.Request{Op: "pause"})
	return err
}

// Unpause undoes Pause. It returns ErrNotPaused where there is nothing to undo.
func (e *Engine) Unpause(ctx context.Context, c *Container) error {
	_, err := e.ask(ctx, c, ctl.Request{Op: "unpause"})
	return err
}

// Wait waits until the container has ended for good, and returns its exit code.
func (e *Engine) Wait(ctx context.Context, c *Container) (int, error) {
	ev, err := e.ask(ctx, c, ctl.Request{Op: "wait"})
	if err == nil {
		return ev.ExitCode, nil
	}
	if !errors.Is(err, ErrNotRunning) {
		return 0, err
	}
	if err := e.Refresh(c); err != nil {
		return 0, err
	}
	if c.State.Status == record.Created {
		return 0, fmt.Errorf("wait for container %q: it was never started: %w", c.State.Name, ErrNotRunning)
	}
	return c.State.ExitCode, nil
}

// RunHealthcheck runs the container's health check now. It returns ErrNoHealthcheck where it has none.
func (e *Engine) RunHealthcheck(ctx context.Context, c *Container) (*record.Health, error) {
	ev, err := e.ask(ctx, c, ctl.Request{Op: "health"})
	if err != nil {
		return nil, err
	}
	return ev.Health, nil
}

// Rename gives a container another name. The error wraps ErrNameInUse.
func (e *Engine) Rename(ctx context.Context, c *Container, name string) error {
	cfg, err := c.Config()
	if err != nil {
		return err
	}
	old := cfg.Name
	if name == old {
		return fmt.Errorf("rename container %q: %w: it has that name", name, ErrNameInUse)
	}
	if err := e.takeName(name, c.ID, !cfg.AutoRemove); err != nil {
		return err
	}
	err = e.renameRecord(ctx, c, name)
	if err != nil {
		return errors.Join(fmt.Errorf("rename container %q to %q: %w", old, name, err), e.dropName(name, c.ID))
	}
	e.event(c.State, "rename")
	return e.dropName(old, c.ID)
}

// renameRecord has the monitor write the new name, or does it under the lock.
func (e *Engine) renameRecord(ctx context.Context, c *Container, name string) error {
	_, err := e.ask(ctx, c, ctl.Request{Op: "rename", Name: name})
	if !errors.Is(err, ErrNotRunning) {
		return err
	}
	return e.withLock(c, func() error {
		cfg, err := c.Config()
		if err != nil {
			return err
		}
		cfg.Name, c.State.Name = name, name
		if err := cfg.Write(c.Dir, !cfg.AutoRemove); err != nil {
			return err
		}
		return c.State.Write(c.Dir, !cfg.AutoRemove)
	})
}
