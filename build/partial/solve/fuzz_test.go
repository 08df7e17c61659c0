// SPDX-License-Identifier: Apache-2.0

package solve

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"
)

// FuzzSolve compares Solve with a search of everything, in small worlds made from a seed.
func FuzzSolve(f *testing.F) {
	for seed := range uint64(400) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		world, use := randomWorld(rand.New(rand.NewPCG(seed, 7)))
		s := newShop(t, world)
		r, err := Solve(t.Context(), s, Input{File: "f", Uses: uses(t, use)})
		possible := tryAll(s, uses(t, use))
		var failure *Failure
		switch {
		case err == nil:
			if bad := violated(r, uses(t, use)); bad != "" {
				t.Errorf("%s\nuse %s\ngave %s, where %s", world, use, show(r), bad)
			}
		case !errors.As(err, &failure):
			t.Errorf("%s\nuse %s: %v", world, use, err)
		case failure.Code == "P024" && strings.Contains(world, "cap:"):
			// Which provider to take is not for Solve to say.
		case possible != nil:
			t.Errorf("%s\nuse %s\nfailed with %v\nbut %v is a solution", world, use, err, possible)
		}
	})
}

// randomWorld makes up to 5 parts with up to 4 versions. A part requires only later ones, so there are no cycles.
// Half of the worlds have capabilities, the others two stages.
func randomWorld(r *rand.Rand) (world, use string) {
	n := 2 + r.IntN(4)
	capable := r.IntN(2) == 0
	ranges := []string{"", "@^1", "@^2", "@>=2", "@<3", "@=1.0.0", "@!=2.0.0", "@3 || 1"}
	var b strings.Builder
	for p := range n {
		for v := range 1 + r.IntN(4) {
			fmt.Fprintf(&b, "p%d %d.0.0", p, v+1)
			for q := p + 1; q < n; q++ {
				switch r.IntN(6) {
				case 0, 1:
					fmt.Fprintf(&b, "; needs p%d%s", q, ranges[r.IntN(len(ranges))])
				case 2:
					fmt.Fprintf(&b, "; not p%d%s", q, ranges[r.IntN(len(ranges))])
				}
			}
			if r.IntN(4) == 0 || capable && p >= n-2 && r.IntN(2) == 0 {
				fmt.Fprintf(&b, "; gives x%d", r.IntN(2))
			}
			if capable && p < n-2 && r.IntN(4) == 0 {
				fmt.Fprintf(&b, "; needs cap:x%d", 2+r.IntN(2))
			}
			if capable && p >= n-2 && r.IntN(2) == 0 {
				fmt.Fprintf(&b, "; gives x%d", 2+r.IntN(2)) // what later parts give, so there are no cycles
			}
			if r.IntN(6) == 0 {
				fmt.Fprintf(&b, "; alone x%d", r.IntN(2))
			}
			if r.IntN(12) == 0 {
				b.WriteString("; yanked")
			}
			b.WriteString("\n")
		}
	}
	var all []string
	for p := range n {
		if p == 0 || r.IntN(3) == 0 {
			u := fmt.Sprintf("p%d%s", p, ranges[r.IntN(len(ranges))])
			if !capable {
				u += fmt.Sprintf(" in s%d", r.IntN(2))
			}
			all = append(all, u)
		}
	}
	return b.String(), strings.Join(all, ", ")
}

// tryAll returns a set of parts that satisfies everything, or nil.
func tryAll(s *shop, uses []Use) []*Part {
	var names []string
	for p := 0; s.parts[fmt.Sprint("p", p)] != nil; p++ {
		names = append(names, fmt.Sprint("p", p))
	}
	var chosen []*Part
	var walk func(i int) []*Part
	walk = func(i int) []*Part {
		if i == len(names) {
			if complaint(chosen, uses) == "" {
				return append([]*Part{}, chosen...)
			}
			return nil
		}
		if found := walk(i + 1); found != nil {
			return found
		}
		for _, p := range s.parts[names[i]] {
			chosen = append(chosen, p)
			found := walk(i + 1)
			chosen = chosen[:len(chosen)-1]
			if found != nil {
				return found
			}
		}
		return nil
	}
	return walk(0)
}

// complaint says what is wrong with a choice of versions, stage by stage.
func complaint(chosen []*Part, uses []Use) string {
	find := func(r Requirement) *Part {
		for _, p := range chosen {
			if p.Name == r.Name && r.Range.Match(p.Version) {
				return p
			}
		}
		return nil
	}
	stages := map[string][]*Part{}
	for _, u := range uses {
		p := find(Requirement{Name: u.Name, Range: u.Range})
		if p == nil {
			return "not " + u.Name + " " + u.Range.String()
		}
		stages[u.Stage] = append(stages[u.Stage], p)
	}
	for stage, in := range stages {
		if stage == "" {
			in = chosen // with capabilities it is not known who is there for whom
		}
		for i := 0; i < len(in); i++ {
			for _, r := range in[i].Requires {
				p := find(r)
				if p == nil && !r.Cap {
					return in[i].Name + " lacks " + r.String()
				}
				if !r.Cap && !slices.Contains(in, p) {
					in = append(in, p)
				}
			}
		}
		if bad := meet(in); bad != "" {
			return bad
		}
	}
	return ""
}

// meet says what is wrong with the parts of one stage.
func meet(in []*Part) string {
	for _, p := range in {
		if p.Yanked {
			return p.Name + " is yanked"
		}
		for _, r := range p.Requires {
			if r.Cap && !slices.ContainsFunc(in, func(q *Part) bool { return q != p && anyMeets(q.Provides, r) }) {
				return p.Name + " lacks " + r.String()
			}
		}
		for _, r := range p.Conflicts {
			if slices.ContainsFunc(in, func(q *Part) bool { return q.Name == r.Name && r.Range.Match(q.Version) }) {
				return p.Name + " conflicts with " + r.String()
			}
		}
		for _, x := range p.Exclusive {
			for _, q := range in {
				if q != p && q.claims(x) {
					return p.Name + " and " + q.Name + " give " + x
				}
			}
		}
	}
	return ""
}

func violated(r *Result, uses []Use) string {
	var chosen []*Part
	for _, p := range r.Parts {
		chosen = append(chosen, p.Part)
	}
	return complaint(chosen, uses)
}

// FuzzRange feeds ParseRange what it may meet in a file.
func FuzzRange(f *testing.F) {
	for _, s := range []string{"", "^1", ">=20 <25", "~3.12, !=3.12.1", "1.x || >=2.0.0-0", "sha256:00", "=>1", "^", "1 - 2", "*", "||", "v1"} {
		f.Add(s)
	}
	versions := []*semver.Version{semver.MustParse("1.0.0"), semver.MustParse("2.0.0-rc.1"), semver.MustParse("0.0.1")}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRange(s)
		if err != nil {
			return
		}
		again, err := ParseRange(r.String())
		if err != nil {
			t.Fatalf("ParseRange(%q) is %q, which it does not read: %v", s, r, err)
		}
		for _, v := range versions {
			if r.Match(v) != again.Match(v) {
				t.Errorf("ParseRange(%q) and its text disagree about %s", s, v)
			}
		}
	})
}
