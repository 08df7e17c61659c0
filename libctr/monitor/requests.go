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
	client   *client
	files    []*os.File // its standard streams, if it takes some over, and those to preserve
	make     bool       // and do not start it
	preserve int
	restore  *ctl.Restore // nil: start it from its command
}

// startPatience is how long a request waits for a start that is under way.
const startPatience = 8 * time.Second

// handle does what a client asks. It runs on the client's goroutine: further
// requests of the same client wait. What is for a running container waits for a start that is under way.
func (m *Monitor) handle(c *client, r *ctl.Request, files []*os.File) {
	switch r.Op {
	case "signal", "pause", "unpause", "exec", "health", "start", "init", "drop", "attach", "limit", "checkpoint", "connect", "disconnect", "reconnect":
		if !m.isFirst(c) && !m.awaitLaunch(startPatience) {
			closeFiles(files)
			c.fail(&ctl.RequestError{Text: "it is still being started", Code: 125, Kind: "starting"})
			return
		}
	}
	switch r.Op {
	case "start", "init":
		m.handleStart(c, r, files)
	case "drop":
		c.failed(m.drop(c))
	case "attach":
		m.handleAttach(c, r)
	case "wait":
		m.wait(c, r.Next)
	case "signal":
		c.answer(m.signal(syscall.Signal(r.Signal), r.All))
	case "stop":
		c.failed(m.stop(c, r, false))
	case "restart":
		c.failed(m.stop(c, r, true))
	case "pause":
		c.answer(m.pause())
	case "unpause":
		c.answer(m.unpause())
	case "checkpoint":
		c.failed(m.checkpoint(c, r.Checkpoint))
	case "resize":
		m.resize(r.Rows, r.Cols)
	case "exec":
		m.handleExec(c, r, files)
	case "rename":
		c.answer(m.rename(r.Name))
	case "health":
		m.handleHealth(c)
	case "limit":
		c.answer(m.limit())
	case "reload":
		c.answer(m.reload())
	case "connect":
		c.answer(m.connect())
	case "disconnect":
		c.answer(m.disconnect(r.Name, r.All))
	case "reconnect":
		c.answer(m.reconnect())
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
	if c.failed(err); err == nil {
		c.ok()
	}
}

// failed says why not, of what is answered later where it succeeds.
func (c *client) failed(err error) {
	if err != nil {
		c.fail(err)
	}
}

func (m *Monitor) handleStart(c *client, r *ctl.Request, files []*os.File) {
	m.mu.Lock()
	makes := r.Op == "init"
	mine := c == m.first && !m.startAsked || m.made && m.first == nil && !makes
	if mine && !makes {
		c.starter = true
		c.owner = r.Owner && m.cfg.AutoRemove
		c.waits = c.waits || c.owner
	}
	if mine {
		m.startAsked = true
		if m.first == nil {
			m.first = c // no other one is
		}
	}
	m.mu.Unlock()
	if mine {
		m.starts <- startRequest{c, files, makes, r.Preserve, r.Restore}
		return
	}
	closeFiles(files)
	m.mu.Lock()
	_, err := m.runningUnpaused()
	if m.made || makes {
		err = &ctl.RequestError{Text: "it was made by the OCI runtime already", Code: 125, Kind: "running"}
	}
	m.mu.Unlock()
	switch {
	case m.isMade() || makes:
		c.fail(err)
	case err == nil:
		c.fail(&ctl.RequestError{Text: "it is running", Code: 125, Kind: "running"})
	case m.isPaused():
		c.fail(err)
	default:
		c.failed(m.stop(c, r, true)) // at once, if it waits for that
	}
}

// isFirst reports whether c is the client that has the monitor start the container.
func (m *Monitor) isFirst(c *client) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return c == m.first
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

// wait has exited sent to the client at the container's end, or at once. With next, the end before a restart is one.
func (m *Monitor) wait(c *client, next bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	resting := m.init == nil && !m.ended && isClosed(m.launched)
	if next && resting {
		c.event(m.exitedEvent())
		return
	}
	m.awaitEnd(c, next)
}

// awaitEnd has exited sent to the client when the container ends, or at once if everybody has had it. With next, an end that a restart follows
// will do. It requires m.mu.
func (m *Monitor) awaitEnd(c *client, next bool) {
	if m.reported {
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

// running returns the container's init, if that executes the container's command. It requires m.mu.
func (m *Monitor) running() (*process, error) {
	if m.init == nil || m.made || m.init.hasExited() {
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
