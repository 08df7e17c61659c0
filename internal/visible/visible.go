// SPDX-License-Identifier: Apache-2.0

// Package visible makes text harmless to a terminal: what would move the cursor, change colours, the title or the
// clipboard, or turn the direction of writing, is shown as an escape such as \x1b or \u202e.
//
// It is for text of others, such as the summary of a part or a server's answer, wherever it is printed for people.
// What a container prints is its own, and is not changed.
package visible

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Hidden reports whether a rune is not seen itself but changes what is seen: a control character, a separator of lines, or
// a mark of the Unicode bidirectional algorithm (UAX #9).
func Hidden(r rune) bool {
	switch {
	case unicode.IsControl(r), r == '\u2028', r == '\u2029', r == '\u061c', r == '\u200e', r == '\u200f':
		return true
	}
	return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// Text shows text of several lines: line ends and tabs stay.
func Text(s string) string { return show(s, "\n\t") }

// Line shows text that stands in one line.
func Line(s string) string { return show(s, "") }

func show(s, keep string) string {
	if !needed(s, keep) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		_, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case !Hidden(r) || strings.ContainsRune(keep, r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// JSON shows what hidden characters an encoded JSON text has. encoding/json writes those below U+0020 as escapes, and has no
// invalid UTF-8; for the others an escape is as good: whoever reads the text gets the same.
func JSON(data []byte) []byte {
	if !bytes.ContainsFunc(data, func(r rune) bool { return r >= 0x7f && Hidden(r) }) {
		return data
	}
	var b bytes.Buffer
	for _, r := range string(data) {
		if r >= 0x7f && Hidden(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.Bytes()
}

// needed is quick for what is nearly all text: printable ASCII.
func needed(s, keep string) bool {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || c == 0x7f || c < ' ' && strings.IndexByte(keep, c) < 0 {
			return true
		}
	}
	return false
}

// Writer shows what is written to it as Text does. A character that is not complete waits for the next Write. One goroutine
// writes at a time.
type Writer struct {
	to   io.Writer
	rest []byte
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{to: w} }

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	data := append(w.rest, p...)
	end := len(data)
	for i := max(0, end-utf8.UTFMax); i < end; i++ {
		if utf8.RuneStart(data[i]) && !utf8.FullRune(data[i:]) {
			end = i
		}
	}
	w.rest = append([]byte(nil), data[end:]...)
	if _, err := io.WriteString(w.to, Text(string(data[:end]))); err != nil {
		return 0, err
	}
	return len(p), nil
}
