// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"context"
	"encoding/json"
	"os"
	"syscall"
	"time"

	"github.com/berth-containers/berth/internal/lastwords"
	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
)

// A container can be made without being started (runtime-spec, "Lifecycle": create without start): its mounts, namespaces and network are there,
// and its init is a process of the OCI runtime's that waits to execute the command. Monitor.made says so.

// initialize has the OCI runtime create the container, records that, and tells who asked for it. If it fails nothing is left, but for what prepare made.
func (m *Monitor) initialize(c *client) error {
	s, err := m.runtimeStart(true)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.init, m.made, m.first = s.init, true, nil
	st := m.state
	st.Status, st.BootID = record.Initialized, bootID()
	st.Pid, st.PidStart, st.Monitor = s.init.pid, s.init.start, os.Getpid()
	st.NetHelpers, st.Networks, st.Error = m.endpoints.pids(), m.endpoints.joined(), ""
	m.noteState()
	m.writePidFiles()
	m.event("init", nil)
	m.takeStdin(s.io, s.master)
	c.event(ctl.Event{Event: "initialized", Pid: s.init.pid, Warnings: m.endpoints.warnings()})
	m.takeOutput(s.io)
	os.Remove(m.runPath(startLock))
	return nil
}

func (m *Monitor) isMade() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.made
}

// awaitBegin returns when the command of a container that was made has been started, or will not be.
func (m *Monitor) awaitBegin(ctx context.Context, p *process) {
	for m.isMade() {
		select {
		case <-p.exited:
			return
		case <-ctx.Done():
			return
		case r := <-m.starts:
			closeFiles(r.files)
			m.begin(r.client, p)
		case <-m.joining:
			m.joinOthers()
		}
	}
}

// begin starts the command of a container that was made.
func (m *Monitor) begin(c *client, p *process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.hasExited() || !m.made || m.dropped {
		c.fail(m.errNotRunning())
		return
	}
	m.out.mu.Lock() // the client's answer comes before its output
	defer m.out.mu.Unlock()
	if err := m.runtimeCommand("start", m.cfg.ID); err != nil {
		err = startError(err, m.command())
		e := errorEvent(err)
		m.state.Error, m.state.StoppedBy = e.Error, ""
		m.startCode = max(e.Code, 125)
		m.state.ExitCode = m.startCode
		_ = p.signal(syscall.SIGKILL) // its end is recorded, and it is no success
		c.event(e)
		return
	}
	m.state.StoppedBy, m.state.Restarts = "", 0
	m.began(p)
	c.event(ctl.Event{Event: "started", Pid: p.pid})
}

// drop ends a container that was made and not started; it is then as it was before. The client is told of the end unless there is an error.
func (m *Monitor) drop(c *client) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.init == nil:
		return m.errNotRunning()
	case !m.made:
		return &ctl.RequestError{Text: "it is running", Code: 125, Kind: "running"}
	}
	m.dropped = true
	m.awaitEnd(c, true)
	_ = m.init.signal(syscall.SIGKILL) // it may have ended
	return nil
}

// unmake records the end of a container whose command was never started. It requires m.mu.
func (m *Monitor) unmake(p *process) {
	st := m.state
	switch {
	case m.dropped && st.StartedAt.IsZero():
		st.Status = record.Created
	case m.dropped:
		st.Status = record.Exited // as it was
	default:
		st.Status, st.FinishedAt = record.Exited, now()
		if st.ExitCode = p.code; m.startCode != 0 {
			st.ExitCode = m.startCode
		} else if p.err != nil {
			st.Error = p.err.Error()
		}
	}
	select {
	case r := <-m.starts: // it came too late
		closeFiles(r.files)
		r.client.waits, m.first = false, nil
		r.client.fail(m.errNotRunning())
	default:
	}
}

// adoptMade finds out whether a container that the record has as made was started meanwhile: the former monitor may have been killed between
// the two. It requires m.mu.
func (m *Monitor) adoptMade() {
	if m.runtimeStatus() != "running" {
		m.made = true
		return
	}
	m.state.StartedAt, m.state.FinishedAt = now(), time.Time{}
	m.state.Status, m.state.ExitCode, m.state.Error = record.Running, 0, ""
	m.event("start", nil)
	m.startHealth()
}

// runtimeStatus is what the OCI runtime says of the container (runtime-spec, "State"), or nothing.
func (m *Monitor) runtimeStatus() string {
	out, err := lastwords.New()
	if err != nil {
		return ""
	}
	defer out.Close()
	code, err := m.runRuntime([]string{"state", m.cfg.ID}, []uintptr{uintptr(m.null), uintptr(out.FD), uintptr(m.null)}, false)
	if err != nil || code != 0 {
		return ""
	}
	var state struct {
		Status string `json:"status"`
	}
	const longest = 1 << 20 // annotations are in it
	if json.Unmarshal([]byte(out.Head(longest)), &state) != nil {
		return ""
	}
	return state.Status
}
