// SPDX-License-Identifier: Apache-2.0

package monitor_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/monitor"
	"github.com/berth-containers/berth/libctr/record"
)

// kill9 kills the monitor.
func (c *container) kill9() {
	c.t.Helper()
	check(c.t, c.proc.Signal(syscall.SIGKILL))
	c.waitMonitor()
}

// subreap makes this process the parent of what a killed monitor leaves, and
// reaps it, as a machine's init does.
func subreap(t *testing.T) {
	check(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				reapOrphans()
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-done; unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) })
}

// reapOrphans waits for zombies that are not the os package's.
func reapOrphans() {
	me := strconv.Itoa(os.Getpid())
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		name, rest, _ := strings.Cut(string(data), ") ")
		f := strings.Fields(rest)
		if len(f) > 2 && f[0] == "Z" && f[1] == me && !strings.Contains(name, "(berth-monitor") && !strings.Contains(name, "(flock") {
			pid, _ := strconv.Atoi(strings.Fields(name)[0])
			syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
		}
	}
}

func TestAdoption(t *testing.T) {
	subreap(t)
	eachRuntime(t, func(t *testing.T, runtime string) {
		c := newContainer(t, runtime, sh("echo ready; i=0; while read x; do echo got $x; done"), openStdin)
		conn := ready(t, c)
		pid := c.state().Pid
		c.kill9()
		conn.Close()

		// While nobody is there the container writes, and waits for its input.
		in := must(os.OpenFile(filepath.Join(c.cfg.RunDir, "stdin"), os.O_WRONLY, 0))
		in.WriteString("alone\n")
		in.Close()
		time.Sleep(50 * time.Millisecond)
		if s := c.state(); s.Status != record.Running || s.Pid != pid {
			t.Errorf("state = %+v", s)
		}

		next := c.monitor("--adopt")
		call(t, next, ctl.Request{Op: "attach", Stdin: true, Stdout: true})
		check(t, next.SendStream(ctl.Stdin, []byte("adopted\n")))
		until(t, next, "got adopted\n")
		if log := c.log(); !strings.Contains(log, " F got alone\n") || strings.Count(log, " F ready\n") != 1 {
			t.Errorf("log = %q, want what was written while nobody was there", log)
		}
		if s := c.state(); s.Monitor != c.proc.Pid || s.Pid != pid {
			t.Errorf("state = %+v, want monitor %d", s, c.proc.Pid)
		}
		if out, _, code := execIn(t, c, []string{"echo", "exec"}); out != "exec\n" || code != 0 {
			t.Errorf("exec = %q, %d", out, code)
		}
		if e := call(t, c.dial(), ctl.Request{Op: "stop", TimeoutMs: 100}); e.ExitCode != 137 {
			t.Errorf("stop = %+v, want exit code 137 from the kernel", e)
		}
		c.waitMonitor()
		if s := c.state(); s.Status != record.Exited || s.ExitCode != 137 || s.Error != "" {
			t.Errorf("state = %+v", s)
		}
	})
}

func TestAdoptedContainerIsRestarted(t *testing.T) {
	subreap(t)
	c := newContainer(t, "crun", sh("touch /tmp/kept; echo ready; sleep 0.3; ls /tmp; exit 3"), restart("on-failure", 1))
	ready(t, c)
	c.kill9()
	next := c.monitor("--adopt")
	call(t, next, ctl.Request{Op: "attach", Stdout: true})
	out, _, e := output(t, next)
	if out != "kept\nready\nkept\n" || e.ExitCode != 3 {
		t.Errorf("got %q, %+v; want its second run", out, e)
	}
	c.waitMonitor()
}

func TestExitCodeThatNobodySaw(t *testing.T) {
	subreap(t)
	c := newContainer(t, "crun", sh("echo ready; sleep 0.3; exit 9"))
	ready(t, c)
	c.kill9()
	conn := c.monitor("--adopt")
	if e := call(t, conn, ctl.Request{Op: "wait"}); e.ExitCode != 9 {
		t.Errorf("exited = %+v, want the code that the kernel keeps (PIDFD_INFO_EXIT, Linux 6.15)", e)
	}
	c.waitMonitor()
}

func TestNothingToAdopt(t *testing.T) {
	subreap(t)
	c := newContainer(t, "crun", sh("echo ready; sleep 100"))
	ready(t, c)
	c.kill9()
	pid := c.state().Pid
	syscall.Kill(pid, syscall.SIGKILL)
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		// Gone, or a zombie (proc(5), the word after the name).
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if _, after, _ := strings.Cut(string(stat), ") "); err != nil || strings.HasPrefix(after, "Z") {
			break
		}
	}
	// A zombie is a process still, whose end the new monitor sees; either way there is an answer.
	e, _, err := c.monitor("--adopt").Call(t.Context(), &ctl.Request{Op: "stop"})
	var re *ctl.RequestError
	if notRunning := errors.As(err, &re) && re.Kind == "not-running"; !notRunning && (err != nil || e.Event != "exited") {
		t.Errorf("stop was answered with %+v, %v", e, err)
	}
	c.waitMonitor()
}

// TestKilledAtEachMomentOfAStart kills the monitor at random moments of a start. What
// runs afterwards must be in the record, or be found and ended by EndHalfStart.
func TestKilledAtEachMomentOfAStart(t *testing.T) {
	subreap(t)
	eachRuntime(t, func(t *testing.T, runtime string) {
		for i := range 15 {
			mark := strconv.Itoa(100000 + os.Getpid()%10000*100 + i)
			c := newContainer(t, runtime, []string{"sleep", mark})
			conn := c.monitor()
			check(t, conn.SendRequest(&ctl.Request{Op: "start"}))
			time.Sleep(time.Duration(i) * 2 * time.Millisecond)
			c.proc.Signal(syscall.SIGKILL)
			c.waitMonitor()
			conn.Close()
			check(t, monitor.EndHalfStart(&c.cfg.Supervised))
			s := c.state()
			recorded := s.Status == record.Running && syscall.Kill(s.Pid, 0) == nil
			running := false
			for range 50 { // it may not have got to its execve(2) yet
				if running = exec.Command("pgrep", "-f", "^sleep "+mark).Run() == nil; running == recorded {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			if running != recorded {
				t.Errorf("killed after %d ms: running %t, recorded %t (%+v)", 2*i, running, recorded, s)
			}
			if recorded {
				next := c.monitor("--adopt")
				call(t, next, ctl.Request{Op: "stop"})
				c.waitMonitor()
			}
		}
	})
}

func TestEndHalfStartSparesWhatIsRecorded(t *testing.T) {
	subreap(t)
	c := newContainer(t, "crun", sh("echo ready; sleep 100"))
	ready(t, c)
	c.kill9()
	check(t, os.WriteFile(filepath.Join(c.cfg.RunDir, "start.lock"), nil, 0o600)) // killed just before it would have been removed
	check(t, monitor.EndHalfStart(&c.cfg.Supervised))
	if monitor.HalfStarted(c.cfg.RunDir) || !alive(c.state().Pid) {
		t.Errorf("the container was ended, or is half started still: %+v", c.state())
	}
	call(t, c.monitor("--adopt"), ctl.Request{Op: "stop"})
	c.waitMonitor()
}
