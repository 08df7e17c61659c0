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

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/record"
)

// A container requires others: those of --requires, and those whose namespaces it shares. They are started before it
// (Config.Requires), and each has its name in the directory dependents of its own record: what is not named
// there need not be looked for in the records of all containers.

const dependentsDir = "dependents"

// requirements finds the containers of --requires.
func (e *Engine) requirements(ctx context.Context, m *making) error {
	for _, name := range m.opts.Requires {
		c, err := e.Lookup(ctx, name)
		if err != nil {
			return field.Errorf("%s: %w", field.Name("requires"), err)
		}
		m.require(c)
	}
	return nil
}

// require has c started before the new container.
func (m *making) require(c *Container) {
	if !slices.ContainsFunc(m.requires, func(other *Container) bool { return other.ID == c.ID }) {
		m.requires = append(m.requires, c)
	}
}

// join has the new container share a namespace of c, which is started before it. It returns the path by which the OCI runtime finds it.
func (m *making) join(kind string, c *Container) string {
	m.require(c)
	if m.joins == nil {
		m.joins = make(map[string]string)
	}
	m.joins[kind] = c.ID
	return record.JoinPath(m.runDir, kind)
}

// noteRequired records what the new container requires, also where that is looked for when those are to be removed.
func (e *Engine) noteRequired(_ context.Context, m *making) error {
	m.cfg.Joins = m.joins
	for _, c := range m.requires {
		m.cfg.Requires = append(m.cfg.Requires, c.ID)
		note := filepath.Join(c.Dir, dependentsDir, m.cfg.ID)
		m.back.Push(func() error { return removeIfThere(note) })
		if err := os.Mkdir(filepath.Dir(note), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return storeHint(fmt.Errorf("require container %q: %w", c.State.Name, err), e.storeOpts.GraphRoot)
		}
		if err := os.WriteFile(note, nil, 0o600); err != nil {
			return storeHint(fmt.Errorf("require container %q: %w", c.State.Name, err), e.storeOpts.GraphRoot)
		}
	}
	return nil
}

// forgetRequired takes back what noteRequired has noted with the others.
func (e *Engine) forgetRequired(cfg *record.Config) error {
	if cfg == nil {
		return nil
	}
	for _, id := range cfg.Requires {
		for _, rm := range []bool{false, true} {
			dir, _ := e.dirs(id, rm)
			if err := removeIfThere(filepath.Join(dir, dependentsDir, cfg.ID)); err != nil {
				return err
			}
		}
	}
	return nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Requires are the IDs of the containers that are started before c: those that it was made to require, and those whose namespaces it
// shares. None if its record cannot be read.
func (c *Container) Requires() []string {
	cfg, err := c.Config()
	if err != nil {
		return nil
	}
	return cfg.Requires
}

// startRequired starts the containers that one requires, and those that they require, in their order.
func (e *Engine) startRequired(ctx context.Context, cfg *record.Config) error {
	for _, id := range cfg.Requires {
		c, err := e.Lookup(ctx, id)
		if err != nil {
			return fmt.Errorf("start what it requires: %w", err)
		}
		if Alive(c.State) {
			continue
		}
		if _, err := e.Start(ctx, c, StartOptions{}); err != nil && !errors.Is(err, ErrRunning) {
			return fmt.Errorf("start what it requires: %w", err)
		}
	}
	return nil
}

// Dependents are the containers that were made to share a namespace of c, or to be started after it.
func (e *Engine) Dependents(ctx context.Context, c *Container) ([]*Container, error) {
	entries, err := os.ReadDir(filepath.Join(c.Dir, dependentsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var list []*Container
	for _, d := range entries {
		other, err := e.Lookup(ctx, d.Name())
		switch {
		case err == nil:
			list = append(list, other)
		case errors.Is(err, ErrNoSuchContainer): // one whose making or removal was killed
		default:
			return nil, err
		}
	}
	return list, nil
}

// removeDependents removes what depends on c, or refuses to leave it without.
func (e *Engine) removeDependents(ctx context.Context, c *Container, opts RemoveOptions) error {
	others, err := e.Dependents(ctx, c)
	if err != nil || len(others) == 0 || opts.orphan {
		return err
	}
	if opts.Depend {
		for _, other := range others {
			if err := e.Remove(ctx, other, opts); err != nil {
				return err
			}
		}
		return nil
	}
	ids := make([]string, len(others))
	for i, other := range others {
		ids[i] = other.ID
	}
	return hint.Add(&dependentsError{c.ID, ids}, "remove them too with: %s", hint.To(hint.RemoveDependents, c.State.Name))
}

// dependentsError is an ErrDependents.
type dependentsError struct {
	id     string
	others []string
}

// Error has podman's words, for the scripts that look for them.
func (e *dependentsError) Error() string {
	return fmt.Sprintf("container %s has dependent containers which must be removed before it: %s: %s", e.id, strings.Join(e.others, ", "), ErrDependents)
}

func (e *dependentsError) Unwrap() error { return ErrDependents }
