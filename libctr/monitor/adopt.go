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
	close(m.launched)
	m.addClient(c)
	go m.accept(m.listener)
	return m.supervise(ctx)
}

// adopt finds the container as its former monitor left it.
func (m *Monitor) adopt() error {
	if !initAlive(m.state) {
		return m.errNotRunning()
	}
	p := watchStranger(m.state.Pid)
	if !initAlive(m.state) && p.pidfd < 0 {
		return m.errNotRunning() // ended, and perhaps its pid is another's by now
	}
	p.start = m.state.PidStart
	if err := m.openLog(); err != nil {
		return err
	}
	io := new(stdio)
	if !m.cfg.Terminal && m.cfg.Log.Driver != "passthrough" {
		var err error
		if io, err = m.reopenFIFOs(); err != nil {
			return err
		}
	}
	if m.cfg.Runtime.HideUnified {
		if err := host.HideUnified(); err != nil {
			return err
		}
	}
	if m.cfg.Network.NetNS == "new" { // for a restart: its mount ended with the former monitor
		if err := m.mountNetNS("/proc/" + strconv.Itoa(p.pid) + "/ns/net"); err != nil {
			return fmt.Errorf("adopt it: %w", err)
		}
	}
	l, err := ctl.Listen(m.cfg.RunDir)
	if err != nil {
		return err
	}
	m.listener = l
	m.helper = m.adoptHelper()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.init = p
	m.memory = memoryCgroup(p.pid)
	m.oom = watchOOM(m.memory)
	m.state.Monitor = os.Getpid()
	m.noteState()
	os.Remove(m.runPath(startLock))
	m.takeStdin(io, nil)
	m.takeOutput(io)
	if m.hasHealthcheck() && m.state.Health != nil {
		m.scheduleProbes()
	}
	m.startTimeout(p)
	return nil
}

// adoptHelper finds the network helper, if the process with the recorded pid is it.
func (m *Monitor) adoptHelper() *netHelper {
	h, pid := m.cfg.Network.Helper, m.state.NetHelper
	if h == nil || pid <= 0 {
		return nil
	}
	if !host.HasArgument(pid, m.cfg.NetNSPath()) { // its name may be another: h.Path may be a wrapper
		return nil
	}
	_, start, _ := procStat(pid)
	return &netHelper{helperProcess: helperProcess{pid, start}} // its relay ends when netns is removed
}

// ensurePrepared makes anew what an adopted container lost with its first monitor,
// or a container with its network helper, before it is started again.
func (m *Monitor) ensurePrepared() error {
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
	}
	h := m.cfg.Network.Helper
	if m.cfg.Network.NetNS != "new" || h == nil || m.helper != nil && m.helper.alive() {
		return nil
	}
	helper, err := m.startNetHelper(h, m.cfg.NetNSPath(), 0)
	m.setHelper(helper)
	return err
}
