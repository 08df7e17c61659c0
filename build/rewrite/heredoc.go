// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"strings"

	buildkitparser "github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/openshift/imagebuilder/dockerfile/parser"
)

// What stands in the text of a here-document for a character that means something to buildah and nothing to Docker. The helper
// that copies files puts the characters back. Control characters, which no text has, are around a letter.
const (
	docMark  = "\x01\x02"
	docBlank = docMark + "n\x03" // an empty line that is the whole document: buildah's empty document has one too
)

// docChars are the characters and what stands for them.
func docChars() []string {
	return []string{"$", docMark + "d\x03", `\`, docMark + "b\x03", "'", docMark + "q\x03", `"`, docMark + "Q\x03"}
}

// Unmark turns the here-document that buildah has made a file of into what the file is to be.
func Unmark(text string) string {
	switch text {
	case "\n":
		return ""
	case docBlank + "\n":
		return "\n"
	}
	if !strings.Contains(text, docMark) {
		return text
	}
	chars := docChars()
	for i := 0; i < len(chars); i += 2 {
		text = strings.ReplaceAll(text, chars[i+1], chars[i])
	}
	return text
}

// heredocs returns the lines of an instruction's here-documents such that buildah writes the files that Docker does: a backslash
// is an escape and no part of the text, quotes are nothing else than text, and an empty document is an empty file.
func (r *rewriter) heredocs(n *parser.Node) []string {
	var lines []string
	changed := false
	for _, d := range n.Heredocs {
		text := d.Content
		switch {
		case text == "\n":
			text = "\n" + docBlank
		case d.Expand:
			text = marked(text)
		}
		changed = changed || text != d.Content
		if text != "" {
			for _, l := range strings.Split(text, "\n")[1:] {
				lines = append(lines, l+"\n")
			}
		}
		lines = append(lines, terminator(d)+"\n")
	}
	if !changed {
		return nil
	}
	chars := docChars()
	for i := 0; i < len(chars); i += 2 {
		r.shown = append(r.shown, chars[i+1], chars[i])
	}
	r.shown = append(r.shown, docBlank, "")
	return lines
}

// terminator ends a here-document. With <<- the parser takes tabs off before it looks, so that there need be none.
func terminator(d buildkitparser.Heredoc) string { return d.Name }

func marked(text string) string {
	chars := docChars()
	stand := func(c byte) string {
		for i := 0; i < len(chars); i += 2 {
			if chars[i][0] == c {
				return chars[i+1]
			}
		}
		return string(c)
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			if i++; i < len(text) {
				b.WriteString(stand(text[i]))
			}
		case c == '\'' || c == '"':
			b.WriteString(stand(c))
		case strings.HasPrefix(text[i:], "${"):
			end := pattern(text[i:])
			b.WriteString(text[i : i+end])
			i += end - 1
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// pattern is the length of a ${NAME%PATTERN} and the like, in which escapes are the pattern's, and of ${ for all others.
func pattern(text string) int {
	const open = len("${")
	i := open
	for i < len(text) && (text[i] == '_' || text[i] >= '0' && text[i] <= '9' || text[i]|0x20 >= 'a' && text[i]|0x20 <= 'z') {
		i++
	}
	if end := strings.IndexByte(text, '}'); i < len(text) && strings.IndexByte("%#/", text[i]) >= 0 && end >= 0 {
		return end + 1
	}
	return open
}
