// SPDX-License-Identifier: Apache-2.0

package monitor_test

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
)

func openStdin(c *container) { c.cfg.OpenStdin = true }
func stdinOnce(c *container) { c.cfg.OpenStdin, c.cfg.StdinOnce = true, true }

func TestSeveralClientsGetTheOutput(t *testing.T) {
	c := newContainer(t, "crun", sh("echo early; read x; seq 1 50000; echo $x"), openStdin)
	first := c.start(ctl.Request{})
	until(t, first, "early\n")
	second, third := c.dial(), c.dial()
	call(t, second, ctl.Request{Op: "attach", Stdin: true, Stdout: true})
	call(t, third, ctl.Request{Op: "attach", Stderr: true})
	check(t, second.SendStream(ctl.Stdin, []byte("go\n")))
	type got struct {
		out string
		e   *ctl.Event
	}
	results := make(chan got, 2)
	for _, conn := range []*ctl.Conn{first, second} {
		go func() {
			out, _, e := output(t, conn)
			results <- got{out, e}
		}()
	}
	a, b := <-results, <-results
	if a.out != b.out || !strings.HasPrefix(a.out, "1\n2\n") || !strings.HasSuffix(a.out, "\n50000\ngo\n") || a.e.ExitCode != 0 {
		t.Errorf("one got %d bytes, the other %d", len(a.out), len(b.out))
	}
	if out, _, _ := output(t, third); out != "" {
		t.Errorf("a client that wants no stdout got %q", out)
	}
}

func TestStuckClientStopsNobodyElse(t *testing.T) {
	c := newContainer(t, "crun", sh("read x; seq 1 400000; echo end"), openStdin)
	first := c.start(ctl.Request{})
	stuck := c.dial()
	call(t, stuck, ctl.Request{Op: "attach", Stdout: true})
	check(t, first.SendStream(ctl.Stdin, []byte("\n"))) // stuck reads nothing from now on
	begin := time.Now()
	out, _, e := output(t, first)
	if !strings.HasSuffix(out, "\nend\n") || e.ExitCode != 0 {
		t.Errorf("the client that reads got %d bytes, %+v", len(out), e)
	}
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("it took %s", took)
	}
	stuck.Close()
}

func TestSlowForegroundClientLosesNothing(t *testing.T) {
	c := newContainer(t, "crun", sh("seq 1 300000"))
	conn := c.start(ctl.Request{})
	time.Sleep(300 * time.Millisecond) // the queues are full, and the container waits
	if s := c.state(); s.Status != record.Running {
		t.Errorf("the container did not wait for its reader: %+v", s)
	}
	if out, _, _ := output(t, conn); strings.Count(out, "\n") != 300000 {
		t.Errorf("got %d lines", strings.Count(out, "\n"))
	}
}

func TestOutputIsNotWaitedForWhereALeftoverHoldsIt(t *testing.T) {
	// In the host's PID namespace a process outlives the container's init.
	c := newContainer(t, "crun", sh("echo done; (sleep 5; echo late) & exit 3"), func(c *container) {
		c.linux()["namespaces"] = []map[string]string{{"type": "mount"}}
		c.spec["mounts"] = []any{}
	})
	begin := time.Now()
	out, _, e := output(t, c.start(ctl.Request{}))
	if out != "done\n" || e.ExitCode != 3 || time.Since(begin) > 3*time.Second {
		t.Errorf("got %q, %+v after %s", out, e, time.Since(begin))
	}
}

func TestStdinEndsWithItsOnlyClient(t *testing.T) {
	for name, end := range map[string]func(*ctl.Conn){
		"end of file": func(c *ctl.Conn) { c.SendStream(ctl.Stdin, nil) },
		"gone":        func(c *ctl.Conn) { c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			c := newContainer(t, "crun", []string{"wc", "-c"}, stdinOnce)
			conn := c.start(ctl.Request{})
			watcher := c.dial()
			call(t, watcher, ctl.Request{Op: "attach", Stdout: true})
			check(t, conn.SendStream(ctl.Stdin, bytes.Repeat([]byte("x"), 300000)))
			end(conn)
			if out, _, _ := output(t, watcher); out != "300000\n" {
				t.Errorf("got %q", out)
			}
		})
	}
}

func TestStdinStaysOpenForTheNextClient(t *testing.T) {
	c := newContainer(t, "crun", sh("read a; read b; echo $a $b"), openStdin)
	conn := c.start(ctl.Request{})
	check(t, conn.SendStream(ctl.Stdin, []byte("one\n")))
	check(t, conn.SendStream(ctl.Stdin, nil))
	conn.Close()
	time.Sleep(50 * time.Millisecond)
	next := c.dial()
	call(t, next, ctl.Request{Op: "attach", Stdin: true, Stdout: true})
	check(t, next.SendStream(ctl.Stdin, []byte("two\n")))
	if out, _, _ := output(t, next); out != "one two\n" {
		t.Errorf("got %q", out)
	}
}

func TestInputThatComesBeforeTheStart(t *testing.T) {
	c := newContainer(t, "crun", []string{"cat"}, stdinOnce)
	conn := c.monitor()
	call(t, conn, ctl.Request{Op: "attach", Stdin: true, Stdout: true})
	check(t, conn.SendRequest(&ctl.Request{Op: "start"}))
	check(t, conn.SendStream(ctl.Stdin, []byte("early")))
	check(t, conn.SendStream(ctl.Stdin, nil))
	event(t, conn, "started")
	if out, _, _ := output(t, conn); out != "early" {
		t.Errorf("got %q", out)
	}
}

func TestWithoutStdinThereIsNone(t *testing.T) {
	c := newContainer(t, "crun", sh("cat; readlink /proc/self/fd/0"))
	if out, _, _ := output(t, c.start(ctl.Request{})); out != "/dev/null\n" {
		t.Errorf("got %q", out)
	}
}

func TestPassthrough(t *testing.T) {
	eachRuntime(t, func(t *testing.T, runtime string) {
		c := newContainer(t, runtime, sh("read x; echo out $x; echo err >&2"), func(c *container) { c.cfg.Log = record.Log{Driver: "passthrough"} })
		inR, inW := pipe(t)
		outR, outW := pipe(t)
		errR, errW := pipe(t)
		conn := c.start(ctl.Request{}, inR, outW, errW)
		outW.Close()
		errW.Close()
		io.WriteString(inW, "in\n")
		if out, err := readAll(t, outR), readAll(t, errR); out != "out in\n" || err != "err\n" {
			t.Errorf("got %q, %q", out, err)
		}
		event(t, conn, "exited")
	})
}

func TestOtherLogDrivers(t *testing.T) {
	c := newContainer(t, "crun", sh("echo a; printf b"), func(c *container) { c.cfg.Log.Driver = "json-file" })
	output(t, c.start(ctl.Request{}))
	if log := c.log(); !strings.Contains(log, `{"log":"a\n","stream":"stdout","time":"`) || !strings.Contains(log, `{"log":"b","stream"`) {
		t.Errorf("log = %q", log)
	}
	n := newContainer(t, "crun", sh("echo a"), func(c *container) { c.cfg.Log.Driver = "none" })
	if out, _, _ := output(t, n.start(ctl.Request{})); out != "a\n" {
		t.Errorf("got %q", out)
	}
	if _, err := os.Stat(n.cfg.Log.Path); err == nil {
		t.Errorf("log driver none has made a log")
	}
}

func TestClientWithoutInputCannotGiveAny(t *testing.T) {
	c := newContainer(t, "crun", sh("read x; echo got $x"), openStdin)
	conn := c.start(ctl.Request{})
	viewer := c.dial()
	call(t, viewer, ctl.Request{Op: "attach", Stdout: true})
	check(t, viewer.SendStream(ctl.Stdin, []byte("viewer\n")))
	time.Sleep(30 * time.Millisecond)
	check(t, conn.SendStream(ctl.Stdin, []byte("owner\n")))
	if out, _, _ := output(t, conn); out != "got owner\n" {
		t.Errorf("got %q", out)
	}
}
