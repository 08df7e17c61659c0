// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
	"golang.org/x/sys/unix"
)

// Container is one container as it was when it was looked up.
type Container struct {
	ID     string
	Dir    string // see package record
	RunDir string
	// State is the monitor's last snapshot, corrected by what the kernel says: a container whose
	// process is gone is not shown as running.
	State *record.State

	made  bool      // by this very command
	early *launched // the monitor that was started while the container was made; nil if there is none
	size  *containerSize
}

// containerSize is what Size has added up.
type containerSize struct{ own, all int64 }

// Config reads the container's configuration.
func (c *Container) Config() (*record.Config, error) {
	cfg, err := record.ReadConfig(c.Dir)
	if record.IsNotExist(err) {
		return nil, noSuchID(c.ID)
	}
	if err == nil && c.State != nil {
		cfg.Name = c.State.Name // a rename that was killed has written it there first
	}
	return cfg, err
}

// dirs returns where the record of a container is; volatile says that it ends with the boot.
func (e *Engine) dirs(id string, volatile bool) (dir, runDir string) {
	runDir = filepath.Join(e.runtime, "containers", id)
	if volatile {
		return runDir, runDir
	}
	return filepath.Join(e.data, "containers", id), runDir
}

// load reads a container's state; the error wraps fs.ErrNotExist where there is no such record.
func (e *Engine) load(id string) (*Container, error) {
	dir, runDir := e.dirs(id, false)
	s, err := record.ReadState(dir)
	if record.IsNotExist(err) {
		dir = runDir
		s, err = record.ReadState(dir)
	}
	if err != nil {
		return nil, err
	}
	c := &Container{ID: id, Dir: dir, RunDir: runDir, State: s}
	c.correct()
	return c, nil
}

// correct sets right what the snapshot says of a process that has exited.
func (c *Container) correct() {
	if !c.endUnrecorded() || c.awaitRecord() {
		return
	}
	s := c.State
	if c.Initialized() && s.BootID != BootID() { // it is as it was before
		s.Pid, s.Status = 0, record.Exited
		if s.StartedAt.IsZero() {
			s.Status = record.Created
		}
		return
	}
	s.Status = record.Exited
	s.Pid = 0
	if s.BootID != BootID() {
		s.Error = endedWithHost
	} else if s.Error == "" {
		s.Error = "its monitor was killed before it could record the exit status"
	}
	s.ExitCode = unknownExit
}

// Restarting checks whether the container has ended and its monitor waits to start it again.
func (c *Container) Restarting() bool {
	return c.State.Status == record.Exited && c.State.BootID == BootID() && c.monitorLives()
}

// monitorLives checks whether the process that the state names is the container's monitor.
func (c *Container) monitorLives() bool {
	if c.State.Monitor <= 0 {
		return false
	}
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", c.State.Monitor))
	return err == nil && bytes.HasSuffix(cmdline, []byte("\x00"+c.Dir+"\x00"))
}

// endUnrecorded reports whether the container's process has ended, and the snapshot does not know.
func (c *Container) endUnrecorded() bool {
	return c.State.Status.HasProcess() && !Alive(c.State)
}

// awaitRecord reads the state again until a monitor that lives has recorded how the process ended, and reports whether
// it has: it learns of that as soon as everybody else, and needs a moment to write it down.
func (c *Container) awaitRecord() bool {
	if c.State.BootID != BootID() || c.State.Monitor <= 0 {
		return false
	}
	if c.monitorLives() {
		ctl.Wake(c.State.Monitor)
	}
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		ended := unix.Kill(c.State.Monitor, 0) == unix.ESRCH
		s, err := record.ReadState(c.Dir)
		if err != nil {
			return false
		}
		if c.State = s; !c.endUnrecorded() {
			return true
		}
		if ended { // what it wrote last has been read
			return false
		}
	}
	return false
}

// endedWithHost is the error of a container whose end nobody recorded before the host went down.
const endedWithHost = "the host went down while the container ran"

// unknownExit is recorded for a container whose end nobody saw.
const unknownExit = 255

// List returns every container, oldest first. It takes no locks; containers that are being made or
// removed meanwhile may be missing.
func (e *Engine) List(ctx context.Context) ([]*Container, error) {
	ids, err := e.ids()
	if err != nil {
		return nil, err
	}
	list := make([]*Container, len(ids))
	var wg sync.WaitGroup
	const workers = 2
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(ids) && ctx.Err() == nil; i += workers {
				if c, err := e.load(ids[i]); err == nil {
					list[i] = c
				} else if !record.IsNotExist(err) {
					e.log.Warn("container record cannot be read", "id", ids[i], "error", err, "see", hint.To(hint.Check))
				}
			}
		})
	}
	wg.Wait()
	list = slices.DeleteFunc(list, func(c *Container) bool { return c == nil })
	slices.SortFunc(list, func(a, b *Container) int { return a.State.Created.Compare(b.State.Created) })
	return list, ctx.Err()
}

// ids names every directory that may hold a record.
func (e *Engine) ids() ([]string, error) {
	seen := map[string]bool{}
	var ids []string
	for _, root := range []string{e.data, e.runtime} {
		d, err := os.Open(filepath.Join(root, "containers"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list the containers: %w", err)
		}
		names, err := d.Readdirnames(-1)
		d.Close()
		if err != nil {
			return nil, fmt.Errorf("list the containers: %w", err)
		}
		for _, n := range names {
			if isID(n) && !seen[n] {
				seen[n] = true
				ids = append(ids, n)
			}
		}
	}
	return ids, nil
}

func isID(s string) bool { return record.ValidID(s) }

func isHex(s string) bool {
	return s != "" && strings.Trim(s, "0123456789abcdef") == ""
}

// Lookup finds a container by name, ID, or the beginning of an ID that no other container's has.
// The error wraps ErrNoSuchContainer or ErrAmbiguous.
func (e *Engine) Lookup(_ context.Context, nameOrID string) (*Container, error) {
	nameOrID = strings.TrimPrefix(nameOrID, "/") // as docker writes names
	none := hint.Add(fmt.Errorf("no container with name or ID %q found: %w", nameOrID, ErrNoSuchContainer), "list the containers with: %s", hint.To(hint.ListContainers))
	if id, err := e.nameID(nameOrID); err == nil {
		c, err := e.load(id)
		switch {
		case err == nil && c.State.Name == nameOrID:
			return c, nil
		case err != nil && !record.IsNotExist(err):
			return nil, fmt.Errorf("container %q: %w", nameOrID, err)
		}
	}
	if !isHex(nameOrID) || len(nameOrID) > 64 {
		return nil, none
	}
	if isID(nameOrID) {
		c, err := e.load(nameOrID)
		if record.IsNotExist(err) {
			return nil, none
		}
		return c, err
	}
	ids, err := e.ids()
	if err != nil {
		return nil, err
	}
	var found *Container
	for _, id := range ids {
		if !strings.HasPrefix(id, nameOrID) {
			continue
		}
		c, err := e.load(id)
		if err != nil {
			continue
		}
		if found != nil {
			return nil, hint.Add(fmt.Errorf("%q: %w", nameOrID, ErrAmbiguous), "give more digits of the ID, or the name")
		}
		found = c
	}
	if found == nil {
		return nil, none
	}
	return found, nil
}

// noSuchID is the error for a container that is not there any more.
func noSuchID(id string) error {
	return fmt.Errorf("no container with ID %s found: %w", id, ErrNoSuchContainer)
}

// Refresh reads the container's state again. The error wraps ErrNoSuchContainer once it is removed.
func (e *Engine) Refresh(c *Container) error {
	n, err := e.load(c.ID)
	if record.IsNotExist(err) {
		return noSuchID(c.ID)
	}
	if err == nil {
		c.State = n.State
	}
	return err
}
