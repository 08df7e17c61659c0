// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/libctr/ctl"
)

// execution is a process to be started in the running container.
type execution struct {
	process  json.RawMessage
	stdio    [3]uintptr // zero is /dev/null
	preserve []uintptr  // become 3, 4, …
}

func (m *Monitor) handleExec(c *client, r *ctl.Request, files []*os.File) {
	defer closeFiles(files)
	x := execution{process: r.Process}
	rest := files
	if len(files) == 3+r.Preserve {
		if err := checkStreams(files[:3]); err != nil {
			c.fail(fmt.Errorf("exec: %w", err))
			return
		}
		for i := range x.stdio {
			x.stdio[i] = rawFD(files[i])
		}
		rest = files[3:]
	}
	if len(rest) != r.Preserve {
		c.fail(fmt.Errorf("exec takes 3 files and %d to preserve, the request has %d", r.Preserve, len(files)))
		return
	}
	for _, f := range rest {
		x.preserve = append(x.preserve, rawFD(f))
	}
	p, master, err := m.exec(x)
	if err != nil {
		c.fail(err)
		return
	}
	e := ctl.Event{Event: "started", Pid: p.pid}
	if master != nil {
		c.conn.SendEvent(&e, master)
		master.Close()
	} else {
		c.event(e)
	}
	go func() {
		code := m.execEnded(p)
		c.event(ctl.Event{Event: "exited", ExitCode: code})
	}()
}

// exec starts a process in the container. It returns its terminal's master if it
// has one. The caller calls execEnded.
func (m *Monitor) exec(x execution) (*process, *os.File, error) {
	spec, err := ctl.DecodeProcess(x.process)
	if err != nil {
		return nil, nil, fmt.Errorf("exec: %w", err)
	}
	m.mu.Lock()
	init, err := m.runningUnpaused()
	m.mu.Unlock()
	if err != nil {
		return nil, nil, err
	}
	if err := m.checkCommand(init.pid, spec); err != nil {
		return nil, nil, err
	}
	done := m.reap.begin()
	defer done()
	pid, master, err := m.callExec(x, spec)
	if err != nil {
		if init.hasExited() {
			err = m.errNotRunning()
		}
		return nil, nil, startError(err, spec.Args[0])
	}
	p := m.reap.watchChild(pid)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.execs[p] = struct{}{}
	m.event("exec", map[string]string{"execID": strconv.Itoa(pid)})
	return p, master, nil
}

// callExec is the call of the runtime, which returns when the process runs.
func (m *Monitor) callExec(x execution, spec *ctl.ProcessSpec) (pid int, master *os.File, err error) {
	serial := m.nextSerial()
	file, pidFile := m.runPath("exec-"+serial+".json"), m.runPath("exec-"+serial+".pid")
	defer os.Remove(file)
	defer os.Remove(pidFile)
	if err := os.WriteFile(file, x.process, 0o600); err != nil {
		return 0, nil, err
	}
	args := []string{"exec", "--detach", "--process", file, "--pid-file", pidFile}
	var cons *console
	if spec.Terminal {
		if cons, err = m.listenConsole(); err != nil {
			return 0, nil, err
		}
		defer cons.close()
		args = append(args, "--console-socket", cons.arg)
		x.stdio = [3]uintptr{}
	}
	if len(x.preserve) > 0 {
		args = append(args, "--preserve-fds", strconv.Itoa(len(x.preserve)))
	}
	if err := m.call(runtimeCall{args: append(args, m.cfg.ID), stdio: x.stdio, extra: x.preserve}); err != nil {
		return 0, nil, err
	}
	if pid, err = readPid(pidFile); err != nil {
		return 0, nil, fmt.Errorf("read the process's pid: %w", err)
	}
	if cons != nil {
		master, err = cons.master()
	}
	return pid, master, err
}

// execEnded waits for an exec'd process and returns its exit code.
func (m *Monitor) execEnded(p *process) int {
	<-p.exited
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.execs, p)
	p.close()
	m.tidySoon()
	m.event("exec_died", map[string]string{"containerExitCode": strconv.Itoa(p.code), "execID": strconv.Itoa(p.pid)})
	return p.code
}

// killExec ends an exec'd process.
func (m *Monitor) killExec(p *process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = p.signal(unix.SIGKILL)
}
