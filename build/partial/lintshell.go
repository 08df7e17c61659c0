package partial

import (
	"fmt"
	"slices"
	"strings"

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
	return w.errs
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
}

func (w *shellWalk) visit(n syntax.Node) bool {
	if n == nil {
		w.stack = w.stack[:len(w.stack)-1]
		return true
	}
	if pe, ok := n.(*syntax.ParamExp); ok && pe.Param != nil && w.part.paramOf(pe.Param.Value) != "" {
		w.param(pe)
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

// scriptCall tells whether a command reads its arguments as a script.
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
