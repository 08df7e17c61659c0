// SPDX-License-Identifier: Apache-2.0

package monitor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
)

func TestRunToItsEnd(t *testing.T) {
	eachRuntime(t, func(t *testing.T, runtime string) {
		c := newContainer(t, runtime, sh("echo out; echo err >&2; exit 7"))
		conn := c.start(ctl.Request{})
		stdout, stderr, e := output(t, conn)
		if stdout != "out\n" || stderr != "err\n" || e.ExitCode != 7 {
			t.Errorf("got %q, %q, %+v; want out, err and exit code 7", stdout, stderr, e)
		}
		s := c.state()
		if s.Status != record.Exited || s.ExitCode != 7 || s.Pid != 0 || s.StartedAt.IsZero() || s.FinishedAt.Before(s.StartedAt) {
			t.Errorf("state = %+v", s)
		}
		if s.Labels["kept"] != "yes" {
			t.Errorf("the summary that the CLI wrote is gone: %+v", s)
		}
		if log := c.log(); !strings.Contains(log, " stdout F out\n") || !strings.Contains(log, " stderr F err\n") {
			t.Errorf("log = %q", log)
		}
		c.waitMonitor()
		left, _ := filepath.Glob(filepath.Join(c.cfg.RunDir, "*"))
		for _, f := range left {
			if filepath.Base(f) != record.LockFile {
				t.Errorf("%s is left", f)
			}
		}
		events := string(must(os.ReadFile(c.cfg.EventsLog)))
		for _, status := range []string{"init", "start", "died"} {
			if !strings.Contains(events, `"Status":"`+status+`"`) {
				t.Errorf("events log has no %s: %s", status, events)
			}
		}
	})
}

func TestAllOutputIsSeenAndLogged(t *testing.T) {
	c := newContainer(t, "crun", sh("seq 1 200000; echo last"))
	stdout, _, _ := output(t, c.start(ctl.Request{}))
	var want strings.Builder
	for i := range 200000 {
		fmt.Fprintln(&want, i+1)
	}
	want.WriteString("last\n")
	if stdout != want.String() {
		t.Errorf("got %d bytes that end in %q, want %d", len(stdout), stdout[max(0, len(stdout)-20):], want.Len())
	}
	if !strings.HasSuffix(c.log(), " stdout F last\n") {
		t.Errorf("the log lacks the last line")
	}
}

func TestCommandThatCannotRun(t *testing.T) {
	eachRuntime(t, func(t *testing.T, runtime string) {
		for _, tc := range []struct {
			command string
			code    int
			text    string
		}{
			{"nope", 127, "executable file `nope` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found"},
			{"/bin/nope", 127, "executable file `/bin/nope` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found"},
			{"/etc/plain", 126, "executable file `/etc/plain` cannot be executed: OCI permission denied"},
			{"/etc", 126, ""},
		} {
			c := newContainer(t, runtime, []string{tc.command})
			conn := c.monitor()
			re := callError(t, conn, ctl.Request{Op: "start"})
			if re.Code != tc.code || (tc.text != "" && re.Text != tc.text) {
				t.Errorf("start %s: %q, code %d; want %q, code %d", tc.command, re.Text, re.Code, tc.text, tc.code)
			}
			c.waitMonitor()
			if s := c.state(); s.Status != record.Created || s.Error != re.Text || s.ExitCode != tc.code {
				t.Errorf("state = %+v", s)
			}
		}
	})
}

func TestMissingRuntime(t *testing.T) {
	c := newContainer(t, "crun", []string{"true"}, func(c *container) { c.cfg.Runtime.Path = "/nowhere/crun" })
	conn := c.monitor()
	if re := callError(t, conn, ctl.Request{Op: "start"}); re.Code != 125 || !strings.Contains(re.Text, "/nowhere/crun") {
		t.Errorf("start = %+v", re)
	}
	c.waitMonitor()
}

func TestRootfsThatCannotBeMounted(t *testing.T) {
	c := newContainer(t, "crun", []string{"true"}, func(c *container) { c.cfg.Rootfs.Options = "lowerdir=/nowhere" })
	conn := c.monitor()
	if re := callError(t, conn, ctl.Request{Op: "start"}); re.Code != 125 || !strings.Contains(re.Text, "mount root file system") {
		t.Errorf("start = %+v", re)
	}
	c.waitMonitor()
}

func TestClientGoesBeforeTheStart(t *testing.T) {
	c := newContainer(t, "crun", []string{"true"})
	c.monitor().Close()
	c.waitMonitor()
	if s := c.state(); s.Status != record.Created {
		t.Errorf("state = %+v", s)
	}
}

func TestTerminal(t *testing.T) {
	eachRuntime(t, func(t *testing.T, runtime string) {
		c := newContainer(t, runtime, sh("read x; stty size; tty; echo got $x"), terminal)
		conn := c.monitor()
		call(t, conn, ctl.Request{Op: "attach", Stdin: true, Stdout: true, Stderr: true})
		check(t, conn.SendRequest(&ctl.Request{Op: "resize", Rows: 33, Cols: 77}))
		call(t, conn, ctl.Request{Op: "start"})
		check(t, conn.SendStream(ctl.Stdin, []byte("hello\n")))
		stdout, stderr, e := output(t, conn)
		if !strings.Contains(stdout, "33 77\r\n/dev/pts/0\r\ngot hello\r\n") || stderr != "" || e.ExitCode != 0 {
			t.Errorf("got %q, %q, %+v", stdout, stderr, e)
		}
	})
}

func TestTerminalThatNobodyHoldsForAMoment(t *testing.T) {
	c := newContainer(t, "crun", sh("echo before; exec 0<&- 1>&- 2>&-; sleep 0.2; exec >/dev/pts/0; echo after"), terminal)
	if out, _, _ := output(t, c.start(ctl.Request{})); out != "before\r\nafter\r\n" {
		t.Errorf("got %q", out)
	}
}

func TestRootfsTypes(t *testing.T) {
	for name, rootfs := range map[string]func(c *container) record.Rootfs{
		"bind": func(*container) record.Rootfs { return record.Rootfs{Type: "bind", Source: busyboxRoot} },
		"fuse": func(c *container) record.Rootfs {
			return record.Rootfs{Type: "fuse", Program: "/usr/bin/fuse-overlayfs", Workdir: c.cfg.Rootfs.Workdir, Options: c.cfg.Rootfs.Options}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newContainer(t, "crun", sh("test -e /etc/plain && echo there"), func(c *container) { c.cfg.Rootfs = rootfs(c) })
			if out, _, _ := output(t, c.start(ctl.Request{})); out != "there\n" {
				t.Errorf("got %q", out)
			}
			c.waitMonitor()
		})
	}
	c := newContainer(t, "crun", []string{"true"}, func(c *container) {
		c.cfg.Rootfs = record.Rootfs{Type: "fuse", Program: "/bin/false"}
	})
	if re := callError(t, c.monitor(), ctl.Request{Op: "start"}); !strings.Contains(re.Text, "/bin/false exited with 1") {
		t.Errorf("start = %+v", re)
	}
}

func TestHiddenUnifiedHierarchy(t *testing.T) {
	const unified = "/sys/fs/cgroup/unified"
	if _, err := os.Stat(unified); err != nil {
		t.Log("this host is not hybrid: the CLI does not ask for it here")
		return
	}
	c := newContainer(t, "crun", []string{"sleep", "100"}, func(c *container) { c.cfg.Runtime.HideUnified = true })
	c.startDetached()
	controllers, err := os.ReadFile(fmt.Sprintf("/proc/%d/root%s/cgroup.controllers", c.proc.Pid, unified))
	if len(controllers) != 0 || (err != nil && !rootlessTest()) {
		t.Errorf("the monitor sees controllers %q, %v", controllers, err)
	}
	if _, err := os.Stat(unified + "/cgroup.subtree_control"); err != nil {
		t.Errorf("everybody else: %v", err)
	}
	call(t, c.dial(), ctl.Request{Op: "stop"})
	c.waitMonitor()
}

func TestInputBeforeTheStartRequestIsRefused(t *testing.T) {
	c := newContainer(t, "crun", []string{"true"}, stdinOnce)
	conn := c.monitor()
	call(t, conn, ctl.Request{Op: "attach", Stdin: true})
	check(t, conn.SendStream(ctl.Stdin, []byte("x")))
	if _, _, err := conn.Event(t.Context()); err == nil {
		t.Errorf("it was taken")
	}
	conn.Close()
	c.waitMonitor()
}

func TestNoDescriptorLeaksIntoTheContainer(t *testing.T) {
	eachRuntime(t, func(t *testing.T, runtime string) {
		c := newContainer(t, runtime, sh("ls /proc/self/fd /proc/1/fd"))
		stdout, _, _ := output(t, c.start(ctl.Request{}))
		for _, fd := range strings.Fields(stdout) {
			if fd > "3" && !strings.HasPrefix(fd, "/proc") && fd != "10" { // 3 is ls's own; ash keeps its script on 10
				t.Errorf("descriptor %s is open: %q", fd, stdout)
			}
		}
	})
}
