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
	"github.com/berth-containers/berth/libctr/journald"
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
	if err := m.furnish(); err != nil {
		return err
	}
	if m.cfg.Network.NetNS != "new" {
		return nil
	}
	return m.makeNetNS()
}

// furnish makes in the root file system what the image lacks.
func (m *Monitor) furnish() error {
	m.linkMtab()
	return errors.Join(m.addUsers(), m.makeWorkingDir())
}

// connectNetNS attaches a namespace that prepare made. It waits for the start request: until
// then the monitor may still be moved to another cgroup, which a child would not follow.
func (m *Monitor) connectNetNS() error {
	if m.cfg.Network.NetNS != "new" {
		return nil
	}
	return m.attach(0)
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
	streams := len(r.files) - r.preserve
	if streams < 0 {
		return fmt.Errorf("start: the request has %d files, and wants %d preserved", len(r.files), r.preserve)
	}
	m.preserve = r.files[streams:]
	defer func() { m.preserve = nil }() // whoever waits for their end waits for the container, not for its monitor
	if m.cfg.Log.Driver == "passthrough" {
		if err := checkStreams(r.files[:streams]); err != nil {
			return fmt.Errorf("start with log driver passthrough: %w", err)
		}
		// Kept for the container's restarts; whoever reads them waits for its end anyway.
		for i, f := range r.files[:streams] {
			if m.passthrough[i], err = dupFile(f); err != nil {
				return err
			}
		}
	}
	m.restore = r.restore
	defer func() { m.restore = nil }() // what starts it again starts its command
	start := func() error { return m.launch(r.client.event) }
	if r.make {
		start = func() error { return m.initialize(r.client) }
	}
	if err := start(); err != nil {
		return err
	}
	m.joining = time.After(linkAfter)
	return nil
}

func (m *Monitor) openLog() error {
	var w logWriter
	var err error
	switch l := m.cfg.Log; l.Driver {
	case string(logfile.K8s), string(logfile.JSON):
		w, err = logfile.OpenWriter(logfile.Options{
			Path: l.Path, Format: logfile.Format(l.Driver), MaxSize: l.MaxSize, MaxFile: l.MaxFile, Pos: m.runPath(record.LogPosFile),
		})
	case record.Journald:
		w, err = journald.Open(m.journalFields())
	}
	if err == nil && w != nil {
		m.out.logTo(w)
	}
	return err
}

// journalFields are the fields of each entry of the container's in the journal, as conmon has them.
func (m *Monitor) journalFields() []string {
	fields := []string{journald.IDField + "=" + m.cfg.ID, "CONTAINER_ID=" + m.cfg.ID[:min(len(m.cfg.ID), 12)], "CONTAINER_NAME=" + m.state.Name}
	if m.cfg.Log.Tag == "" {
		fields = append(fields, "SYSLOG_IDENTIFIER="+m.state.Name)
	}
	return append(fields, m.cfg.Log.Fields...)
}

// launch starts the container, the first time or again, records that it runs, has
// tell say so, and begins to read its output, in this order: a client's answer
// comes before its output. If it fails nothing of this start is left, but for what prepare made.
func (m *Monitor) launch(tell func(e ctl.Event)) error {
	started, err := m.runtimeStart(false)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.began(started.init)
	m.takeStdin(started.io, started.master)
	tell(ctl.Event{Event: "started", Pid: m.init.pid, Warnings: m.endpoints.warnings(), Micros: started.took.Microseconds()})
	m.takeOutput(started.io)
	os.Remove(m.runPath(startLock))
	return nil
}

// started is what a successful start has given.
type started struct {
	init   *process
	io     *stdio
	master *os.File // of a terminal, or nil
	took   time.Duration
}

// runtimeStart has the OCI runtime make the container and, unless onlyMake is set, start its command.
func (m *Monitor) runtimeStart(onlyMake bool) (_ *started, err error) {
	if err := m.linkNamespaces(); err != nil {
		return nil, err
	}
	defer m.letVolumesGo()
	if err := m.holdVolumes(); err != nil {
		return nil, err
	}
	defer m.releaseBinds() // some are of volumes
	if err := m.holdBinds(); err != nil {
		return nil, err
	}
	defer m.releaseSecrets()
	if err := m.holdSecrets(); err != nil {
		return nil, err
	}
	if err := m.checkNeedDir(); err != nil {
		return nil, err
	}
	if err := m.openNotify(); err != nil {
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
	if m.around = m.cgroupAround(); m.around != "" {
		m.killsBefore = memoryEvents(m.around)["oom_kill"]
	}
	before := time.Now()
	init, err := m.runOrCreate(io, cons, onlyMake)
	if err != nil {
		return nil, err
	}
	if err := m.noteVolumes(init); err != nil {
		return nil, err
	}
	s := &started{init: init, io: io, took: time.Since(before)}
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
// connected only when the runtime has made it, and one that is only made.
func (m *Monitor) runOrCreate(io *stdio, cons *console, onlyMake bool) (*process, error) {
	pidFile := m.runPath(record.PidFile)
	if err := os.Remove(pidFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	lock, err := lockStart(m.cfg.RunDir)
	if err != nil {
		return nil, err
	}
	defer unix.Close(lock)
	verb, args := []string{"run", "--detach"}, slices.Clone(m.cfg.Runtime.RunArgs)
	switch {
	case m.restore != nil:
		verb, args = []string{"restore", "--detach"}, m.restoreArgs()
	case m.cfg.Network.NetNS == "runtime" || onlyMake:
		verb = []string{"create"}
	}
	args = append(args, "--pid-file", pidFile, "--bundle", filepath.Join(m.cfg.Dir, record.BundleDir))
	if cons != nil {
		args = append(args, "--console-socket", cons.arg)
	}
	args = append(args, m.cfg.ID)
	var extra []uintptr
	if n := len(m.preserve); n > 0 {
		verb = append(verb, "--preserve-fds", strconv.Itoa(n))
	}
	for _, f := range m.preserve {
		extra = append(extra, rawFD(f))
	}
	err = m.call(runtimeCall{args: append(verb, args...), stdio: io.files, extra: append(extra, uintptr(lock)), starts: true})
	if err != nil && m.restore != nil {
		return nil, m.criuError(err, record.RestoreLog)
	}
	if err != nil {
		return nil, startError(err, m.command())
	}
	pid, err := readPid(pidFile)
	if err != nil {
		return nil, fmt.Errorf("read the container's pid: %w", err)
	}
	init := m.reap.watchChild(pid)
	if verb[0] != "create" {
		return init, nil
	}
	if m.cfg.Network.NetNS == "runtime" {
		if err := m.mountNetNS("/proc/" + strconv.Itoa(pid) + "/ns/net"); err != nil {
			return nil, err
		}
		if err := m.attach(pid); err != nil {
			return nil, err
		}
	}
	if onlyMake {
		return init, nil
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
func (m *Monitor) began(init *process) {
	m.init = init
	m.restart = false
	m.memory = memoryCgroup(init.pid)
	m.oom = m.watchOOM(m.memory)
	m.setRunning()
	m.writePidFiles()
	if m.restore != nil {
		m.event("restore", nil)
	} else {
		if !m.made {
			m.event("init", nil)
		}
		m.event("start", nil)
	}
	m.made = false
	m.startHealth()
	m.startTimeout(init)
}

// writePidFiles writes the files that the user asked for.
func (m *Monitor) writePidFiles() {
	for path, pid := range map[string]int{m.cfg.PidFile: m.init.pid, m.cfg.MonitorPidFile: os.Getpid()} {
		if path != "" {
			_ = writePidFile(path, pid) // the container runs, and nobody is there to be told
		}
	}
}

// writePidFile follows no link and waits for no reader: the container may be able to write to the directory.
func writePidFile(path string, pid int) error {
	dir, err := OpenSource(record.Bind{Source: filepath.Dir(path)})
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	fd, err := unix.Openat(dir, filepath.Base(path), unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), path)
	_, err = f.WriteString(strconv.Itoa(pid))
	return errors.Join(err, f.Close())
}

// setRunning records the process before anybody is told of it. It requires m.mu.
func (m *Monitor) setRunning() {
	st := m.state
	st.Status, st.BootID = record.Running, bootID()
	st.Pid, st.PidStart, st.Monitor = m.init.pid, m.init.start, os.Getpid()
	st.StartedAt, st.FinishedAt = now(), time.Time{}
	st.ExitCode, st.OOMKilled, st.Error = 0, false, ""
	st.NetHelpers, st.Networks = m.endpoints.pids(), m.endpoints.joined()
	m.noteRestore()
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
	m.state.Pid, m.state.PidStart, m.state.Monitor, m.state.NetHelpers, m.state.Networks = 0, 0, 0, nil, nil
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
	for range 3 {
		err := m.runtimeCommand("delete", "--force", m.cfg.ID) // it may not know it (any more)
		if failed := (*runtimeError)(nil); !errors.As(err, &failed) || failed.code <= 128 {
			return
		}
		// A signal ended it: a unit that ends signals whatever is in its cgroup.
	}
}

// forget has the runtime forget a container whose init has ended. Where there is no cgroup, all that crun would do in its 6 ms is to remove its
// notes of the container, so these are removed here.
func (m *Monitor) forget() {
	if notes := crunNotes(&m.cfg.Runtime, m.cfg.ID); notes == "" || os.RemoveAll(notes) != nil {
		m.deleteFromRuntime()
	}
}

// crunNotes is the directory in which crun keeps what it knows of a container; empty if it keeps a cgroup as well, or is another runtime.
func crunNotes(r *record.Runtime, id string) string {
	if filepath.Base(r.Path) != "crun" || host.IsScript(r.Path) || !slices.Contains(r.Args, "--cgroup-manager=disabled") {
		return ""
	}
	i := slices.Index(r.Args, "--root")
	if i < 0 || i+1 == len(r.Args) {
		return ""
	}
	return filepath.Join(r.Args[i+1], id)
}

// tearDown undoes prepare and whatever a start has left in RunDir.
func (m *Monitor) tearDown() {
	m.mu.Lock()
	mounted, listener := m.mounted, m.listener
	m.mounted, m.listener = false, nil
	m.mu.Unlock()
	attached := m.detach()
	m.mu.Lock()
	m.endpoints = nil
	m.mu.Unlock()
	m.removeNetNS()
	if mounted {
		m.unmountRootfs()
	}
	if listener != nil {
		listener.Close()
	}
	m.leaveVolumes()
	m.removeFIFOs()
	m.closeNotify()
	for _, name := range []string{record.PidFile, startLock, "net.pid", "net.sock"} {
		os.Remove(m.runPath(name))
	}
	m.out.closeLog()
	attached.freePorts(m.state, true)
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
