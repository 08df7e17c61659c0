// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// requirements is a requirement file: what an application needs, without a Containerfile.
type requirements struct {
	Format      int          `yaml:"partials"` // 1
	Application *Application `yaml:"application"`
	Environment environment  `yaml:"environment"`
	Options     []string     `yaml:"options"` // as after "#: option"
	Stages      []reqStage   `yaml:"stages"`
}

type environment struct {
	Set      map[string]Scalar     `yaml:"set"`
	Profiles map[string]envProfile `yaml:"profiles"`
}

type envProfile struct {
	Set map[string]Scalar `yaml:"set"`
}

type reqStage struct {
	Name         string   `yaml:"name"`
	Base         string   `yaml:"base"`
	Platform     string   `yaml:"platform"`
	BaseProvides []string `yaml:"base-provides"`
	Override     []string `yaml:"override"`
	Steps        []step   `yaml:"steps"`
	Run          *runSet  `yaml:"run"`

	line int // in the file
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (s *reqStage) UnmarshalYAML(n *yaml.Node) error {
	type plain reqStage
	s.line = n.Line
	return n.Decode((*plain)(s))
}

// step is one of its fields.
type step struct {
	Use     string    `yaml:"use"` // as after "#: use"
	Copy    *copyStep `yaml:"copy"`
	Run     *runStep  `yaml:"run"` // a shell command, or a list of words
	Workdir string    `yaml:"workdir"`
	User    string    `yaml:"user"`

	line int // in the file
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (s *step) UnmarshalYAML(n *yaml.Node) error {
	type plain step
	s.line = n.Line
	return n.Decode((*plain)(s))
}

type copyStep struct {
	Src   words  `yaml:"src"`
	Dst   string `yaml:"dst"`
	From  string `yaml:"from"`
	Owner string `yaml:"owner"`
	Mode  string `yaml:"mode"`
}

// words is one word or a list of them.
type words []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (w *words) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*w = words{n.Value}
		return nil
	}
	return n.Decode((*[]string)(w))
}

// runStep is a shell command, which may have several lines, or a list of words without a shell.
type runStep struct {
	shell string
	argv  []string
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (r *runStep) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		r.shell = n.Value
		return nil
	}
	return n.Decode(&r.argv)
}

type runSet struct {
	Workdir    string   `yaml:"workdir"`
	User       string   `yaml:"user"`
	Expose     []Scalar `yaml:"expose"`
	Volume     []string `yaml:"volume"`
	Entrypoint []string `yaml:"entrypoint"`
	Cmd        []string `yaml:"cmd"`
	StopSignal string   `yaml:"stopsignal"`

	line int // in the file
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (r *runSet) UnmarshalYAML(n *yaml.Node) error {
	type plain runSet
	r.line = n.Line
	return n.Decode((*plain)(r))
}

// isRequirementFile tells by its name whether a source is a requirement file.
func isRequirementFile(file string) bool {
	return strings.HasSuffix(file, ".yaml") || strings.HasSuffix(file, ".yml")
}

// expandRequirements writes a requirement file as a Containerfile with directives. lines are the lines of the file that those
// of the text come from, 0 where there is none.
func expandRequirements(file, text, profile string) (out string, lines []int, err error) {
	var r requirements
	if errs := strictYAML(text, "field", 0, &r); len(errs) > 0 {
		for _, e := range errs {
			e.at(file, e.Line)
			e.File = file
		}
		return "", nil, joinErrors(errs)
	}
	w := &reqWriter{}
	w.write(&r, profile)
	if len(w.errs) > 0 {
		for _, e := range w.errs {
			e.at(file, e.Line)
		}
		return "", nil, joinErrors(w.errs)
	}
	return w.b.String(), w.lines, nil
}

// reqWriter writes lines, and collects what is wrong.
type reqWriter struct {
	b     strings.Builder
	lines []int // of the file, for each line of b
	at    int   // the line of the file that is being written out
	errs  []*Error
}

func (w *reqWriter) bad(format string, args ...any) {
	e := Errorf("P003", format, args...)
	e.Line = w.at
	w.errs = append(w.errs, e)
}

// line writes an instruction; its words were checked to have no line ends.
func (w *reqWriter) line(format string, args ...any) {
	l := fmt.Sprintf(format, args...)
	if e := checkText("the requirement file", l); e != nil {
		e.Line = w.at
		w.errs = append(w.errs, e)
		return
	}
	w.text(strings.TrimRight(l, " ") + "\n")
}

// text writes whole lines.
func (w *reqWriter) text(s string) {
	w.b.WriteString(s)
	for range strings.Count(s, "\n") {
		w.lines = append(w.lines, w.at)
	}
}

func (w *reqWriter) write(r *requirements, profile string) {
	if r.Format != 1 {
		w.bad("partials: %d is not a format that is known; write partials: 1", r.Format)
	}
	if len(r.Stages) == 0 {
		w.bad("there are no stages")
	}
	set := maps.Clone(r.Environment.Set)
	if set == nil {
		set = map[string]Scalar{}
	}
	if profile != "" {
		p, ok := r.Environment.Profiles[profile]
		if !ok {
			w.bad("profile %q is not there%s", profile, didYouMean(profile, sortedKeys(r.Environment.Profiles)))
		}
		maps.Copy(set, p.Set)
	}
	if a := r.Application; a != nil {
		w.line("# %s %s", a.Name, a.Version)
	}
	for _, o := range r.Options {
		w.line("#: option %s", o)
	}
	for i := range r.Stages {
		w.stage(&r.Stages[i], set, i == len(r.Stages)-1)
	}
}

func (w *reqWriter) stage(s *reqStage, set map[string]Scalar, last bool) {
	w.at = s.line
	if s.Base == "" {
		w.bad("a stage has no base")
	}
	from := "FROM "
	if s.Platform != "" {
		from += "--platform=" + oneWord(w, "platform", s.Platform) + " "
	}
	from += oneWord(w, "base", s.Base)
	if s.Name != "" {
		from += " AS " + oneWord(w, "name", s.Name)
	}
	w.line("%s", from)
	for _, p := range s.BaseProvides {
		w.line("#: base-provides %s", p)
	}
	for _, o := range s.Override {
		w.line("#: override %s", o)
	}
	for i := range s.Steps {
		w.step(&s.Steps[i])
	}
	w.at = 0 // the environment is stated for the whole file
	if last && len(set) > 0 {
		var kv []string
		for _, name := range sortedKeys(set) {
			if !isEnvName(name) {
				w.bad("environment: %q is not a variable's name", name)
			}
			kv = append(kv, name+"="+quotePlain(string(set[name])))
		}
		w.line("ENV %s", strings.Join(kv, " "))
	}
	if s.Run != nil {
		w.settings(s.Run)
	}
}

func oneWord(w *reqWriter, what, s string) string {
	if strings.ContainsAny(s, " \t\"'\\#") {
		w.bad("%s: %q is not one plain word", what, s)
	}
	return s
}

func (w *reqWriter) step(s *step) {
	w.at = s.line
	given := []bool{s.Use != "", s.Copy != nil, s.Run != nil, s.Workdir != "", s.User != ""}
	if n := len(slices.DeleteFunc(given, func(b bool) bool { return !b })); n != 1 {
		w.bad("a step has %d of use, copy, run, workdir and user; one is wanted", n)
		return
	}
	switch {
	case s.Use != "":
		w.line("#: use %s", s.Use)
	case s.Copy != nil:
		w.copyStep(s.Copy)
	case s.Workdir != "":
		w.line("WORKDIR %s", quotePlain(s.Workdir))
	case s.User != "":
		w.line("USER %s", oneWord(w, "user", s.User))
	case len(s.Run.argv) > 0:
		w.line("RUN %s", jsonWords(s.Run.argv))
	default:
		w.shell(strings.TrimRight(s.Run.shell, "\n"))
	}
}

// shell writes a command; one of several lines travels as a heredoc.
func (w *reqWriter) shell(cmd string) {
	if !strings.Contains(cmd, "\n") {
		if strings.HasSuffix(cmd, `\`) || strings.Contains(cmd, "<<") || strings.HasPrefix(cmd, "--") || strings.HasPrefix(cmd, "[") {
			w.bad("run: %q: write a command of several lines instead", cmd)
		}
		w.line("RUN %s", cmd)
		return
	}
	for l := range strings.SplitSeq(cmd, "\n") {
		if e := checkText("run", strings.ReplaceAll(l, "\t", " ")); e != nil {
			e.Line = w.at
			w.errs = append(w.errs, e)
		}
	}
	end := "PARTIAL_EOF"
	for n := 2; strings.Contains("\n"+cmd+"\n", "\n"+end+"\n"); n++ {
		end = fmt.Sprintf("PARTIAL_EOF_%d", n)
	}
	w.text(fmt.Sprintf("RUN <<\"%s\"\n%s\n%s\n", end, cmd, end))
}

func (w *reqWriter) copyStep(c *copyStep) {
	if len(c.Src) == 0 || c.Dst == "" {
		w.bad("copy needs src and dst")
		return
	}
	line := "COPY "
	for _, f := range [][2]string{{"from", c.From}, {"chown", c.Owner}, {"chmod", c.Mode}} {
		if f[1] != "" {
			line += "--" + f[0] + "=" + oneWord(w, f[0], f[1]) + " "
		}
	}
	all := append(slices.Clone(c.Src), c.Dst)
	if slices.ContainsFunc(all, func(s string) bool {
		return quotePlain(s) != s || strings.HasPrefix(s, "<<") || strings.HasPrefix(s, "--")
	}) {
		w.line("%s%s", line, jsonWords(all))
		return
	}
	w.line("%s%s", line, strings.Join(all, " "))
}

func (w *reqWriter) settings(r *runSet) {
	w.at = r.line
	if r.Workdir != "" {
		w.line("WORKDIR %s", quotePlain(r.Workdir))
	}
	if len(r.Expose) > 0 {
		var ports []string
		for _, e := range r.Expose {
			ports = append(ports, oneWord(w, "expose", string(e)))
		}
		w.line("EXPOSE %s", strings.Join(ports, " "))
	}
	if len(r.Volume) > 0 {
		w.line("VOLUME %s", jsonWords(r.Volume))
	}
	if r.StopSignal != "" {
		w.line("STOPSIGNAL %s", oneWord(w, "stopsignal", r.StopSignal))
	}
	if r.User != "" {
		w.line("USER %s", oneWord(w, "user", r.User))
	}
	if len(r.Entrypoint) > 0 {
		w.line("ENTRYPOINT %s", jsonWords(r.Entrypoint))
	}
	if len(r.Cmd) > 0 {
		w.line("CMD %s", jsonWords(r.Cmd))
	}
}
