// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/host"
	"github.com/berth-containers/berth/libctr/record"
)

// runAdopted is the life of a monitor that takes over from one that was killed.
func (m *Monitor) runAdopted(ctx context.Context, conn *ctl.Conn) error {
	c := newClient(conn)
	if err := m.adopt(); err != nil {
		c.fail(err)
		c.box.wait(0, stuckAfter, nil)
		conn.Close()
		return err
	}
	if m.init != nil {
		_ = m.openNotify() // without it the container goes on, too
	}
	close(m.launched)
	if m.init == nil {
		m.stillRestarts() // if not, it says so before the first request
	}
	asked := make(chan struct{}, 1)
	c.asked = asked
	m.addClient(c)
	go m.accept(m.listener)
	m.joinOthers()
	if os.Getenv(envGuard) != "" {
		c.event(ctl.Event{Event: "guarded"}) // to the monitor that has started this one, which asks nothing
		return m.supervise(ctx)
	}
	err := m.supervise(ctx)
	// Where the container had ended before, that took no time; whoever has started this monitor for a request gets its answer.
	select {
	case <-asked:
		flush([]*client{c})
	case <-c.gone:
	case <-time.After(firstRequestTimeout):
	}
	return err
}

// firstRequestTimeout bounds how long a monitor that has found nothing to do waits for what it was started for.
const firstRequestTimeout = time.Second

// Abandoned reports whether a container with this state needs a monitor, if it has none: it runs, or its end, or its
// next restart, is still to be seen to. What does not need one says so: conclude leaves no Monitor.
func Abandoned(s *record.State) bool {
	return s.Monitor != 0 && s.BootID == bootID() && s.Status != record.Created
}

// adopt finds the container as its former monitor left it: running, ended meanwhile, or about to be restarted.
func (m *Monitor) adopt() error {
	if !Abandoned(m.state) {
		return m.errNotRunning()
	}
	p := m.findInit()
	if err := m.openLog(); err != nil {
		return err
	}
	if m.cfg.Runtime.HideUnified {
		if err := host.HideUnified(); err != nil {
			return err
		}
	}
	io, ended, err := m.adoptProcess(p)
	if err != nil {
		return err
	}
	l, err := ctl.Listen(m.cfg.RunDir)
	if err != nil {
		return err
	}
	m.listener = l
	m.mu.Lock()
	defer m.mu.Unlock()
	m.init = p
	m.state.Monitor = os.Getpid()
	if m.state.Status == record.Stopping { // the wait for its end has ended with the monitor that was asked
		m.state.Status = record.Running
	}
	m.noteState()
	os.Remove(m.runPath(startLock))
	m.takeStdin(io, nil)
	m.takeOutput(io)
	if ended {
		return nil
	}
	m.writePidFiles() // the monitor is another one
	if m.state.Status == record.Initialized {
		m.adoptMade()
		if m.noteState(); m.made {
			return nil
		}
	}
	m.memory = memoryCgroup(p.pid)
	m.oom = m.watchOOM(m.memory)
	if m.hasHealthcheck() && m.state.Health != nil {
		m.startup.passed = m.state.Health.Status != "starting"
		m.scheduleProbes()
	}
	m.startTimeout(p)
	return nil
}

// findInit returns the container's init: one that has ended already, with an exit code that nobody knows, where
// the record has it running still; nil where its end is in the record.
func (m *Monitor) findInit() *process {
	if m.state.Status == record.Exited {
		return nil
	}
	if initAlive(m.state) {
		p := watchStranger(m.state.Pid)
		if initAlive(m.state) || p.pidfd >= 0 {
			p.start = m.state.PidStart
			return p
		}
	}
	p := &process{pidfd: -1, exited: make(chan struct{}), code: 255, err: errExitUnknown}
	close(p.exited)
	return p
}

// adoptProcess takes over what a running container has of its former monitor, or clears that away where it has ended.
func (m *Monitor) adoptProcess(p *process) (io *stdio, ended bool, err error) {
	if p != nil && p.pidfd >= 0 {
		io, err := m.adoptRunning(p)
		if err == nil {
			return io, false, nil
		}
		// One that is being killed, perhaps with its monitor, has no namespaces any more.
		if !waitFor(p.exited, dyingTimeout, nil) {
			return nil, false, err
		}
	}
	return new(stdio), true, m.adoptEnded()
}

// dyingTimeout bounds the wait for the end of a process that cannot be adopted.
const dyingTimeout = 3 * time.Second

func (m *Monitor) adoptRunning(p *process) (*stdio, error) {
	if m.cfg.Network.NetNS == "new" { // for a restart: its mount ended with the former monitor
		if err := m.mountNetNS("/proc/" + strconv.Itoa(p.pid) + "/ns/net"); err != nil {
			return nil, fmt.Errorf("adopt it: %w", err)
		}
	}
	m.endpoints = m.adoptEndpoints()
	for _, e := range m.endpoints {
		e.Hold()
	}
	m.watchKeepers(m.endpoints, true)
	if m.cfg.Terminal || m.cfg.Log.Driver == "passthrough" {
		return new(stdio), nil
	}
	return m.reopenFIFOs()
}

// adoptEnded clears away what is left of a container that has ended, for a restart or for good.
func (m *Monitor) adoptEnded() error {
	if err := m.endHalfStart(); err != nil {
		return err
	}
	m.adoptEndpoints().detach()
	m.removeNetNS()
	if m.cfg.Network.NetNS != "new" {
		return nil
	}
	return m.makeNetNS() // tearDown removes it where there is no restart
}

// adoptEndpoints finds what the former monitor has attached, as far as it is there.
func (m *Monitor) adoptEndpoints() endpoints { return findEndpoints(m.cfg, m.state, m.runner()) }

// ensurePrepared restores what an adopted container lost with its first monitor,
// or a container with its network helper, before it is started again.
func (m *Monitor) ensurePrepared() error {
	inMemory := m.cfg.Rootfs.Memory != nil
	if m.mounted && inMemory { // what was written ends with each run
		m.mu.Lock()
		m.mounted = false
		m.mu.Unlock()
		if err := m.unmountRootfs(); err != nil {
			return err
		}
	}
	if !m.mounted {
		// The mount in the container's own namespace ends with its last process.
		for tries := 0; ; tries++ {
			err := m.mountRootfs()
			if err == nil {
				break
			}
			if tries == 40 || !errors.Is(err, unix.EBUSY) {
				return err
			}
			time.Sleep(50 * time.Millisecond)
		}
		m.mu.Lock()
		m.mounted = true
		m.mu.Unlock()
		if inMemory {
			if err := m.furnish(); err != nil {
				return err
			}
		}
	}
	if m.cfg.Network.NetNS != "new" || m.attached() {
		return nil
	}
	m.detach().freePorts(m.state, false)
	return m.attach(0)
}
