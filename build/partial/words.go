// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"errors"
	"strings"
	"unicode"
)

// splitWords splits a directive into words: blanks separate, quotes and backslashes work as in
// a shell, nothing is expanded.
func splitWords(s string) ([]string, error) {
	var words []string
	var w strings.Builder
	in := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case ' ', '\t':
			if in {
				words = append(words, w.String())
				w.Reset()
				in = false
			}
		case '\'':
			end := strings.IndexByte(s[i+1:], '\'')
			if end < 0 {
				return nil, errors.New("a single quote is not closed")
			}
			w.WriteString(s[i+1 : i+1+end])
			i += end + 1
			in = true
		case '"':
			n, err := doubleQuoted(&w, s[i+1:])
			if err != nil {
				return nil, err
			}
			i += n
			in = true
		case '\\':
			if i+1 == len(s) {
				return nil, errors.New("the line ends with a backslash; go on with a line that begins with #:+")
			}
			i++
			w.WriteByte(s[i])
			in = true
		default:
			w.WriteByte(c)
			in = true
		}
	}
	if in {
		words = append(words, w.String())
	}
	return words, nil
}

// doubleQuoted reads up to the closing quote and returns how many bytes that is, with the quote.
func doubleQuoted(w *strings.Builder, s string) (int, error) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return i + 1, nil
		case '\\':
			// POSIX shell, 2.2.3: within double quotes a backslash escapes only these.
			if i+1 < len(s) && strings.IndexByte("$`\"\\", s[i+1]) >= 0 {
				i++
			}
		}
		w.WriteByte(s[i])
	}
	return 0, errors.New("a double quote is not closed")
}

// QuoteWord writes a word so that splitWords reads it again.
func QuoteWord(s string) string {
	if s != "" && !strings.ContainsAny(s, "'\"\\$`") && !strings.ContainsFunc(s, unicode.IsSpace) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
