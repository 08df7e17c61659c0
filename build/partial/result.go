// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"encoding/base64"
	"slices"
	"strings"

	bkshell "github.com/moby/buildkit/frontend/dockerfile/shell"
)

const (
	labelFormat = "dev.partials.format"
	labelDigest = "dev.partials.digest"
	labelText   = "dev.partials.text"

	maxEmbedded = 24 << 10 // bytes of text that go into a label
)

// maxLine is the longest line that BuildKit's parser reads (bufio.MaxScanTokenSize).
const maxLine = 64<<10 - 2

// result joins the items, compares them with what the parsers read, and adds the trailer.
func (m *maker) result() (*Result, error) {
	var b strings.Builder
	for _, it := range m.out {
		for l := range strings.Lines(it.text) {
			if len(l) > maxLine {
				return nil, Errorf("P009", "%s: the composed file would have a line of %d bytes, %d are the most that builders take: a value, or a line of a file, is too long", m.src.file, len(l), maxLine)
			}
		}
		b.WriteString(it.text + "\n")
	}
	r := &Result{Body: b.String(), Why: m.solution.Why}
	r.Digest = digestOf([]byte(r.Body))
	r.Text = r.Body + Trailer(r.Body, m.src.d.opts.Embed)
	// The label's text is base64, of which nothing can go wrong; buildah's parser takes quadratic time for it.
	if err := m.verify(strings.Replace(r.Text, base64.StdEncoding.EncodeToString([]byte(r.Body)), "", 1)); err != nil {
		return nil, err
	}
	r.Lock = m.newLock(r.Body)
	r.Notes = append(m.solution.Notes, m.notes...)
	for _, p := range m.placed {
		r.Blocks = append(r.Blocks, Block{Part: p.part, Role: p.role, Stage: p.stageKey, Needed: p.neededBy, Params: p.values})
	}
	if m.opts.Locked {
		now, err := r.Lock.Marshal()
		if err != nil {
			return nil, err
		}
		was := []byte(nil)
		if m.opts.Lock != nil {
			if was, err = m.opts.Lock.Marshal(); err != nil {
				return nil, err
			}
		}
		if !slices.Equal(was, now) {
			return nil, m.outOfDate(r.Lock)
		}
	}
	return r, nil
}

// Trailer is what ends a composed file: a LABEL with the body's digest and, with embed "label" and
// a body up to 24 KiB, with the body itself; "file" puts the body into the image as a file.
func Trailer(body, embed string) string {
	label := "LABEL " + labelFormat + `="1" ` + labelDigest + `="` + digestOf([]byte(body)) + `"`
	switch {
	case embed == "label" && len(body) <= maxEmbedded:
		label += " " + labelText + `="` + base64.StdEncoding.EncodeToString([]byte(body)) + `"`
	case embed == "file":
		label = heredocCopy("0644", "/usr/share/containerfile/Containerfile", body).text + "\n" + label
	}
	return label + "\n"
}

// PartNames are the names of the parts in the composition, each once.
func (r *Result) PartNames() []string {
	var names []string
	for _, b := range r.Blocks {
		names = append(names, b.Part.Meta.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Ejected is the composed file as an ordinary Containerfile: it says that it is one, and has no label, which would tell of
// a text that is edited from then on. It makes the same layers.
func (r *Result) Ejected() string {
	var b strings.Builder
	replaced := false
	for l := range strings.Lines(r.Body) {
		if file, ok := composedFrom(l); ok && !replaced {
			l, replaced = "# ejected from "+file+" (partial format 1); an ordinary Containerfile: edit it as you like\n", true
		}
		b.WriteString(l)
	}
	return b.String()
}

// headMark begins the line that says of a Containerfile that the maker wrote it.
const headMark = "# composed from "

// composedFrom returns the name of the source that a header names.
func composedFrom(line string) (file string, ok bool) {
	rest, ok := strings.CutPrefix(line, headMark)
	i := strings.LastIndex(rest, " (partial format ")
	if !ok || i < 0 {
		return "", false
	}
	return rest[:i], true
}

// verify is the last wall against injection: both parsers must read from the text exactly the
// instructions that were planned, on their lines, with the values of parameters as they were given.
func (m *maker) verify(text string) error {
	cf, err := parseContainerfile("", text, "P071")
	if err != nil {
		e := asError(err)
		return Errorf("P071", "internal: composed file does not parse as planned at line %d (%s); nothing was built", e.Line, e.Msg)
	}
	fail := func(line int) error {
		return Errorf("P071", "internal: composed file does not parse as planned at line %d; nothing was built", line)
	}
	line, next := 1, 0
	for _, it := range m.out {
		end := line + strings.Count(it.text, "\n")
		if it.cmd != "" {
			if next >= len(cf.instrs) {
				return fail(line)
			}
			in := &cf.instrs[next]
			if in.cmd != it.cmd || in.start != line || in.end != end || it.arg != "" && !argIs(in, it.arg, it.value) {
				return fail(line)
			}
			next++
		} else if strings.TrimSpace(it.text) != "" && !strings.HasPrefix(strings.TrimSpace(it.text), "#") {
			return fail(line)
		}
		line = end + 1
	}
	for i := next; i < len(cf.instrs); i++ { // the trailer
		if in := &cf.instrs[i]; in.cmd != "LABEL" && in.cmd != "COPY" || i > next+1 {
			return fail(in.start)
		}
	}
	return nil
}

// argIs reports whether builders read this name and value from an ARG.
func argIs(in *instruction, name, value string) bool {
	if len(in.args) != 1 {
		return false
	}
	n, word, ok := strings.Cut(in.args[0], "=")
	if !ok || n != name {
		return false
	}
	got, err := bkshell.NewLex('\\').ProcessWordWithMatches(word, bkshell.EnvsFromSlice(nil))
	return err == nil && got.Result == value
}
