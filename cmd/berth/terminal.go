// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/berth-containers/berth/libctr"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// isTerminal tells whether f is one.
func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// rawTerminal puts the terminal on standard input into raw mode. restore brings it back; it may be called twice.
// Where standard input is no terminal, nothing happens.
func rawTerminal() (restore func(), err error) {
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		return func() {}, nil
	}
	old, err := term.MakeRaw(fd)
	if err != nil {
		return nil, err
	}
	return func() { _ = term.Restore(fd, old) }, nil
}

// watchSize delivers the size of the caller's terminal now and whenever it changes, until ctx ends.
func watchSize(ctx context.Context) <-chan libctr.Size {
	sizes := make(chan libctr.Size, 1)
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	go func() {
		defer signal.Stop(changed)
		for {
			if s, ok := terminalSize(); ok {
				select {
				case sizes <- s:
				case <-ctx.Done():
					return
				}
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return sizes
}

func terminalSize() (libctr.Size, bool) {
	for _, f := range []*os.File{stdout.file(), os.Stdin} {
		if ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && ws.Row > 0 {
			return libctr.Size{Rows: ws.Row, Cols: ws.Col}, true
		}
	}
	return libctr.Size{}, false
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
