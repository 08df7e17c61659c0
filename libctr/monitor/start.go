// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/host"
	"github.com/berth-containers/berth/libctr/logfile"
	"github.com/berth-containers/berth/libctr/record"
)

// prepare does what the start needs and what needs no client: mounts and the
// network. tearDown undoes it.
func (m *Monitor) prepare() error {
	if err := m.endHalfStart(); err != nil {
		return err
	}
	if m.cfg.Runtime.HideUnified {
		if err := host.HideUnified(); err != nil {
			return err
		}
	}
	if err := m.mountRootfs(); err != nil {
		return err
	}
	m.mounted = true
	if err := errors.Join(m.addUsers(), m.makeWorkingDir()); err != nil {
		return err
	}
	if m.cfg.Network.NetNS != "new" {
		return nil
	}
	return m.makeNetNS()
}

// connectNetNS starts the network helper of a namespace that prepare made. It waits for the start request: until
// then the monitor may still be moved to another cgroup, which a child would not follow.
func (m *Monitor) connectNetNS() error {
	h := m.cfg.Network.Helper
	if m.cfg.Network.NetNS != "new" || h == nil {
		return nil
	}
	helper, err := m.startNetHelper(h, m.cfg.NetNSPath(), 0)
	m.setHelper(helper)
	return err
}

func (m *Monitor) setHelper(h *netHelper) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.helper = h
}

// firstStart starts the container at the user's request.
func (m *Monitor) firstStart(r startRequest) error {
	l, err := ctl.Listen(m.cfg.RunDir)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.listener = l
	m.state.StoppedBy, m.state.Restarts = "", 0
	m.mu.Unlock()
	go m.accept(l)
	if err := m.connectNetNS(); err != nil {
		return err
	}
	if err := m.openLog(); err != nil {
		return err
	}
	if m.cfg.Log.Driver == "passthrough" {
		if len(r.files) != 3 {
			return fmt.Errorf("log driver passthrough takes three files, the start request has %d", len(r.files))
		}
		// Kept for the container's restarts; whoever reads them waits for its end anyway.
		for i, f := range r.files {
			if m.passthrough[i], err = dupFile(f); err != nil {
				return err
			}
		}
	}
	if err := m.launch(r.client.event); err != nil {
		return err
	}
	m.joining = time.After(linkAfter)
	return nil
}

func (m *Monitor) openLog() error {
	l := m.cfg.Log
	if l.Driver != string(logfile.K8s) && l.Driver != string(logfile.JSON) {
		return nil
	}
	return m.out.openLog(logfile.Options{
		Path: l.Path, Format: logfile.Format(l.Driver), MaxSize: l.MaxSize, MaxFile: l.MaxFile, Pos: m.runPath(record.LogPosFile),
	})
}

// launch starts the container, the first time or again, records that it runs, has
// tell say so, and begins to read its output, in this order: a client's answer
// comes before its output. If it fails nothing of this start is left, but for what prepare made.
func (m *Monitor) launch(tell func(e ctl.Event)) error {
	started, err := m.runtimeStart()
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.began(started)
	m.takeStdin(started.io, started.master)
	tell(ctl.Event{Event: "started", Pid: m.init.pid})
	m.takeOutput(started.io)
	os.Remove(m.runPath(startLock))
	return nil
}

// started is what a successful start has given.
type started struct {
	init   *process
	io     *stdio
	master *os.File // of a terminal, or nil
}

func (m *Monitor) runtimeStart() (_ *started, err error) {
	defer m.releaseBinds()
	if err := m.holdBinds(); err != nil {
		return nil, err
	}
	if err := m.checkNeedDir(); err != nil {
		return nil, err
	}
	io, cons, err := m.openStdio()
	if err != nil {
		return nil, err
	}
	defer io.freeRuntimeEnds()
	if cons != nil {
		defer cons.close()
	}
	done := m.reap.begin()
	defer done()
	defer func() {
		if err != nil {
			m.deleteFromRuntime()
			io.abandon()
		}
	}()
	init, err := m.runOrCreate(io, cons)
	if err != nil {
		return nil, err
	}
	s := &started{init: init, io: io}
	if cons != nil {
		if s.master, err = cons.master(); err != nil {
			return nil, err
		}
		io.stdin = s.master
		held, err := holdTerminal(s.master)
		if err != nil {
			return nil, err
		}
		io.streams = []stream{{name: ctl.Stdout, f: s.master, held: held}}
	}
	return s, nil
}

// openStdio makes what the container gets as standard input and output.
func (m *Monitor) openStdio() (*stdio, *console, error) {
	switch {
	case m.cfg.Terminal:
		cons, err := m.listenConsole()
		return new(stdio), cons, err
	case m.cfg.Log.Driver == "passthrough":
		io := new(stdio)
		for i, f := range m.passthrough {
			io.files[i] = rawFD(f)
		}
		return io, nil, nil
	}
	io, err := m.openFIFOs()
	return io, nil, err
}

// runOrCreate calls the runtime: once, but for a container whose network can be
// connected only when the runtime has made it.
func (m *Monitor) runOrCreate(io *stdio, cons *console) (*process, error) {
	pidFile := m.runPath(record.PidFile)
	if err := os.Remove(pidFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	lock, err := lockStart(m.cfg.RunDir)
	if err != nil {
		return nil, err
	}
	defer unix.Close(lock)
	args := append(slices.Clone(m.cfg.Runtime.RunArgs), "--pid-file", pidFile, "--bundle", filepath.Join(m.cfg.Dir, record.BundleDir))
	if cons != nil {
		args = append(args, "--console-socket", cons.arg)
	}
	args = append(args, m.cfg.ID)
	verb := []string{"run", "--detach"}
	if m.cfg.Network.NetNS == "runtime" {
		verb = []string{"create"}
	}
	err = m.call(runtimeCall{args: append(verb, args...), stdio: io.files, extra: []uintptr{uintptr(lock)}, starts: true})
	if err != nil {
		return nil, startError(err, m.command())
	}
	pid, err := readPid(pidFile)
	if err != nil {
		return nil, fmt.Errorf("read the container's pid: %w", err)
	}
	init := m.reap.watchChild(pid)
	if m.cfg.Network.NetNS != "runtime" {
		return init, nil
	}
	if h := m.cfg.Network.Helper; h != nil {
		if err := m.mountNetNS("/proc/" + strconv.Itoa(pid) + "/ns/net"); err != nil {
			return nil, err
		}
		helper, err := m.startNetHelper(h, m.cfg.NetNSPath(), pid)
		m.setHelper(helper)
		if err != nil {
			return nil, err
		}
	}
	if err := m.runtimeCommand("start", m.cfg.ID); err != nil {
		return nil, startError(err, m.command())
	}
	return init, nil
}

func (m *Monitor) command() string {
	if len(m.cfg.Command) == 0 {
		return ""
	}
	return m.cfg.Command[0]
}

// began records a running container. It requires m.mu.
func (m *Monitor) began(s *started) {
	m.init = s.init
	m.restart = false
	m.memory = memoryCgroup(s.init.pid)
	m.oom = watchOOM(m.memory)
	m.setRunning()
	m.event("init", nil)
	m.event("start", nil)
	m.startHealth()
	m.startTimeout(s.init)
}

// setRunning records the process before anybody is told of it. It requires m.mu.
func (m *Monitor) setRunning() {
	st := m.state
	st.Status, st.BootID = record.Running, bootID()
	st.Pid, st.PidStart, st.Monitor = m.init.pid, m.init.start, os.Getpid()
	st.StartedAt, st.FinishedAt = now(), time.Time{}
	st.ExitCode, st.OOMKilled, st.Error = 0, false, ""
	st.NetHelper = 0
	if m.helper != nil {
		st.NetHelper = m.helper.pid
	}
	m.noteState()
}

// takeStdin lets clients write to the container. It requires m.mu.
func (m *Monitor) takeStdin(io *stdio, master *os.File) {
	m.master = master
	if master != nil && m.rows != 0 {
		_ = setSize(master, m.rows, m.cols)
	}
	m.in.open(io.stdin, m.cfg.StdinOnce, master != nil)
}

// takeOutput begins to read what the container writes. It requires m.mu.
func (m *Monitor) takeOutput(io *stdio) {
	m.pumps = nil
	for _, s := range io.streams {
		m.pumps = append(m.pumps, m.out.start(s))
	}
}

// startFailed undoes everything, records why, and answers the client that asked.
func (m *Monitor) startFailed(c *client, err error) error {
	m.tearDown()
	m.in.close() // who has sent input need not wait
	e := errorEvent(err)
	m.mu.Lock()
	m.ended = true
	m.state.Error, m.state.ExitCode = e.Error, e.Code
	if e.Code == 0 {
		m.state.ExitCode = 125
	}
	m.state.Pid, m.state.PidStart, m.state.Monitor, m.state.NetHelper = 0, 0, 0, 0
	if m.state.Status != record.Created {
		m.state.Status, m.state.FinishedAt = record.Exited, now()
	}
	m.writeState()
	m.mu.Unlock()
	close(m.launched)
	c.event(e)
	c.box.wait(0, stuckAfter, nil)
	if m.cfg.AutoRemove {
		m.awaitRemoval(c)
	}
	flush(m.report()) // whoever has come meanwhile
	return err
}

// deleteFromRuntime has the runtime forget the container, and kill what is left of it.
func (m *Monitor) deleteFromRuntime() {
	_ = m.runtimeCommand("delete", "--force", m.cfg.ID) // it may not know it (any more)
}

// tearDown undoes prepare and whatever a start has left in RunDir.
func (m *Monitor) tearDown() {
	m.mu.Lock()
	helper, mounted, listener := m.helper, m.mounted, m.listener
	m.helper, m.mounted, m.listener = nil, false, nil
	m.mu.Unlock()
	helper.end()
	m.removeNetNS()
	if mounted {
		m.unmountRootfs()
	}
	if listener != nil {
		listener.Close()
	}
	m.removeFIFOs()
	for _, name := range []string{record.PidFile, startLock, "net.pid", "net.sock"} {
		os.Remove(m.runPath(name))
	}
	m.out.closeLog()
}

func dupFile(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(rawFD(f), unix.F_DUPFD_CLOEXEC, 5)
	if err != nil {
		return nil, fmt.Errorf("keep a passed file: %w", err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// rawFD is Fd, but leaves the open file as blocking as it is: others share it.
func rawFD(f *os.File) (fd uintptr) {
	raw, err := f.SyscallConn()
	if err != nil {
		return ^uintptr(0)
	}
	raw.Control(func(n uintptr) { fd = n })
	return fd
}
