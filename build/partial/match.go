// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// matcher knows in which forms builders write a step into a history.
type matcher struct {
	steps []imageStep
	forms [][]string // of each step, without blanks that do not matter
	state []*state   // before each step
	cache map[string]historyStep
}

// historyStep is a step of a history, taken apart.
type historyStep struct {
	cmd  string
	rest string // squeezed, without the shell and what buildah notes at the end
	args string // of "|2 A=1 B=2"
}

// newMatcher prepares the comparison with steps on a base; its configuration may be nil.
func newMatcher(steps []imageStep, base *ImageConfig) *matcher {
	m := &matcher{steps: steps, cache: map[string]historyStep{}}
	st := newState(nil)
	st.whole, st.open = base != nil, base == nil
	if base != nil {
		st.env = variables(base.Env)
		st.workdir, st.shell = base.WorkingDir, base.Shell
	}
	open := openArgs(steps)
	for i, s := range steps {
		if i > 0 && s.stage != steps[i-1].stage {
			st.args = map[string]string{}
		}
		before := st.clone()
		st.apply(s.in, nil, open)
		m.state = append(m.state, before)
		m.forms = append(m.forms, formsOf(s, before, st))
	}
	return m
}

// formsOf are the texts behind the instruction's word that builders write: the line as it is, with its variables
// replaced, and what BuildKit makes of it.
func formsOf(s imageStep, before, after *state) []string {
	in := s.in
	raw := squeeze(strings.TrimSpace(in.original[min(len(in.cmd), len(in.original)):]))
	forms := []string{raw}
	expanded := func(word string) string { v, _ := before.expand(word); return v }
	switch in.cmd {
	case "RUN":
		return runForms(in)
	case "COPY", "ADD":
		words := make([]string, len(in.args))
		for i, a := range in.args {
			words[i] = expanded(a)
		}
		return append(forms, strings.Join(in.args, " "), strings.Join(words, " "))
	case "WORKDIR":
		forms = append(forms, after.workdir)
	case "CMD", "ENTRYPOINT":
		forms = append(forms, strings.Join(commandOf(in, before), " "))
	case "ENV", "LABEL":
		kv, _ := in.keyValues()
		var words, bare []string
		for _, e := range kv {
			words, bare = append(words, e[0]+"="+expanded(e[1])), append(bare, e[0]+"="+e[1])
		}
		forms = append(forms, strings.Join(words, " "), strings.Join(bare, " "))
	case "EXPOSE":
		var words []string
		for _, a := range in.args {
			words = append(words, expanded(a))
		}
		forms = append(forms, strings.Join(words, " "), strings.Join(ports(strings.Fields(strings.Join(words, " "))), " "))
	case "USER", "VOLUME", "STOPSIGNAL", "SHELL", "MAINTAINER":
		var words []string
		for _, a := range in.args {
			words = append(words, expanded(a))
		}
		forms = append(forms, strings.Join(words, " "))
	}
	for i := range forms {
		forms[i] = loosened(forms[i])
	}
	return forms
}

// runForms are the line, the line with its heredocs as buildah and BuildKit write them, and the heredoc by itself.
func runForms(in *instruction) []string {
	line := strings.Join(in.args, " ")
	raw := withoutFlags(strings.TrimSpace(in.original[len("RUN"):]))
	forms := []string{raw, line}
	if len(in.heredocs) > 0 {
		buildah, kit := raw, line
		for _, h := range in.heredocs {
			buildah += "\n" + h.Content
			kit += "\n" + h.Content + h.Name
		}
		forms = append(forms, buildah, kit)
		if isOnlyHeredoc(line) {
			forms = append(forms, in.heredocs[0].Content)
		}
	}
	for i := range forms {
		forms[i] = squeeze(forms[i])
	}
	return forms
}

// withoutFlags drops the flags in front of a RUN's, COPY's or ADD's words.
func withoutFlags(s string) string {
	for strings.HasPrefix(s, "--") {
		_, rest, ok := strings.Cut(s, " ")
		if !ok {
			return ""
		}
		s = strings.TrimSpace(rest)
	}
	return s
}

// loosened drops the quotes, brackets and commas that builders write differently.
func loosened(s string) string {
	s = strings.NewReplacer("map[", " ", ":{}", " ", "/tcp", "", `"`, "", "'", "", `\`, "", "[", " ", "]", " ", ",", " ").Replace(s)
	return squeeze(s)
}

// matches reports whether a step of a history is what the i-th step leaves there.
func (m *matcher) matches(i int, h History) bool {
	s := &m.steps[i]
	have := m.parse(h)
	if have.cmd != s.in.cmd {
		return false
	}
	switch s.in.cmd {
	case "ARG": // BuildKit writes name and value, buildah the names of all that have a value by now
		name, _, _ := strings.Cut(strings.Fields(have.rest + " =")[0], "=")
		return name == "" || slices.Contains(platformArgs, name) || slices.ContainsFunc(m.steps[:i+1], func(o imageStep) bool {
			kv, _ := o.in.keyValues()
			return o.in.cmd == "ARG" && slices.ContainsFunc(kv, func(a [2]string) bool { return a[0] == name })
		})
	case "HEALTHCHECK":
		return strings.HasPrefix(have.rest, "{") || m.hasForm(i, loosened(have.rest))
	case "RUN":
		return m.matchesRun(i, have)
	case "COPY", "ADD":
		return m.matchesCopy(i, have)
	case "EXPOSE":
		rest := loosened(have.rest)
		return m.hasForm(i, rest) || m.hasForm(i, loosened(strings.Join(ports(strings.Fields(rest)), " ")))
	}
	return m.hasForm(i, loosened(have.rest))
}

// hasForm reports whether builders write the i-th step like that.
func (m *matcher) hasForm(i int, text string) bool {
	return slices.ContainsFunc(m.forms[i], func(f string) bool { return fits(f, text) })
}

func (m *matcher) matchesCopy(i int, have historyStep) bool {
	in := m.steps[i].in
	rest := have.rest
	if at := strings.LastIndex(rest, " in "); at >= 0 || strings.HasPrefix(rest, "in ") { // buildah, classic: "file:DIGEST in /x"
		rest = strings.TrimSpace(rest[max(at, 0):][len("in "):])
		dest := in.args[len(in.args)-1]
		v, _ := m.state[i].expand(dest)
		return rest == squeeze(dest) || fits(squeeze(v), rest)
	}
	rest = loosened(withoutFlags(rest))
	return slices.ContainsFunc(m.forms[i], func(f string) bool { return fits(loosened(withoutFlags(f)), rest) })
}

// matchesRun compares the script, and the values that parts' parameters had.
func (m *matcher) matchesRun(i int, have historyStep) bool {
	shell := squeeze(strings.Join(m.state[i].shellWords(), " ")) + " "
	if args, rest, ok := strings.Cut(have.rest, " "+shell); ok && strings.HasPrefix(have.rest, "|") {
		_, have.args, _ = strings.Cut(args, " ")
		have.rest = rest
	}
	in := m.steps[i].in
	if in.json && strings.HasPrefix(have.rest, "|") { // the exec form, of which BuildKit writes the words
		for _, f := range m.forms[i] {
			if args, ok := strings.CutSuffix(have.rest, " "+f); ok {
				_, args, _ = strings.Cut(args, " ")
				return m.sameParameters(i, args)
			}
		}
	}
	script := withoutFlags(have.rest)
	if slices.ContainsFunc(in.flags, func(f string) bool { return strings.HasPrefix(f, "--mount") }) {
		script = mountSums().ReplaceAllString(script, "") // buildah notes the digests of what is mounted
	}
	return slices.ContainsFunc([]string{script, strings.TrimPrefix(script, shell)}, func(s string) bool { return slices.Contains(m.forms[i], s) }) && m.sameParameters(i, have.args)
}

var mountSums = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(:(sha256:)?[0-9a-f]{64})+$`) })

// sameParameters wants parameters of parts that a RUN tells of to have the values that the container file gives them.
func (m *matcher) sameParameters(i int, args string) bool {
	if args == "" {
		return true
	}
	args = " " + args + " "
	for _, s := range m.steps[:i] {
		if s.in.cmd != "ARG" || !s.part || s.stage != m.steps[i].stage {
			continue
		}
		kv, _ := s.in.keyValues()
		for _, a := range kv {
			v, known := m.state[i].args[a[0]], a[1] != ""
			if known && strings.Contains(args, " "+a[0]+"=") && !strings.Contains(args, " "+a[0]+"="+squeeze(v)+" ") {
				return false
			}
		}
	}
	return true
}

// parse takes a step apart.
func (m *matcher) parse(h History) historyStep {
	if s, ok := m.cache[h.CreatedBy]; ok {
		return s
	}
	s := parseHistory(h.CreatedBy)
	m.cache[h.CreatedBy] = s
	return s
}

// buildahNotes are what buildah writes behind a step, so that its cache knows it: flags that change what it makes.
var buildahNotes = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(\s*\|(force-mtime|clamp-mtime|unsetLabel|inheritLabels|unsetAnnotation|inheritAnnotations)=[^|\s]*)+\s*$`)
})

var runArgs = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\|\d+ (.*?) ?(/bin/sh -c .*)$`) })

func parseHistory(by string) historyStep {
	by = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(by), "# buildkit"))
	by = buildahNotes().ReplaceAllString(by, "")
	if nop, ok := strings.CutPrefix(by, "/bin/sh -c #(nop)"); ok {
		cmd, rest, _ := strings.Cut(strings.TrimSpace(nop), " ")
		return historyStep{cmd: strings.ToUpper(cmd), rest: squeeze(rest)}
	}
	run, ok := strings.CutPrefix(by, "RUN ")
	if !ok && !strings.HasPrefix(by, "/bin/sh -c ") && !strings.HasPrefix(by, "|") {
		cmd, rest, _ := strings.Cut(by, " ")
		return historyStep{cmd: strings.ToUpper(cmd), rest: squeeze(rest)}
	}
	s := historyStep{cmd: "RUN", rest: squeeze(run)}
	if a := runArgs().FindStringSubmatch(s.rest); a != nil {
		s.args, s.rest = a[1], a[2]
	}
	s.rest = strings.TrimPrefix(s.rest, "/bin/sh -c ")
	return s
}
