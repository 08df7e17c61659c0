// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
)

// MigrateOptions say what Migrate changes.
type MigrateOptions struct {
	Runtime string          // the OCI runtime of all containers from now on, as in Engine.Runtime; empty leaves each its own
	Stopped func(id string) // is called with the ID of each container that was stopped; nil: nobody wants to know
}

// Migrate stops all containers and their monitors. No process is then left in the user's namespace but those of other commands that run, so the
// next command makes a new one, of what /etc/subuid and /etc/subgid say by then; and the next start is that of the installed version. That one
// container cannot be stopped or changed does not keep the others from it; the errors come joined.
func (e *Engine) Migrate(ctx context.Context, o MigrateOptions) error {
	var runtime *RuntimeInfo
	if o.Runtime != "" {
		var err error
		if runtime, err = e.Runtime(ctx, o.Runtime); err != nil {
			return err
		}
	}
	list, err := e.List(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range list {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := e.migrate(ctx, c, runtime, o); !errors.Is(err, ErrNoSuchContainer) { // a --rm container goes with its end
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (e *Engine) migrate(ctx context.Context, c *Container, runtime *RuntimeInfo, o MigrateOptions) error {
	if c.Active() || c.Restarting() {
		if err := e.stopByForce(ctx, c, nil); err != nil {
			return about("stop", c, err)
		}
		if o.Stopped != nil {
			o.Stopped(c.ID)
		}
	}
	if runtime == nil {
		return nil
	}
	return about("change the OCI runtime of", c, e.withLock(c, func() error { return e.setRuntime(c, runtime) }))
}

// setRuntime has a container run under another OCI runtime. The caller holds its lock.
func (e *Engine) setRuntime(c *Container, runtime *RuntimeInfo) error {
	names, err := e.lockNames() // see change
	if err != nil {
		return err
	}
	defer names.Close()
	cfg, err := c.Config()
	if err != nil {
		return err
	}
	s, err := readSpec(c.Dir)
	if err != nil {
		return err
	}
	cg, _, err := e.cgroupsFor(cfg.ID, cfg.Cgroups, cfg.CgroupParent)
	if err != nil {
		return err
	}
	if cfg.Runtime, err = e.runtimeRecord(runtime, cg); err != nil {
		return err
	}
	s.Version = runtime.SpecVersion
	return storeHint(e.writeSettings(c, cfg, s, func() error { return nil }), e.storeOpts.GraphRoot)
}

// Renumber does nothing but to note the event: locks of Berth's are files and have no numbers.
func (e *Engine) Renumber() { e.note(Event{Type: "system", Status: "renumber"}) }
