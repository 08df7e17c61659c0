// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/libctr/record"
)

// Condition is a state of a container that can be waited for.
type Condition string

// The conditions of WaitOptions. Stopped is another word for Exited; configured, podman's other word for Created, is taken too.
const (
	WaitCreated   Condition = "created"
	WaitInit      Condition = "initialized" // Init has made it, and it was not started
	WaitRunning   Condition = "running"
	WaitPaused    Condition = "paused"
	WaitStopping  Condition = "stopping" // it was asked to stop, and has not ended yet
	WaitRemoving  Condition = "removing" // or removed: a container is removed in one go
	WaitExited    Condition = "exited"
	WaitStopped   Condition = "stopped"
	WaitHealthy   Condition = "healthy" // it runs, and its last health check passed
	WaitUnhealthy Condition = "unhealthy"
)

var conditions = []Condition{WaitCreated, WaitInit, WaitRunning, WaitPaused, WaitStopping, WaitExited, WaitStopped, WaitRemoving, WaitHealthy, WaitUnhealthy}

// WaitOptions say what is waited for.
type WaitOptions struct {
	// Any has the wait end with the first of these conditions that holds; none is WaitExited.
	Any []Condition
	// Interval is the time between two looks, for conditions that the monitor does not tell of; 0 is 250 ms.
	Interval time.Duration
}

// Check returns a FieldError for a condition that there is not.
func (o WaitOptions) Check() error {
	for _, w := range o.Any {
		if !slices.Contains(conditions, w) && w != "configured" {
			return field.Errorf("%s %q: must be created, initialized, running, paused, stopping, exited, stopped, removing, healthy or unhealthy", field.Name("condition"), string(w))
		}
	}
	return nil
}

// onlyExit checks whether nothing but the container's end is waited for.
func (o WaitOptions) onlyExit() bool {
	return !slices.ContainsFunc(o.Any, func(w Condition) bool { return w != WaitExited && w != WaitStopped })
}

// WaitFor waits until a condition holds, and returns the exit code of a container that has exited, or -1 for another one
// (podman-wait(1)). One whose condition holds already returns at once. The end alone is waited for as Wait does. The error
// wraps ErrNoSuchContainer once the container is removed.
func (e *Engine) WaitFor(ctx context.Context, c *Container, opts WaitOptions) (int, error) {
	if err := opts.Check(); err != nil {
		return 0, err
	}
	if opts.onlyExit() {
		return e.Wait(ctx, c)
	}
	interval := opts.Interval
	if interval <= 0 {
		interval = 250 * time.Millisecond
	}
	for !slices.ContainsFunc(opts.Any, c.meets) {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(interval):
		}
		if err := e.Refresh(c); errors.Is(err, ErrNoSuchContainer) && slices.Contains(opts.Any, WaitRemoving) {
			return -1, nil
		} else if err != nil {
			return 0, err
		}
	}
	if c.State.Status == record.Exited {
		return c.State.ExitCode, nil
	}
	return -1, nil
}

// WaitForFirst is WaitFor for several containers, until a condition holds for one of them.
func (e *Engine) WaitForFirst(ctx context.Context, list []Selected, opts WaitOptions) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type end struct {
		code int
		err  error
	}
	ends := make(chan end, len(list))
	for _, c := range list {
		go func() {
			code, err := e.WaitFor(ctx, c.Container, opts)
			ends <- end{code, err}
		}()
	}
	first := <-ends
	cancel()
	for range len(list) - 1 {
		<-ends
	}
	return first.code, first.err
}

// meets checks whether a condition holds.
func (c *Container) meets(w Condition) bool {
	s := c.State
	switch w {
	case WaitStopped:
		return s.Status == record.Exited
	case "configured":
		return s.Status == record.Created
	case WaitHealthy, WaitUnhealthy:
		return s.Status == record.Running && s.Health != nil && s.Health.Status == string(w)
	}
	return string(s.Status) == string(w)
}
