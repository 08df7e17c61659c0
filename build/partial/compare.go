// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"fmt"
	"slices"
	"strings"
)

// imageStep is an instruction that leaves a step in an image's history.
type imageStep struct {
	in    *instruction
	text  string // as it is written, on one line
	stage int    // tells the stages apart
	part  bool   // it is in the block of a part
}

// stepsOf are the steps of the last stage and of the stages that it is FROM.
func stepsOf(cf *containerfile) []imageStep {
	_, chain := lastStages(cf)
	block := blocksByLine(cf)
	var out []imageStep
	for _, in := range chain {
		s := imageStep{in: in, text: squeeze(in.original), part: block[in.start] != ""}
		for i := range cf.instrs {
			if o := &cf.instrs[i]; o.cmd == "FROM" && o.start < in.start {
				s.stage = i
			}
		}
		out = append(out, s)
	}
	return out
}

// differences compares an image with a container file: the steps of its history, from those of the base to the label, and
// its configuration, both in both directions. text has its trailer. notes say what could not be compared.
func (f *ImageFacts) differences(text string) (steps, config []string, notes []string) {
	cf, err := parseContainerfile("", text, "P071")
	if err != nil {
		return []string{"the container file does not parse: " + err.Error()}, nil, nil
	}
	all := stepsOf(cf)
	image, _ := lastStages(cf)
	under := f.base(text)
	if image == "scratch" {
		under = &ImageFacts{Config: &ImageConfig{}}
	}
	var underConfig *ImageConfig
	if under != nil {
		underConfig = under.Config
	}
	if under == nil {
		notes = append(notes, "the base "+shortImage(image)+" is not here: what the image has of it is taken as it is")
	} else {
		all = append(triggers(underConfig), all...)
	}
	want := all
	if n := len(want); n > 0 && want[n-1].in.cmd == "LABEL" {
		want = want[:n-1] // the trailer
	}
	after := f.afterTrailer()
	switch {
	case len(f.History) == 0:
		notes = append(notes, "the image has no history: its steps cannot be compared")
	case after < 0:
		steps = append(steps, "the history has no step that sets the label")
	default:
		steps = compareSteps(want, f.ownSteps(under, want, after-1), underConfig)
	}
	if f.Config == nil {
		return steps, nil, notes
	}
	if after >= 0 && after < len(f.History) {
		return steps, nil, append(notes, "the configuration is not compared: steps below the label can have changed it")
	}
	base := unknownBase(*f.Config)
	if underConfig != nil {
		base = *underConfig
	}
	c, err := replay(all, base, openArgs(all))
	if err != nil {
		return steps, []string{err.Error()}, notes
	}
	for _, d := range c.differences(*f.Config, true) {
		config = append(config, d.String())
	}
	return steps, config, notes
}

// base is the image that the last stage of a container file stands on, as the store has it: nil for scratch, and if it is
// not there.
func (f *ImageFacts) base(text string) *ImageFacts {
	ref := FirstImage(text)
	if f.Image == nil || ref == "scratch" || ref == "" {
		return nil
	}
	return f.Image(ref)
}

// triggers are the ONBUILD instructions of a base, which its children run first.
func triggers(base *ImageConfig) []imageStep {
	if base == nil || len(base.OnBuild) == 0 {
		return nil
	}
	cf, err := parseContainerfile("", "FROM scratch\n"+strings.Join(base.OnBuild, "\n")+"\n", "P071")
	if err != nil {
		return nil
	}
	out := stepsOf(cf)
	for i := range out {
		out[i].stage = -1
	}
	return out
}

// openArgs are the ARGs that a build may have set: all but those of parts.
func openArgs(steps []imageStep) map[string]string {
	args := map[string]string{}
	for _, s := range steps {
		if s.in.cmd != "ARG" || s.part {
			continue
		}
		kv, _ := s.in.keyValues()
		for _, a := range kv {
			args[a[0]] = anything
		}
	}
	return args
}

// ownSteps is the history from the end of the base's to before end. Where that of the base is not known it is as long
// as what is wanted, or begins where buildah has marked it.
func (f *ImageFacts) ownSteps(under *ImageFacts, want []imageStep, end int) []History {
	first := -1
	for i, h := range f.History[:end] {
		if strings.HasPrefix(h.Comment, "FROM ") {
			first = i // buildah's mark; a base that buildah built has one of its own
		}
	}
	if under != nil {
		n := len(under.History)
		same := n <= end && slices.EqualFunc(under.History, f.History[:min(n, end)], func(a, b History) bool { return a.CreatedBy == b.CreatedBy })
		if same {
			first = n
		} else if n > 0 && !sameBase(under, f) {
			first = max(first, 0) // a squashed image has lost the steps of its base
		}
	}
	if first < 0 {
		// An instruction without a step is one too few: ONBUILD, with some builders.
		first = max(0, end-len(want))
	}
	return f.History[first:end]
}

func sameBase(under, f *ImageFacts) bool {
	n := len(under.DiffIDs)
	return n <= len(f.DiffIDs) && slices.Equal(under.DiffIDs, f.DiffIDs[:n])
}

// maxDifferences bounds what is said of one image.
const maxDifferences = 10

// maxTable bounds the work of comparing a long history.
const maxTable = 1 << 22

// compareSteps says how a history differs from the steps that are wanted.
func compareSteps(want []imageStep, have []History, base *ImageConfig) []string {
	m := newMatcher(want, base)
	n := 0 // the beginning that is as it should be
	for n < len(want) && n < len(have) && m.matches(n, have[n]) {
		n++
	}
	end := 0 // and the end
	for end < len(want)-n && end < len(have)-n && m.matches(len(want)-1-end, have[len(have)-1-end]) {
		end++
	}
	wantTo, haveTo := len(want)-end, len(have)-end
	d := &stepDifferences{want: want, have: have, m: m}
	i, j := n, n
	if (wantTo-n)*(haveTo-n) <= maxTable {
		for _, pair := range longest(wantTo-n, haveTo-n, func(i, j int) bool { return m.matches(n+i, have[n+j]) }) {
			d.between(i, n+pair[0], j, n+pair[1])
			i, j = n+pair[0]+1, n+pair[1]+1
		}
	}
	d.between(i, wantTo, j, haveTo)
	if n := len(d.out); n > maxDifferences {
		d.out = append(d.out[:maxDifferences], fmt.Sprintf("and %d more differences", n-maxDifferences))
	}
	return d.out
}

// stepDifferences says how two lists of steps differ.
type stepDifferences struct {
	want []imageStep
	have []History
	m    *matcher
	out  []string
}

// between names the steps from i to iEnd that are missing, those from j to jEnd that are too many, and where one
// instruction stands for another of its kind.
func (d *stepDifferences) between(i, iEnd, j, jEnd int) {
	var pairs [][2]int
	if (iEnd-i)*(jEnd-j) <= maxTable {
		pairs = longest(iEnd-i, jEnd-j, func(a, b int) bool { return d.want[i+a].in.cmd == d.m.parse(d.have[j+b]).cmd })
	}
	first, begin := i, j
	for _, p := range append(pairs, [2]int{iEnd - i, jEnd - j}) {
		a, b := first+p[0], begin+p[1]
		d.missing(i, a)
		d.extra(j, b)
		if a < iEnd && b < jEnd {
			d.out = append(d.out, fmt.Sprintf("line %d of the container file is %s, but the image has the step: %s", d.want[a].in.start, oneLine(d.want[a].text), shownStep(d.have[b])))
		}
		i, j = a+1, b+1
	}
}

func (d *stepDifferences) missing(i, end int) {
	for ; i < end; i++ {
		if d.want[i].in.cmd != "ONBUILD" { // BuildKit leaves no step for it
			d.out = append(d.out, fmt.Sprintf("line %d of the container file has no step in the image: %s", d.want[i].in.start, oneLine(d.want[i].text)))
		}
	}
}

func (d *stepDifferences) extra(j, end int) {
	for ; j < end; j++ {
		d.out = append(d.out, "the image has a step that the container file does not have: "+shownStep(d.have[j]))
	}
}

// longest are the pairs of the longest common subsequence of two lists with n and m elements.
func longest(n, m int, same func(i, j int) bool) [][2]int {
	table := make([][]int32, n+1)
	for i := range table {
		table[i] = make([]int32, m+1)
	}
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			if same(i, j) {
				table[i][j] = table[i+1][j+1] + 1
			} else {
				table[i][j] = max(table[i+1][j], table[i][j+1])
			}
		}
	}
	var out [][2]int
	for i, j := 0, 0; i < n && j < m; {
		switch {
		case same(i, j):
			out = append(out, [2]int{i, j})
			i, j = i+1, j+1
		case table[i+1][j] >= table[i][j+1]:
			i++
		default:
			j++
		}
	}
	return out
}

func shownStep(h History) string {
	s := parseHistory(h.CreatedBy)
	return oneLine(s.cmd + " " + s.rest)
}
