// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"github.com/berth-containers/berth/internal/field"
	"path"
	"slices"
	"strconv"
	"strings"
)

// guard stops a plain builder that meets a source with parts.
const (
	guardWord = "USES_PARTIALS_COMPOSE_OR_EJECT_FIRST"
	guardLine = "ARG COMPOSED=${" + guardWord + ":?}"
)

// source is a parsed source.
type source struct {
	file    string // as the user named it
	text    string
	cf      *containerfile
	d       *directives
	globals map[string]string // ARGs above the first FROM, as far as they are known
	stages  []*srcStage
	guard   int   // the guard's line, or 0
	lines   []int // of a requirement file: the line there of each line of text, 0 if it has none
}

// shown is the line that the user knows a line of text by: his own in a requirement file.
func (src *source) shown(line int) int {
	if src.lines == nil {
		return line
	}
	if line < 1 || line > len(src.lines) {
		return 0
	}
	return src.lines[line-1]
}

// srcStage is a stage of the source.
type srcStage struct {
	index    int
	name     string // lower case; "" if it has none
	from     *instruction
	image    string // without variables; "" if parent is set
	platform string
	parent   *srcStage
	body     []*instruction
	base     *Base // of the image at the root; nil for scratch, and where no part is used
	uses     []*Use
}

// key tells the stages apart for the solver.
func (s *srcStage) key() string {
	if s.name != "" {
		return s.name
	}
	return "#" + strconv.Itoa(s.index)
}

// root is the stage that begins with an image.
func (s *srcStage) root() *srcStage {
	for s.parent != nil {
		s = s.parent
	}
	return s
}

// parseSource reads a source and resolves its FROM lines.
func parseSource(file, text string, buildArgs map[string]string) (*source, error) {
	src := &source{file: file, text: unixText(text)}
	if e := checkControl(src.text); e != nil {
		return nil, e.at(file, e.Line)
	}
	var err error
	if src.cf, err = parseContainerfile(file, src.text, "P002"); err != nil {
		return nil, err
	}
	if src.cf.escape != '\\' {
		return nil, Errorf("P005", "an escape directive cannot be used together with parts; write the file with backslashes").at(file, 1)
	}
	if src.d, err = scanDirectives(file, src.cf); err != nil {
		return nil, err
	}
	return src, src.split(buildArgs)
}

// checkControl refuses control characters that could make two programs see two texts.
func checkControl(text string) *Error {
	for i, l := range splitLines(text) {
		for j, r := range l {
			if r == '\t' {
				continue
			}
			if e := hidden("the line", l, j, r); e != nil {
				e.Line = i + 1
				return e
			}
		}
	}
	return nil
}

// split finds the stages.
func (src *source) split(buildArgs map[string]string) error {
	globals := newState(nil)
	for i := range src.cf.instrs {
		in := &src.cf.instrs[i]
		switch {
		case in.cmd == "FROM":
			if err := src.addStage(in, globals); err != nil {
				return err
			}
		case len(src.stages) > 0:
			s := src.stages[len(src.stages)-1]
			s.body = append(s.body, in)
		case in.cmd == "ARG":
			if strings.Contains(src.cf.text(in), guardWord) {
				src.guard = in.start
				continue
			}
			globals.apply(in, nil, buildArgs)
		default:
			return Errorf("P002", "%s stands above the first FROM", in.cmd).at(src.file, in.start)
		}
	}
	if len(src.stages) == 0 {
		return Errorf("P002", "the file has no FROM").at(src.file, 0)
	}
	src.globals = globals.args
	for _, u := range src.d.uses {
		src.stages[u.stage].uses = append(src.stages[u.stage].uses, u)
	}
	return nil
}

func (src *source) addStage(in *instruction, globals *state) error {
	image, name, platform, err := in.from()
	if err != nil {
		return Errorf("P002", "%v", err).at(src.file, in.start)
	}
	s := &srcStage{index: len(src.stages), name: name, from: in, platform: platform}
	resolved, known := globals.expand(image)
	if s.parent = src.stage(resolved); s.parent == nil {
		if !known || resolved == "" {
			return Errorf("P033", "base %s is not known at compose time; give ARG %s a default or pass %s", image, variableOf(image), field.Name("build-arg")).at(src.file, in.start)
		}
		if resolved != "scratch" && !isImage(resolved) {
			return Errorf("P033", "base %q is not an image reference", resolved).at(src.file, in.start)
		}
		s.image = resolved
	}
	src.stages = append(src.stages, s)
	return nil
}

// variableOf is the first variable in a word.
func variableOf(word string) string {
	m := argRef().FindStringSubmatch(word)
	if m == nil {
		return strings.Trim(word, "${}")
	}
	return m[1] + m[2]
}

// stage returns the stage with that name, or nil.
func (src *source) stage(name string) *srcStage {
	i := slices.IndexFunc(src.stages, func(s *srcStage) bool { return s.name != "" && s.name == strings.ToLower(name) })
	if i < 0 {
		return nil
	}
	return src.stages[i]
}

// uses reports whether the stage, or one that it is FROM, uses a part.
func (s *srcStage) hasParts() bool {
	for ; s != nil; s = s.parent {
		if len(s.uses) > 0 {
			return true
		}
	}
	return false
}

// cut drops the stages after target, which is a name or a number. It reports whether there is that stage.
func (src *source) cut(target string) bool {
	if target == "" {
		return true
	}
	i := slices.IndexFunc(src.stages, func(s *srcStage) bool { return s.name == strings.ToLower(target) })
	if n, err := strconv.Atoi(target); i < 0 && err == nil && n >= 0 && n < len(src.stages) {
		i = n
	}
	if i < 0 {
		return false
	}
	src.stages = src.stages[:i+1]
	return true
}

// base name for the header and the lock.
func (src *source) name() string { return path.Base(src.file) }
