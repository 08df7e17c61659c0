// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// tempOutput takes what a program says, for an error message; it needs no
// goroutine and no file name.
type tempOutput struct{ fd int }

func (m *Monitor) tempOutput() (tempOutput, error) {
	fd, err := unix.MemfdCreate("output", unix.MFD_CLOEXEC)
	if err != nil {
		return tempOutput{}, fmt.Errorf("make a file for a program's output: %w", err)
	}
	return tempOutput{fd}, nil
}

// head returns the first n bytes.
func (o tempOutput) head(n int) string {
	buf := make([]byte, n)
	got, err := unix.Pread(o.fd, buf, 0)
	if err != nil || got < 0 {
		return ""
	}
	return strings.ToValidUTF8(string(buf[:got]), "\uFFFD")
}

// tail returns the last lines, joined by semicolons.
func (o tempOutput) tail() string {
	const most = 600
	var st unix.Stat_t
	if err := unix.Fstat(o.fd, &st); err != nil || st.Size == 0 {
		return "it said nothing"
	}
	buf := make([]byte, min(st.Size, most))
	n, err := unix.Pread(o.fd, buf, st.Size-int64(len(buf)))
	if err != nil || n <= 0 {
		return "it said nothing"
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
	return strings.ToValidUTF8(strings.Join(lines, "; "), "\uFFFD")
}

// isSyslogNoise tells what pasta says of each of its messages where no syslog(3) is.
func isSyslogNoise(line string) bool {
	return strings.HasPrefix(line, "Failed to send ") && strings.HasSuffix(line, " bytes to syslog")
}

func (o tempOutput) close() { unix.Close(o.fd) }
