// SPDX-License-Identifier: Apache-2.0

// Package lastwords takes what a program says, to have it in an error message when the program has failed. It needs no goroutine, no
// reader and no file name, so that a program which goes on for long may go on writing, and AppArmor, which judges files by their
// names, has no say.
package lastwords

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Output is the file that a program writes to.
type Output struct{ FD int }

// New makes one. Close it.
func New() (Output, error) {
	fd, err := unix.MemfdCreate("output", unix.MFD_CLOEXEC)
	if err != nil {
		return Output{}, fmt.Errorf("make a file for a program's output: %w", err)
	}
	return Output{fd}, nil
}

// Close lets go of it. Programs that have it still may write to it.
func (o Output) Close() { unix.Close(o.FD) }

// Head returns the first n bytes, or as many as there are.
func (o Output) Head(n int) string {
	var st unix.Stat_t
	if err := unix.Fstat(o.FD, &st); err != nil {
		return ""
	}
	buf := make([]byte, min(int64(n), st.Size))
	got, err := unix.Pread(o.FD, buf, 0)
	if err != nil || got < 0 {
		return ""
	}
	return strings.ToValidUTF8(string(buf[:got]), "\uFFFD")
}

// Tail returns the last lines, joined by semicolons, or that there are none.
func (o Output) Tail() string {
	const most = 600
	var st unix.Stat_t
	if err := unix.Fstat(o.FD, &st); err != nil || st.Size == 0 {
		return Nothing
	}
	buf := make([]byte, min(st.Size, most))
	n, err := unix.Pread(o.FD, buf, st.Size-int64(len(buf)))
	if err != nil || n <= 0 {
		return Nothing
	}

	var lines []string
	for line := range bytes.Lines(buf[:n]) {
		if s := strings.TrimSpace(string(line)); s != "" && !isSyslogNoise(s) {
			lines = append(lines, s)
		}
	}
	if st.Size > most && len(lines) > 1 {
		lines = lines[1:] // cut in the middle
	}
	if len(lines) == 0 {
		return Nothing
	}
	return strings.ToValidUTF8(strings.Join(lines, "; "), "\uFFFD")
}

// Nothing is the Tail of a program that has said nothing.
const Nothing = "it said nothing"

// isSyslogNoise recognizes what pasta says of each of its messages where no syslog(3) is.
func isSyslogNoise(line string) bool {
	return strings.HasPrefix(line, "Failed to send ") && strings.HasSuffix(line, " bytes to syslog")
}
