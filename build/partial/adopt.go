// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// PartFrom makes a part of a container file: the last stage becomes the stage install, what it says of the image becomes
// env and runtime, its ARGs parameters, its "#: use" lines requirements. A composed file is turned back first. What a
// part cannot have is left out with a warning, and what lint finds in the result is a warning, too: it is a beginning.
func PartFrom(name, version, file, text string) (*Imported, error) {
	if _, err := PartTemplate(name, version); err != nil {
		return nil, err
	}
	text = unixText(text)
	if IsComposed(text) {
		if back, err := Uncompose(text, nil, nil); err == nil {
			text = back
		}
	}
	src, err := looseSource(file, text)
	if err != nil {
		return nil, err
	}
	if len(src.stages) == 0 {
		return nil, Errorf("P002", "the file has no FROM").at(file, 0)
	}
	a := &adoption{src: src, name: name, out: &Imported{}, env: map[string]string{}, runtime: map[string]string{}}
	a.base, a.body = lastStages(src.cf)
	a.write(version, file)
	if _, err := NewPart("Containerfile", a.out.Containerfile, nil); err != nil {
		for l := range strings.Lines(err.Error()) {
			a.warn("%s", strings.TrimSpace(l))
		}
	}
	return a.out, nil
}

type adoption struct {
	src     *source
	name    string
	base    string
	body    []*instruction
	out     *Imported
	params  []string // lines of metadata
	exports []string // NAME="$LEAF_NAME"
	env     map[string]string
	runtime map[string]string
	install strings.Builder
}

func (a *adoption) warn(format string, args ...any) {
	a.out.Warnings = append(a.out.Warnings, fmt.Sprintf(format, args...))
}

func (a *adoption) write(version, file string) {
	for _, in := range a.body {
		a.instruction(in)
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# /// partial\n# name: %s\n# version: %s\n# summary: %s", a.name, version, yamlText("Made from "+oneLine(file)))
	if len(a.params) > 0 {
		line("# params:\n%s", strings.Join(a.params, "\n"))
	}
	if list := a.requires(); len(list) > 0 {
		line("# requires: %s", jsonWords(list))
	}
	for _, m := range []struct {
		field string
		of    map[string]string
	}{{"env", a.env}, {"runtime", a.runtime}} {
		if len(m.of) > 0 {
			line("# %s:", m.field)
			for _, k := range sortedKeys(m.of) {
				line("#   %s: %s", k, m.of[k])
			}
		}
	}
	line("# ///")
	if a.base == "scratch" || strings.Contains(a.base, "$") || a.base == "" {
		a.warn("the base is %q: write an image into ARG BASE", a.base)
		a.base = "docker.io/library/debian:12-slim"
	}
	line("ARG BASE=%s\nFROM ${BASE} AS base\n", a.base)
	b.WriteString(a.helpers())
	line("FROM base AS install\n%s", strings.TrimSuffix(a.install.String(), "\n"))
	a.out.Containerfile = b.String()
	a.out.Readme = fmt.Sprintf("# %s\n\nMade from %s.\n\n    #: use %s\n", a.name, oneLine(file), a.name)
}

// helpers are the stages that others copy from.
func (a *adoption) helpers() string {
	var b strings.Builder
	inChain := func(start int) bool {
		return slices.ContainsFunc(a.body, func(in *instruction) bool { return in.start == start })
	}
	for i, s := range a.src.stages[:len(a.src.stages)-1] {
		end := a.src.stages[i+1].from.start - 1
		if inChain(s.from.end + 1) {
			continue // it is in the stage install
		}
		for n := s.from.start; n <= end; n++ {
			if l := a.src.cf.lines[n-1]; !strings.HasPrefix(l, "#:") {
				b.WriteString(l + "\n")
			}
		}
		for _, u := range s.uses {
			a.warn("stage %s uses %s: state it under build-requires", s.name, u.Ref.Text)
		}
	}
	return b.String()
}

func (a *adoption) requires() []string {
	var list []string
	for _, u := range a.src.stages[len(a.src.stages)-1].uses {
		if u.Ref.Kind != "alias" && u.Ref.Kind != "registry" {
			a.warn("%s is left out: a part requires others by their names", u.Ref.Text)
			continue
		}
		if len(u.Params) > 0 {
			a.warn("the parameters of %s (%s) are left out: a part that requires another takes its defaults", u.Ref.Text, paramText(u.Params))
		}
		r := u.Ref.Text
		if !u.Range.Any() {
			r += "@" + u.Range.String()
		}
		list = append(list, r)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

var runHead = regexp.MustCompile(`^(?i:RUN)((?:[ \t]+--\S+)*)[ \t]+`)

func (a *adoption) instruction(in *instruction) {
	text := a.src.cf.text(in)
	keep := func() { a.install.WriteString(text + "\n") }
	words := func() string {
		if in.json {
			return jsonWords(in.args)
		}
		return jsonWords([]string{"/bin/sh", "-c", strings.Join(in.args, " ")})
	}
	switch in.cmd {
	case "ARG":
		for _, w := range in.args {
			a.arg(w)
		}
	case "ENV":
		kv, _ := in.keyValues()
		for _, e := range kv {
			a.variable(e[0], strings.Trim(e[1], `"`))
		}
	case "RUN":
		m := runHead.FindString(text)
		if len(a.exports) > 0 && (in.json || m == "" || len(in.heredocs) > 0) {
			a.warn("line %d: this RUN does not get the variables %s by their old names", in.start, strings.Join(a.exports, " "))
		} else if len(a.exports) > 0 {
			text = m + "export " + strings.Join(a.exports, " ") + " && " + text[len(m):]
		}
		keep()
	case "COPY", "ADD":
		if flagValue(in, "from") == "" && len(in.heredocs) == 0 && (in.cmd == "COPY" || flagValue(in, "checksum") == "") {
			a.warn("line %d: %s is left out: it reads the build context; put small text files into files/", in.start, oneLine(text))
			return
		}
		keep()
	case "USER":
		a.runtime["user"] = yamlText(in.args[0])
		keep()
	case "WORKDIR":
		a.warn("line %d: WORKDIR holds inside of the part only; a source that wants it says so itself", in.start)
		keep()
	case "SHELL":
		keep()
	case "CMD", "ENTRYPOINT":
		a.runtime[strings.ToLower(in.cmd)] = words()
	case "STOPSIGNAL":
		a.runtime["stopsignal"] = yamlText(in.args[0])
	case "EXPOSE", "VOLUME":
		a.runtime[strings.ToLower(in.cmd)] = jsonWords(in.args)
	case "LABEL":
		if !strings.Contains(text, "dev.partials.") {
			a.warn("line %d: LABEL is left out: a part's labels begin with its own name", in.start)
		}
	default:
		a.warn("line %d: %s is left out", in.start, in.cmd)
	}
}

func (a *adoption) arg(word string) {
	name, value, has := strings.Cut(word, "=")
	param := strings.Trim(notParamChar.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if strings.HasPrefix(name, "TARGET") || strings.HasPrefix(name, "BUILD") {
		a.install.WriteString("ARG " + name + "\n")
		return
	}
	if !paramName().MatchString(param) {
		a.warn("ARG %s is left out: it has no name for a parameter", name)
		return
	}
	rule := "default: " + yamlText(strings.Trim(value, `"`))
	if !has {
		rule = "required: true"
	}
	a.params = append(a.params, fmt.Sprintf(`#   %s: {type: string, pattern: "[^\\x00-\\x1f]*", %s}`, param, rule))
	arg := argName(a.name, param)
	a.exports = append(a.exports, fmt.Sprintf("%s=\"$%s\"", name, arg))
	a.install.WriteString("ARG " + arg + "\n")
}

// variable states an ENV; NAME=/x:$NAME becomes a list's entries.
func (a *adoption) variable(name, value string) {
	value = strings.ReplaceAll(value, "${"+name+"}", "$"+name)
	before, after, isList := strings.Cut(value, "$"+name)
	var rule []string
	for _, e := range []struct{ word, text string }{{"prepend", before}, {"append", after}} {
		if list := strings.FieldsFunc(e.text, func(c rune) bool { return c == ':' }); isList && len(list) > 0 {
			rule = append(rule, e.word+": "+jsonWords(list))
		}
	}
	switch {
	case strings.Contains(before+after, "$") || !isList && strings.Contains(value, "$") || checkText("", value) != nil:
		a.warn("ENV %s=%s is left out: it names other variables", name, value)
	case isList:
		a.env[name] = "{" + strings.Join(rule, ", ") + "}"
	default:
		a.env[name] = "{set: " + yamlText(value) + "}"
	}
}
