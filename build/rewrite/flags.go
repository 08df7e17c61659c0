// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"strings"
	"unicode"
)

// split takes an instruction's line apart: its word, its flags without quotes, as buildah's parser has them, and what follows.
func split(line string) (word string, flags []string, rest string) {
	line = strings.TrimSpace(line)
	i := strings.IndexFunc(line, unicode.IsSpace)
	if i < 0 {
		return line, nil, ""
	}
	word, rest = line[:i], strings.TrimLeftFunc(line[i:], unicode.IsSpace)
	for strings.HasPrefix(rest, "--") {
		flag, after := cutFlag(rest)
		rest = strings.TrimLeftFunc(after, unicode.IsSpace)
		if flag == "--" {
			break
		}
		flags = append(flags, flag)
	}
	return word, flags, rest
}

// cutFlag takes the first word off a line, without its quotes and escapes.
func cutFlag(line string) (flag, rest string) {
	var b strings.Builder
	var quote byte
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\':
			if i++; i < len(line) {
				b.WriteByte(line[i])
			}
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			b.WriteByte(c)
		case c == '\'' || c == '"':
			quote = c
		case unicode.IsSpace(rune(c)):
			return b.String(), line[i:]
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

// escape is the opposite: words that the parser takes for these flags.
func escape(flags []string) []string {
	words := make([]string, len(flags))
	for i, f := range flags {
		var b strings.Builder
		for j := range len(f) {
			if strings.IndexByte(" \t\v\f\r\n'\"\\", f[j]) >= 0 {
				b.WriteByte('\\')
			}
			b.WriteByte(f[j])
		}
		words[i] = b.String()
	}
	return words
}

// join makes an instruction of its parts.
func join(word string, flags []string, rest string) string {
	return strings.Join(append(append([]string{word}, escape(flags)...), rest), " ")
}

// boolean reads a flag that needs no value; not ok if it is another one.
func boolean(flag, name string) (value, ok bool) {
	switch flag {
	case "--" + name, "--" + name + "=true", "--" + name + "=1":
		return true, true
	case "--" + name + "=false", "--" + name + "=0":
		return false, true
	}
	return false, false
}
