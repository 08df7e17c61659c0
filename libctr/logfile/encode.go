// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"bytes"
	"time"
	"unicode/utf8"
)

const k8sTime = "2006-01-02T15:04:05.000000000-07:00"

// appendEntry appends the entry of one line, or part of one, with its line end.
// Times are in UTC: a log is read in other time zones than it was written in.
func (f Format) appendEntry(dst []byte, e *Entry) []byte {
	if f == JSON {
		dst = append(dst, `{"log":`...)
		dst = appendJSONString(dst, e.Text, !e.Partial)
		dst = append(dst, `,"stream":"`...)
		dst = append(dst, e.Stream.String()...)
		dst = append(dst, `","time":"`...)
		dst = e.Time.UTC().AppendFormat(dst, time.RFC3339Nano)
		return append(dst, "\"}\n"...)
	}
	dst = e.Time.UTC().AppendFormat(dst, k8sTime)
	dst = append(dst, ' ')
	dst = append(dst, e.Stream.String()...)
	if e.Partial {
		dst = append(dst, " P "...)
	} else {
		dst = append(dst, " F "...)
	}
	dst = append(dst, e.Text...)
	return append(dst, '\n')
}

// cutEntry takes the first line, or the part of one that there is, from data.
func cutEntry(data []byte) (text []byte, partial bool, rest []byte) {
	i := bytes.IndexByte(data, '\n')
	if i < 0 {
		return data, true, nil
	}
	return data[:i], false, data[i+1:]
}

// cutRune splits data in front of a UTF-8 sequence whose end is still to come.
func cutRune(data []byte) (whole, rest []byte) {
	for n := 1; n < utf8.UTFMax && n <= len(data); n++ {
		if tail := data[len(data)-n:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return data[:len(data)-n], tail
			}
			break
		}
	}
	return data, nil
}

// appendJSONString quotes text as docker does: what is no UTF-8 becomes U+FFFD.
func appendJSONString(dst, text []byte, newline bool) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for len(text) > 0 {
		c := text[0]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRune(text)
			switch {
			case r == utf8.RuneError && n == 1:
				dst = append(dst, `\ufffd`...)
			case r == '\u2028' || r == '\u2029':
				dst = append(dst, `\u202`...)
				dst = append(dst, hex[r&0xf])
			default:
				dst = append(dst, text[:n]...)
			}
			text = text[n:]
			continue
		}
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < 0x20 || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		default:
			dst = append(dst, c)
		}
		text = text[1:]
	}
	if newline {
		dst = append(dst, '\\', 'n')
	}
	return append(dst, '"')
}
