// SPDX-License-Identifier: Apache-2.0

package solve

import (
	"context"
	"fmt"
	"sort"
	"strings"
)

const cycleMessage = "requirement cycle: "

// maxLines bounds an explanation.
const maxLines = 24

// explain turns a search that failed into what the user reads.
func (k *knowledge) explain(ctx context.Context, f *failed) *Failure {
	if f.own != nil {
		return f.own
	}
	r := newReport(f)
	out := r.headline()
	out.Explain = append(r.lines(out.Message), r.conclusion(out.Code)...)
	if ctx.Err() == nil {
		out.Try = k.try(ctx, r)
	}
	return out
}

// report is the facts that a proof rests on, in the order in which it uses them.
type report struct {
	in    Input
	s     *search
	facts []*fact
	uses  []int // indexes into Input.Uses, ascending
}

func newReport(f *failed) *report {
	r := &report{in: f.s.in, s: f.s}
	seen := map[*incompat]bool{}
	shown := map[string]bool{}
	used := map[int]bool{}
	stack := []*incompat{f.root}
	for len(stack) > 0 {
		c := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[c] {
			continue
		}
		seen[c] = true
		switch {
		case c.fact == nil:
			stack = append(stack, c.right, c.left)
		case c.fact.kind == asked:
			used[c.fact.use] = true
		case c.fact.kind != follows && !shown[c.fact.key()]:
			shown[c.fact.key()] = true
			r.facts = append(r.facts, c.fact)
		}
	}
	for i := range used {
		r.uses = append(r.uses, i)
	}
	sort.Ints(r.uses)
	return r
}

// key is equal for facts that are the same sentence.
func (f *fact) key() string {
	key := fmt.Sprintf("%d %s %d %s %s %v", f.kind, f.subject(), f.choice, f.req, f.cap, f.path)
	if f.failure != nil {
		key += f.failure.Message
	}
	return key
}

func (f *fact) subject() string {
	if f.on == nil {
		return ""
	}
	return f.on.name
}

// predicate is the sentence without its subject; facts with equal ones are told together.
func (f *fact) predicate() string {
	switch f.kind {
	case needs:
		s := "needs " + f.req.String()
		if f.req.Cap {
			s += ", which only " + andList(f.given) + " can provide"
		}
		return s
	case uncapable:
		s := "needs " + f.req.String() + ", which no part provides"
		if len(f.given) > 0 {
			s = "needs " + f.req.String() + ", which only " + andList(f.given) + " could provide, in versions that are not wanted"
		}
		return s
	case nothing:
		if f.on != nil && f.other != nil {
			return fmt.Sprintf("needs %s, but %s", f.req, noVersion(f.other, f.req.Range, "").Message)
		}
	case yanked:
		return "is yanked"
	case conflicts:
		if f.other == nil {
			return fmt.Sprintf("conflicts with %s, which the base has", f.req)
		}
		if f.req.Cap {
			return fmt.Sprintf("conflicts with %s, which %s provides", f.req, f.other.name)
		}
		return "conflicts with " + f.req.String()
	case exclusive:
		if f.other == nil {
			return fmt.Sprintf("and the base both provide exclusive %s", f.cap)
		}
		return fmt.Sprintf("and %s both provide exclusive %s", f.other.spans(f.choices), f.cap)
	}
	return ""
}

// lines tells the facts but for what the headline says, versions with the same fact together.
func (r *report) lines(headline string) []string {
	type sentence struct {
		on        *variable
		choices   set
		predicate string
		whole     string
	}
	var all []*sentence
	byKey := map[string]*sentence{}
	for _, f := range r.facts {
		switch f.kind {
		case cycle:
			if circle := strings.Join(f.path, " → "); headline != cycleMessage+circle {
				all = append(all, &sentence{whole: circle + " is a cycle"})
			}
			continue
		case unfit:
			if f.failure.Message != headline {
				all = append(all, &sentence{whole: f.failure.Message})
			}
			continue
		}
		p := f.predicate()
		key := f.on.name + " " + p
		if byKey[key] == nil {
			byKey[key] = &sentence{on: f.on, choices: newSet(f.on.size()), predicate: p}
			all = append(all, byKey[key])
		}
		byKey[key].choices = byKey[key].choices.or(newSet(f.on.size(), f.choice))
	}
	var lines []string
	for i, s := range all {
		if i == maxLines {
			lines = append(lines, fmt.Sprintf("… and %d more", len(all)-i))
			break
		}
		if s.whole == "" {
			s.whole = s.on.spans(s.choices) + " " + s.predicate
		}
		lines = append(lines, s.whole)
	}
	return lines
}

// spans writes a set of versions: "std/nodejs 1.2.0, 1.4.0 to 1.4.2".
func (v *variable) spans(s set) string {
	var parts []string
	for i := 1; i < v.size(); i++ {
		if !s.has(i) {
			continue
		}
		j := i
		for j+1 < v.size() && s.has(j+1) {
			j++
		}
		first, last := v.versions[i-1].version.String(), v.versions[j-1].version.String()
		switch {
		case i == j:
			parts = append(parts, first)
		case j == i+1:
			parts = append(parts, first, last)
		default:
			parts = append(parts, first+" to "+last)
		}
		i = j
	}
	return v.name + " " + strings.Join(parts, ", ")
}

// conclusion names the lines of the source that cannot be had together.
func (r *report) conclusion(code string) []string {
	var wants []string
	for _, i := range r.uses {
		u := r.in.Uses[i]
		if len(wants) == 0 {
			wants = append(wants, fmt.Sprintf("line %d asks for %s", u.Line, Requirement{Name: u.Name, Range: u.Range}))
		} else {
			wants = append(wants, fmt.Sprintf("line %d for %s", u.Line, Requirement{Name: u.Name, Range: u.Range}))
		}
	}
	if len(wants) == 0 {
		return nil
	}
	s := strings.Join(wants, ", ")
	if code == "P020" && len(wants) > 1 {
		s = "so they exclude each other, and " + s
	}
	return []string{s}
}

// headline finds the code and the message: that of the only sort of fact which forbids something, or P020.
func (r *report) headline() *Failure {
	general := &Failure{Code: "P020", Message: "no set of parts satisfies " + r.in.File}
	if len(r.uses) == 1 {
		general.Line = r.in.Uses[r.uses[0]].Line
	}
	var special *fact
	for _, f := range r.facts {
		if f.kind == needs {
			continue
		}
		if special != nil && special.kind != f.kind {
			return general
		}
		if special == nil {
			special = f
		}
	}
	if special == nil || r.clash() {
		return general
	}
	f := *general
	switch special.kind {
	case cycle:
		f.Code, f.Message = "P023", cycleMessage+strings.Join(special.path, " → ")
	case exclusive:
		other := "the base"
		if special.other != nil {
			other = special.other.name
		}
		f.Code = "P025"
		f.Message = fmt.Sprintf("%s and %s both provide exclusive %s", special.on.name, other, special.cap)
	case unfit:
		f.Code, f.Message = special.failure.Code, special.failure.Message
	case nothing:
		f.Code = "P021"
		f.Message = noVersion(special.other, special.req.Range, r.in.Overrides[special.other.name]).Message
	}
	return &f
}

// clash reports whether two of the facts ask for one part in ranges without a common version.
func (r *report) clash() bool {
	ctx := context.Background() // all that is asked for here is known already
	wanted := map[*variable]set{}
	narrow := func(name string, rng Range) bool {
		v := r.s.parts[name]
		if v == nil {
			return false
		}
		allow, err := r.s.allowed(ctx, v, rng)
		if err != nil {
			return false
		}
		if w, ok := wanted[v]; ok {
			allow = allow.and(w)
		}
		wanted[v] = allow
		return allow.len() == 0
	}
	for _, i := range r.uses {
		if narrow(r.in.Uses[i].Name, r.in.Uses[i].Range) {
			return true
		}
	}
	for _, f := range r.facts {
		if f.kind == needs && !f.req.Cap && narrow(f.req.Name, f.req.Range) {
			return true
		}
	}
	return false
}
