// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	bkparser "github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/util/suggest"
	"github.com/openshift/imagebuilder"
	"github.com/openshift/imagebuilder/dockerfile/command"
	"github.com/openshift/imagebuilder/dockerfile/parser"
)

// recipe is what the Containerfiles of a build say. Berth reads them itself to check them before anything is done, to know the
// images that they begin with, and to say where an error is.
type recipe struct {
	stages []stage
	files  map[*parser.Node]string // what the user calls the file that an instruction stands in
	texts  [][]byte
}

// readRecipe reads and checks the Containerfiles. An error names the file, and the line where there is one.
func readRecipe(o *Options) (*recipe, error) {
	r := &recipe{files: map[*parser.Node]string{}}
	var nodes []*parser.Node
	for _, f := range o.Files {
		text, err := readContainerfile(f, o)
		if err != nil {
			return nil, err
		}
		tree, err := imagebuilder.ParseDockerfile(bytes.NewReader(text))
		if err != nil {
			return nil, syntaxError(o.name(f), text, err)
		}
		for _, n := range tree.Children {
			r.files[n] = o.name(f)
		}
		nodes = append(nodes, tree.Children...)
		r.texts = append(r.texts, text)
	}
	if len(nodes) == 0 {
		return nil, hint.Add(fmt.Errorf("%s: there is no instruction in it", o.name(o.Files[0])), "a Containerfile begins with FROM and the name of an image")
	}
	r.stages = splitStages(nodes)
	if err := r.checkNetworks(nodes, o); err != nil {
		return nil, err
	}
	return r, r.check(nodes, o)
}

// name is what the user calls a Containerfile.
func (o *Options) name(file string) string {
	if n, ok := o.Names[file]; ok {
		return n
	}
	return file
}

func readContainerfile(file string, o *Options) ([]byte, error) {
	text, err := containerfile(o, file)
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		err = fmt.Errorf("read the Containerfile %s: %w", o.name(file), err)
		return nil, hint.Add(err, "%s takes a path from where you are, or from the context", field.Name("file"))
	}
	return text, nil
}

// syntaxError says where a Containerfile cannot be parsed. Buildah's parser does not tell; BuildKit's, of which it is a
// relative, does.
func syntaxError(name string, text []byte, err error) error {
	e := &StepError{File: name, Err: err}
	_, located := bkparser.Parse(bytes.NewReader(text))
	var at *bkparser.LocationError
	if errors.As(located, &at) && len(at.Locations) > 0 && len(at.Locations[0]) > 0 {
		e.Line = at.Locations[0][0].Start.Line
		if lines := strings.Split(string(text), "\n"); e.Line > 0 && e.Line <= len(lines) {
			e.Instruction = strings.TrimSpace(lines[e.Line-1])
		}
		e.Err = errors.New(strings.TrimPrefix(located.Error(), "dockerfile parse error: "))
	}
	return e
}

// check finds what is wrong whatever the base images are, before any of them is fetched.
func (r *recipe) check(nodes []*parser.Node, o *Options) error {
	for _, n := range nodes {
		if strings.EqualFold(n.Value, command.From) {
			break
		}
		if !strings.EqualFold(n.Value, command.Arg) {
			if err := r.checkWord(n); err != nil {
				return err
			}
			return hint.Add(r.at(n, errors.New("there is no FROM before it")), "a Containerfile begins with FROM and the name of an image; only ARG may stand before that")
		}
	}
	for _, n := range nodes {
		if err := r.checkWord(n); err != nil {
			return err
		}
		if n.Next == nil && len(n.Heredocs) == 0 || n.Next != nil && n.Next.Value == "" && n.Next.Next == nil {
			switch n.Value {
			case command.From:
				return hint.Add(r.at(n, errors.New("the name of an image is missing")), "FROM scratch begins with nothing")
			case command.Arg, command.User, command.Volume, command.Workdir, command.Expose, command.StopSignal, command.Copy, command.Add:
				return r.at(n, errors.New("it needs a value"))
			}
		}
	}
	if len(r.stages) == 0 {
		return hint.Add(fmt.Errorf("%s: there is no FROM in it", r.files[nodes[0]]), "a Containerfile begins with FROM and the name of an image")
	}
	for _, st := range r.stages {
		words := 0
		for w := st.from.Next; w != nil; w = w.Next {
			words++
		}
		if words != 1 && (words != 3 || st.name == "") {
			return r.at(st.from, errors.New("FROM takes the name of an image, or IMAGE AS STAGE"))
		}
	}
	if o.Target != "" && r.find(o.Target, len(r.stages)) < 0 {
		return hint.Add(fmt.Errorf("there is no stage %q in %s", o.Target, r.files[r.stages[0].from]), "%s", r.stageNames())
	}
	return nil
}

// instructions are all there are.
func instructions() []string {
	return []string{command.Add, command.Arg, command.Cmd, command.Copy, command.Entrypoint, command.Env, command.Expose, command.From, command.Healthcheck,
		command.Label, command.Maintainer, command.Onbuild, command.Run, command.Shell, command.StopSignal, command.User, command.Volume, command.Workdir}
}

// checkWord checks that the instruction is one, and with ONBUILD the one after it.
func (r *recipe) checkWord(n *parser.Node) error {
	for of := n; of != nil; {
		word := strings.ToLower(of.Value)
		if !slices.Contains(instructions(), word) {
			err := r.at(n, fmt.Errorf("unknown instruction %q", strings.ToUpper(word)))
			if near, ok := suggest.Search(word, instructions(), false); ok {
				return hint.Add(err, "did you mean %s?", strings.ToUpper(near))
			}
			return err
		}
		if word != command.Onbuild || of.Next == nil || len(of.Next.Children) == 0 {
			return nil
		}
		of = of.Next.Children[0]
	}
	return nil
}

// at says of an error that it is an instruction's.
func (r *recipe) at(n *parser.Node, err error) error {
	return &StepError{File: r.files[n], Line: n.StartLine, Instruction: n.Original, Err: err}
}

// find is the index of the stage that a name or number stands for, among those before the one given; -1 is none.
func (r *recipe) find(name string, before int) int {
	for i := before - 1; i >= 0; i-- {
		if r.stages[i].name != "" && strings.EqualFold(r.stages[i].name, name) || name == fmt.Sprint(i) {
			return i
		}
	}
	return -1
}

func (r *recipe) stageNames() string {
	var names []string
	for i, st := range r.stages {
		if st.name != "" {
			names = append(names, st.name)
		} else {
			names = append(names, fmt.Sprint(i))
		}
	}
	return "the stages are: " + strings.Join(names, ", ")
}

// node is the instruction that a step of buildah's stands for, or nil.
func (r *recipe) node(e Event) *parser.Node {
	i := max(e.Stage-1, 0)
	if e.Step == 0 || i >= len(r.stages) {
		return nil
	}
	st := r.stages[i]
	if e.Step == 1 {
		return st.from
	}
	same := func(n *parser.Node) bool { return plainWords(n.Original) == plainWords(e.Text) }
	if k := e.Step - 2; k < len(st.body) && (same(st.body[k]) || e.Steps == len(st.body)+1) {
		return st.body[k]
	}
	// Triggers of the base image and what flags add stand before it.
	if k := slices.IndexFunc(st.body, same); k >= 0 {
		return st.body[k]
	}
	return nil
}

// nodeAt is the instruction of a stage that begins at a line, or nil.
func (r *recipe) nodeAt(stage, line int) *parser.Node {
	if line == 0 || stage >= len(r.stages) {
		return nil
	}
	for _, n := range r.stages[stage].body {
		if n.StartLine == line {
			return n
		}
	}
	return nil
}

// plainWords are the words of an instruction, however it is written.
func plainWords(s string) string {
	s = strings.NewReplacer("[", " ", "]", " ", `"`, " ", ",", " ", "\\\n", " ").Replace(s)
	return strings.ToLower(strings.Join(strings.Fields(s), " "))
}
