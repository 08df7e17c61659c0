package monitor

import (
	"fmt"
	"os"
	"syscall"

	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
)

// startRequest is the first client's wish, on its way to Run.
type startRequest struct {
	client *client
	files  []*os.File
}

// handle does what a client asks. It runs on the client's goroutine: further
// requests of the same client wait.
func (m *Monitor) handle(c *client, r *ctl.Request, files []*os.File) {
	switch r.Op {
	case "start":
		m.handleStart(c, r, files)
	case "attach":
		m.handleAttach(c, r)
	case "wait":
		m.setWaits(c)
	case "signal":
		c.answer(m.signal(syscall.Signal(r.Signal), r.All))
	case "stop":
		if err := m.stop(r, false); err != nil {
			c.fail(err)
			return
		}
		m.setWaits(c)
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
	case "removed":
		select {
		case <-c.removed:
		default:
			close(c.removed)
		}
	default:
		c.fail(fmt.Errorf("unknown request %q", r.Op))
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
	if !first {
		closeFiles(files)
		c.fail(&ctl.RequestError{Text: fmt.Sprintf("container %q has been started", m.cfg.Name), Code: 125})
		return
	}
	m.starts <- startRequest{c, files}
}

func (m *Monitor) handleAttach(c *client, r *ctl.Request) {
	m.mu.Lock()
	if m.ended {
		m.mu.Unlock()
		c.fail(m.errNotRunning())
		return
	}
	c.gives = r.Stdin
	c.waits = true
	m.mu.Unlock()
	c.wants[ctl.Stdout], c.wants[ctl.Stderr] = r.Stdout, r.Stderr
	m.out.attach(c, func() { c.event(ctl.Event{Event: "attached"}) })
}

// setWaits has exited sent to the client at the container's end, or at once.
func (m *Monitor) setWaits(c *client) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.reported {
		c.event(m.exitedEvent())
		return
	}
	c.waits = true
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
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.Name = name
	return m.writeState()
}

func (m *Monitor) errNotRunning() error {
	return &ctl.RequestError{Text: fmt.Sprintf("container %q is not running", m.cfg.Name), Code: 125, Kind: "not-running"}
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
		err = &ctl.RequestError{Text: fmt.Sprintf("container %q is paused", m.cfg.Name), Code: 125, Kind: "paused"}
	}
	return p, err
}
