// SPDX-License-Identifier: Apache-2.0

package solve

import (
	"fmt"
	"slices"
	"sort"
)

// result reads the solution from the trail. Only what a line leads to is in it.
func (s *search) result() *Result {
	r := &Result{uses: s.in.Uses}
	byName := map[string]placed{}
	for _, p := range s.placed() {
		byName[p.v.name] = p
	}
	reached := map[string]bool{}
	var reach func(name string)
	reach = func(name string) {
		if name == "" || reached[name] {
			return
		}
		reached[name] = true
		for _, e := range s.edges(byName[name]) {
			reach(e.By)
		}
	}
	for _, u := range s.in.Uses {
		reach(u.Name)
	}
	for name := range reached {
		p := byName[name]
		c := Chosen{Part: p.part, Needs: s.edges(p)}
		for _, stage := range p.stages {
			if parent, ok := s.in.Inherits[stage]; !ok || !slices.Contains(p.stages, parent) {
				c.Stages = append(c.Stages, stage)
			}
		}
		for i, u := range s.in.Uses {
			if u.Name == name {
				c.Uses = append(c.Uses, i)
			}
		}
		r.Parts = append(r.Parts, c)
		if o := s.in.Overrides[name]; o != "" {
			r.Notes = append(r.Notes, fmt.Sprintf("%s is overridden to %s, whatever is required of it", name, o))
		}
	}
	sort.Slice(r.Parts, func(i, j int) bool { return r.Parts[i].Name < r.Parts[j].Name })
	sort.Strings(r.Notes)
	return r
}

// Why tells, a line each, what leads to a part: the lines that use it and the parts that need it, up to those
// that are used. It returns nil if the part is not in r.
func (r *Result) Why(name string) []string {
	if r.Part(name) == nil {
		return nil
	}
	var lines []string
	seen := map[string]bool{}
	queue := []string{name}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		if seen[n] {
			continue
		}
		seen[n] = true
		c := r.Part(n)
		for _, i := range c.Uses {
			u := r.uses[i]
			lines = append(lines, fmt.Sprintf("line %d uses %s (%s)", u.Line, Requirement{Name: n, Range: u.Range}, c.Version))
		}
		for _, p := range r.Parts {
			for _, e := range p.Needs {
				if e.By != n {
					continue
				}
				verb := "needs"
				if e.Build {
					verb = "needs to build"
				}
				line := fmt.Sprintf("%s %s %s %s", p.Name, p.Version, verb, e.Requirement)
				if e.Cap {
					line += ", which " + n + " provides"
				}
				if !slices.Contains(lines, line) {
					lines = append(lines, line)
				}
				queue = append(queue, p.Name)
			}
		}
	}
	return lines
}
