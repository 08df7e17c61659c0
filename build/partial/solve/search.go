// SPDX-License-Identifier: Apache-2.0

package solve

import (
	"context"
	"slices"
	"sort"
)

// search is one run of the algorithm.
type search struct {
	k  *knowledge
	in Input

	trail    trail
	all      []*variable
	parts    map[string]*variable
	presence map[[2]string]*variable // by name and stage
	about    [][]*incompat           // by variable: what has a term on it
	expanded map[*variable]set       // the choices whose requirements are incompatibilities already
	assumed  map[string][]string     // by capability: the providers that incompatibilities took for all
	dirty    []*variable             // to propagate
	kept     []keptAt
}

// keptAt remembers at which level an incompatibility was seen first: what it implied is forgotten
// when the search goes back behind that level, so it is looked at again.
type keptAt struct {
	c     *incompat
	level int
}

// failed is a search without a solution: an incompatibility without terms, or a failure of its own.
type failed struct {
	root *incompat
	s    *search
	own  *Failure
}

func newSearch(k *knowledge, in Input) *search {
	return &search{
		k: k, in: in,
		parts:    map[string]*variable{},
		presence: map[[2]string]*variable{},
		expanded: map[*variable]set{},
		assumed:  map[string][]string{},
	}
}

func (s *search) run(ctx context.Context) (*Result, *failed, error) {
	if f, err := s.addUses(ctx); f != nil || err != nil {
		return nil, f, err
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if proof := s.propagate(); proof != nil {
			return nil, &failed{root: proof, s: s}, nil
		}
		v, choice := s.next()
		if v != nil {
			grown, err := s.expand(ctx, v, choice)
			if err != nil {
				return nil, nil, err
			}
			if !grown {
				s.trail.decide(v, choice)
				s.touch(v)
			}
			continue
		}
		grown, f, err := s.check(ctx)
		if err != nil || f != nil {
			return nil, f, err
		}
		if !grown {
			return s.result(), nil, nil
		}
	}
}

// variable returns that of a part.
func (s *search) variable(ctx context.Context, name string) (*variable, error) {
	if v := s.parts[name]; v != nil {
		return v, nil
	}
	all, err := s.k.candidates(ctx, name)
	if err != nil {
		return nil, err
	}
	v := s.track(&variable{name: name, versions: all})
	s.parts[name] = v
	s.expanded[v] = newSet(v.size())
	return v, nil
}

// presenceIn returns the variable that reports whether a part is in a stage.
func (s *search) presenceIn(name, stage string) *variable {
	key := [2]string{name, stage}
	v := s.presence[key]
	if v == nil {
		v = s.track(&variable{name: name, stage: stage, presence: true, versions: make([]candidate, 1)})
		s.presence[key] = v
	}
	return v
}

func (s *search) track(v *variable) *variable {
	v.index = len(s.all)
	s.all = append(s.all, v)
	s.about = append(s.about, nil)
	s.trail.track(v)
	return v
}

// add keeps an incompatibility, to be propagated.
func (s *search) add(f *fact, terms ...term) { s.keep(&incompat{terms: terms, fact: f}) }

func (s *search) keep(c *incompat) {
	for _, t := range c.terms {
		s.about[t.on.index] = append(s.about[t.on.index], c)
	}
	s.kept = append(s.kept, keptAt{c, s.trail.level})
	s.touch(c.terms[0].on)
}

func (s *search) touch(v *variable) {
	if !slices.Contains(s.dirty, v) {
		s.dirty = append(s.dirty, v)
	}
}

func (s *search) backtrack(level int) {
	s.trail.backtrack(level)
	for i := range s.kept {
		if k := &s.kept[i]; k.level > level {
			k.level = level
			s.touch(k.c.terms[0].on)
		}
	}
}

// propagate narrows variables until nothing follows any more. It returns an incompatibility
// without terms if there is no solution.
func (s *search) propagate() *incompat {
	for len(s.dirty) > 0 {
		v := s.dirty[0]
		s.dirty = s.dirty[1:]
		list := s.about[v.index]
		for i := len(list) - 1; i >= 0; i-- {
			c := list[i]
			switch t, state := s.unit(c); state {
			case open:
			case one:
				s.derive(t, c)
			case conflict:
				learned, proof := s.learn(c)
				if proof != nil {
					return proof
				}
				t, _ := s.unit(learned)
				s.derive(t, learned)
				s.touch(v)
				i = -1
			}
		}
	}
	return nil
}

func (s *search) derive(t term, c *incompat) {
	s.trail.push(t.on, t.in.complement(t.on.size()), c)
	s.touch(t.on)
}

const (
	open     = iota // nothing follows
	one             // all terms but one hold
	conflict        // all terms hold
)

func (s *search) unit(c *incompat) (left term, state int) {
	state = conflict
	for _, t := range c.terms {
		d := s.trail.domain(t.on)
		switch {
		case d.within(t.in):
		case !d.meets(t.in), state == one:
			return term{}, open
		default:
			left, state = t, one
		}
	}
	return left, state
}

// learn resolves an incompatibility whose terms all hold until it tells which earlier decision was wrong,
// and goes back there.
func (s *search) learn(c *incompat) (learned, proof *incompat) {
	fresh := false
	for len(c.terms) > 0 {
		step, before := s.trail.blame(c)
		if step < 0 {
			return nil, c
		}
		last := s.trail.steps[step]
		if last.cause == nil || before < last.level {
			s.backtrack(before)
			if fresh {
				s.keep(c)
			}
			return c, nil
		}
		c, fresh = resolve(c, last.cause, last.on), true
	}
	return nil, c
}

// next returns the part to decide on, first by name, and the choice to try.
func (s *search) next() (*variable, int) {
	var best *variable
	for _, v := range s.parts {
		d := s.trail.domain(v)
		undecided := d.len() > 1 || !s.expanded[v].has(d.highest())
		if !d.has(absent) && undecided && (best == nil || v.name < best.name) {
			best = v
		}
	}
	if best == nil {
		return nil, 0
	}
	d := s.trail.domain(best)
	if i := s.locked(best); i > 0 && d.has(i) {
		return best, i
	}
	return best, d.highest()
}

// locked returns the choice that is locked, or 0.
func (s *search) locked(v *variable) int {
	return v.choiceOf(s.in.Locked[v.name])
}

// choiceOf returns the choice of a version, or 0.
func (v *variable) choiceOf(version string) int {
	if version == "" {
		return 0
	}
	return 1 + slices.IndexFunc(v.versions, func(c candidate) bool { return c.version.Original() == version || c.version.String() == version })
}

// names returns the parts that are chosen for certain, sorted.
func (s *search) names() []string {
	var names []string
	for n, v := range s.parts {
		if !s.trail.domain(v).has(absent) {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	return names
}
