// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"fmt"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/nearest"
	"mvdan.cc/sh/v3/syntax"
)

// script is what the shell of a RUN gets to read: the line with its heredocs, or the heredoc
// itself where the line has nothing else.
func script(in *instruction) string {
	line := strings.Join(in.args, " ")
	if len(in.heredocs) == 1 && strings.TrimSpace(strings.TrimLeft(line, "0123456789")) != "" && isOnlyHeredoc(line) {
		return in.heredocs[0].Content
	}
	var b strings.Builder
	b.WriteString(line + "\n")
	for _, h := range in.heredocs {
		b.WriteString(h.Content + h.Name + "\n")
	}
	return b.String()
}

func isOnlyHeredoc(line string) bool {
	words := strings.Fields(line)
	return len(words) == 1 && strings.HasPrefix(words[0], "<<")
}

// lintShell wants parameters in RUN to be declared, between double quotes, and never to become
// part of a script.
func (p *Part) lintShell(s *partStage, i int, in *instruction) []*Error {
	if in.json || len(p.Meta.Params) == 0 {
		return nil
	}
	text := script(in)
	f, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil {
		return []*Error{{Code: "P007", Line: in.start, Msg: fmt.Sprintf("the shell script does not parse: %v", err)}}
	}
	w := &shellWalk{part: p, line: in.start, declared: declaredArgs(s, i)}
	syntax.Walk(f, w.visit)
	w.misspelt(s, i)
	return w.errs
}

// maxTypo is how many letters a misspelt name has wrong.
const maxTypo = 2

// misspelt finds variables that are nearly those of the part's parameters, and that nothing in the part sets.
func (w *shellWalk) misspelt(s *partStage, i int) {
	w.errs = append(w.errs, w.part.misspelt(w.line, w.read, slices.Concat(w.set, declaredArgs(s, i), stageEnv(s, i)))...)
}

func (p *Part) misspelt(line int, read, set []string) []*Error {
	known := p.argNames()
	set = slices.Concat(set, known, platformArgs, sortedKeys(p.Meta.Env))
	var errs []*Error
	for j, name := range read {
		if slices.Contains(set, name) || slices.Contains(read[:j], name) {
			continue
		}
		if slices.ContainsFunc(known, func(k string) bool { return nearest.Distance(name, k) <= maxTypo }) {
			errs = append(errs, &Error{Code: "P007", Line: line, Msg: fmt.Sprintf("$%s is no parameter of the part, and nothing sets it%s", name, didYouMean(name, known))})
		}
	}
	return errs
}

// stageEnv are the variables that ENV sets above an instruction of a stage.
func stageEnv(s *partStage, i int) []string {
	var names []string
	for _, in := range s.body[:i] {
		if in.cmd == "ENV" {
			kv, _ := in.keyValues()
			for _, e := range kv {
				names = append(names, e[0])
			}
		}
	}
	return names
}

func declaredArgs(s *partStage, i int) []string {
	var names []string
	for _, in := range s.body[:i] {
		if in.cmd == "ARG" {
			kv, _ := in.keyValues()
			for _, a := range kv {
				names = append(names, a[0])
			}
		}
	}
	return names
}

// shellWalk looks for parameters in a script.
type shellWalk struct {
	part     *Part
	line     int
	declared []string
	stack    []syntax.Node
	errs     []*Error

	read, set []string // names that are no parameters
}

func (w *shellWalk) visit(n syntax.Node) bool {
	if n == nil {
		w.stack = w.stack[:len(w.stack)-1]
		return true
	}
	switch n := n.(type) {
	case *syntax.ParamExp:
		if n.Param == nil {
			break
		}
		if w.part.paramOf(n.Param.Value) != "" {
			w.param(n)
		} else if n.Exp == nil { // ${X:-default} is for what may not be set
			w.read = append(w.read, n.Param.Value)
		}
	case *syntax.Assign: // also those of export and read
		if n.Name != nil {
			w.set = append(w.set, n.Name.Value)
		}
	case *syntax.CallExpr: // read NAME
		if len(n.Args) > 1 && n.Args[0].Lit() == "read" {
			for _, a := range n.Args[1:] {
				w.set = append(w.set, a.Lit())
			}
		}
	case *syntax.WordIter:
		w.set = append(w.set, n.Name.Value)
	}
	w.stack = append(w.stack, n)
	return true
}

func (w *shellWalk) param(pe *syntax.ParamExp) {
	name := pe.Param.Value
	add := func(format string, args ...any) {
		e := &Error{Code: "P007", Line: w.line, Msg: fmt.Sprintf(format, args...)}
		if !slices.ContainsFunc(w.errs, func(o *Error) bool { return o.Msg == e.Msg }) {
			w.errs = append(w.errs, e)
		}
	}
	if !slices.Contains(w.declared, name) {
		add("$%s is used before ARG %s in its stage", name, name)
	}
	quoted := false
	for _, n := range slices.Backward(w.stack) {
		switch n := n.(type) {
		case *syntax.DblQuoted:
			quoted = true
		case *syntax.Redirect:
			quoted = quoted || n.Hdoc != nil && within(pe, n.Hdoc)
		case *syntax.CmdSubst, *syntax.ProcSubst, *syntax.ArithmExp, *syntax.ArithmCmd:
			// What is quoted outside is not quoted in here.
			if !quoted {
				add("$%s is used outside double quotes; write \"$%s\"", name, name)
				return
			}
		case *syntax.CallExpr:
			if how := scriptCall(n); how != "" {
				add("$%s is used in %s, which reads it as a script; pass it as an argument", name, how)
				return
			}
		}
	}
	if !quoted {
		add("$%s is used outside double quotes; write \"$%s\"", name, name)
	}
}

func within(n, outer syntax.Node) bool {
	return n.Pos().Offset() >= outer.Pos().Offset() && n.End().Offset() <= outer.End().Offset()
}

// scriptCall reports whether a command reads its arguments as a script.
func scriptCall(c *syntax.CallExpr) string {
	var words []string
	for _, a := range c.Args {
		words = append(words, a.Lit())
	}
	for i, w := range words {
		switch w[strings.LastIndexByte(w, '/')+1:] {
		case "eval", "source", ".":
			if i == 0 {
				return w
			}
		case "sh", "bash", "dash", "ash", "zsh", "ksh":
			if slices.ContainsFunc(words[i+1:], func(a string) bool {
				return strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "--") && strings.HasSuffix(a, "c")
			}) {
				return w + " -c"
			}
		}
	}
	return ""
}
