// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
)

// stop ends the container as the user asks: a signal, and SIGKILL to all that is
// left after the time (0: at once, negative: never). The client is told of the end, or with restart of the start that follows it,
// unless there is an error. A restart takes back a stop before it, whose client is told of the end all the same.
func (m *Monitor) stop(c *client, r *ctl.Request, restart bool) error {
	m.awaitOrAbortStart(time.Duration(r.TimeoutMs) * time.Millisecond)
	m.mu.Lock()
	if m.ended {
		defer m.mu.Unlock()
		if restart || !m.aborted.Load() {
			return m.errNotRunning()
		}
		m.awaitEnd(c, true) // the start was given up, as asked
		return nil
	}
	p := m.init
	if p != nil {
		if _, err := m.runningUnpaused(); err != nil && m.state.Status == record.Paused {
			m.mu.Unlock()
			return err
		}
	}
	m.forced = nil
	if m.restart = restart; restart {
		m.state.StoppedBy = ""
		m.restarters = append(m.restarters, c)
		if p == nil {
			m.tellNext()
		}
	} else {
		m.state.StoppedBy = "user"
		m.awaitEnd(c, true)
	}
	if p != nil && !m.made {
		m.state.Status = record.Stopping
	}
	m.noteState()
	if p == nil { // it waits for its restart
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
	m.mu.Unlock()
	if p == nil {
		return nil
	}
	sig := syscall.Signal(r.Signal)
	if sig == 0 {
		sig = m.stopSignal()
	}
	m.end(p, sig, time.Duration(r.TimeoutMs)*time.Millisecond)
	m.mu.Lock()
	m.event("stop", nil)
	m.mu.Unlock()
	return nil
}

// awaitOrAbortStart lets a start that is under way come to its end, and ends the OCI runtime that
// takes longer than patience; a negative one is for ever.
func (m *Monitor) awaitOrAbortStart(patience time.Duration) {
	if patience >= 0 {
		patience = max(patience, time.Second) // a start takes some time, also where nobody wants to wait
	}
	for !m.awaitLaunch(patience) {
		if group := int(m.starting.Load()); group > 0 {
			m.aborted.Store(true)
			syscall.Kill(-group, syscall.SIGKILL)
		}
		patience = 50 * time.Millisecond
	}
}

func (m *Monitor) stopSignal() syscall.Signal {
	if m.cfg.StopSignal == 0 {
		return syscall.SIGTERM
	}
	return syscall.Signal(m.cfg.StopSignal)
}

// end signals the container's init, and kills everything in it if it has not ended in time, or has not begun.
func (m *Monitor) end(p *process, sig syscall.Signal, patience time.Duration) {
	if m.isMade() {
		m.kill(p)
		<-p.exited
		return
	}
	m.signalProcess(p, sig)
	var late <-chan time.Time
	if patience >= 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-p.exited:
	case <-late:
		if patience > 0 {
			m.mu.Lock()
			m.forced = &ctl.Forced{Signal: int(sig), AfterMs: patience.Milliseconds()}
			m.mu.Unlock()
		}
		m.kill(p)
		<-p.exited
	}
}

// kill ends every process of the container, frozen or not.
func (m *Monitor) kill(p *process) {
	m.signalAll(p, syscall.SIGKILL)
	m.mu.Lock()
	paused := m.state.Status == record.Paused
	m.mu.Unlock()
	if paused { // cgroup v1 delivers no signal to a frozen process
		_ = m.runtimeCommand("resume", m.cfg.ID)
	}
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(p.pid) + "/cgroup") // it has gone where all have
	thaw("/sys/fs/cgroup/freezer", freezerOf(m.cfg.CgroupPath, string(text)))
}

// freezerOf is where a container is in the hierarchy that freezes with cgroups v1; empty if it has no place of its own there. It is the container's
// CgroupPath, or with systemd's SLICE:PREFIX:NAME what /proc/PID/cgroup of its first process says, up to its scope: below that is what the
// container has made itself.
func freezerOf(cgroup, text string) string {
	if filepath.IsAbs(cgroup) {
		return cgroup
	}
	_, scope, ok := strings.Cut(cgroup, ":")
	if !ok {
		return ""
	}
	scope = "/" + strings.Replace(scope, ":", "-", 1) + ".scope"
	for line := range strings.SplitSeq(text, "\n") {
		fields := strings.SplitN(line, ":", 3) // cgroups(7)
		if len(fields) < 3 || !slices.Contains(strings.Split(fields[1], ","), "freezer") {
			continue
		}
		if i := strings.Index(fields[2]+"/", scope+"/"); i >= 0 {
			return fields[2][:i] + scope
		}
	}
	return ""
}

// thaw lets everything in a cgroup and below go on, with cgroups v1: a container that may write to its cgroup can freeze itself in one
// that it has made there, of which the OCI runtime knows nothing.
func thaw(freezer, cgroup string) {
	if cgroup == "" {
		return
	}
	_ = filepath.WalkDir(filepath.Join(freezer, cgroup), func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "freezer.state" {
			_ = os.WriteFile(p, []byte("THAWED"), 0) // it may have gone
		}
		return nil
	})
}

// endBySystem stops the container because the monitor was told to end (the
// machine is shutting down).
func (m *Monitor) endBySystem(p *process) {
	m.end(p, m.stopSignal(), time.Duration(m.cfg.StopTimeout)*time.Second)
}

// signalProcess requires that m.mu is not held: the descriptor is closed under it.
func (m *Monitor) signalProcess(p *process, sig syscall.Signal) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return p.signal(sig)
}

// signal is the user's request. A signal that ends containers turns the restart policy off, as podman's does.
func (m *Monitor) signal(sig syscall.Signal, all bool) error {
	if sig <= 0 || sig > 64 {
		return fmt.Errorf("signal %d: there is no such signal", int(sig))
	}
	m.mu.Lock()
	p, err := m.running()
	if err != nil {
		m.mu.Unlock()
		return err
	}
	switch sig {
	case syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, m.stopSignal():
		m.state.StoppedBy = "user"
		m.noteState()
	}
	m.event("kill", map[string]string{"signal": strconv.Itoa(int(sig))})
	m.mu.Unlock()
	switch {
	case sig == syscall.SIGKILL:
		m.kill(p)
	case all:
		m.signalAll(p, sig)
	default:
		if err := m.signalProcess(p, sig); err != nil {
			return m.errNotRunning()
		}
	}
	return nil
}

// signalAll sends a signal to the container's init and to every process below it
// or in its PID namespace.
func (m *Monitor) signalAll(p *process, sig syscall.Signal) {
	others := containerProcesses(p.pid)
	m.signalProcess(p, sig)
	for _, pid := range others {
		syscall.Kill(pid, sig)
	}
}

// containerProcesses lists the processes of a container besides its init.
func containerProcesses(init int) []int {
	if ns := pidNamespace(init); ns != "" && ns != pidNamespace(os.Getpid()) {
		return processesWhere(init, func(pid int) bool { return pidNamespace(pid) == ns })
	}
	parents := make(map[int]int)
	processesWhere(init, func(pid int) bool {
		parents[pid], _, _ = procStat(pid)
		return false
	})
	return processesWhere(init, func(pid int) bool {
		for p := parents[pid]; p > 1; p = parents[p] {
			if p == init {
				return true
			}
		}
		return false
	})
}

func processesWhere(except int, is func(pid int) bool) []int {
	d, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	var pids []int
	for _, name := range names {
		if strings.Trim(name, "0123456789") != "" {
			continue
		}
		if pid, err := strconv.Atoi(name); err == nil && pid != except && is(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func pidNamespace(pid int) string {
	ns, _ := os.Readlink("/proc/" + strconv.Itoa(pid) + "/ns/pid")
	return ns
}

// startTimeout kills the container after its --timeout. It requires m.mu.
func (m *Monitor) startTimeout(p *process) {
	if m.cfg.Timeout == 0 {
		return
	}
	left := time.Until(m.state.StartedAt.Add(time.Duration(m.cfg.Timeout) * time.Second))
	go func() {
		timer := time.NewTimer(left)
		defer timer.Stop()
		select {
		case <-timer.C:
			if m.timeOut(p) {
				m.kill(p)
			}
		case <-p.exited:
		}
	}()
}

// timeOut notes that the time of p is over. It reports false where p has ended at the same moment: the container may have been started again.
func (m *Monitor) timeOut(p *process) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.init != p || p.hasExited() {
		return false
	}
	m.state.StoppedBy, p.timedOut = "timeout", true
	return true
}
