// SPDX-License-Identifier: Apache-2.0

package solve

import (
	"context"
	"maps"
	"slices"
	"sort"
	"strings"
)

// placed is a chosen version in the stages where it is.
type placed struct {
	v      *variable
	choice int
	part   *Part
	stages []string // sorted
}

func (p placed) self() term { return term{p.v, newSet(p.v.size(), p.choice)} }

// check looks at a complete choice for what is not known before there is one: who is in which stage, and
// what meets there. It adds what is violated as incompatibilities, one sort at a time.
func (s *search) check(ctx context.Context) (grown bool, f *failed, err error) {
	all := s.placed()
	for _, rule := range []func([]placed) bool{s.checkStages, s.checkFit, s.checkConflicts, s.checkExclusive} {
		if rule(all) {
			return true, nil, nil
		}
	}
	grown, f, err = s.checkCapabilities(ctx, all)
	if grown || f != nil || err != nil {
		return grown, f, err
	}
	return s.checkCycles(all), nil, nil
}

// placed lists what is chosen, by name.
func (s *search) placed() []placed {
	stages := map[string][]string{}
	for key, v := range s.presence {
		if !s.trail.domain(v).has(absent) {
			stages[key[0]] = append(stages[key[0]], key[1])
		}
	}
	var all []placed
	for _, n := range s.names() {
		v := s.parts[n]
		choice := s.trail.domain(v).highest()
		sort.Strings(stages[n])
		all = append(all, placed{v, choice, v.versions[choice-1].part, stages[n]})
	}
	return all
}

// holds reports whether a part is in a stage for certain.
func (s *search) holds(name, stage string) bool {
	v := s.presence[[2]string{name, stage}]
	return v != nil && !s.trail.domain(v).has(absent)
}

func (s *search) isIn(name, stage string) term {
	return term{s.presenceIn(name, stage), newSet(2, 1)}
}

func (s *search) isNotIn(name, stage string) term {
	return term{s.presenceIn(name, stage), newSet(2, absent)}
}

// checkStages puts requirements into the stages of the parts that need them, and all parts of a stage into those that inherit it.
func (s *search) checkStages(all []placed) (grown bool) {
	for _, p := range all {
		for _, stage := range p.stages {
			for _, child := range slices.Sorted(maps.Keys(s.in.Inherits)) {
				if s.in.Inherits[child] == stage && !s.holds(p.v.name, child) {
					s.add(&fact{kind: follows}, s.isIn(p.v.name, stage), s.isNotIn(p.v.name, child))
					grown = true
				}
			}
			for _, r := range p.part.Requires {
				if !r.Cap && !s.holds(r.Name, stage) {
					s.add(&fact{kind: needs, on: p.v, choice: p.choice, req: r}, p.self(), s.isIn(p.v.name, stage), s.isNotIn(r.Name, stage))
					grown = true
				}
			}
		}
		for _, r := range p.part.BuildRequires {
			if stage := HelperStage(p.v.name); !r.Cap && !s.holds(r.Name, stage) {
				s.add(&fact{kind: needs, on: p.v, choice: p.choice, req: r}, p.self(), s.isNotIn(r.Name, stage))
				grown = true
			}
		}
	}
	return grown
}

func (s *search) checkFit(all []placed) (grown bool) {
	if s.in.Fit == nil {
		return false
	}
	for _, p := range all {
		for _, stage := range p.stages {
			if f := s.in.Fit(p.part, stage); f != nil {
				s.add(&fact{kind: unfit, on: p.v, choice: p.choice, failure: f}, p.self(), s.isIn(p.v.name, stage))
				grown = true
			}
		}
	}
	return grown
}

// base returns what the base of a stage has, with what it inherits.
func (s *search) base(stage string) []Capability {
	var caps []Capability
	for seen := map[string]bool{}; !seen[stage]; stage = s.in.Inherits[stage] {
		seen[stage] = true
		caps = append(caps, s.in.Base[stage]...)
	}
	return caps
}

func (s *search) checkConflicts(all []placed) (grown bool) {
	for _, p := range all {
		for _, r := range p.part.Conflicts {
			for _, stage := range p.stages {
				if r.Cap && anyMeets(s.base(stage), r) {
					f := &fact{kind: conflicts, on: p.v, choice: p.choice, req: r}
					s.add(f, p.self(), s.isIn(p.v.name, stage))
					grown = true
				}
				for _, q := range all {
					if q.v != p.v && s.holds(q.v.name, stage) && q.is(r) {
						f := &fact{kind: conflicts, on: p.v, choice: p.choice, req: r, other: q.v, choices: q.self().in}
						s.add(f, p.self(), q.self(), s.isIn(p.v.name, stage), s.isIn(q.v.name, stage))
						grown = true
					}
				}
			}
		}
	}
	return grown
}

func (p placed) is(r Requirement) bool {
	if r.Cap {
		return anyMeets(p.part.Provides, r)
	}
	return r.Name == p.v.name && (r.Range.Match(p.part.Version) || r.Range.Any() || r.Range.Digest() != "" && r.Range.Digest() == p.part.Digest)
}

func anyMeets(caps []Capability, r Requirement) bool {
	return slices.ContainsFunc(caps, func(c Capability) bool { return c.meets(r) })
}

// claims reports whether a part provides a capability, or would be the only one to.
func (p *Part) claims(name string) bool {
	return slices.Contains(p.Exclusive, name) || slices.ContainsFunc(p.Provides, func(c Capability) bool { return c.Name == name })
}

func (s *search) checkExclusive(all []placed) (grown bool) {
	for _, p := range all {
		for _, name := range p.part.Exclusive {
			for _, stage := range p.stages {
				if slices.ContainsFunc(s.base(stage), func(c Capability) bool { return c.Name == name }) {
					s.add(&fact{kind: exclusive, on: p.v, choice: p.choice, cap: name}, p.self(), s.isIn(p.v.name, stage))
					grown = true
				}
				for _, q := range all {
					if q.v != p.v && q.part.claims(name) && s.holds(q.v.name, stage) {
						s.exclude(p, q, name, stage)
						grown = true
					}
				}
			}
		}
	}
	return grown
}

// exclude keeps p and q apart, and with them all versions that are known to be the same in this.
func (s *search) exclude(p, q placed, name, stage string) {
	these, those := newSet(p.v.size()), newSet(q.v.size())
	for i, c := range p.v.versions {
		if c.part != nil && slices.Contains(c.part.Exclusive, name) {
			these = these.or(newSet(p.v.size(), i+1))
		}
	}
	for i, c := range q.v.versions {
		if c.part != nil && c.part.claims(name) {
			those = those.or(newSet(q.v.size(), i+1))
		}
	}
	f := &fact{kind: exclusive, on: p.v, choice: p.choice, other: q.v, choices: those, cap: name}
	s.add(f, term{p.v, these}, term{q.v, those}, s.isIn(p.v.name, stage), s.isIn(q.v.name, stage))
}

// checkCycles forbids the first circle of requirements, beginning at the first name.
func (s *search) checkCycles(all []placed) bool {
	byName := map[string]placed{}
	for _, p := range all {
		byName[p.v.name] = p
	}
	done := map[string]bool{}
	var path []string
	var visit func(name string) []string
	visit = func(name string) []string {
		if i := slices.Index(path, name); i >= 0 {
			return path[i:]
		}
		if done[name] {
			return nil
		}
		done[name] = true
		path = append(path, name)
		for _, e := range s.edges(byName[name]) {
			if e.By != "" {
				if c := visit(e.By); c != nil {
					return c
				}
			}
		}
		path = path[:len(path)-1]
		return nil
	}
	for _, p := range all {
		c := visit(p.v.name)
		if c == nil {
			continue
		}
		f := &fact{kind: cycle}
		var terms []term
		for _, n := range c {
			q := byName[n]
			terms = append(terms, q.self())
			f.path = append(f.path, versionName(q.v, q.choice))
		}
		f.path = append(f.path, c[0])
		s.add(f, terms...)
		return true
	}
	return false
}

// edges returns how the requirements of a part are met, sorted.
func (s *search) edges(p placed) []Edge {
	var edges []Edge
	for _, r := range p.part.Requires {
		if !r.Cap {
			edges = append(edges, Edge{Requirement: r, By: r.Name})
			continue
		}
		for _, stage := range p.stages {
			by, _ := s.providerIn(p, r, stage)
			edges = append(edges, Edge{Requirement: r, By: by, Stage: stage})
		}
	}
	for _, r := range p.part.BuildRequires {
		e := Edge{Requirement: r, Build: true, By: r.Name}
		if r.Cap {
			e.Stage = HelperStage(p.v.name)
			e.By, _ = s.providerIn(p, r, e.Stage)
		}
		edges = append(edges, e)
	}
	sort.SliceStable(edges, func(i, j int) bool {
		if c := strings.Compare(edges[i].Name, edges[j].Name); c != 0 {
			return c < 0
		}
		return edges[i].Stage < edges[j].Stage
	})
	return edges
}
