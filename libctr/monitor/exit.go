// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"context"
	"strconv"
	"syscall"
	"time"

	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
)

// removalTimeout bounds how long clients wait for the owner to remove a --rm container.
const removalTimeout = 5 * time.Second

// supervise waits for the container's end, again and again while it is to be restarted.
func (m *Monitor) supervise(ctx context.Context) error {
	var back backoff
	for {
		m.mu.Lock()
		p := m.init
		m.mu.Unlock()
		var again, byUser bool
		if p == nil { // adopted, and its end was recorded before
			again = m.stillRestarts()
		} else {
			m.awaitBegin(ctx, p)
			m.awaitExit(ctx, p)
			m.awaitDump()
			again, byUser = m.recordExit(ctx, p)
			m.drain()
		}
		if !again {
			return m.finish()
		}
		m.forget()
		if !byUser && !m.rest(ctx, back.next(m.ranFor())) {
			return m.finish()
		}
		if err := m.relaunch(); err != nil {
			return m.finish()
		}
		m.stopIfAsked()
	}
}

// awaitExit returns when the container's init has ended.
func (m *Monitor) awaitExit(ctx context.Context, p *process) {
	for {
		select {
		case <-p.exited:
			return
		case <-m.joining:
			m.joinOthers() // on this goroutine, whose stack has grown already
		case <-ctx.Done():
			m.mu.Lock()
			if m.made {
				m.dropped = true // nobody has started it
			} else {
				m.stopsBySystem()
			}
			m.mu.Unlock()
			m.endBySystem(p)
			return
		}
	}
}

// stopsBySystem records that nobody who uses the container has asked for its end, but the host's: libctr.StartAtBoot starts it again.
// It requires m.mu.
func (m *Monitor) stopsBySystem() {
	if m.state.StoppedBy == "" {
		m.state.StoppedBy = record.BySystem
		m.noteState()
	}
}

// stopIfAsked ends a container that was asked to stop while it was being started again.
func (m *Monitor) stopIfAsked() {
	m.mu.Lock()
	p, asked := m.init, m.state.StoppedBy != ""
	m.mu.Unlock()
	if asked {
		m.endBySystem(p)
	}
}

// timedOutCode is the exit code of a container whose --timeout is over, as podman has it.
const timedOutCode = 255

// recordExit writes down how the container ended, before anybody is told. It
// decides whether it is to be started again, and whether the user has asked for that.
func (m *Monitor) recordExit(ctx context.Context, p *process) (again, byUser bool) {
	finished := now()
	if m.cfg.Network.NetNS == "runtime" { // the namespace has ended
		m.detach().freePorts(m.state, false)
		m.removeNetNS()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	st := m.state
	told := m.oom.told()
	code := p.code
	if p.timedOut {
		code = timedOutCode
	}
	made, dropped := m.made, m.dropped
	if made {
		m.unmake(p)
	} else {
		sigkill := p.code == 128+int(syscall.SIGKILL) && st.StoppedBy == "" && !st.Checkpointed
		st.OOMKilled = m.oom.killed(m.memory, sigkill) || sigkill && m.killedUnseen()
		st.Status, st.ExitCode, st.FinishedAt = record.Exited, code, finished
		if p.err != nil {
			st.Error = p.err.Error()
		}
	}
	st.Pid, st.PidStart = 0, 0
	m.made, m.dropped, m.startCode = false, false, 0
	m.stopHealth()
	if m.cfg.Network.NetNS == "runtime" {
		m.endpoints, st.NetHelpers, st.Networks = nil, nil, nil
	}
	if ctx.Err() != nil && !made {
		m.stopsBySystem()
	}
	byUser = m.restart
	again = ctx.Err() == nil && !st.Checkpointed && (byUser || !made && wantsRestart(m.policy, st))
	if again {
		m.noteState()
		m.tellNext()
	} else {
		m.conclude()
	}
	died := map[string]string{"containerExitCode": strconv.Itoa(st.ExitCode)}
	if st.OOMKilled && !made {
		if !told {
			m.event("oom", nil)
		}
		died["OOMKilled"] = "true" // as podman 6.1
	}
	if !dropped {
		m.event("died", died)
	}
	m.in.close()
	m.master = nil
	m.init = nil
	p.close()
	for e := range m.execs { // those in a PID namespace of the container's have ended
		_ = e.signal(syscall.SIGKILL)
	}
	return again, byUser
}

// tellNext answers those who wait for this end, though a restart follows. It requires m.mu.
func (m *Monitor) tellNext() {
	e := m.exitedEvent()
	for c := range m.clients {
		if c.waits && c.next {
			c.waits = false
			c.event(e)
		}
	}
}

// stillRestarts reports whether a container whose monitor was killed in the pause before a restart is to be restarted.
func (m *Monitor) stillRestarts() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	again := wantsRestart(m.policy, m.state)
	if !again {
		m.conclude()
	}
	return again
}

// conclude records that the container has ended for good. It requires m.mu.
func (m *Monitor) conclude() {
	m.ended = true
	m.state.Monitor, m.state.NetHelpers, m.state.Networks = 0, nil, nil
	_ = m.writeState() // on a full disk the file says running still; whoever reads it asks for the process
}

// drain takes the output that is left.
func (m *Monitor) drain() {
	m.mu.Lock()
	pumps := m.pumps
	m.pumps = nil
	m.mu.Unlock()
	for _, p := range pumps {
		m.out.drain(p)
	}
	m.out.flushLog()
}

func (m *Monitor) ranFor() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.FinishedAt.Sub(m.state.StartedAt)
}

// rest waits before a restart; false means that it is not to be.
func (m *Monitor) rest(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-m.wake: // a stop, or a restart at once
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil {
		m.stopsBySystem()
	}
	if ctx.Err() != nil || (m.state.StoppedBy != "" && !m.restart) {
		m.conclude()
		return false
	}
	return true
}

// relaunch starts the container again and answers those who asked for it. If it
// cannot be started it has ended for good.
func (m *Monitor) relaunch() error {
	m.mu.Lock()
	if m.restart {
		m.state.Restarts, m.state.StoppedBy = 0, ""
	} else {
		m.state.Restarts++
	}
	m.mu.Unlock()
	err := m.ensurePrepared()
	if err == nil {
		err = m.launch(m.tellRestarters)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		e := errorEvent(err)
		m.state.Error, m.state.ExitCode = e.Error, max(e.Code, 125)
		m.conclude()
		m.tellRestarters(e)
		return err
	}
	m.event("restart", nil)
	return nil
}

// tellRestarters answers those who have asked for a restart. It requires m.mu.
func (m *Monitor) tellRestarters(e ctl.Event) {
	if e.Event == "started" {
		e.Forced = m.forced
	}
	for _, c := range m.restarters {
		c.event(e)
	}
	m.restarters = nil
}

// finish cleans up after a container that has ended for good, tells everybody and returns.
//
// The client that started it is told first: it waits in the foreground, and what it
// may do next waits for the lock. Everybody else, who has asked for a stop perhaps, is
// told when nothing is left, host ports included.
func (m *Monitor) finish() error {
	// Now: if this monitor is killed when others know of the end, nobody looks for a helper any more. Whoever started it may start another with the same ports.
	attached := m.detach()
	attached.freePorts(m.state, false)
	owner := m.tellStarter()
	m.forget()
	m.tearDown()
	given := m.giveToDumper()
	if m.cfg.AutoRemove && !given {
		m.awaitRemoval(owner)
	}
	told := m.report()
	m.lock.Close() // nothing of the container is touched any more
	if m.first != nil {
		told = append(told, m.first)
	}
	flush(told)
	return nil
}

// tellStarter sends exited to the client that started the container, if it waits
// still, and returns it if it is to remove the container.
func (m *Monitor) tellStarter() (owner *client) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.first
	if c == nil || !c.waits || isClosed(c.gone) {
		return nil
	}
	e := m.exitedEvent()
	e.Delegated = c.owner && m.dumper == nil
	c.waits = false
	c.event(e)
	if e.Delegated {
		return c
	}
	return nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// awaitRemoval returns when the container has been removed: by its owner, or
// where there is none or it goes away, by Config.Cleanup.
func (m *Monitor) awaitRemoval(owner *client) {
	if owner != nil {
		late := time.NewTimer(removalTimeout)
		defer late.Stop()
		for waiting := true; waiting; {
			select {
			case <-owner.removed:
				return
			case <-owner.gone:
				waiting = false
			case <-late.C:
				m.report() // others wait no longer; the owner may be a pager's writer that takes its time
			}
		}
		if isClosed(owner.removed) {
			return
		}
	}
	if len(m.cfg.Cleanup) == 0 {
		return
	}
	_, status, err := m.reap.spawn(m.cfg.Cleanup[0], m.cfg.Cleanup, &syscall.ProcAttr{
		Dir: "/", Env: append(m.env, "BERTH_LOCK_FD=3"),
		Files: []uintptr{uintptr(m.null), uintptr(m.null), uintptr(m.null), m.lock.Fd()},
	})
	if err == nil {
		<-status
	}
}

// report sends exited to everybody who waits, behind all their output, and
// returns whom it has told.
func (m *Monitor) report() (told []*client) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reported = true
	m.tellRestarters(errorEvent(m.errNotRunning())) // one that came too late, or at the machine's shutdown
	e := m.exitedEvent()
	for c := range m.clients {
		if c.waits {
			c.waits = false
			c.event(e)
			told = append(told, c)
		}
	}
	return told
}

// flush returns when the clients have read what was sent to them. Who does not
// read is waited for some seconds; the one that started the container without limit.
func flush(clients []*client) {
	for _, c := range clients {
		patience := stuckAfter
		if c.starter {
			patience = 0
		}
		c.box.wait(0, patience, nil)
	}
}

// exitedEvent requires m.mu.
func (m *Monitor) exitedEvent() ctl.Event {
	return ctl.Event{Event: "exited", ExitCode: m.state.ExitCode, OOMKilled: m.state.OOMKilled, Forced: m.forced}
}
