// SPDX-License-Identifier: Apache-2.0

package monitor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berth-containers/berth/libctr/ctl"
)

// TestRequestsOfStrangers: what no client of ours sends is refused, and does nothing to the monitor.
func TestRequestsOfStrangers(t *testing.T) {
	c := newContainer(t, "crun", []string{"sleep", "1000"})
	c.cfg.Data = filepath.Join(filepath.Dir(c.cfg.Dir), "berth")
	check(t, os.MkdirAll(filepath.Join(c.cfg.Data, "names"), 0o700))
	check(t, os.Symlink(c.cfg.ID, filepath.Join(c.cfg.Data, "names", "mine")))
	check(t, os.Symlink(strings.Repeat("0", 64), filepath.Join(c.cfg.Data, "names", "anothers")))
	check(t, c.cfg.Write(c.cfg.Dir, false))
	c.startDetached()
	for _, packet := range []string{
		`{"op":"exec","preserve":-3,"process":{"args":["true"]}}`, `{"op":"exec","preserve":-3}`, `{"op":"exec","process":[]}`,
		`{"op":"rename","name":"../../../x"}`, `{"op":"rename","name":"anothers"}`, `{"op":"rename","name":"nobodys"}`,
		`{"op":"signal","signal":-1}`, `{"op":"stop","signal":65}`, `{"op":"stop","timeoutMs":9223372036854775807}`,
		`{"op":"start","unheard":"of"}`, `{"op":"nothing"}`, `{`, `{"op":"health"}`, `{"op":7}`,
	} {
		conn := c.dial()
		_, err := conn.TrySend(ctl.Chunk{Data: []byte(packet), JSON: true})
		check(t, err)
		if e, _, err := conn.Event(t.Context()); err == nil {
			t.Errorf("%s was answered with %+v", packet, e)
		}
		conn.Close()
	}
	// Too many files, and packets that are no message at all.
	null := must(os.Open(os.DevNull))
	defer null.Close()
	conn := c.dial()
	files := make([]*os.File, 70)
	for i := range files {
		files[i] = null
	}
	_ = conn.SendRequest(&ctl.Request{Op: "exec", Preserve: 64, Process: process([]string{"true"})}, files...)
	for _, b := range [][]byte{{0}, {1}, {255}, {' '}, []byte("[]")} {
		_, _ = c.dial().TrySend(ctl.Chunk{Data: b, JSON: true})
	}
	call(t, c.dial(), ctl.Request{Op: "rename", Name: "mine"})
	if s := c.state(); s.Name != "mine" || s.Monitor != c.proc.Pid {
		t.Errorf("state %+v", s)
	}
	call(t, c.dial(), ctl.Request{Op: "stop", Signal: 9})
	c.waitMonitor()
}

// TestFloods: many connections, clients that ask and never read, many execs at once, and output that nobody reads
// cost the monitor a bounded amount of memory, and keep nobody else waiting.
func TestFloods(t *testing.T) {
	c := newContainer(t, "crun", sh("echo ready; while :; do echo 0123456789012345678901234567890123456789; done"))
	c.cfg.Log.MaxSize = 1 << 20
	check(t, c.cfg.Write(c.cfg.Dir, false))
	c.startDetached()
	const bound = 32 << 10 // KiB; the Go runtime collects from 24 MiB on
	calm := pss(t, c.proc.Pid)

	// Attached, and reading nothing.
	for range 8 {
		call(t, c.dial(), ctl.Request{Op: "attach", Stdout: true})
	}
	// Asking, and reading nothing.
	bad, err := json.Marshal(map[string]string{"op": strings.Repeat("x", 1000)})
	check(t, err)
	deaf := c.dial()
	check(t, deaf.SetWriteDeadline(time.Now().Add(2*time.Second)))
	sent := 0
	for ; sent < 100_000; sent++ {
		if err := deaf.Send(ctl.Chunk{Data: bad, JSON: true}); err != nil {
			break
		}
	}
	t.Logf("a client that reads nothing has asked %d times", sent)
	if sent == 100_000 {
		t.Error("the monitor has answered a client without end that does not read")
	}
	// Many connections: those above the bound hear so, and the others go on.
	var last *ctl.Conn
	for range 600 {
		last = c.dial()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if e, _, err := last.Event(ctx); err == nil || !strings.Contains(err.Error(), "connections already") {
		t.Errorf("the last of 600 connections heard %+v, %v", e, err)
	}
	if now := pss(t, c.proc.Pid); now > bound {
		t.Errorf("the monitor has %d KiB, and had %d", now, calm)
	} else {
		t.Logf("the monitor has %d KiB, and had %d", now, calm)
	}
}

// TestStormOfExecs: a hundred at once all come to their end, and leave nothing in the monitor.
func TestStormOfExecs(t *testing.T) {
	c := newContainer(t, "crun", []string{"sleep", "1000"})
	c.startDetached()
	codes := make(chan string, 100)
	for i := range cap(codes) {
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			conn, err := ctl.Dial(ctx, c.cfg.RunDir)
			if err != nil {
				codes <- err.Error()
				return
			}
			defer conn.Close()
			_, _, err = conn.Call(ctx, &ctl.Request{Op: "exec", Process: process(sh(fmt.Sprintf("exit %d", i))), Detach: true})
			var e *ctl.Event
			if err == nil {
				e, _, err = conn.Event(ctx)
			}
			if err == nil && e.ExitCode != i {
				err = fmt.Errorf("exit code %d instead of %d", e.ExitCode, i)
			}
			codes <- fmt.Sprint(err)
		}()
	}
	for range cap(codes) {
		if got := <-codes; got != "<nil>" {
			t.Errorf("an exec failed: %s", got)
		}
	}
	t.Logf("afterwards the monitor has %d KiB", pss(t, c.proc.Pid))
	if left := must(filepath.Glob(filepath.Join(c.cfg.RunDir, "exec-*"))); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	call(t, c.dial(), ctl.Request{Op: "stop", Signal: 9})
	c.waitMonitor()
}
