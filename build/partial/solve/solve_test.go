// SPDX-License-Identifier: Apache-2.0

package solve

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"
)

// shop is a Source made from lines such as
//
//	std/a 1.0.0 needs std/b@^1, cap:x; builds std/c; gives y=2; alone y; not std/d@<2; yanked; digest sha256:…
type shop struct {
	parts     map[string][]*Part
	providers bool
	asked     []string
}

func newShop(t testing.TB, lines string) *shop {
	t.Helper()
	s := &shop{parts: map[string][]*Part{}, providers: true}
	for line := range strings.Lines(lines) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		head, rest, _ := strings.Cut(line, ";")
		f := strings.SplitN(head, " ", 3)
		if len(f) == 3 {
			rest = f[2] + ";" + rest
		}
		p := &Part{Name: f[0], Version: semver.MustParse(f[1])}
		for clause := range strings.SplitSeq(rest, ";") {
			word, args, _ := strings.Cut(strings.TrimSpace(clause), " ")
			for arg := range strings.SplitSeq(args, ", ") {
				p.set(t, word, arg)
			}
		}
		s.parts[p.Name] = append(s.parts[p.Name], p)
	}
	return s
}

func (p *Part) set(t testing.TB, word, arg string) {
	t.Helper()
	req := func() Requirement {
		r, err := ParseRequirement(arg)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	switch word {
	case "":
	case "needs":
		p.Requires = append(p.Requires, req())
	case "builds":
		p.BuildRequires = append(p.BuildRequires, req())
	case "gives":
		c, err := ParseCapability(arg)
		if err != nil {
			t.Fatal(err)
		}
		p.Provides = append(p.Provides, c)
	case "alone":
		p.Exclusive = append(p.Exclusive, arg)
	case "not":
		p.Conflicts = append(p.Conflicts, req())
	case "yanked":
		p.Yanked = true
	case "digest":
		p.Digest = arg
	default:
		t.Fatalf("unknown word %q", word)
	}
}

func (s *shop) Versions(_ context.Context, name string) ([]Candidate, error) {
	s.asked = append(s.asked, name)
	if s.parts[name] == nil {
		return nil, &Failure{Code: "P022", Message: "part " + name + " not found"}
	}
	var all []Candidate
	for _, p := range s.parts[name] {
		if p.Digest == "" || !p.Yanked { // a yanked one with a digest is not listed
			all = append(all, Candidate{Version: p.Version})
		}
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all, nil
}

func (s *shop) Part(_ context.Context, name string, v *semver.Version) (*Part, error) {
	for _, p := range s.parts[name] {
		if p.Version.Equal(v) {
			return p, nil
		}
	}
	return nil, fmt.Errorf("no %s %s", name, v)
}

func (s *shop) Pinned(_ context.Context, name, digest string) (*Part, error) {
	for _, p := range s.parts[name] {
		if p.Digest == digest {
			return p, nil
		}
	}
	return nil, &Failure{Code: "P022", Message: "no such digest"}
}

func (s *shop) Providers(_ context.Context, capability string) ([]string, error) {
	if !s.providers {
		return nil, nil
	}
	var names []string
	for n, parts := range s.parts {
		if slices.ContainsFunc(parts, func(p *Part) bool {
			return slices.ContainsFunc(p.Provides, func(c Capability) bool { return c.Name == capability })
		}) {
			names = append(names, n)
		}
	}
	return names, nil
}

// uses reads "std/a@^1, std/b in build"; lines count from 3.
func uses(t testing.TB, text string) []Use {
	t.Helper()
	var all []Use
	for i, u := range strings.Split(text, ", ") {
		ref, stage, _ := strings.Cut(u, " in ")
		r, err := ParseRequirement(ref)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Use{Name: r.Name, Range: r.Range, Line: i + 3, Stage: stage})
	}
	return all
}

// show writes a result as "std/a 1.0.0 [stage stage] std/b 2.0.0 [stage]"; the unnamed stage alone is left out.
func show(r *Result) string {
	var words []string
	for _, p := range r.Parts {
		w := p.Name + " " + p.Version.String()
		if !slices.Equal(p.Stages, []string{""}) {
			w += fmt.Sprint(" ", p.Stages)
		}
		words = append(words, w)
	}
	return strings.Join(words, ", ")
}

const pinA = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

func TestSolve(t *testing.T) {
	unfit := func(p *Part, stage string) *Failure {
		if p.Name == "old" && p.Version.Major() > 1 || p.Name == "glibc" {
			return &Failure{Code: "P030", Message: fmt.Sprintf("%s %s needs debian>=11; base %s is alpine 3.20.3", p.Name, p.Version, stage)}
		}
		return nil
	}
	for name, tc := range map[string]struct {
		shop, uses, want string
		in               Input
		noProviders      bool
	}{
		"one":             {shop: "a 1.0.0\n a 1.2.0\n a 2.0.0", uses: "a@^1", want: "a 1.2.0"},
		"A8 diamond":      {shop: "a 1.0.0 needs c@^1.2\n b 1.0.0 needs c@>=1.3\n c 1.2.0\n c 1.3.0\n c 1.4.1\n c 2.0.0", uses: "a, b, c", want: "a 1.0.0, b 1.0.0, c 1.4.1"},
		"A41 release":     {shop: "a 1.9.0\n a 2.0.0-rc.1", uses: "a@>=1", want: "a 1.9.0"},
		"A41 prerelease":  {shop: "a 1.9.0\n a 2.0.0-rc.1", uses: "a@>=2.0.0-0", want: "a 2.0.0-rc.1"},
		"other patch":     {shop: "a 2.0.0\n a 2.1.0-rc.1", uses: "a@>=2.0.0-0", want: "a 2.0.0"},
		"locked":          {shop: "a 1.0.0\n a 1.1.0", uses: "a@^1", in: Input{Locked: map[string]string{"a": "1.0.0"}}, want: "a 1.0.0"},
		"lock too old":    {shop: "a 1.0.0\n a 1.1.0", uses: "a@^1.1", in: Input{Locked: map[string]string{"a": "1.0.0"}}, want: "a 1.1.0"},
		"yanked":          {shop: "a 1.0.0\n a 1.1.0; yanked", uses: "a", want: "a 1.0.0"},
		"yanked, locked":  {shop: "a 1.0.0\n a 1.1.0; yanked", uses: "a", in: Input{Locked: map[string]string{"a": "1.1.0"}}, want: "a 1.1.0"},
		"pinned":          {shop: "a 1.0.0; digest " + pinA + "\n a 1.1.0", uses: "a@" + pinA, want: "a 1.0.0"},
		"pinned, hidden":  {shop: "a 1.0.0; digest " + pinA + "; yanked\n a 1.1.0", uses: "a@" + pinA, want: "a 1.0.0"},
		"pinned deeper":   {shop: "b 1.0.0 needs a@" + pinA + "\n a 1.0.0; digest " + pinA + "; yanked\n a 1.1.0", uses: "a, b", want: "a 1.0.0, b 1.0.0"},
		"backtracks":      {shop: "a 1.0.0 needs c@^1\n a 1.1.0 needs c@^2\n b 1.0.0 needs c@^1\n c 1.0.0\n c 2.0.0", uses: "a, b", want: "a 1.0.0, b 1.0.0, c 1.0.0"},
		"override":        {shop: "a 1.0.0 needs c@^1\n b 1.0.0 needs c@^2\n c 1.0.0\n c 2.0.0", uses: "a, b", in: Input{Overrides: map[string]string{"c": "2.0.0"}}, want: "a 1.0.0, b 1.0.0, c 2.0.0"},
		"stages":          {shop: "a 1.0.0 needs c\n b 1.0.0\n c 1.0.0", uses: "a in build, b in app", want: "a 1.0.0 [build], b 1.0.0 [app], c 1.0.0 [build]"},
		"one version":     {shop: "a 1.0.0 needs c\n b 1.0.0 needs c@^1\n c 1.0.0\n c 2.0.0", uses: "a in build, b in app", want: "a 1.0.0 [build], b 1.0.0 [app], c 1.0.0 [app build]"},
		"inherits":        {shop: "a 1.0.0 needs c\n b 1.0.0 needs c\n c 1.0.0", uses: "a in base, b in app", in: Input{Inherits: map[string]string{"app": "base"}}, want: "a 1.0.0 [base], b 1.0.0 [app], c 1.0.0 [base]"},
		"helper stage":    {shop: "a 1.0.0 builds c\n c 1.0.0 needs d\n d 1.0.0", uses: "a", want: "a 1.0.0, c 1.0.0 [build:a], d 1.0.0 [build:a]"},
		"capability":      {shop: "a 1.0.0 needs cap:js@>=20\n node 1.0.0; gives js=18\n node 1.1.0; gives js=22\n node 1.2.0", uses: "a", want: "a 1.0.0, node 1.1.0"},
		"used provider":   {shop: "a 1.0.0 needs cap:js\n node 1.0.0; gives js\n bun 1.0.0; gives js", uses: "bun, a", want: "a 1.0.0, bun 1.0.0"},
		"no index":        {shop: "a 1.0.0 needs cap:js\n node 1.0.0; gives js\n bun 1.0.0; gives js", uses: "bun, a", noProviders: true, want: "a 1.0.0, bun 1.0.0"},
		"A21 base":        {shop: "a 1.0.0 needs cap:js@>=20\n node 1.0.0; gives js=22", uses: "a", in: Input{Base: map[string][]Capability{"": {{"js", semver.MustParse("22.1.0")}}}}, want: "a 1.0.0"},
		"provider, stage": {shop: "a 1.0.0 needs cap:js\n node 1.0.0; gives js", uses: "node in build, a in app", want: "a 1.0.0 [app], node 1.0.0 [app build]"},
		"exclusive apart": {shop: "a 1.0.0; gives js; alone js\n b 1.0.0; gives js; alone js", uses: "a in build, b in app", want: "a 1.0.0 [build], b 1.0.0 [app]"},
		"older is not":    {shop: "a 1.0.0\n a 2.0.0; alone js\n b 1.0.0; gives js", uses: "a, b", want: "a 1.0.0, b 1.0.0"},
		"conflict":        {shop: "a 1.0.0; not b@>=2\n b 1.0.0\n b 2.0.0", uses: "a, b", want: "a 1.0.0, b 1.0.0"},
		"fits":            {shop: "old 1.0.0\n old 2.0.0\n old 3.0.0", uses: "old", in: Input{Fit: unfit}, want: "old 1.0.0"},
		"out of a cycle":  {shop: "a 1.0.0\n a 1.1.0 needs b\n b 1.0.0 needs a", uses: "b", want: "a 1.0.0, b 1.0.0"},
		"nothing used":    {},
		"late provider": { // d provides js too, which is known only once it is chosen
			shop: "a 1.0.0 needs cap:js\n bun 1.0.0; gives js\n bun 1.1.0; gives js\n bun 1.2.0 needs d\n d 1.0.0; gives js",
			uses: "a, bun", noProviders: true, want: "a 1.0.0, bun 1.2.0, d 1.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t, tc.shop)
			s.providers = !tc.noProviders
			in := tc.in
			in.File = "Containerfile"
			if tc.uses != "" {
				in.Uses = uses(t, tc.uses)
			}
			r, err := Solve(t.Context(), s, in)
			if err != nil {
				t.Fatalf("Solve(%s) = %v; want %s", tc.uses, err, tc.want)
			}
			if got := show(r); got != tc.want {
				t.Errorf("Solve(%s) = %s; want %s", tc.uses, got, tc.want)
			}
			slices.Sort(s.asked)
			if again := slices.Compact(slices.Clone(s.asked)); len(again) != len(s.asked) {
				t.Errorf("versions were asked for more than once: %v", s.asked)
			}
		})
	}
}

func TestFailures(t *testing.T) {
	unfit := func(p *Part, stage string) *Failure {
		return &Failure{Code: "P030", Message: fmt.Sprintf("%s %s needs debian>=11 or ubuntu>=22.04; base alpine:3.20 is alpine 3.20.3", p.Name, p.Version)}
	}
	nodejs := `
		std/nodejs 1.3.9 needs std/openssl@^1 || ^3
		std/nodejs 1.4.0 needs std/openssl@^3
		std/nodejs 1.4.1 needs std/openssl@^3
		std/nodejs 1.4.2 needs std/openssl@^3
		std/legacy-db 2.1.0 needs std/openssl@^1
		std/legacy-db 2.2.0 needs std/openssl@>=1
		std/openssl 1.1.1
		std/openssl 3.0.0`
	for name, tc := range map[string]struct {
		shop, uses string
		in         Input
		want       string
	}{
		"A6": {shop: nodejs, uses: "std/nodejs@^1.4, std/legacy-db@=2.1.0", want: `P020 0 no set of parts satisfies Containerfile
std/nodejs 1.4.0 to 1.4.2 needs std/openssl ^3
std/legacy-db 2.1.0 needs std/openssl ^1
so they exclude each other, and line 3 asks for std/nodejs ^1.4, line 4 for std/legacy-db =2.1.0
try: line 3 with ^1.3 (1.3.9 needs std/openssl ^1 || ^3), or line 4 with ^2.2 (2.2.0 needs std/openssl >=1)`},
		"A6 deeper": {shop: "a 1.0.0 needs b\n b 1.0.0 needs c@^1\n d 1.0.0 needs e\n e 1.0.0 needs c@^2\n c 1.0.0\n c 2.0.0", uses: "a, d", want: `P020 0 no set of parts satisfies Containerfile
d 1.0.0 needs e
e 1.0.0 needs c ^2
b 1.0.0 needs c ^1
a 1.0.0 needs b
so they exclude each other, and line 3 asks for a, line 4 for d
try: without line 3 (a), or without line 4 (d)`},
		"A7 range": {shop: "std/nodejs 1.4.2\n std/nodejs 1.4.1", uses: "std/nodejs@^3", want: `P021 3 std/nodejs has no version matching ^3; newest is 1.4.2`},
		"A7 cycle": {shop: "std/a 1.0.0 needs std/b\n std/b 2.1.0 needs std/a", uses: "std/a", want: `P023 3 requirement cycle: std/a 1.0.0 → std/b 2.1.0 → std/a
std/a 1.0.0 needs std/b
line 3 asks for std/a`},
		"A7 range, deeper": {shop: "a 1.0.0 needs b@^3\n b 1.4.2", uses: "a", want: `P021 3 b has no version matching ^3; newest is 1.4.2
a 1.0.0 needs b ^3, but b has no version matching ^3; newest is 1.4.2
line 3 asks for a`},
		"itself":     {shop: "a 1.0.0 needs a", uses: "a", want: "P023 3 requirement cycle: a 1.0.0 → a\nline 3 asks for a"},
		"yanked":     {shop: "a 1.0.0; yanked", uses: "a", want: "P020 3 no set of parts satisfies Containerfile\na 1.0.0 is yanked\nline 3 asks for a"},
		"not there":  {shop: "a 1.0.0 needs b", uses: "a", want: "P022 0 part b not found"},
		"prerelease": {shop: "a 1.0.0-rc.1", uses: "a", want: "P021 3 a has no version matching any release; newest is 1.0.0-rc.1"},
		"A21": {shop: "std/nodejs 1.0.0; gives nodejs; alone nodejs\n std/bun-compat 1.0.0; gives nodejs; alone nodejs", uses: "std/nodejs, std/bun-compat",
			want: `P025 0 std/nodejs and std/bun-compat both provide exclusive nodejs
std/nodejs 1.0.0 and std/bun-compat 1.0.0 both provide exclusive nodejs
line 3 asks for std/nodejs, line 4 for std/bun-compat
try: without line 3 (std/nodejs), or without line 4 (std/bun-compat)`},
		"P024": {shop: "a 1.0.0 needs cap:jre@>=17\n std/temurin 1.0.0; gives jre=21\n std/corretto 1.0.0; gives jre=17\n std/old 1.0.0; gives jre=8", uses: "a",
			want: `P024 0 capability jre >=17 is provided by std/corretto and std/temurin; add "#: use" for one of them
a 1.0.0 needs capability jre >=17
try: #: use std/corretto`},
		"no provider": {shop: "a 1.0.0 needs cap:jre\n b 1.0.0", uses: "a, b", want: `P020 3 no set of parts satisfies Containerfile
a 1.0.0 needs capability jre, which no part provides
line 3 asks for a
try: without line 3 (a)`},
		"A14": {shop: "std/nodejs 1.4.2", uses: "std/nodejs", in: Input{Fit: unfit}, want: `P030 3 std/nodejs 1.4.2 needs debian>=11 or ubuntu>=22.04; base alpine:3.20 is alpine 3.20.3
line 3 asks for std/nodejs`},
		"conflict": {shop: "a 1.0.0; not b@>=2\n b 1.0.0\n b 2.0.0", uses: "a, b@^2", want: `P020 0 no set of parts satisfies Containerfile
a 1.0.0 conflicts with b >=2
so they exclude each other, and line 3 asks for a, line 4 for b ^2
try: line 4 with ^1.0 (1.0.0)`},
		"override": {shop: "a 1.0.0", uses: "a", in: Input{Overrides: map[string]string{"a": "7.0.0"}}, want: "P021 3 a has no version matching =7.0.0, to which it is overridden; newest is 1.0.0"},
		"base excludes": {shop: "a 1.0.0; gives js; alone js", uses: "a", in: Input{Base: map[string][]Capability{"": {{Name: "js"}}}}, want: `P025 3 a and the base both provide exclusive js
a 1.0.0 and the base both provide exclusive js
line 3 asks for a`},
	} {
		t.Run(name, func(t *testing.T) {
			for range 5 { // what the source lists is shuffled
				in := tc.in
				in.File = "Containerfile"
				in.Uses = uses(t, tc.uses)
				r, err := Solve(t.Context(), newShop(t, tc.shop), in)
				var f *Failure
				if !errors.As(err, &f) {
					t.Fatalf("Solve(%s) = %v, %v; want a failure", tc.uses, r, err)
				}
				got := fmt.Sprintf("%s %d %s", f.Code, f.Line, f)
				got = strings.ReplaceAll(got, "\n  ", "\n")
				if f.Try != "" {
					got += "\ntry: " + f.Try
				}
				if got != tc.want {
					t.Fatalf("Solve(%s) failed with\n%s\nwant\n%s", tc.uses, got, tc.want)
				}
			}
		})
	}
}
