// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
)

// startRequest is the first client's wish, on its way to Run.
type startRequest struct {
	client *client
	files  []*os.File
}

// startPatience is how long a request waits for a start that is under way.
const startPatience = 8 * time.Second

// handle does what a client asks. It runs on the client's goroutine: further
// requests of the same client wait. What is for a running container waits for a start that is under way.
func (m *Monitor) handle(c *client, r *ctl.Request, files []*os.File) {
	switch r.Op {
	case "signal", "pause", "unpause", "exec", "health", "start", "attach":
		if c != m.first && !m.awaitLaunch(startPatience) {
			closeFiles(files)
			c.fail(&ctl.RequestError{Text: "it is still being started", Code: 125, Kind: "starting"})
			return
		}
	}
	switch r.Op {
	case "start":
		m.handleStart(c, r, files)
	case "attach":
		m.handleAttach(c, r)
	case "wait":
		m.setWaits(c, r.Next)
	case "signal":
		c.answer(m.signal(syscall.Signal(r.Signal), r.All))
	case "stop":
		if err := m.stop(r, false); err != nil {
			c.fail(err)
			return
		}
		m.setWaits(c, false)
	case "restart":
		m.handleRestart(c, r)
	case "pause":
		c.answer(m.pause())
	case "unpause":
		c.answer(m.unpause())
	case "resize":
		m.resize(r.Rows, r.Cols)
	case "exec":
		m.handleExec(c, r, files)
	case "rename":
		c.answer(m.rename(r.Name))
	case "health":
		m.handleHealth(c)
	case "guard":
		c.ward = r.Name
	case "removed":
		select {
		case <-c.removed:
		default:
			close(c.removed)
		}
	}
}

// answer says ok, or why not.
func (c *client) answer(err error) {
	if err != nil {
		c.fail(err)
		return
	}
	c.ok()
}

func (m *Monitor) handleStart(c *client, r *ctl.Request, files []*os.File) {
	m.mu.Lock()
	first := c == m.first && !m.startAsked
	if first {
		m.startAsked = true
		c.starter = true
		c.owner = r.Owner && m.cfg.AutoRemove
		c.waits = c.waits || c.owner
	}
	m.mu.Unlock()
	if first {
		m.starts <- startRequest{c, files}
		return
	}
	closeFiles(files)
	m.mu.Lock()
	_, err := m.runningUnpaused()
	m.mu.Unlock()
	switch {
	case err == nil:
		c.fail(&ctl.RequestError{Text: "it is running", Code: 125, Kind: "running"})
	case m.isPaused():
		c.fail(err)
	default:
		m.handleRestart(c, r) // at once, if it waits for that
	}
}

func (m *Monitor) isPaused() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.init != nil && m.state.Status == record.Paused
}

// awaitLaunch returns when the first start has succeeded or failed, or false after limit; a negative one is none.
func (m *Monitor) awaitLaunch(limit time.Duration) bool {
	var late <-chan time.Time
	if isClosed(m.launched) {
		return true
	}
	if limit >= 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-m.launched:
		return true
	case <-late:
		return false
	}
}

func (m *Monitor) handleAttach(c *client, r *ctl.Request) {
	m.mu.Lock()
	_, err := m.runningUnpaused()
	if m.ended || err != nil && !r.Early && c != m.first {
		m.mu.Unlock()
		c.fail(err)
		return
	}
	c.gives = r.Stdin
	c.waits = true
	m.mu.Unlock()
	c.wants[ctl.Stdout], c.wants[ctl.Stderr] = r.Stdout, r.Stderr
	m.out.attach(c, func() { c.event(ctl.Event{Event: "attached"}) })
}

// setWaits has exited sent to the client at the container's end, or at once. With next, a pause before a restart is an end.
func (m *Monitor) setWaits(c *client, next bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	resting := m.init == nil && !m.ended && isClosed(m.launched)
	if m.reported || next && resting {
		c.event(m.exitedEvent())
		return
	}
	c.waits, c.next = true, next
}

// resize is remembered where the terminal is still to come.
func (m *Monitor) resize(rows, cols uint16) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows, m.cols = rows, cols
	if m.master != nil {
		_ = setSize(m.master, rows, cols) // it may just have been hung up
	}
}

func (m *Monitor) rename(name string) error {
	// Who asks has taken the name: it leads here. A name of the past, or another container's, does not.
	if id, err := os.Readlink(filepath.Join(m.cfg.Data, "names", name)); m.cfg.Data != "" && (err != nil || id != m.cfg.ID) {
		return fmt.Errorf("the name %q is not this container's", name)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.Name = name
	return m.writeState()
}

func (m *Monitor) errNotRunning() error {
	return &ctl.RequestError{Text: "it is not running", Code: 125, Kind: "not-running"}
}

// running returns the container's init. It requires m.mu.
func (m *Monitor) running() (*process, error) {
	if m.init == nil || m.init.hasExited() {
		return nil, m.errNotRunning()
	}
	return m.init, nil
}

// runningUnpaused is running for what cannot be done to a frozen container. It requires m.mu.
func (m *Monitor) runningUnpaused() (*process, error) {
	p, err := m.running()
	if err == nil && m.state.Status == record.Paused {
		err = &ctl.RequestError{Text: "it is paused", Code: 125, Kind: "paused"}
	}
	return p, err
}
