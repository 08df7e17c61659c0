// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/berth-containers/berth/libctr"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// IsTerminal checks whether f is one.
func IsTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// Raw puts the terminal on standard input into raw mode. restore brings it back; it may be called twice.
// Where standard input is no terminal, nothing happens.
func Raw() (restore func(), err error) {
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

// WatchSize delivers the size of the caller's terminal now and whenever it changes, until ctx ends.
func WatchSize(ctx context.Context) <-chan libctr.Size {
	sizes := make(chan libctr.Size, 1)
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	go func() {
		defer signal.Stop(changed)
		for {
			if s, ok := Size(); ok {
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

// Size is the size of the caller's terminal; ok is false where there is none.
func Size() (size libctr.Size, ok bool) {
	for _, f := range []*os.File{Out.File(), os.Stdin} {
		if ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && ws.Row > 0 {
			return libctr.Size{Rows: ws.Row, Cols: ws.Col}, true
		}
	}
	return libctr.Size{}, false
}
