// SPDX-License-Identifier: Apache-2.0

package solve

import (
	"context"
	"fmt"
)

type kind int

const (
	asked     kind = iota // a line asks for a part
	needs                 // a version requires something
	nothing               // a version requires something that has no such version
	yanked                // a version is yanked
	unfit                 // a version cannot be in a stage
	conflicts             // a version excludes another
	exclusive             // two versions give an exclusive capability
	uncapable             // a version needs a capability that nothing left provides
	cycle                 // versions require each other
	follows               // a rule of stages; not shown
)

// fact is why an incompatibility holds that was not derived.
type fact struct {
	kind    kind
	use     int // index into Input.Uses
	on      *variable
	choice  int // of on
	req     Requirement
	other   *variable // exclusive, conflicts
	choices set       // of other
	cap     string
	given   []string // needs of a capability: who provides it
	failure *Failure // unfit
	path    []string // cycle
}

// addUses turns the lines into incompatibilities.
func (s *search) addUses(ctx context.Context) (*failed, error) {
	for i, u := range s.in.Uses {
		v, err := s.variable(ctx, u.Name)
		if err != nil {
			return nil, err
		}
		allow, err := s.allowed(ctx, v, u.Range)
		if err != nil {
			return nil, err
		}
		if allow.len() == 0 {
			f := noVersion(v, u.Range, s.in.Overrides[u.Name])
			f.Line = u.Line
			return &failed{own: f, s: s}, nil
		}
		f := &fact{kind: asked, use: i, on: v}
		s.add(f, term{v, allow.complement(v.size())})
		p := s.presenceIn(u.Name, u.Stage)
		s.add(f, term{p, newSet(2, absent)})
	}
	return nil, nil
}

// allowed returns the versions that a range admits; an override replaces all ranges.
func (s *search) allowed(ctx context.Context, v *variable, r Range) (set, error) {
	allow := newSet(v.size())
	if o := s.in.Overrides[v.name]; o != "" {
		if i := v.choiceOf(o); i > 0 {
			allow = newSet(v.size(), i)
		}
		return allow, nil
	}
	if r.Digest() != "" {
		i, err := s.k.pinned(ctx, v.name, r.Digest())
		if err != nil || i < 0 {
			return allow, err
		}
		return newSet(v.size(), i+1), nil
	}
	locked := s.locked(v)
	for i, c := range v.versions {
		if r.Match(c.version) && (!c.yanked || i+1 == locked || c.pin != "") {
			allow = allow.or(newSet(v.size(), i+1))
		}
	}
	return allow, nil
}

// expand makes incompatibilities of what a version requires. It reports whether there were any to make.
func (s *search) expand(ctx context.Context, v *variable, choice int) (grown bool, err error) {
	if s.expanded[v].has(choice) {
		return false, nil
	}
	p, err := s.k.part(ctx, v.name, choice-1)
	if err != nil {
		return false, err
	}
	if err := s.recall(p); err != nil {
		return false, err
	}
	s.expanded[v] = s.expanded[v].or(newSet(v.size(), choice))
	self := term{v, newSet(v.size(), choice)}
	c := s.k.known[v.name][choice-1]
	if c.yanked && c.pin == "" && choice != s.locked(v) && s.in.Overrides[v.name] == "" {
		s.add(&fact{kind: yanked, on: v, choice: choice}, self)
		return true, nil
	}
	for _, list := range [][]Requirement{p.Requires, p.BuildRequires} {
		for _, r := range list {
			if r.Cap {
				continue
			}
			grown = true
			if err := s.require(ctx, self, choice, r); err != nil {
				return false, err
			}
		}
	}
	return grown, nil
}

func (s *search) require(ctx context.Context, self term, choice int, r Requirement) error {
	b, err := s.variable(ctx, r.Name)
	if err != nil {
		return err
	}
	allow, err := s.allowed(ctx, b, r.Range)
	if err != nil {
		return err
	}
	f := &fact{kind: needs, on: self.on, choice: choice, req: r}
	switch {
	case b == self.on:
		f.kind, f.path = cycle, []string{versionName(b, choice), b.name}
		s.add(f, self)
	case allow.len() == 0:
		f.kind, f.other = nothing, b
		s.add(f, self)
	default:
		s.add(f, self, term{b, allow.complement(b.size())})
	}
	return nil
}

// recall begins the search again if a part provides what was taken for given by others only.
func (s *search) recall(p *Part) error {
	for _, c := range p.Provides {
		names, used := s.assumed[c.Name]
		if !used {
			continue
		}
		known := false
		for _, n := range names {
			known = known || n == p.Name
		}
		if !known {
			return errRestart
		}
	}
	return nil
}

func versionName(v *variable, choice int) string {
	return fmt.Sprintf("%s %s", v.name, v.versions[choice-1].version)
}

// noVersion is P021.
func noVersion(v *variable, r Range, override string) *Failure {
	f := &Failure{Code: "P021"}
	wanted := r.String()
	if override != "" {
		wanted = "=" + override + ", to which it is overridden"
	}
	if wanted == "" {
		wanted = "any release"
	}
	newest, withdrawn := newestOf(v, r)
	switch {
	case newest == "" && withdrawn == "" && len(v.versions) == 0:
		f.Message = fmt.Sprintf("%s has no version at all", v.name)
	case withdrawn != "" && override == "":
		f.Message = fmt.Sprintf("%s has no version matching %s; %s is yanked", v.name, wanted, withdrawn)
	case newest == "":
		f.Message = fmt.Sprintf("%s has no version matching %s; all are yanked", v.name, wanted)
	default:
		f.Message = fmt.Sprintf("%s has no version matching %s; newest is %s", v.name, wanted, newest)
	}
	return f
}

// newestOf returns the newest version that is not yanked, and the newest yanked one that r admits.
func newestOf(v *variable, r Range) (newest, withdrawn string) {
	for _, c := range v.versions {
		switch {
		case !c.yanked:
			newest = c.version.String()
		case r.Match(c.version):
			withdrawn = c.version.String()
		}
	}
	return newest, withdrawn
}
