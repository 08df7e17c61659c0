// SPDX-License-Identifier: Apache-2.0

package monitor_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/berth-containers/berth/libctr/ctl"
)

// process is a runtime-spec process for exec.
func process(args []string, change ...func(map[string]any)) json.RawMessage {
	p := map[string]any{"args": args, "cwd": "/", "user": map[string]int{"uid": 0, "gid": 0}, "env": []string{"PATH=/bin"}}
	for _, f := range change {
		f(p)
	}
	return must(json.Marshal(p))
}

// execIn runs args in the container and returns its output and exit code.
func execIn(t *testing.T, c *container, args []string, preserve ...*os.File) (stdout, stderr string, code int) {
	t.Helper()
	null := must(os.OpenFile(os.DevNull, os.O_RDWR, 0))
	defer null.Close()
	outR, outW := pipe(t)
	errR, errW := pipe(t)
	conn := c.dial()
	call(t, conn, ctl.Request{Op: "exec", Process: process(args), Preserve: len(preserve)}, append([]*os.File{null, outW, errW}, preserve...)...)
	outW.Close()
	errW.Close()
	stdout, stderr = readAll(t, outR), readAll(t, errR)
	return stdout, stderr, event(t, conn, "exited").ExitCode
}

func TestExec(t *testing.T) {
	eachRuntime(t, func(t *testing.T, runtime string) {
		c := newContainer(t, runtime, []string{"sleep", "100"})
		c.startDetached()
		if out, err, code := execIn(t, c, sh("echo out; echo err >&2; exit 5")); out != "out\n" || err != "err\n" || code != 5 {
			t.Errorf("exec = %q, %q, %d", out, err, code)
		}
		if _, _, code := execIn(t, c, sh("kill -9 $$")); code != 137 {
			t.Errorf("exit code after SIGKILL = %d, want 137", code)
		}
		r, w := pipe(t)
		if out, _, _ := execIn(t, c, sh("echo kept >&3; ls /proc/self/fd"), w); strings.TrimSpace(strings.ReplaceAll(out, "\n", " ")) != "0 1 2 3 4" {
			t.Errorf("descriptors of an exec'd process: %q, want its own, 3 (kept) and 4 (ls's)", out)
		}
		w.Close()
		if kept := readAll(t, r); kept != "kept\n" {
			t.Errorf("preserved descriptor got %q", kept)
		}
		call(t, c.dial(), ctl.Request{Op: "stop"})
		c.waitMonitor()
	})
}

func TestExecThatCannotRun(t *testing.T) {
	eachRuntime(t, func(t *testing.T, runtime string) {
		c := newContainer(t, runtime, []string{"sleep", "100"})
		c.startDetached()
		for _, tc := range []struct {
			command string
			code    int
		}{{"nope", 127}, {"/bin/nope", 127}, {"./nope", 127}, {"/etc/plain", 126}, {"/etc", 126}} {
			r, w := pipe(t)
			re := callError(t, c.dial(), ctl.Request{Op: "exec", Process: process([]string{tc.command})}, w, w, w)
			w.Close()
			if said := readAll(t, r); re.Code != tc.code || said != "" {
				t.Errorf("exec %s: %+v, want code %d; its stderr has %q", tc.command, re, tc.code, said)
			}
		}
		callError(t, c.dial(), ctl.Request{Op: "exec"})
		callError(t, c.dial(), ctl.Request{Op: "exec", Process: process([]string{"true"}), Preserve: 2})
		call(t, c.dial(), ctl.Request{Op: "stop"})
		c.waitMonitor()
	})
}

func TestExecTerminal(t *testing.T) {
	eachRuntime(t, func(t *testing.T, runtime string) {
		c := newContainer(t, runtime, []string{"sleep", "100"})
		c.startDetached()
		conn := c.dial()
		r := ctl.Request{Op: "exec", Process: process(sh("tty; read x; echo got $x"), func(p map[string]any) { p["terminal"] = true })}
		e, files, err := conn.Call(t.Context(), &r)
		if err != nil || len(files) != 1 || e.Pid == 0 {
			t.Fatalf("exec = %+v, %d files, %v; want one, the terminal", e, len(files), err)
		}
		files[0].WriteString("hello\n")
		var out []byte
		for buf := make([]byte, 1000); ; {
			n, err := files[0].Read(buf) // EIO at the end
			out = append(out, buf[:n]...)
			if err != nil {
				break
			}
		}
		if !strings.Contains(string(out), "/dev/pts/") || !strings.HasSuffix(string(out), "got hello\r\n") {
			t.Errorf("terminal says %q", out)
		}
		if e := event(t, conn, "exited"); e.ExitCode != 0 {
			t.Errorf("exited = %+v", e)
		}
		call(t, c.dial(), ctl.Request{Op: "stop"})
		c.waitMonitor()
	})
}

func TestManyExecsAtOnce(t *testing.T) {
	c := newContainer(t, "crun", []string{"sleep", "100"})
	c.startDetached()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if out, _, code := execIn(t, c, sh(fmt.Sprintf("echo %d; exit %d", i, i))); out != fmt.Sprintln(i) || code != i {
				t.Errorf("exec %d = %q, %d", i, out, code)
			}
		})
	}
	wg.Wait()
	call(t, c.dial(), ctl.Request{Op: "stop"})
	c.waitMonitor()
}

func TestExecEndsWithItsContainer(t *testing.T) {
	c := newContainer(t, "crun", []string{"sleep", "100"})
	c.startDetached()
	conn := c.dial()
	call(t, conn, ctl.Request{Op: "exec", Process: process([]string{"sleep", "50"}), Detach: true})
	begin := time.Now()
	call(t, c.dial(), ctl.Request{Op: "signal", Signal: 9})
	if e := event(t, conn, "exited"); e.ExitCode != 137 || time.Since(begin) > 3*time.Second {
		t.Errorf("exited = %+v after %s", e, time.Since(begin))
	}
	c.waitMonitor()
}
