// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/spec"
	"golang.org/x/sys/unix"
)

// StartError says that a process could not be started in a container.
type StartError struct {
	Err  error
	Code int // exit code for the CLI: 125, 126 or 127 (podman-run(1), "Exit Status")
}

func (e *StartError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *StartError) Unwrap() error { return e.Err }

// typed turns what a monitor answered instead of doing what it was asked into the errors of this package.
func typed(err error) error {
	var r *ctl.RequestError
	if !errors.As(err, &r) {
		return err
	}
	for kind, sentinel := range map[string]error{
		"not-running": ErrNotRunning, "running": ErrRunning, "starting": ErrStarting, "not-paused": ErrNotPaused, "paused": ErrPaused, "no-healthcheck": ErrNoHealthcheck,
	} {
		if r.Kind == kind {
			return sentinel // it says all that the monitor does
		}
	}
	if strings.HasSuffix(r.Text, ctl.NoSuchRequest) {
		return hint.Add(errors.New("its monitor is of an older Berth, which cannot do that while the container runs"), "restart it: then it has a monitor of this Berth")
	}
	if r.Code == 126 || r.Code == 127 {
		return &StartError{Err: err, Code: r.Code}
	}
	return err
}

// call sends one request and waits for its answer, passing over stream packets.
func call(ctx context.Context, conn *ctl.Conn, r ctl.Request, files ...*os.File) (*ctl.Event, []*os.File, error) {
	ev, got, err := conn.Call(ctx, &r, files...)
	if err != nil {
		return nil, nil, answerError(ctx, err)
	}
	return ev, got, nil
}

func answerError(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, io.EOF), errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET):
		return errMonitorEnded
	}
	return typed(err)
}

// Streams are a caller's ends of a container's standard input and output.
type Streams struct {
	Stdin  io.Reader // nil: none
	Stdout io.Writer // nil: dropped
	Stderr io.Writer // nil: dropped
	// Size is that of the caller's terminal, which the container's begins with; zero: it has none.
	Size Size
	// Resize delivers the sizes of the caller's terminal; nil: it has none.
	Resize <-chan Size
	// DetachKeys is the sequence in Stdin that ends the session with ErrDetached; empty: none. Only a
	// terminal's input should be searched for it: a pipe may carry any bytes.
	DetachKeys []byte
}

// Size is a terminal's.
type Size struct{ Rows, Cols uint16 }

func (s Size) spec() spec.TTYSize { return spec.TTYSize{Rows: uint(s.Rows), Cols: uint(s.Cols)} }

// Session is a connection to a container's monitor that is attached to its streams.
type Session struct {
	conn    *ctl.Conn
	streams Streams
	owner   bool
	engine  *Engine
	ctr     *Container
	done    chan struct{}
	inErr   chan error
	own     *ownedFiles // of a container with log driver passthrough; nil for none
}

// pump begins to send input and sizes.
func (s *Session) pump() {
	s.done = make(chan struct{})
	s.inErr = make(chan error, 1)
	if s.streams.Resize != nil {
		go func() {
			for {
				select {
				case size := <-s.streams.Resize:
					_ = s.conn.SendRequest(&ctl.Request{Op: "resize", Rows: size.Rows, Cols: size.Cols})
				case <-s.done:
					return
				}
			}
		}()
	}
	if s.streams.Stdin != nil {
		// It may be left waiting in Read when the container ends; the process ends then.
		go func() {
			if err := s.copyStdin(); err != nil {
				s.inErr <- err
			}
		}()
	}
}

func (s *Session) copyStdin() error {
	buf := make([]byte, ctl.MaxData)
	keys := &detachFilter{keys: s.streams.DetachKeys}
	for {
		n, err := s.streams.Stdin.Read(buf)
		if n > 0 {
			out, detached := keys.filter(buf[:n])
			if len(out) > 0 {
				if err := s.conn.SendStream(ctl.Stdin, out); err != nil {
					return nil // the container has ended; Wait says so
				}
			}
			if detached {
				return ErrDetached
			}
		}
		if err != nil {
			_ = s.conn.SendStream(ctl.Stdin, nil)
			return nil
		}
	}
}

// Wait copies output until the container has ended for good, and returns its exit code. It returns
// ErrDetached after the detach keys; the container then goes on.
func (s *Session) Wait(ctx context.Context) (int, error) {
	defer s.conn.Close()
	defer close(s.done)
	type result struct {
		ev  *ctl.Event
		err error
	}
	ended := make(chan result, 1)
	go func() {
		ev, err := s.copyOutput()
		ended <- result{ev, err}
	}()
	select {
	case r := <-ended:
		return s.finish(ctx, r.ev, r.err)
	case err := <-s.inErr:
		return 0, err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (s *Session) finish(ctx context.Context, ev *ctl.Event, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	if s.own != nil {
		s.own.drain()
	}
	trace("container ended")
	if ev.Delegated && s.owner {
		if err := s.engine.removeDelegated(context.WithoutCancel(ctx), s.ctr); err != nil {
			return ev.ExitCode, err // the connection closes, and the monitor tries for itself
		}
		_ = s.conn.SendRequest(&ctl.Request{Op: "removed"})
	}
	return ev.ExitCode, nil
}

func (s *Session) copyOutput() (*ctl.Event, error) {
	for {
		p, err := s.conn.Recv()
		if errors.Is(err, io.EOF) {
			return nil, hint.Add(errors.New("the container's monitor was killed; the container goes on"), "see: %s", hint.To(hint.ListContainers))
		}
		if err != nil {
			return nil, err
		}
		if p.JSON != nil {
			ev, err := ctl.DecodeEvent(p)
			if err == nil {
				err = typed(ev.Err())
			}
			if err != nil || ev.Event == "exited" {
				return ev, err
			}
			continue
		}
		w := s.streams.Stdout
		if p.Stream == ctl.Stderr {
			w = s.streams.Stderr
		}
		if w == nil {
			continue
		}
		if _, err := w.Write(p.Data); err != nil { // e.g. EPIPE: nobody reads on; the exit code still counts
			s.streams.Stdout, s.streams.Stderr = nil, nil
		}
	}
}

// detachFilter finds the detach keys in what a terminal sends, which may come in pieces.
type detachFilter struct {
	keys []byte
	seen int // keys matched so far, and held back
}

func (d *detachFilter) filter(p []byte) (out []byte, detached bool) {
	if len(d.keys) == 0 {
		return p, false
	}
	for i := 0; i < len(p); i++ {
		if p[i] == d.keys[d.seen] {
			if d.seen++; d.seen == len(d.keys) {
				return out, true
			}
			continue
		}
		if d.seen > 0 {
			out = append(out, d.keys[:d.seen]...)
			d.seen = 0
			i-- // it may be the first key
			continue
		}
		out = append(out, p[i])
	}
	return out, false
}

// ParseDetachKeys reads a sequence as podman writes it: single characters and ctrl-X, separated by commas.
// The empty string turns detaching off.
func ParseDetachKeys(s string) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	var keys []byte
	for _, w := range bytes.Split([]byte(s), []byte(",")) {
		switch {
		case len(w) == 1:
			keys = append(keys, w[0])
		case len(w) == 6 && bytes.HasPrefix(w, []byte("ctrl-")):
			c := w[5]
			switch {
			case c >= 'a' && c <= 'z':
				keys = append(keys, c-'a'+1)
			case c >= 'A' && c <= 'Z':
				keys = append(keys, c-'A'+1)
			case c == '@' || c >= '[' && c <= '_':
				keys = append(keys, c-'@')
			default:
				return nil, fmt.Errorf("detach keys %q: ctrl-%c is no key", s, c)
			}
		default:
			return nil, fmt.Errorf("detach keys %q: write single characters or ctrl-X, separated by commas", s)
		}
	}
	return keys, nil
}
