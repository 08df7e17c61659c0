// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"fmt"
	"slices"
	"strings"
)

// AddUse returns the source with one more "#: use" line, and the line's number. It stands below the last use of the stage, or
// below its FROM, or above the line before; stage "" is the last. The guard is put above the first
// FROM if it is missing.
func AddUse(file, text, use, stage string) (string, int, error) {
	if e := checkText("the use line", use); e != nil {
		return "", 0, e
	}
	wordsOf, err := splitWords(use)
	if err != nil {
		return "", 0, Errorf("P001", "%v", err)
	}
	u, e := parseUse(wordsOf)
	if e != nil {
		return "", 0, e
	}
	src, err := looseSource(file, text)
	if err != nil {
		return "", 0, err
	}
	if len(src.stages) == 0 {
		return "", 0, Errorf("P002", "the file has no FROM").at(file, 0)
	}
	s := src.stages[len(src.stages)-1]
	if stage != "" {
		if s = src.stage(stage); s == nil {
			return "", 0, Errorf("P002", "there is no stage %s%s", stage, didYouMean(strings.ToLower(stage), src.stageNames())).at(file, 0)
		}
	}
	at := s.from.end
	for _, o := range s.uses {
		if o.Ref == u.Ref && o.Role == u.Role {
			return "", 0, Errorf("P026", "%s is used already", u.Ref.Text).at(file, o.Line)
		}
		at = o.end
	}
	lines := slices.Insert(src.cf.lines, at, "#: use "+use)
	at++
	if src.guard == 0 {
		first := src.stages[0].from.start
		lines = slices.Insert(lines, first-1, guardLine)
		at++
	}
	return strings.Join(lines, "\n") + "\n", at, nil
}

// RemoveUse returns the source without the uses of a part, named as in the use line or by its last component.
// When no use is left the guard goes as well.
func RemoveUse(file, text, ref string) (string, error) {
	src, err := looseSource(file, text)
	if err != nil {
		return "", err
	}
	drop := map[int]bool{}
	left := len(src.d.uses)
	for _, u := range src.d.uses {
		if u.Ref.Text == ref || leaf(u.Ref.Text) == ref {
			for l := u.Line; l <= u.end; l++ {
				drop[l] = true
			}
			left--
		}
	}
	if len(drop) == 0 {
		var used []string
		for _, u := range src.d.uses {
			used = append(used, u.Ref.Text)
		}
		return "", Errorf("P022", "%s is not used%s", ref, didYouMeanPart(ref, used)).at(file, 0)
	}
	if left == 0 && src.guard > 0 {
		drop[src.guard] = true
	}
	var out strings.Builder
	for i, l := range src.cf.lines {
		if !drop[i+1] {
			out.WriteString(l + "\n")
		}
	}
	return out.String(), nil
}

// LinesIn are, for each line of an edited text, the number of that line in the user's file; what was added has the number
// that it would have there.
func LinesIn(edited, file string) []int {
	now, was := splitLines(edited), splitLines(file)
	lines := make([]int, len(now))
	i, j := 0, 0
	for _, p := range longest(len(now), len(was), func(i, j int) bool { return now[i] == was[j] }) {
		for ; i < p[0]; i++ {
			lines[i] = j + 1
		}
		i, j = p[0], p[1]
		lines[i] = j + 1
		i, j = i+1, j+1
	}
	for ; i < len(now); i++ {
		lines[i] = j + 1
	}
	return lines
}

// WithoutLine takes the place from errors that are in one line, which the user's file does not have.
func WithoutLine(err error, line int) error {
	switch e := err.(type) {
	case *Error:
		if e.Line == line {
			e.File, e.Line = "", 0
		}
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			_ = WithoutLine(one, line)
		}
	case interface{ Unwrap() error }:
		_ = WithoutLine(e.Unwrap(), line)
	}
	return err
}

// UsedParts are the references of the use lines of a Containerfile; none of one that does not parse.
func UsedParts(text []byte) []string {
	src, err := looseSource("", string(text))
	if err != nil {
		return nil
	}
	var refs []string
	for _, u := range src.d.uses {
		refs = append(refs, u.Ref.Text)
	}
	return refs
}

// stageNames are the names that stages have.
func (src *source) stageNames() []string {
	var names []string
	for _, s := range src.stages {
		if s.name != "" {
			names = append(names, s.name)
		}
	}
	return names
}

// didYouMeanPart is didYouMean for a part, which is named in full or by its last component.
func didYouMeanPart(name string, known []string) string {
	if strings.Contains(name, "/") {
		return didYouMean(name, known)
	}
	var leaves []string
	for _, k := range known {
		leaves = append(leaves, leaf(k))
	}
	return didYouMean(name, leaves)
}

// SetBase returns the source with another image in the FROM line of its last stage.
func SetBase(file, text, ref string) (string, error) {
	if !isImage(ref) {
		return "", Errorf("P033", "base %q is not an image reference", ref)
	}
	src, err := looseSource(file, text)
	if err != nil {
		return "", err
	}
	if len(src.stages) == 0 {
		return "", Errorf("P002", "the file has no FROM").at(file, 0)
	}
	in := src.stages[len(src.stages)-1].from
	if in.start != in.end || src.stage(in.args[0]) != nil {
		return "", Errorf("P033", "the last stage is FROM %s, which is no image on a line of its own; edit it by hand", in.args[0]).at(file, in.start)
	}
	src.cf.lines[in.start-1] = strings.Replace(src.cf.lines[in.start-1], in.args[0], ref, 1)
	return strings.Join(src.cf.lines, "\n") + "\n", nil
}

// looseSource parses a source whose FROM lines need not be known.
func looseSource(file, text string) (*source, error) {
	src := &source{file: file, text: unixText(text)}
	var err error
	if src.cf, err = parseContainerfile(file, src.text, "P002"); err != nil {
		return nil, err
	}
	if src.d, err = scanDirectives(file, src.cf); err != nil {
		return nil, err
	}
	for i := range src.cf.instrs {
		in := &src.cf.instrs[i]
		switch {
		case in.cmd == "FROM":
			_, name, _, err := in.from()
			if err != nil {
				return nil, Errorf("P002", "%v", err).at(file, in.start)
			}
			src.stages = append(src.stages, &srcStage{index: len(src.stages), name: name, from: in})
		case in.cmd == "ARG" && len(src.stages) == 0 && strings.Contains(src.cf.text(in), guardWord):
			src.guard = in.start
		}
	}
	for _, u := range src.d.uses {
		src.stages[u.stage].uses = append(src.stages[u.stage].uses, u)
	}
	return src, nil
}

// LintSource checks what can be said of a source without its parts: its directives, and that
// the guard is there. Findings that do not stop composition are warnings.
func LintSource(file, text string) (warnings []string, err error) {
	if isRequirementFile(file) {
		text, lines, err := expandRequirements(file, text, "")
		if err == nil {
			_, err = looseSource(file, text)
		}
		return nil, relocate(err, lines)
	}
	src, err := looseSource(file, text)
	if err != nil {
		return nil, err
	}
	if len(src.d.uses) > 0 && src.guard == 0 {
		warnings = append(warnings, fmt.Sprintf("%s:%d: the guard is missing; write above the first FROM: %s", file, src.stages[0].from.start, guardLine))
	}
	if len(src.d.uses) == 0 && src.guard > 0 {
		warnings = append(warnings, fmt.Sprintf("%s:%d: the guard is not needed: no part is used", file, src.guard))
	}
	return warnings, nil
}

// PartTemplate is the Containerfile of a new part.
func PartTemplate(name, version string) (string, error) {
	if !isPartName(name) {
		return "", Errorf("P003", "name %q is not a lower-case path such as std/nodejs", name)
	}
	if e := checkVersion(version); e != nil {
		return "", e
	}
	arg := argName(name, "greeting")
	return fmt.Sprintf(`# /// partial
# name: %s
# version: %s
# summary: Say in one line what it adds to an image
# params:
#   greeting: {type: string, pattern: "[A-Za-z ]+", default: hello}
# check: {argv: [cat, /etc/%s], match: "^${greeting}$"}
# ///
ARG BASE=docker.io/library/debian:12-slim
FROM ${BASE} AS base

FROM base AS install
ARG %s=hello
RUN printf '%%s\n' "$%s" > /etc/%s
`, name, version, leaf(name), arg, arg, leaf(name)), nil
}
