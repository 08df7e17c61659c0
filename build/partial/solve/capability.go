// SPDX-License-Identifier: Apache-2.0

package solve

import (
	"context"
	"fmt"
	"strings"
)

// providerIn returns the first part of a stage, other than p, that meets a capability; "" with true if the base does.
func (s *search) providerIn(p placed, r Requirement, stage string) (string, bool) {
	if anyMeets(s.base(stage), r) {
		return "", true
	}
	for _, n := range s.names() {
		v := s.parts[n]
		if v == p.v || !s.holds(n, stage) {
			continue
		}
		if part := v.versions[s.trail.domain(v).highest()-1].part; part != nil && anyMeets(part.Provides, r) {
			return n, true
		}
	}
	return "", false
}

func (s *search) checkCapabilities(ctx context.Context, all []placed) (grown bool, f *failed, err error) {
	for _, p := range all {
		for _, r := range p.part.Requires {
			for _, stage := range p.stages {
				if r.Cap {
					more, f, err := s.provide(ctx, p, r, stage, p.self(), s.isIn(p.v.name, stage))
					grown = grown || more
					if err != nil || f != nil {
						return false, f, err
					}
				}
			}
		}
		for _, r := range p.part.BuildRequires {
			if r.Cap {
				more, f, err := s.provide(ctx, p, r, HelperStage(p.v.name), p.self())
				grown = grown || more
				if err != nil || f != nil {
					return false, f, err
				}
			}
		}
	}
	return grown, nil, nil
}

// provider is a part with the versions that meet a capability.
type provider struct {
	v    *variable
	able set
}

// provide makes the only part that can meet a requirement follow from it. With more than one it is
// the user who chooses (P024). when are the terms that make it a requirement of the stage.
func (s *search) provide(ctx context.Context, p placed, r Requirement, stage string, when ...term) (grown bool, _ *failed, _ error) {
	if _, met := s.providerIn(p, r, stage); met {
		return false, nil, nil
	}
	able, err := s.able(ctx, p, r)
	if err != nil {
		return false, nil, err
	}
	var left []provider
	var given []string
	for _, a := range able {
		given = append(given, a.v.name)
		if s.trail.domain(a.v).meets(a.able) {
			left = append(left, a)
		} else {
			when = append(when, term{a.v, a.able.complement(a.v.size())})
		}
	}
	f := &fact{kind: needs, on: p.v, choice: p.choice, req: r, given: given}
	switch len(left) {
	case 0:
		f.kind = uncapable
		s.add(f, when...)
	case 1:
		only := left[0]
		s.add(f, append(append([]term(nil), when...), s.isNotIn(only.v.name, stage))...)
		s.add(f, append(when, term{only.v, only.able.complement(only.v.size())})...)
	default:
		return false, &failed{s: s, own: ambiguous(p, r, left)}, nil
	}
	return true, nil, nil
}

// able lists the parts with a version that meets r, by name.
func (s *search) able(ctx context.Context, p placed, r Requirement) ([]provider, error) {
	names, err := s.k.providersOf(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	s.assumed[r.Name] = names
	var able []provider
	for _, n := range names {
		if n == p.v.name {
			continue
		}
		v, err := s.variable(ctx, n)
		if err != nil {
			return nil, err
		}
		may, err := s.allowed(ctx, v, Range{})
		if err != nil {
			return nil, err
		}
		if d := s.trail.domain(v); !d.has(absent) {
			may = may.or(d) // chosen already, so a prerelease may be as well
		}
		has := newSet(v.size())
		for i := range v.versions {
			if !may.has(i + 1) {
				continue
			}
			part, err := s.k.part(ctx, n, i)
			if err != nil {
				return nil, err
			}
			if anyMeets(part.Provides, r) && !(part.Yanked && i+1 != s.locked(v)) {
				has = has.or(newSet(v.size(), i+1))
			}
		}
		if has.len() > 0 {
			able = append(able, provider{v, has})
		}
	}
	return able, nil
}

// ambiguous is P024.
func ambiguous(p placed, r Requirement, left []provider) *Failure {
	var names []string
	for _, a := range left {
		names = append(names, a.v.name)
	}
	return &Failure{
		Code:    "P024",
		Message: fmt.Sprintf(`%s is provided by %s; add "#: use" for one of them`, r, andList(names)),
		Explain: []string{fmt.Sprintf("%s needs %s", versionName(p.v, p.choice), r)},
		Try:     "#: use " + names[0],
	}
}

// andList writes "a, b and c".
func andList(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
