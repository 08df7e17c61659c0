// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/undo"
	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// UpdateOptions say what is to be changed of a container; what is left out stays as it is.
type UpdateOptions struct {
	Resources spec.Resources // of a container that runs, at once
	Restart   string         // the policy, at once
	Health    spec.HealthFlags
	Env       []string // NAME=VALUE, from the next start on
	UnsetEnv  []string // names, from the next start on
	Ulimits   []string // NAME=SOFT[:HARD], from the next start on

	Command []string // what Revision.Command is to say
}

// Settings are what Update can change of a container.
type Settings struct {
	Resources *specs.LinuxResources `json:"resources,omitempty"` // without its device rules
	NanoCPUs  int64                 `json:"nanoCPUs,omitempty"`  // as asked for
	Env       []string              `json:"env,omitempty"`
	Ulimits   []record.Ulimit       `json:"ulimits,omitempty"`
	Restart   record.Restart        `json:"restart"`
	Health    *record.Healthcheck   `json:"health,omitempty"`
	Asked     json.RawMessage       `json:"asked,omitempty"` // see record.Config
}

// Update changes a container, also while it runs, and records that: see History. The error is a FieldError where what is asked for makes
// no sense. Nothing is changed then, and nothing is recorded where a running container could not be given its limits.
func (e *Engine) Update(ctx context.Context, c *Container, o UpdateOptions) error {
	return about("update", c, e.change(ctx, c, o.Command, func(before Settings, cfg *record.Config) (Settings, *specs.LinuxResources, error) {
		return e.updated(before, cfg, o)
	}))
}

// change replaces a container's settings by those that decide returns, with the limits that a running container is given at once, nil for none.
func (e *Engine) change(ctx context.Context, c *Container, command []string, decide func(Settings, *record.Config) (Settings, *specs.LinuxResources, error)) error {
	names, err := e.lockNames() // who replaces a container's configuration holds it: a rename does so too
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
	s, err := readSpec(c.Dir)
	if err != nil {
		return err
	}
	before := settingsOf(cfg, s)
	after, live, err := decide(before, cfg)
	if err != nil {
		return err
	}
	if live != nil { // for one that is being started, too
		if err := e.limitNow(ctx, c, live); err != nil {
			return err
		}
	}
	after.writeTo(cfg, s)
	if err := e.writeSettings(c, cfg, s, func() error { return e.addRevision(c, before, after, command) }); err != nil {
		return storeHint(err, e.storeOpts.GraphRoot)
	}
	e.event(c.State, "update")
	return e.reload(ctx, c, cfg) // also of what was so before: an update that was killed has told nobody
}

// writeSettings replaces the records of a container, and has its history written. Where one of them cannot be written, the others are again as they were.
func (e *Engine) writeSettings(c *Container, cfg *record.Config, s *specs.Spec, history func() error) (err error) {
	oldSpec, err := readSpec(c.Dir)
	if err != nil {
		return err
	}
	oldConfig, err := c.Config()
	if err != nil {
		return err
	}
	durable := c.Dir != c.RunDir
	var back undo.Stack
	defer back.OnError(&err)
	if err := writeSpec(c.Dir, s, durable); err != nil {
		return err
	}
	back.Push(func() error { return writeSpec(c.Dir, oldSpec, durable) })
	if err := cfg.Write(c.Dir, durable); err != nil {
		return err
	}
	back.Push(func() error { return oldConfig.Write(c.Dir, durable) })
	return history()
}

// limitNow gives a running container its limits.
func (e *Engine) limitNow(ctx context.Context, c *Container, r *specs.LinuxResources) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	path := filepath.Join(c.RunDir, ctl.ResourcesFile)
	err = atomicfile.Write(path, data, 0o600, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // not started since the host's start
	}
	if err != nil {
		return err
	}
	defer os.Remove(path)
	_, err = e.ask(ctx, c, ctl.Request{Op: "limit"})
	if errors.Is(err, ErrNotRunning) {
		return nil // the next start has them
	}
	return err
}

// reload has the monitor read the record again, or what the state says of the health check of a container without one.
func (e *Engine) reload(ctx context.Context, c *Container, cfg *record.Config) error {
	_, err := e.ask(ctx, c, ctl.Request{Op: "reload"})
	if !errors.Is(err, ErrNotRunning) {
		return err
	}
	return e.withLock(c, func() error {
		switch {
		case cfg.Health == nil:
			c.State.Health = nil
		case c.State.Health == nil:
			c.State.Health = &record.Health{Status: "starting"}
		}
		return c.State.Write(c.Dir, c.Dir != c.RunDir)
	})
}

// settingsOf is what the two records of a container say.
func settingsOf(cfg *record.Config, s *specs.Spec) Settings {
	now := Settings{NanoCPUs: cfg.NanoCPUs, Env: slices.Clone(cfg.Env), Ulimits: slices.Clone(cfg.Ulimits), Restart: cfg.Restart, Health: cfg.Health, Asked: cfg.Asked}
	if s.Linux != nil && s.Linux.Resources != nil {
		r := *s.Linux.Resources
		r.Devices = nil
		now.Resources = &r
	}
	return now
}

// writeTo writes the settings into a container's two records.
func (n Settings) writeTo(cfg *record.Config, s *specs.Spec) {
	cfg.NanoCPUs, cfg.Env, cfg.Ulimits, cfg.Restart, cfg.Health = n.NanoCPUs, n.Env, n.Ulimits, n.Restart, n.Health
	if len(n.Asked) > 0 {
		cfg.Asked = n.Asked
	}
	if n.Resources != nil && s.Linux != nil {
		r := *n.Resources
		if s.Linux.Resources != nil {
			r.Devices = s.Linux.Resources.Devices
		}
		s.Linux.Resources = &r
		cfg.Memory, cfg.MemorySwap, cfg.PidsLimit = 0, 0, 0
		if m := r.Memory; m != nil {
			cfg.Memory, cfg.MemorySwap = deref(m.Limit), deref(m.Swap)
		}
		if r.Pids != nil {
			cfg.PidsLimit = deref(r.Pids.Limit)
		}
	}
	if s.Process != nil {
		secret := func(v string) bool {
			name, _, _ := strings.Cut(v, "=")
			return slices.Contains(cfg.SecretEnv, name)
		}
		secrets := slices.DeleteFunc(s.Process.Env, func(v string) bool { return !secret(v) })
		s.Process.Env = slices.Concat(slices.DeleteFunc(slices.Clone(n.Env), secret), secrets)
		for _, u := range n.Ulimits {
			limit := specs.POSIXRlimit{Type: u.Name, Soft: uint64(u.Soft), Hard: uint64(u.Hard)}
			i := slices.IndexFunc(s.Process.Rlimits, func(r specs.POSIXRlimit) bool { return r.Type == u.Name })
			if i < 0 {
				s.Process.Rlimits = append(s.Process.Rlimits, limit)
			} else {
				s.Process.Rlimits[i] = limit
			}
		}
	}
}

// updated is before with what o changes.
func (e *Engine) updated(before Settings, cfg *record.Config, o UpdateOptions) (after Settings, live *specs.LinuxResources, err error) {
	after = before
	if o.Restart != "" {
		if after.Restart, err = spec.ParseRestart(o.Restart); err != nil {
			return after, nil, err
		}
		if cfg.AutoRemove && after.Restart.Policy != "no" {
			return after, nil, field.Errorf("%s and %s exclude each other", field.Name("rm"), field.Name("restart"))
		}
	}
	if !reflect.ValueOf(o.Health).IsZero() {
		if after.Health, err = spec.Health(o.Health, before.Health); err != nil {
			return after, nil, err
		}
	}
	if after.Env, err = updatedEnv(before.Env, o); err != nil {
		return after, nil, err
	}
	if len(o.Ulimits) > 0 {
		host, err := spec.ReadHost()
		if err != nil {
			return after, nil, err
		}
		given, err := spec.ParseUlimits(o.Ulimits, host)
		if err != nil {
			return after, nil, err
		}
		after.Ulimits = spec.MergeUlimits(spec.MergeUlimits(nil, given, host), before.Ulimits, host)
	}
	if o.Resources.Limited() {
		if live, err = e.updatedResources(&after, cfg, o.Resources); err != nil {
			return after, nil, err
		}
	}
	if asked, err := askedOf(cfg); err == nil {
		if err := asked.update(o); err != nil {
			return after, nil, err
		}
		if after.Asked, err = asked.asked(); err != nil {
			return after, nil, err
		}
	}
	return after, live, nil
}

func updatedEnv(env []string, o UpdateOptions) ([]string, error) {
	vars, err := spec.ParseEnv(o.Env, os.Environ())
	if err != nil {
		return nil, err
	}
	env = slices.Clone(env)
	drop := func(name string) {
		env = slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, name+"=") })
	}
	for _, name := range o.UnsetEnv {
		drop(name)
	}
	for _, v := range vars {
		name, _, _ := strings.Cut(v, "=")
		drop(name)
		env = append(env, v)
	}
	return env, nil
}

// updatedResources adds r to the settings, and returns what of them is new.
func (e *Engine) updatedResources(after *Settings, cfg *record.Config, r spec.Resources) (*specs.LinuxResources, error) {
	if cfg.CgroupPath == "" {
		return nil, hint.Add(errors.New("it has no cgroup, which is what limits it"), "rootless containers have one with cgroup v2 and a systemd user session (loginctl enable-linger); root's always do")
	}
	if r.MemorySwap != 0 && r.Memory == 0 && after.Resources != nil && after.Resources.Memory != nil {
		r.Memory = deref(after.Resources.Memory.Limit)
	}
	if err := r.BlockIO.Stat(); err != nil {
		return nil, err
	}
	if err := r.Check(); err != nil {
		return nil, err
	}
	cg, err := e.cgroups()
	if err != nil {
		return nil, err
	}
	s := spec.Options{Resources: r}
	if s.Host, err = spec.ReadHost(); err != nil {
		return nil, err
	}
	if err := e.fitDefaults(cg, &s); err != nil {
		return nil, err
	}
	live := s.Resources.OCI(s.Host.NoSwapLimit)
	if n := r.PidsLimit; n != nil && *n <= 0 { // no limit, which a creation just leaves out
		live.Pids = &specs.LinuxPids{Limit: new(int64(-1))}
	}
	if after.Resources, err = joinResources(after.Resources, live); err != nil {
		return nil, err
	}
	switch {
	case r.NanoCPUs != 0:
		after.NanoCPUs = r.NanoCPUs
	case r.CPUPeriod != 0 || r.CPUQuota != 0:
		after.NanoCPUs = 0
	}
	return live, nil
}

// joinResources returns base with each value that over has.
func joinResources(base, over *specs.LinuxResources) (*specs.LinuxResources, error) {
	joined := new(specs.LinuxResources)
	for _, r := range []*specs.LinuxResources{base, over} {
		if r == nil {
			continue
		}
		data, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(data, joined); err != nil { // what a text leaves out stays, also within objects
			return nil, fmt.Errorf("join limits: %w", err)
		}
	}
	return joined, nil
}
