// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/pflag"
)

// detachKeys is the value of --detach-keys; nil is containers.conf's.
type detachKeys struct{ given *string }

func (k *detachKeys) bind(f *pflag.FlagSet) {
	f.Var(k, "detach-keys", "`KEYS` that detach from the container; empty to disable")
}

// String is the value, or podman's default.
func (k *detachKeys) String() string {
	if k.given == nil {
		return "ctrl-p,ctrl-q"
	}
	return *k.given
}

// Set takes the value.
func (k *detachKeys) Set(s string) error {
	k.given = &s
	return nil
}

// Type is what the help calls the value.
func (k *detachKeys) Type() string { return "string" }

// parse returns the sequence of bytes.
func (k *detachKeys) parse(e *libctr.Engine) ([]byte, error) {
	if k.given != nil {
		return libctr.ParseDetachKeys(*k.given)
	}
	conf, err := e.Config()
	if err != nil {
		return nil, err
	}
	return libctr.ParseDetachKeys(conf.Engine.DetachKeys)
}

// attachment is how the caller's streams are connected to a container or a command in one.
type attachment struct {
	only     []string // stdin, stdout, stderr; none is all of them
	input    bool     // standard input is wanted
	terminal bool     // there is a terminal on the other side
	keys     detachKeys
}

// open connects the streams, and with a terminal on both sides puts the caller's into raw mode. restore brings it back; it has to
// be called, and may be called twice.
func (a attachment) open(ctx context.Context, e *libctr.Engine, out, errOut io.Writer) (s *libctr.Streams, restore func(), err error) {
	s = &libctr.Streams{}
	restore = func() {}
	for _, name := range a.only {
		if !slices.Contains([]string{"stdin", "stdout", "stderr"}, strings.ToLower(name)) {
			return nil, nil, fmt.Errorf("--attach %q: must be stdin, stdout or stderr", name)
		}
	}
	has := func(name string) bool { return len(a.only) == 0 || slices.Contains(a.only, name) }
	if a.input && has("stdin") {
		s.Stdin = os.Stdin
	}
	if has("stdout") {
		s.Stdout = out
	}
	if has("stderr") {
		s.Stderr = errOut
	}
	keys, err := a.keys.parse(e)
	if err != nil {
		return nil, nil, err
	}
	if !a.terminal {
		return s, restore, nil // elsewhere the keys are bytes like any other
	}
	s.DetachKeys = keys
	if console.IsTerminal(os.Stdin) || console.IsTerminal(console.Out.File()) {
		s.Size, _ = console.Size()
		s.Resize = console.WatchSize(ctx)
	}
	if s.Stdin != nil {
		if restore, err = console.Raw(); err != nil {
			return nil, nil, fmt.Errorf("prepare the terminal: %w", err)
		}
	}
	return s, restore, nil
}

// streams are the caller's, for the bytes of a container.
func streams(call cli.Call) (out, errOut io.Writer) {
	return console.AsIs(call.Out), console.AsIs(call.Err)
}

// finish waits for an attached container and turns its exit code into this program's.
func finish(ctx context.Context, call cli.Call, e *libctr.Engine, c *libctr.Container, session *libctr.Session, sigProxy bool, restore func()) error {
	// signals now mean the container, not this command
	if sigProxy {
		defer proxySignals(context.WithoutCancel(ctx), e, c)()
		ctx = context.WithoutCancel(ctx)
		call.PassesSignals.Store(true)
	}
	code, err := session.Wait(ctx)
	restore()
	if errors.Is(err, libctr.ErrDetached) {
		return nil
	}
	if err != nil {
		return err
	}
	libctr.Trace("record removed")
	if code != 0 {
		return &cli.ExitError{Code: code}
	}
	return nil
}

// proxySignals passes the signals that this process gets on to the container, until the returned function
// is called. Signals that the terminal or the runtime of Go makes for themselves stay here.
func proxySignals(ctx context.Context, e *libctr.Engine, c *libctr.Container) (stop func()) {
	got := make(chan os.Signal, 64)
	var all []os.Signal
	for n := syscall.Signal(1); n < 65; n++ {
		switch n {
		case syscall.SIGCHLD, syscall.SIGPIPE, syscall.SIGWINCH, syscall.SIGURG, syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGCONT:
		default:
			all = append(all, n)
		}
	}
	signal.Notify(got, all...)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-got:
				_ = e.Kill(ctx, c, s.(syscall.Signal)) // it may have ended
			case <-done:
				return
			}
		}
	}()
	return func() { signal.Stop(got); close(done) }
}
