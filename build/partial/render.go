// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// item is one piece of the composed file: an instruction as it is planned, or comment lines.
type item struct {
	text       string // without the last line end
	cmd        string // the instruction; "" for comments and blank lines
	arg, value string // for ARG of a parameter: what the builders must read
}

func comment(format string, args ...any) item { return item{text: fmt.Sprintf(format, args...)} }

// render writes the composed file, without the trailer, into m.out.
func (m *maker) render(ctx context.Context) error {
	first := m.src.stages[0].from.start
	m.out = append(m.out, m.head(first)...)
	for i, s := range m.src.stages {
		begin := first
		if i > 0 {
			begin = m.src.stages[i-1].last(m.src) + 1
		}
		if i > 0 || begin < s.from.start {
			m.out = append(m.out, m.sourceLines(begin, s.from.start-1)...)
		}
		end := s.last(m.src)
		if i == len(m.src.stages)-1 && (s.index == len(m.allStages())-1) {
			end = len(m.src.cf.lines)
		}
		if err := m.renderStage(ctx, s, end); err != nil {
			return err
		}
	}
	return nil
}

// allStages counts the FROM lines, those cut off by a target included.
func (m *maker) allStages() []*instruction {
	var all []*instruction
	for i := range m.src.cf.instrs {
		if m.src.cf.instrs[i].cmd == "FROM" {
			all = append(all, &m.src.cf.instrs[i])
		}
	}
	return all
}

// last is the last line that belongs to the stage: comments below it belong to the next.
func (s *srcStage) last(src *source) int {
	last := s.from.end
	if len(s.body) > 0 {
		last = s.body[len(s.body)-1].end
	}
	next := len(src.cf.lines) + 1
	for i := range src.cf.instrs {
		if in := &src.cf.instrs[i]; in.cmd == "FROM" && in.start > s.from.start {
			next = in.start
			break
		}
	}
	for l := range src.d.lines {
		if l > last && l < next {
			last = l
		}
	}
	return last
}

var parserDirective = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^#\s*[A-Za-z][A-Za-z0-9]*\s*=\s*\S`)
})

// head is what stands above the first FROM: parser directives stay first, then our header.
func (m *maker) head(from int) []item {
	var out []item
	n := 1
	for n < from && parserDirective().MatchString(m.src.cf.lines[n-1]) {
		out = append(out, item{text: m.src.cf.lines[n-1]})
		n++
	}
	out = append(out, comment("# composed from %s (partial format 1); edit the source, or eject", m.src.name()))
	return append(out, m.sourceLines(n, from-1)...)
}

// sourceLines copies lines of the source that hold no FROM and no use.
func (m *maker) sourceLines(from, to int) []item {
	var out []item
	for n := from; n <= to; n++ {
		in := m.instructionAt(n)
		switch {
		case n == m.src.guard:
			n = in.end
		case in != nil:
			out = append(out, item{text: m.src.cf.text(in), cmd: in.cmd})
			n = in.end
		default:
			out = append(out, m.commentLine(n))
		}
	}
	return out
}

// instructionAt returns the instruction that begins at a line, or nil.
func (m *maker) instructionAt(line int) *instruction {
	i, ok := slices.BinarySearchFunc(m.src.cf.instrs, line, func(in instruction, n int) int { return in.start - n })
	if !ok {
		return nil
	}
	return &m.src.cf.instrs[i]
}

// commentLine copies a comment or blank line. A directive gets a blank after its #, which makes
// it a comment that extract --uncompose knows; a comment that looks like ours gets one more.
func (m *maker) commentLine(n int) item {
	l := m.src.cf.lines[n-1]
	if m.src.d.lines[n] {
		return item{text: "# :" + strings.TrimPrefix(l, "#:")}
	}
	return item{text: plainComment(l)}
}

// plainComment makes sure that a comment is not taken for a marker.
func plainComment(l string) string {
	for _, ours := range []string{"# :", "# >>> ", "# <<< ", "# composed from "} {
		if strings.HasPrefix(l, ours) {
			return "# " + l[1:]
		}
	}
	return l
}

func (m *maker) renderStage(ctx context.Context, s *srcStage, end int) error {
	c := m.stages[s]
	if p := m.stages[s.parent]; p != nil {
		c.start, c.from = p.st.child(), p.from
		c.from = s.parent.from.args[2]
		maps.Copy(c.setBy, p.setBy)
	} else {
		c.start = newState(s.base)
		pin, err := m.pin(ctx, s.image)
		if err != nil {
			return place(err, m.src.file, m.src.shown(s.from.start))
		}
		c.from = pin
	}
	c.st = c.start.clone()
	c.out = append(c.out, m.fromLine(s, c))
	uses := map[int]*Use{}
	for _, u := range s.uses {
		uses[u.Line] = u
	}
	wrote := map[string]bool{}
	for n := s.from.end + 1; n <= end; n++ {
		in := m.instructionAt(n)
		switch {
		case uses[n] != nil:
			u := uses[n]
			for ; n <= u.end; n++ {
				c.out = append(c.out, m.commentLine(n))
			}
			n = u.end
			for _, b := range c.plan[u] {
				if err := m.renderBlock(ctx, c, b); err != nil {
					return place(err, m.src.file, m.src.shown(u.Line))
				}
			}
		case in == nil:
			c.out = append(c.out, m.commentLine(n))
		default:
			text, err := m.pinFlags(ctx, in)
			if err != nil {
				return place(err, m.src.file, m.src.shown(n))
			}
			c.out = append(c.out, item{text: text, cmd: in.cmd})
			c.st.apply(in, m.src.globals, m.opts.BuildArgs)
			wrote[in.cmd] = true
			n = in.end
		}
	}
	if err := m.renderFinish(ctx, c); err != nil {
		return err
	}
	if err := m.renderRuntime(c, wrote); err != nil {
		return place(err, m.src.file, m.src.shown(s.from.start))
	}
	m.out = append(m.out, c.out...)
	return nil
}

// fromLine is the stage's FROM with a constant and pinned image.
func (m *maker) fromLine(s *srcStage, c *stageCtx) item {
	in := s.from
	if s.parent != nil || in.args[0] == c.from {
		return item{text: m.src.cf.text(in), cmd: "FROM"}
	}
	words := append([]string{"FROM"}, in.flags...)
	words = append(words, c.from)
	return item{text: strings.Join(append(words, in.args[1:]...), " "), cmd: "FROM"}
}

// pinFlags pins the images that COPY --from and RUN --mount of the source name.
func (m *maker) pinFlags(ctx context.Context, in *instruction) (string, error) {
	text := m.src.cf.text(in)
	if in.cmd != "COPY" && in.cmd != "ADD" && in.cmd != "RUN" {
		return text, nil
	}
	return replaceFrom(in, text, func(from string) (string, error) {
		if m.src.stage(from) != nil || isDigits(from) || strings.Contains(from, "$") || !isImage(from) || m.laterStage(from) {
			return from, nil
		}
		return m.pin(ctx, from)
	})
}

// laterStage reports whether a name is a stage that was cut off.
func (m *maker) laterStage(name string) bool {
	return slices.ContainsFunc(m.allStages(), func(in *instruction) bool {
		return len(in.args) == 3 && strings.EqualFold(in.args[2], name)
	})
}

// replaceFrom rewrites --from=X and from=X in --mount. The flags must stand in the text as the
// parser has read them.
func replaceFrom(in *instruction, text string, f func(string) (string, error)) (string, error) {
	for _, flag := range in.flags {
		var was string
		switch {
		case strings.HasPrefix(flag, "--from="):
			was = strings.TrimPrefix(flag, "--from=")
		case strings.HasPrefix(flag, "--mount="):
			fields, err := mountFields(strings.TrimPrefix(flag, "--mount="))
			if err != nil {
				return "", Errorf("P006", "%v", err)
			}
			was = fields["from"]
		}
		if was == "" {
			continue
		}
		now, err := f(was)
		if err != nil {
			return "", err
		}
		if now == was {
			continue
		}
		replaced := strings.Replace(text, flag, strings.Replace(flag, "from="+was, "from="+now, 1), 1)
		if replaced == text {
			return "", Errorf("P006", "%s is written with quotes or over several lines; write it plainly", flag)
		}
		text = replaced
	}
	return text, nil
}
