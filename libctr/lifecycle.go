// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
	"golang.org/x/sys/unix"
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
	return about("kill", c, err)
}

// StopOptions say how a container is stopped.
type StopOptions struct {
	Timeout *time.Duration // before SIGKILL; nil is the container's own
	Signal  syscall.Signal // 0 is the container's own
}

// Stop stops a container and waits for its end; its restart policy does not bring it back. A container
// that does not run is no error. That it had to be killed is logged as a warning.
func (e *Engine) Stop(ctx context.Context, c *Container, opts StopOptions) error {
	r, err := stopRequest("stop", c, opts)
	if err == nil {
		err = e.askToStop(ctx, c, r)
	}
	if errors.Is(err, ErrNotRunning) {
		return about("stop", c, e.noteStopped(c))
	}
	return about("stop", c, err)
}

// noteStopped records of a container that does not run that the user wants it so: StartAtBoot might start it.
func (e *Engine) noteStopped(c *Container) error {
	if !c.startsAtBoot() || c.State.StoppedBy == record.ByUser {
		return nil
	}
	return e.withLock(c, func() error {
		if Alive(c.State) {
			return nil
		}
		c.State.StoppedBy = record.ByUser
		return c.State.Write(c.Dir, c.Dir != c.RunDir)
	})
}

// askToStop is ask, and warns where the container had to be killed.
func (e *Engine) askToStop(ctx context.Context, c *Container, r ctl.Request) error {
	ev, err := e.ask(ctx, c, r)
	if err == nil && ev.Forced != nil {
		e.log.Warn(fmt.Sprintf("StopSignal %s failed to stop container %s in %d seconds, resorting to SIGKILL",
			or(unix.SignalName(syscall.Signal(ev.Forced.Signal)), fmt.Sprintf("(%d)", ev.Forced.Signal)), c.State.Name, ev.Forced.AfterMs/1000))
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
	cfg, err := c.Config()
	if err == nil {
		err = e.startRequired(ctx, cfg)
	}
	var r ctl.Request
	if err == nil {
		r, err = stopRequest("restart", c, opts)
	}
	if err == nil {
		err = e.askToStop(ctx, c, r)
	}
	if errors.Is(err, ErrNotRunning) {
		_, err = e.Start(ctx, c, StartOptions{})
	}
	return about("restart", c, err)
}

// Pause freezes every process of a container; Unpause lets them go on.
func (e *Engine) Pause(ctx context.Context, c *Container) error {
	_, err := e.ask(ctx, c, ctl.Request{Op: "pause"})
	return about("pause", c, err)
}

// Unpause undoes Pause. It returns ErrNotPaused where there is nothing to undo.
func (e *Engine) Unpause(ctx context.Context, c *Container) error {
	_, err := e.ask(ctx, c, ctl.Request{Op: "unpause"})
	return about("unpause", c, err)
}

// Wait waits until the container has ended, though its restart policy may start it again, and returns its exit
// code: at once where it does not run, and 0 for one that was never started (podman-wait(1)).
func (e *Engine) Wait(ctx context.Context, c *Container) (int, error) {
	return e.wait(ctx, c, ctl.Request{Op: "wait", Next: true})
}

// waitForGood is Wait for the last end, when nothing starts the container again.
func (e *Engine) waitForGood(ctx context.Context, c *Container) (int, error) {
	return e.wait(ctx, c, ctl.Request{Op: "wait"})
}

func (e *Engine) wait(ctx context.Context, c *Container, r ctl.Request) (int, error) {
	ev, err := e.ask(ctx, c, r)
	if err == nil {
		return ev.ExitCode, nil
	}
	if errors.Is(err, ErrNotRunning) {
		err = e.Refresh(c)
	}
	return c.State.ExitCode, about("wait for", c, err)
}

// RunHealthcheck runs the container's health check now. It returns ErrNoHealthcheck where it has none.
func (e *Engine) RunHealthcheck(ctx context.Context, c *Container) (*record.Health, error) {
	ev, err := e.ask(ctx, c, ctl.Request{Op: "health"})
	if err != nil {
		return nil, about("check the health of", c, err)
	}
	return ev.Health, nil
}

// Rename gives a container another name. The error wraps ErrNameInUse.
func (e *Engine) Rename(ctx context.Context, c *Container, name string) error {
	return about("rename", c, e.rename(ctx, c, strings.TrimPrefix(name, "/")))
}

func (e *Engine) rename(ctx context.Context, c *Container, name string) error {
	// One at a time: of two renames of a container the second has to know the first one's name.
	names, err := e.lockNames()
	if err != nil {
		return err
	}
	defer names.Close()
	if err := e.Refresh(c); err != nil {
		return err
	}
	cfg, err := c.Config()
	if err != nil {
		return err
	}
	old := c.State.Name
	if name == old {
		return fmt.Errorf("the container name %q is already in use by this container itself: %w", name, ErrNameInUse)
	}
	if err := e.takeNameLocked(name, c.ID, !cfg.AutoRemove); err != nil {
		return err
	}
	if err := e.renameRecord(ctx, c, name); err != nil {
		return errors.Join(err, e.dropName(name, c.ID))
	}
	c.State.Name = name
	e.event(c.State, "rename")
	return e.dropName(old, c.ID)
}

// renameRecord has the monitor write the new name into the state, or does it under the lock; and the configuration.
func (e *Engine) renameRecord(ctx context.Context, c *Container, name string) error {
	config := func() error {
		cfg, err := c.Config()
		if err != nil {
			return err
		}
		cfg.Name = name
		return cfg.Write(c.Dir, !cfg.AutoRemove)
	}
	_, err := e.ask(ctx, c, ctl.Request{Op: "rename", Name: name})
	if err == nil {
		return config()
	}
	if !errors.Is(err, ErrNotRunning) {
		return err
	}
	return e.withLock(c, func() error {
		c.State.Name = name
		if err := c.State.Write(c.Dir, c.Dir != c.RunDir); err != nil {
			return err
		}
		return config()
	})
}
