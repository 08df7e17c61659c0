// SPDX-License-Identifier: Apache-2.0

// Package console is what the commands have of the process's standard streams: what is printed there and how, and the
// terminal behind them.
//
// It is the only way out: all that a command prints goes through Out or Err, which the command tree is given. Names, labels,
// commands, errors and answers are often those of an image, a part or a server, and a terminal obeys what it is sent; so both
// show such text, see package visible. What is printed as it is, is so by one of
//
//   - AsIs, for the streams of containers and for archives;
//   - Exact, for what scripts read in a pipe byte by byte and people on a terminal: --format, container files;
//   - Progress, whose bars move the cursor.
//
// A test (output_test.go in cmd/berth) keeps other packages of the command from writing past it.
package console

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/berth-containers/berth/internal/visible"
)

// Out and Err are standard output and standard error for text.
var Out, Err = &Screen{}, &Screen{isErr: true}

// Screen is standard output or standard error for text of people: what would drive a terminal is shown, also in a pipe, for
// that often ends on one. It may be used by several goroutines.
type Screen struct {
	isErr bool
	mu    sync.Mutex
	shown *visible.Writer
}

// File is what it writes to; Redirect exchanges it.
func (s *Screen) File() *os.File {
	if s.isErr {
		return os.Stderr
	}
	return os.Stdout
}

// Write prints text, with what would drive a terminal made visible.
func (s *Screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shown == nil {
		s.shown = visible.NewWriter(s.File())
	}
	return s.shown.Write(p)
}

// AsIs returns where w writes to, for bytes that are printed as they are.
func AsIs(w io.Writer) io.Writer {
	if s, ok := w.(*Screen); ok {
		return s.File()
	}
	return w
}

// Exact is AsIs in a pipe or a file, and w itself on a terminal.
func Exact(w io.Writer) io.Writer {
	if s, ok := w.(*Screen); ok && IsTerminal(s.File()) {
		return w
	}
	return AsIs(w)
}

// Progress returns where a pull, load or save tells what it does: standard error with moving bars if that is a terminal, and
// nobody in a pipe or with --quiet. Whoever writes more there than the library does, which writes digests and names it has
// checked, has to make it visible.
func Progress(quiet bool) io.Writer {
	if quiet || !IsTerminal(os.Stderr) {
		return nil
	}
	return os.Stderr
}

// Paragraph is a text that stands behind a word such as Error: or Warning:. Its further lines are indented, so that none of them, which
// may be of a file's name or a server's answer, looks like advice of Berth's.
func Paragraph(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ")
}

// Clear empties the terminal that w writes to, if it does.
func Clear(w io.Writer) {
	if s, ok := w.(*Screen); ok && IsTerminal(s.File()) {
		fmt.Fprint(s.File(), "\x1b[H\x1b[2J")
	}
}

// Redirect has standard output go to a file.
func Redirect(path string) (err error) {
	os.Stdout, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	return err
}
