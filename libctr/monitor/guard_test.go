// SPDX-License-Identifier: Apache-2.0

package monitor_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/monitor"
	"github.com/berth-containers/berth/libctr/record"
)

// inStore puts a container into one store with others.
func inStore(dir string) func(*container) {
	return func(c *container) {
		c.cfg.Data = filepath.Join(dir, "data")
		c.cfg.Dir = filepath.Join(dir, "data/containers", c.cfg.ID)
		c.cfg.RunDir = filepath.Join(dir, "run/containers", c.cfg.ID)
		c.cfg.Log.Path = filepath.Join(dir, c.cfg.ID+".log")
	}
}

// replaced waits until another monitor than the one before serves the container.
func (c *container) replaced(before int) *record.State {
	c.t.Helper()
	s := c.waitState("another monitor", func(s *record.State) bool { return s.Monitor != 0 && s.Monitor != before })
	c.dial().Close()
	return s
}

func TestMonitorsReplaceEachOther(t *testing.T) {
	subreap(t)
	const all = 5
	for name, survivor := range map[string]int{"the first lives": 0, "one in the middle lives": 2, "the last lives": all - 1} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var cs []*container
			for range all {
				c := newContainer(t, "crun", sh("echo ready; while read x; do echo got $x; done"), openStdin, inStore(dir))
				ready(t, c).Close()
				cs = append(cs, c)
			}
			awaitLinks(t, cs)
			before := make([]*record.State, all)
			for i, c := range cs {
				before[i] = c.state()
			}
			for i, c := range cs {
				if i != survivor {
					check(t, c.proc.Signal(syscall.SIGKILL))
				}
			}
			for i, c := range cs {
				if i == survivor {
					continue
				}
				s := c.replaced(before[i].Monitor)
				if s.Pid != before[i].Pid || s.Status != record.Running {
					t.Errorf("state = %+v, want the process of before, %d", s, before[i].Pid)
				}
				if stat := must(os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.Monitor), "mountinfo"))); strings.Contains(string(stat), cs[survivor].cfg.Dir) {
					t.Errorf("the new monitor has the mounts of the one that started it")
				}
				in := must(os.OpenFile(filepath.Join(c.cfg.RunDir, "stdin"), os.O_WRONLY, 0))
				in.WriteString("more\n")
				in.Close()
				for end := time.Now().Add(10 * time.Second); !strings.Contains(c.log(), "got more"); time.Sleep(5 * time.Millisecond) {
					if time.Now().After(end) {
						t.Fatalf("nobody logs what the container writes: %q", c.log())
					}
				}
			}
			for _, c := range cs {
				call(t, c.dial(), ctl.Request{Op: "stop", TimeoutMs: 10})
			}
		})
	}
}

// TestAbandonedContainers has a neighbour find what a monitor that was killed has left, in each state.
func TestAbandonedContainers(t *testing.T) {
	subreap(t)
	for name, tc := range map[string]struct {
		script string
		change func(*container)
		kill   bool                     // the container's process, too
		when   func(*record.State) bool // to kill the monitor
		then   func(*record.State) bool // what comes of it
	}{
		"running": {script: "sleep 100", change: nothing, when: running,
			then: func(s *record.State) bool { return s.Status == record.Running && s.Monitor != 0 }},
		"ended with its monitor": {script: "sleep 100", change: nothing, kill: true, when: running,
			then: func(s *record.State) bool { return s.Status == record.Exited && s.Monitor == 0 && s.ExitCode != 0 }},
		"ended with its monitor, to be restarted": {script: "sleep 100", change: restart("on-failure", 1), kill: true, when: running,
			then: func(s *record.State) bool { return s.Status == record.Running && s.Restarts == 1 }},
		"in the pause before a restart": {script: "sleep 0.1; exit 3", change: restart("on-failure", 7),
			when: func(s *record.State) bool { return s.Status == record.Exited && s.Restarts == 4 },
			then: func(s *record.State) bool { return s.Restarts > 4 }},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			guard := newContainer(t, "crun", sh("echo ready; sleep 100"), inStore(dir))
			ready(t, guard).Close()
			c := newContainer(t, "crun", sh("echo ready; "+tc.script), inStore(dir), tc.change)
			ready(t, c).Close()
			awaitLinks(t, []*container{guard, c})
			before := c.waitState("the moment to kill the monitor", tc.when)
			check(t, c.proc.Signal(syscall.SIGKILL))
			if tc.kill {
				check(t, syscall.Kill(before.Pid, syscall.SIGKILL))
			}
			c.waitState("what comes of it", func(s *record.State) bool { return s.Monitor != before.Monitor && tc.then(s) })
			for _, c := range []*container{c, guard} {
				if conn, err := ctl.Dial(t.Context(), c.cfg.RunDir); err == nil {
					conn.SendRequest(&ctl.Request{Op: "stop", TimeoutMs: 10})
					c.waitState("the end", func(s *record.State) bool { return s.Monitor == 0 })
					conn.Close()
				}
			}
		})
	}
}

func TestAbandoned(t *testing.T) {
	boot := strings.TrimSpace(string(must(os.ReadFile("/proc/sys/kernel/random/boot_id"))))
	for name, tc := range map[string]struct {
		state record.State
		want  bool
	}{
		"running":              {record.State{Status: record.Running, Monitor: 1, BootID: boot}, true},
		"paused":               {record.State{Status: record.Paused, Monitor: 1, BootID: boot}, true},
		"before a restart":     {record.State{Status: record.Exited, Monitor: 1, BootID: boot}, true},
		"ended for good":       {record.State{Status: record.Exited, BootID: boot}, false},
		"never started":        {record.State{Status: record.Created}, false},
		"before the last boot": {record.State{Status: record.Running, Monitor: 1, BootID: "another"}, false},
	} {
		if got := monitor.Abandoned(&tc.state); got != tc.want {
			t.Errorf("%s: Abandoned = %t", name, got)
		}
	}
}

func nothing(*container) {}

func running(s *record.State) bool { return s.Status == record.Running }

// awaitLinks waits until each of the monitors is connected with another: it has a connection of its own or has taken one.
func awaitLinks(t *testing.T, cs []*container) {
	t.Helper()
	time.Sleep(100 * time.Millisecond) // a connection that has just been closed is none
	for _, c := range cs {
		sockets := func() (n int) {
			fds, _ := os.ReadDir(filepath.Join("/proc", strconv.Itoa(c.proc.Pid), "fd"))
			for _, fd := range fds {
				if to, _ := os.Readlink(filepath.Join("/proc", strconv.Itoa(c.proc.Pid), "fd", fd.Name())); strings.HasPrefix(to, "socket:") {
					n++
				}
			}
			return n
		}
		for end := time.Now().Add(10 * time.Second); sockets() < 2; time.Sleep(5 * time.Millisecond) { // one listens
			if time.Now().After(end) {
				t.Fatal("a monitor has not joined the others")
			}
		}
	}
}
