// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	bkparser "github.com/moby/buildkit/frontend/dockerfile/parser"
	ibparser "github.com/openshift/imagebuilder/dockerfile/parser"
)

// instruction is one instruction of a Containerfile, as both parsers read it.
type instruction struct {
	cmd        string // in capitals
	flags      []string
	args       []string // as the parser has split them; for RUN in shell form one string
	json       bool
	original   string // the logical line: continuations joined, comments dropped
	start, end int    // lines, from 1, both inclusive, with the heredocs
	heredoc    int    // the first line of the first heredoc's text; end+1 if there is none
	heredocs   []bkparser.Heredoc
}

// containerfile is a parsed Containerfile.
type containerfile struct {
	lines  []string // without their ends
	instrs []instruction
	escape rune
}

// parseContainerfile parses text with BuildKit's parser and with imagebuilder's (buildah's), and
// wants them to agree on the instructions, their flags and their lines. The errors have the code.
func parseContainerfile(file, text, code string) (*containerfile, error) {
	bk, err := bkparser.Parse(strings.NewReader(text))
	if err != nil {
		return nil, parseError(file, code, err)
	}
	ib, err := ibparser.Parse(strings.NewReader(text))
	if err != nil {
		return nil, parseError(file, code, err)
	}
	a, b := bk.AST.Children, ib.AST.Children
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a):
			return nil, disagree(code).at(file, b[i].StartLine)
		case i >= len(b) || !sameNode(a[i], b[i]):
			return nil, disagree(code).at(file, a[i].StartLine)
		}
	}
	c := &containerfile{lines: splitLines(text), escape: bk.EscapeToken}
	for _, n := range a {
		c.instrs = append(c.instrs, newInstruction(n))
	}
	// What is written below such a file would become part of its last instruction.
	if n := c.openEnd(); n > 0 {
		return nil, Errorf(code, "the file ends in the middle of an instruction: its last line goes on with %c", c.escape).at(file, n)
	}
	return c, nil
}

// comments tells of each line, from 0, whether it stands outside of instructions: only there are comments comments, and
// markers markers. What a heredoc has is data, whatever it looks like.
func (c *containerfile) comments() []bool {
	out := make([]bool, len(c.lines))
	for i := range out {
		out[i] = true
	}
	for i := range c.instrs {
		for n := c.instrs[i].start; n <= c.instrs[i].end && n <= len(out); n++ {
			out[n-1] = false
		}
	}
	return out
}

// openEnd returns the last line that is no comment and not blank, if it goes on with a backslash; else 0.
func (c *containerfile) openEnd() int {
	if n := len(c.instrs); n == 0 || len(c.instrs[n-1].heredocs) > 0 {
		return 0
	}
	for n := len(c.lines); n > 0; n-- {
		if l := strings.TrimSpace(c.lines[n-1]); strings.HasSuffix(l, string(c.escape)) && !strings.HasPrefix(l, "#") {
			return n
		} else if l != "" && !strings.HasPrefix(l, "#") {
			break
		}
	}
	return 0
}

func disagree(code string) *Error {
	return Errorf(code, "BuildKit's parser and buildah's read this line differently; write it in a plainer way")
}

func parseError(file, code string, err error) error {
	e := Errorf(code, "%v", err)
	var at *bkparser.LocationError
	if errors.As(err, &at) && len(at.Locations) > 0 && len(at.Locations[0]) > 0 {
		return e.at(file, at.Locations[0][0].Start.Line)
	}
	return e.at(file, 0)
}

func sameNode(a *bkparser.Node, b *ibparser.Node) bool {
	if !strings.EqualFold(a.Value, b.Value) || a.StartLine != b.StartLine || a.EndLine != b.EndLine ||
		!slices.Equal(a.Flags, b.Flags) || len(a.Heredocs) != len(b.Heredocs) || a.Attributes["json"] != b.Attributes["json"] {
		return false
	}
	// BuildKit's keeps the separator of ENV and LABEL as a third word.
	triples := strings.EqualFold(a.Value, "env") || strings.EqualFold(a.Value, "label")
	x, y := a.Next, b.Next
	for i := 0; x != nil; i++ {
		if triples && i%3 == 2 {
			x = x.Next
			continue
		}
		if y == nil || x.Value != y.Value {
			return false
		}
		x, y = x.Next, y.Next
	}
	return y == nil
}

func newInstruction(n *bkparser.Node) instruction {
	in := instruction{cmd: strings.ToUpper(n.Value), flags: n.Flags, json: n.Attributes["json"], original: n.Original,
		start: n.StartLine, end: n.EndLine, heredoc: n.EndLine + 1, heredocs: n.Heredocs}
	for a := n.Next; a != nil; a = a.Next {
		in.args = append(in.args, a.Value)
	}
	for _, h := range n.Heredocs {
		in.heredoc -= strings.Count(h.Content, "\n") + 1
	}
	return in
}

// text returns the instruction as it stands in the file.
func (c *containerfile) text(in *instruction) string {
	return strings.Join(c.lines[in.start-1:in.end], "\n")
}

// splitLines splits at line ends; a line end at the end of the text begins no line.
func splitLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// unixText gives a text LF line ends and one at its end, and drops a byte order mark.
func unixText(text string) string {
	text = strings.TrimPrefix(text, "\ufeff")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}

// keyValues reads ENV, LABEL and ARG arguments: BuildKit's parser makes triples (key, value, separator) of the first two.
func (in *instruction) keyValues() ([][2]string, error) {
	var kv [][2]string
	switch in.cmd {
	case "ENV", "LABEL":
		if len(in.args)%3 != 0 {
			return nil, fmt.Errorf("%s needs names and values", in.cmd)
		}
		for i := 0; i+2 < len(in.args); i += 3 {
			kv = append(kv, [2]string{in.args[i], in.args[i+1]})
		}
	case "ARG":
		for _, a := range in.args {
			name, value, _ := strings.Cut(a, "=")
			kv = append(kv, [2]string{name, value})
		}
	}
	return kv, nil
}

// from returns a FROM instruction's image, the name it gives its stage, in lower case, and the
// platform flag's value.
func (in *instruction) from() (image, name, platform string, err error) {
	switch {
	case len(in.args) == 1:
	case len(in.args) == 3 && strings.EqualFold(in.args[1], "as"):
		name = strings.ToLower(in.args[2])
	default:
		return "", "", "", errors.New("FROM needs: IMAGE [AS NAME]")
	}
	for _, f := range in.flags {
		p, ok := strings.CutPrefix(f, "--platform=")
		if !ok {
			return "", "", "", fmt.Errorf("FROM does not know the flag %s", f)
		}
		platform = p
	}
	return in.args[0], name, platform, nil
}
