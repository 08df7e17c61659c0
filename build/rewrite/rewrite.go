// SPDX-License-Identifier: Apache-2.0

// Package rewrite changes the text of Containerfiles before buildah (1.44) reads them, so that they mean there what Docker's
// Dockerfile reference says: see docs/decisions/0019. What it changes keeps its lines, so that what buildah says of a line is
// true of the file that the user wrote.
//
// What buildah has no words for goes through it as a pattern of --exclude, which it hands on unread to the helper that
// copies files; build/copier reads it there.
package rewrite

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/openshift/imagebuilder"
	"github.com/openshift/imagebuilder/dockerfile/command"
	"github.com/openshift/imagebuilder/dockerfile/parser"
)

// Options are what the meaning of a Containerfile depends on besides its text.
type Options struct {
	Target   string            // of the build: a stage's name or number
	Args     map[string]string // of --build-arg
	Context  string            // directory
	Contexts map[string]string // those of --build-context by name: the directory, empty for an image or a URL
}

// Result is what Containerfiles have become.
type Result struct {
	Texts  [][]byte
	Target string            // Options.Target as the stage is called now
	Shown  *strings.Replacer // turns what buildah says of the new words into the user's
}

// Error says which instruction cannot be built.
type Error struct {
	File int // the index of the Containerfile
	Node *parser.Node
	Err  error
}

func (e *Error) Error() string {
	return fmt.Sprintf("line %d: %s: %v", e.Node.StartLine, strings.ToUpper(e.Node.Value), e.Err)
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Containerfiles rewrites the Containerfiles of one build, given in order. What cannot be parsed stays as it is, for buildah
// to say so.
func Containerfiles(texts [][]byte, o Options) (Result, error) {
	same := Result{Texts: texts, Target: o.Target, Shown: strings.NewReplacer()}
	r := &rewriter{Options: o, global: map[string]string{}}
	var files [][]*parser.Node
	for _, text := range texts {
		tree, err := imagebuilder.ParseDockerfile(bytes.NewReader(text))
		if err != nil {
			return same, nil
		}
		files = append(files, tree.Children)
	}
	r.nameStages(slices.Concat(files...))
	changed := make([][]byte, len(texts))
	for i, nodes := range files {
		lines := strings.SplitAfter(string(texts[i]), "\n")
		for _, n := range nodes {
			line, docs, err := r.instruction(n)
			if err != nil {
				return same, &Error{File: i, Node: n, Err: err}
			}
			if line != n.Original || docs != nil {
				replace(lines, n, line, docs)
			}
		}
		changed[i] = []byte(strings.Join(lines, ""))
	}
	return Result{Texts: changed, Target: r.target(), Shown: strings.NewReplacer(r.shown...)}, nil
}

// replace puts an instruction in the place of its lines: itself on one, then its here-documents, if these are given, or
// as they are, then empty ones.
func replace(lines []string, n *parser.Node, line string, docs []string) {
	var old []string
	if len(n.Heredocs) > 0 {
		var lengths int
		for _, d := range n.Heredocs {
			lengths += strings.Count(d.Content, "\n") + 1 // each line begins with its \n; the terminator
		}
		old = slices.Clone(lines[n.EndLine-lengths : n.EndLine])
	}
	text := append([]string{line + "\n"}, old...)
	if docs != nil {
		text = append([]string{line + "\n"}, docs...)
	}
	for i := n.StartLine - 1; i < n.EndLine && i < len(lines); i++ {
		lines[i] = "\n"
		if k := i - (n.StartLine - 1); k < len(text) {
			lines[i] = text[k]
		}
	}
}

type stage struct {
	name string // as it is written; empty if it has none
	ref  string // what others call it by in the new text
}

type rewriter struct {
	Options
	stages []stage
	at     int               // index of the stage that the instruction is in; -1 before the first
	global map[string]string // ARG before the first FROM
	envs   []map[string]string
	shown  []string
}

// nameStages finds the stages. Of those with the same name the last keeps it, and the others are known by their number.
func (r *rewriter) nameStages(nodes []*parser.Node) {
	for _, n := range nodes {
		if strings.EqualFold(n.Value, command.From) {
			r.stages = append(r.stages, stage{name: stageName(n)})
		}
	}
	for i, s := range r.stages {
		r.stages[i].ref = s.name
		again := slices.ContainsFunc(r.stages[i+1:], func(o stage) bool { return strings.EqualFold(o.name, s.name) })
		if s.name == "" || again {
			r.stages[i].ref = strconv.Itoa(i)
		}
	}
	r.at = -1
}

func stageName(from *parser.Node) string {
	if from.Next == nil {
		return ""
	}
	if as := from.Next.Next; as != nil && strings.EqualFold(as.Value, "as") && as.Next != nil {
		return as.Next.Value
	}
	return ""
}

func (r *rewriter) isContext(name string) bool {
	_, ok := r.Contexts[name]
	return ok
}

// find returns what the last stage of a name before the present one is called; names have no case.
func (r *rewriter) find(name string) (ref string, ok bool) {
	if name == "" || r.isContext(name) {
		return "", false
	}
	for i := min(r.at, len(r.stages)) - 1; i >= 0; i-- {
		if strings.EqualFold(r.stages[i].name, name) {
			return r.stages[i].ref, true
		}
	}
	return "", false
}

// findExpanded returns what the stage is called that a word with variables names, if it is called otherwise.
func (r *rewriter) findExpanded(word string, env environment) (ref string, ok bool) {
	words, known, _ := expandIn(env, word)
	if !known || len(words) != 1 {
		return "", false
	}
	ref, ok = r.find(words[0])
	return ref, ok && ref != words[0]
}

func (r *rewriter) target() string {
	for _, s := range slices.Backward(r.stages) {
		if s.name != "" && strings.EqualFold(s.name, r.Target) {
			return s.ref
		}
	}
	return r.Target
}

// instruction returns an instruction's new line, and its here-documents if those have changed.
func (r *rewriter) instruction(n *parser.Node) (line string, docs []string, err error) {
	word, flags, rest := split(n.Original)
	switch strings.ToLower(n.Value) {
	case command.From:
		line = r.from(n, word, flags)
	case command.Arg, command.Env:
		r.remember(n)
		line = n.Original
	case command.Run:
		line, err = r.run(word, flags, rest, n.Original)
	case command.Expose:
		line, err = r.expose(n, word)
	case command.Add, command.Copy:
		line, err = r.copies(n, word, flags, rest)
		docs = r.heredocs(n)
	case command.Onbuild:
		line, err = r.onbuild(n, word, rest)
	default:
		line = n.Original
	}
	return line, docs, err
}

func (r *rewriter) from(n *parser.Node, word string, flags []string) string {
	r.at++
	env := map[string]string{}
	r.envs = append(r.envs, env)
	if n.Next == nil {
		return n.Original
	}
	base, name := n.Next.Value, stageName(n)
	ref, isStage := r.find(base)
	if strings.Contains(base, "$") {
		ref, isStage = r.findExpanded(base, r.global)
	}
	if isStage {
		for i := range r.at {
			if r.stages[i].ref == ref {
				for k, v := range r.envs[i] {
					env[k] = v
				}
			}
		}
	}
	unnamed := name != "" && r.stages[r.at].ref != name
	if (!isStage || ref == base) && !unnamed {
		return n.Original
	}
	words := append([]string{word}, escape(flags)...)
	if isStage {
		words = append(words, ref)
	} else {
		words = append(words, base)
	}
	if name != "" && !unnamed {
		words = append(words, "AS", name)
	}
	return strings.Join(words, " ")
}

// onbuild rewrites a trigger only where all builders read the new words as the old: it becomes part of the image.
func (r *rewriter) onbuild(n *parser.Node, word, rest string) (string, error) {
	if n.Next == nil || len(n.Next.Children) == 0 {
		return n.Original, nil
	}
	inner := n.Next.Children[0]
	iword, flags, irest := split(inner.Original)
	line, err := inner.Original, error(nil)
	switch strings.ToLower(inner.Value) {
	case command.Run:
		without := *r // the context that it goes off in is another
		without.Context, without.Contexts = "", nil
		if line, err = without.run(iword, flags, irest, inner.Original); err != nil {
			return n.Original, nil // a variable may be set where it goes off
		}
	case command.Expose:
		line, err = r.expose(inner, iword)
	}
	if err != nil || line == inner.Original {
		return n.Original, err
	}
	return word + " " + line, nil
}

// replaceFlag notes what a flag of the new text was in the old.
func (r *rewriter) replaceFlag(flags []string, i int, now string) {
	r.shown = append(r.shown, escape([]string{now})[0], escape(flags[i : i+1])[0], now, flags[i])
	flags[i] = now
}

// addFlag adds one that the user did not write.
func (r *rewriter) addFlag(flags []string, flag string) []string {
	r.shown = append(r.shown, flag+" ", "")
	return append(flags, flag)
}
