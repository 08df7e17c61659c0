// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/openshift/imagebuilder"
	"github.com/openshift/imagebuilder/dockerfile/command"
	"github.com/openshift/imagebuilder/dockerfile/parser"
)

// stage is a part of a Containerfile that begins with FROM.
type stage struct {
	from       *parser.Node
	body       []*parser.Node
	name, base string
}

// coalesce gives each stage that equals an earlier one that one's result: FROM EARLIER AS NAME. The lines of all others stay
// where they are. The last stage and the target are left alone: what is built gets labels and the like. It is not ok if there is
// nothing to do, or what buildah has to complain about.
func coalesce(text []byte, target string) (_ []byte, ok bool) {
	tree, err := imagebuilder.ParseDockerfile(bytes.NewReader(text))
	if err != nil {
		return nil, false
	}
	stages := splitStages(tree.Children)
	lines := strings.SplitAfter(string(text), "\n")
	first := map[string]string{} // the name of the first stage that has these words
	seen := map[string]bool{}
	for i, st := range stages {
		if st.base == "" || seen[st.name] && st.name != "" {
			return nil, false
		}
		key, plain := stageKey(stages[:i], st)
		earlier, equal := first[key]
		switch {
		case !plain:
		case equal && i < len(stages)-1 && (target == "" || st.name != target) && fmt.Sprint(i) != target:
			words := "FROM " + earlier
			if st.name != "" {
				words += " AS " + st.name
			}
			end := st.body[len(st.body)-1].EndLine
			for l := st.from.StartLine; l <= end && l <= len(lines); l++ {
				lines[l-1] = "\n"
			}
			lines[st.from.StartLine-1] = words + "\n"
			ok = true
		case !equal && st.name != "":
			first[key] = st.name
		}
		seen[st.name] = true
	}
	return []byte(strings.Join(lines, "")), ok
}

func splitStages(nodes []*parser.Node) []stage {
	var stages []stage
	for _, n := range nodes {
		switch {
		case strings.EqualFold(n.Value, command.From):
			st := stage{from: n}
			if n.Next != nil {
				st.base = n.Next.Value
				if as := n.Next.Next; as != nil && strings.EqualFold(as.Value, "as") && as.Next != nil {
					st.name = as.Next.Value
				}
			}
			stages = append(stages, st)
		case len(stages) > 0:
			stages[len(stages)-1].body = append(stages[len(stages)-1].body, n)
		}
	}
	return stages
}

// stageKey is what equal stages have in common: their words, and which earlier stages these can mean. A stage with triggers
// is not plain: they would go off in the one that begins from it.
func stageKey(earlier []stage, st stage) (key string, plain bool) {
	var b strings.Builder
	fmt.Fprintf(&b, "%q %q\n", st.from.Flags, st.base)
	for _, n := range st.body {
		if strings.EqualFold(n.Value, command.Onbuild) {
			return "", false
		}
		fmt.Fprintf(&b, "%q\n", n.Original)
		for _, doc := range n.Heredocs {
			fmt.Fprintf(&b, "%q\n", doc.Content)
		}
	}
	words := b.String()
	for i, e := range earlier {
		if e.name != "" && strings.Contains(strings.ToLower(words), strings.ToLower(e.name)) {
			fmt.Fprintf(&b, "%d %s\n", i, e.name)
		}
	}
	return b.String(), len(st.body) > 0
}
