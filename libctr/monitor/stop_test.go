// SPDX-License-Identifier: Apache-2.0

package monitor_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
)

// ready runs a script that says "ready" first, and waits for that.
func ready(t *testing.T, c *container) *ctl.Conn {
	t.Helper()
	conn := c.start(ctl.Request{})
	until(t, conn, "ready\n")
	return conn
}

func TestStop(t *testing.T) {
	for name, tc := range map[string]struct {
		script  string
		request ctl.Request
		code    int
		most    time.Duration
	}{
		"obeys SIGTERM":     {"trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done", ctl.Request{TimeoutMs: 10000}, 3, 3 * time.Second},
		"ignores SIGTERM":   {"trap '' TERM; echo ready; while :; do sleep 0.05; done", ctl.Request{TimeoutMs: 200}, 137, 3 * time.Second},
		"the user's signal": {"trap 'exit 4' USR1; echo ready; while :; do sleep 0.05; done", ctl.Request{Signal: 10, TimeoutMs: 10000}, 4, 3 * time.Second},
		"at once":           {"trap '' TERM; echo ready; while :; do sleep 0.05; done", ctl.Request{}, 137, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			c := newContainer(t, "crun", sh(tc.script))
			ready(t, c).Close()
			r := tc.request
			r.Op = "stop"
			begin := time.Now()
			e := call(t, c.dial(), r)
			if took := time.Since(begin); e.Event != "exited" || e.ExitCode != tc.code || took > tc.most {
				t.Errorf("stop = %+v after %s; want exit code %d within %s", e, took, tc.code, tc.most)
			}
			if s := c.state(); s.StoppedBy != "user" || s.Status != record.Exited || s.ExitCode != tc.code {
				t.Errorf("state = %+v", s)
			}
			c.waitMonitor()
		})
	}
}

func TestSignal(t *testing.T) {
	c := newContainer(t, "crun", sh("trap 'echo usr1' USR1; echo ready; while :; do sleep 0.05; done"))
	conn := ready(t, c)
	call(t, c.dial(), ctl.Request{Op: "signal", Signal: 10})
	until(t, conn, "usr1\n")
	if re := callError(t, c.dial(), ctl.Request{Op: "signal", Signal: 99}); !strings.Contains(re.Text, "99") {
		t.Errorf("signal 99 = %+v", re)
	}
	call(t, c.dial(), ctl.Request{Op: "signal", Signal: 9})
	if _, _, e := output(t, conn); e.ExitCode != 137 {
		t.Errorf("exited = %+v", e)
	}
	c.waitMonitor()
}

func TestSignalAllReachesEveryProcess(t *testing.T) {
	c := newContainer(t, "crun", sh("trap : USR1; (trap 'echo child; exit' USR1; echo ready; while :; do sleep 0.05; done) & wait; wait; echo end"))
	conn := ready(t, c)
	call(t, c.dial(), ctl.Request{Op: "signal", Signal: 10, All: true})
	if out, _, _ := output(t, conn); !strings.Contains(out, "child\n") {
		t.Errorf("got %q", out)
	}
}

func restart(policy string, most uint) func(*container) {
	return func(c *container) { c.cfg.Restart = record.Restart{Policy: policy, MaxRetries: most} }
}

func TestRestartPolicy(t *testing.T) {
	c := newContainer(t, "crun", sh("echo run; exit 2"), restart("on-failure", 2))
	out, _, e := output(t, c.start(ctl.Request{}))
	if out != "run\nrun\nrun\n" || e.ExitCode != 2 {
		t.Errorf("got %q, %+v; want three runs", out, e)
	}
	if s := c.state(); s.Restarts != 2 || s.Status != record.Exited {
		t.Errorf("state = %+v", s)
	}
	c.waitMonitor()
	ok := newContainer(t, "crun", sh("echo run; exit 0"), restart("on-failure", 0))
	if out, _, _ := output(t, ok.start(ctl.Request{})); out != "run\n" {
		t.Errorf("a container that succeeded ran again: %q", out)
	}
}

func TestStopEndsThePauseBeforeARestart(t *testing.T) {
	c := newContainer(t, "crun", []string{"false"}, restart("always", 0))
	c.startDetached()
	c.waitState("three restarts", func(s *record.State) bool { return s.Restarts >= 3 && s.Status == record.Exited })
	begin := time.Now()
	if e := call(t, c.dial(), ctl.Request{Op: "stop", TimeoutMs: 10000}); e.Event != "exited" || time.Since(begin) > 2*time.Second {
		t.Errorf("stop = %+v after %s", e, time.Since(begin))
	}
	c.waitMonitor()
}

func TestStoppedContainerIsNotRestarted(t *testing.T) {
	c := newContainer(t, "crun", []string{"sleep", "100"}, restart("always", 0))
	c.startDetached()
	call(t, c.dial(), ctl.Request{Op: "stop"})
	c.waitMonitor()
	if s := c.state(); s.Restarts != 0 {
		t.Errorf("state = %+v", s)
	}
}

func TestRestartRequest(t *testing.T) {
	eachRuntime(t, func(t *testing.T, runtime string) {
		c := newContainer(t, runtime, sh("echo ready; sleep 100"))
		conn := ready(t, c)
		pid := c.state().Pid
		for range 2 {
			e := call(t, c.dial(), ctl.Request{Op: "restart"})
			if e.Event != "started" || e.Pid == pid {
				t.Errorf("restart = %+v, pid before %d", e, pid)
			}
			pid = e.Pid
			until(t, conn, "ready\n") // attached clients stay
		}
		if s := c.state(); s.Status != record.Running || s.Pid != pid || s.StoppedBy != "" {
			t.Errorf("state = %+v", s)
		}
		call(t, c.dial(), ctl.Request{Op: "stop"})
		c.waitMonitor()
	})
}

// A stop is answered, though somebody else has the container started again meanwhile.
func TestRestartTakesBackAStop(t *testing.T) {
	c := newContainer(t, "crun", sh("trap '' TERM; echo ready; while :; do sleep 0.05; done"))
	ready(t, c)
	stop, again := c.dial(), c.dial()
	check(t, stop.SendRequest(&ctl.Request{Op: "stop", TimeoutMs: 1000}))
	c.waitState("the stop", func(s *record.State) bool { return s.Status == record.Stopping })
	check(t, again.SendRequest(&ctl.Request{Op: "restart", TimeoutMs: 1000}))
	if e := event(t, stop, "exited"); e.ExitCode != 137 {
		t.Errorf("stop = %+v", e)
	}
	event(t, again, "started")
	call(t, c.dial(), ctl.Request{Op: "stop"})
	c.waitMonitor()
}

func TestTimeout(t *testing.T) {
	c := newContainer(t, "crun", []string{"sleep", "100"}, restart("always", 0), func(c *container) { c.cfg.Timeout = 1 })
	conn := c.start(ctl.Request{})
	if _, _, e := output(t, conn); e.ExitCode != 255 {
		t.Errorf("exited = %+v", e)
	}
	c.waitMonitor()
}

func TestMonitorThatIsToldToEndStopsTheContainer(t *testing.T) {
	c := newContainer(t, "crun", sh("trap 'exit 6' TERM; echo ready; while :; do sleep 0.05; done"), restart("always", 0))
	conn := ready(t, c)
	c.proc.Signal(syscall.SIGTERM)
	if _, _, e := output(t, conn); e.ExitCode != 6 {
		t.Errorf("exited = %+v", e)
	}
	c.waitMonitor()
	if s := c.state(); s.Status != record.Exited || s.ExitCode != 6 || s.StoppedBy != record.BySystem {
		t.Errorf("state = %+v", s)
	}
}

func TestPause(t *testing.T) {
	if rootlessTest() {
		c := newContainer(t, "crun", []string{"sleep", "100"})
		c.startDetached()
		if re := callError(t, c.dial(), ctl.Request{Op: "pause"}); !strings.Contains(re.Text, "no cgroup") {
			t.Errorf("pause = %+v", re)
		}
		call(t, c.dial(), ctl.Request{Op: "stop"})
		return
	}
	eachRuntime(t, func(t *testing.T, runtime string) {
		c := newContainer(t, runtime, sh("echo ready; while :; do echo tick; sleep 0.02; done"))
		ready(t, c).Close()
		if re := callError(t, c.dial(), ctl.Request{Op: "unpause"}); re.Kind != "not-paused" {
			t.Errorf("unpause = %+v", re)
		}
		call(t, c.dial(), ctl.Request{Op: "pause"})
		if s := c.state(); s.Status != record.Paused {
			t.Errorf("state = %+v", s)
		}
		before := c.log()
		time.Sleep(100 * time.Millisecond)
		if after := c.log(); len(after) > len(before)+200 {
			t.Errorf("a paused container has written %q", after[len(before):])
		}
		for _, r := range []ctl.Request{{Op: "pause"}, {Op: "exec", Process: process([]string{"true"}), Detach: true}, {Op: "stop"}} {
			if re := callError(t, c.dial(), r); re.Kind != "paused" {
				t.Errorf("%s = %+v", r.Op, re)
			}
		}
		call(t, c.dial(), ctl.Request{Op: "unpause"})
		call(t, c.dial(), ctl.Request{Op: "pause"})
		call(t, c.dial(), ctl.Request{Op: "signal", Signal: 9})
		c.waitMonitor()
		if s := c.state(); s.ExitCode != 137 {
			t.Errorf("state = %+v", s)
		}
	})
}

func TestOutOfMemory(t *testing.T) {
	if rootlessTest() {
		return // no limits without a cgroup; the guest tests show it
	}
	eachRuntime(t, func(t *testing.T, runtime string) {
		c := newContainer(t, runtime, sh("x=$(yes | head -c 100000000 | tr -d '\\n'); dd if=/dev/zero of=/dev/null bs=200M count=1"), func(c *container) {
			c.linux()["resources"] = map[string]any{"memory": map[string]any{"limit": 16 << 20, "swap": 16 << 20}}
		})
		_, _, e := output(t, c.start(ctl.Request{}))
		if !e.OOMKilled || e.ExitCode != 137 {
			t.Errorf("exited = %+v, want 137 and out of memory", e)
		}
		if s := c.state(); !s.OOMKilled {
			t.Errorf("state = %+v", s)
		}
	})
}

func TestRename(t *testing.T) {
	c := newContainer(t, "crun", []string{"sleep", "100"})
	c.startDetached()
	call(t, c.dial(), ctl.Request{Op: "rename", Name: "other"})
	if s := c.state(); s.Name != "other" || s.Status != record.Running {
		t.Errorf("state = %+v", s)
	}
	call(t, c.dial(), ctl.Request{Op: "stop"})
	c.waitMonitor()
	if s := c.state(); s.Name != "other" {
		t.Errorf("state = %+v", s)
	}
}

// cleanup is a Config.Cleanup that leaves a mark if it has the lock.
func cleanup(c *container) {
	c.cfg.AutoRemove = true
	c.cfg.Cleanup = []string{"/bin/sh", "-c", `test "$BERTH_LOCK_FD" = 3 && ! flock -n "$0/lock" true && flock -n 3 && touch "$0/../cleaned"`, c.cfg.RunDir}
}

func cleaned(c *container) bool {
	_, err := os.Stat(filepath.Join(filepath.Dir(c.cfg.RunDir), "cleaned"))
	return err == nil
}

func TestAutoRemove(t *testing.T) {
	t.Run("by the monitor", func(t *testing.T) {
		c := newContainer(t, "crun", []string{"sleep", "0.1"}, cleanup)
		c.start(ctl.Request{})
		if e := call(t, c.dial(), ctl.Request{Op: "wait"}); e.Delegated {
			t.Errorf("exited = %+v", e)
		}
		if !cleaned(c) {
			t.Errorf("exited was told before the container was removed")
		}
		c.waitMonitor()
	})
	t.Run("by the owner", func(t *testing.T) {
		c := newContainer(t, "crun", []string{"echo", "x"}, cleanup)
		conn := c.start(ctl.Request{Owner: true})
		out, _, e := output(t, conn)
		if !e.Delegated || out != "x\n" {
			t.Errorf("got %q, %+v", out, e)
		}
		select {
		case <-c.waited:
			t.Errorf("the monitor did not wait for the owner")
		case <-time.After(100 * time.Millisecond):
		}
		check(t, conn.SendRequest(&ctl.Request{Op: "removed"}))
		c.waitMonitor()
		if cleaned(c) {
			t.Errorf("the monitor removed what the owner had removed")
		}
	})
	for name, when := range map[string]string{"owner gone while it runs": "early", "owner gone instead of removing": "late"} {
		t.Run(name, func(t *testing.T) {
			c := newContainer(t, "crun", []string{"sleep", "0.2"}, cleanup)
			conn := c.start(ctl.Request{Owner: true})
			if when == "late" {
				output(t, conn)
			}
			conn.Close()
			c.waitMonitor()
			if !cleaned(c) {
				t.Errorf("nobody removed the container")
			}
		})
	}
	t.Run("after a failed start", func(t *testing.T) {
		c := newContainer(t, "crun", []string{"nope"}, cleanup)
		conn := c.monitor()
		callError(t, conn, ctl.Request{Op: "start", Owner: true})
		conn.Close()
		c.waitMonitor()
		if !cleaned(c) {
			t.Errorf("nobody removed the container")
		}
	})
}

// The container may have ended, and its monitor with it, before who asked for the end is known to wait.
func TestStopIsAnsweredHoweverFastTheEnd(t *testing.T) {
	for range 40 {
		c := newContainer(t, "crun", sh("echo ready; sleep 100"))
		ready(t, c).Close()
		if e := call(t, c.dial(), ctl.Request{Op: "stop", Signal: int(syscall.SIGKILL), TimeoutMs: 1000}); e.Event != "exited" {
			t.Fatalf("stop: %+v, want exited", e)
		}
	}
}
