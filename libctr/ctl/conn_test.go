// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/hint"
)

func pair(t *testing.T) (*Conn, *Conn) {
	t.Helper()
	ours, file, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := NewConn(dup(t, file))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return ours, theirs
}

func TestRequestCarriesFiles(t *testing.T) {
	client, monitor := pair(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := client.SendRequest(&Request{Op: "exec", Preserve: 1}, w); err != nil {
		t.Fatal(err)
	}
	w.Close()
	p, err := monitor.Recv()
	if err != nil || len(p.Files) != 1 || !strings.Contains(string(p.JSON), `"exec"`) {
		t.Fatalf("Recv = %+v, %v; want the exec request with one file", p, err)
	}
	if _, err := p.Files[0].WriteString("passed"); err != nil {
		t.Fatal(err)
	}
	p.Files[0].Close()
	if got, _ := io.ReadAll(r); string(got) != "passed" {
		t.Errorf("read %q through the passed file, want %q", got, "passed")
	}
}

func TestStreamIsCutAndComesBackWhole(t *testing.T) {
	client, monitor := pair(t)
	want := bytes.Repeat([]byte("0123456789abcdef"), 10*MaxData/16+1)
	go func() {
		monitor.SendStream(Stdout, want)
		monitor.SendStream(Stdout, nil)
	}()
	var got []byte
	for {
		p, err := client.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if p.JSON != nil || p.Stream != Stdout || len(p.Data) > MaxData {
			t.Fatalf("Recv = stream %d, %d bytes, JSON %q", p.Stream, len(p.Data), p.JSON)
		}
		if len(p.Data) == 0 {
			break
		}
		got = append(got, p.Data...)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, want the %d that were sent", len(got), len(want))
	}
}

func TestTrySendNeverWaits(t *testing.T) {
	client, _ := pair(t)
	data := make([]byte, MaxData)
	for range 1000 {
		sent, err := client.TrySend(Chunk{Stream: Stdout, Data: data})
		if err != nil {
			t.Fatal(err)
		}
		if !sent {
			return
		}
	}
	t.Error("a thousand packets found place in the socket's queue")
}

func TestRecvAfterTheOtherSideHasGone(t *testing.T) {
	client, monitor := pair(t)
	client.Close()
	if _, err := monitor.Recv(); err != io.EOF {
		t.Errorf("Recv = %v, want io.EOF", err)
	}
}

func TestLastWordOfAPeerThatDidNotListen(t *testing.T) {
	client, monitor := pair(t)
	client.SendStream(Stdin, []byte("unread"))
	monitor.SendEvent(&Event{Event: "exited", ExitCode: 3})
	monitor.Close()
	if e, _, err := client.Event(t.Context()); err != nil || e.ExitCode != 3 {
		t.Errorf("Event = %+v, %v; want exit code 3", e, err)
	}
	if _, err := client.Recv(); err != io.EOF {
		t.Errorf("Recv = %v, want io.EOF", err)
	}
}

func TestCallEndsWithItsContext(t *testing.T) {
	client, _ := pair(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, err := client.Call(ctx, &Request{Op: "wait"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Call = %v, want context.DeadlineExceeded", err)
	}
}

func TestErrorEventBecomesAnErrorWithItsHint(t *testing.T) {
	client, monitor := pair(t)
	monitor.SendEvent(&Event{Event: "error", Error: "it is paused", Kind: "paused", Hint: hint.Textf("%s", hint.To(hint.UnpauseContainer, "web"))})
	_, _, err := client.Event(t.Context())
	var re *RequestError
	var h *hint.Error
	if !errors.As(err, &re) || re.Code != 125 || re.Kind != "paused" || !errors.As(err, &h) || h.Hint.String() != "unpause container web" {
		t.Errorf("Event = %v, want code 125, kind paused and the hint", err)
	}
}

func TestListenAndDialBelowALongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 120))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(t.Context(), dir); !errors.Is(err, ErrNoMonitor) {
		t.Errorf("Dial without a socket = %v, want ErrNoMonitor", err)
	}
	for range 2 { // the second takes the place of a dead monitor's socket
		l, err := Listen(dir)
		if err != nil {
			t.Fatal(err)
		}
		if fi, err := os.Stat(filepath.Join(dir, "ctl.sock")); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("socket mode %v, %v; want 0600", fi.Mode(), err)
		}
		dead := make(chan struct{})
		go func() {
			defer close(dead)
			c, err := l.Accept()
			if err == nil {
				c.SendEvent(&Event{Event: "ok", Pid: 7})
			}
			l.f.Close() // as kill -9 would
		}()
		c, err := Dial(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if e, _, err := c.Event(t.Context()); err != nil || e.Pid != 7 {
			t.Errorf("Event = %+v, %v", e, err)
		}
		c.Close()
		<-dead
	}
	if _, err := Dial(t.Context(), dir); !errors.Is(err, ErrNoMonitor) {
		t.Errorf("Dial of a dead monitor's socket = %v, want ErrNoMonitor", err)
	}

	// A monitor that is killed while the connection is in its queue.
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		time.Sleep(50 * time.Millisecond)
		l.f.Close()
	}()
	if _, err := Dial(t.Context(), dir); !errors.Is(err, ErrNoMonitor) {
		t.Errorf("Dial of a monitor that is killed before it accepts = %v, want ErrNoMonitor", err)
	}
}

func dup(t *testing.T, f *os.File) int {
	t.Helper()
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}
