// SPDX-License-Identifier: Apache-2.0

package solve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/Masterminds/semver/v3"
)

// errRestart says that something was learned which an earlier step of the search took for
// known: begin again, with what is known now.
var errRestart = errors.New("begin the search again")

// maxNames bounds what a hostile source can make the solver ask for.
const maxNames = 4096

// knowledge is what the source told, kept over all searches of one Solve.
type knowledge struct {
	src   Source
	in    Input
	known map[string][]candidate // ascending, by name

	listed    map[string]bool            // capabilities whose Providers were asked for
	providers map[string]map[string]bool // by capability: names with a version that provides it
}

// candidate is one version of a part.
type candidate struct {
	version *semver.Version
	yanked  bool
	part    *Part  // nil until it is needed
	pin     string // the digest by which it was asked for
}

func newKnowledge(src Source, in Input) *knowledge {
	return &knowledge{src, in, map[string][]candidate{}, map[string]bool{}, map[string]map[string]bool{}}
}

// solve searches until nothing new is learned that a finished search would have needed.
func (k *knowledge) solve(ctx context.Context) (*Result, *failed, error) {
	for {
		s := newSearch(k, k.in)
		r, f, err := s.run(ctx)
		if !errors.Is(err, errRestart) {
			return r, f, err
		}
	}
}

// candidates returns the published versions of a part.
func (k *knowledge) candidates(ctx context.Context, name string) ([]candidate, error) {
	if c, ok := k.known[name]; ok {
		return c, nil
	}
	if len(k.known) >= maxNames {
		return nil, fmt.Errorf("look for part %s: the requirements lead to more than %d parts", name, maxNames)
	}
	list, err := k.src.Versions(ctx, name)
	if err != nil {
		return nil, err
	}
	all := make([]candidate, 0, len(list))
	for _, c := range list {
		all = append(all, candidate{version: c.Version, yanked: c.Yanked})
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].version.LessThan(all[j].version) })
	all = slices.CompactFunc(all, func(a, b candidate) bool { return a.version.Equal(b.version) })
	k.known[name] = all
	return all, nil
}

// part returns the metadata of the i-th candidate of a name.
func (k *knowledge) part(ctx context.Context, name string, i int) (*Part, error) {
	c := &k.known[name][i]
	if c.part != nil {
		return c.part, nil
	}
	p, err := k.src.Part(ctx, name, c.version)
	if err != nil {
		return nil, err
	}
	if p.Name != name || !p.Version.Equal(c.version) {
		return nil, fmt.Errorf("read part %s %s: its metadata say %s %s", name, c.version, p.Name, p.Version)
	}
	k.learn(c, p)
	return p, nil
}

func (k *knowledge) learn(c *candidate, p *Part) {
	c.part = p
	c.yanked = c.yanked || p.Yanked
	for _, capability := range p.Provides {
		k.provide(capability.Name, p.Name)
	}
}

func (k *knowledge) provide(capability, name string) {
	if k.providers[capability] == nil {
		k.providers[capability] = map[string]bool{}
	}
	k.providers[capability][name] = true
}

// providersOf returns the names that are known to provide a capability, sorted.
func (k *knowledge) providersOf(ctx context.Context, capability string) ([]string, error) {
	if !k.listed[capability] {
		names, err := k.src.Providers(ctx, capability)
		if err != nil {
			return nil, err
		}
		k.listed[capability] = true
		for _, n := range names {
			k.provide(capability, n)
		}
	}
	names := make([]string, 0, len(k.providers[capability]))
	for n := range k.providers[capability] {
		names = append(names, n)
	}
	sort.Strings(names)
	return names, nil
}

// pinned finds the candidate that has a digest. It returns -1 if another artifact was asked for as the
// same version, and errRestart if the list of candidates had to change.
func (k *knowledge) pinned(ctx context.Context, name, digest string) (int, error) {
	all, err := k.candidates(ctx, name)
	if err != nil {
		return 0, err
	}
	if i := slices.IndexFunc(all, func(c candidate) bool { return c.pin == digest }); i >= 0 {
		return i, nil
	}
	p, err := k.src.Pinned(ctx, name, digest)
	if err != nil {
		return 0, err
	}
	if p.Name != name {
		return 0, fmt.Errorf("read part %s@%s: its metadata say %s", name, digest, p.Name)
	}
	i := slices.IndexFunc(all, func(c candidate) bool { return c.version.Equal(p.Version) })
	switch {
	case i < 0:
		c := candidate{version: p.Version, pin: digest}
		k.learn(&c, p)
		all = append(slices.Clone(all), c)
		sort.SliceStable(all, func(i, j int) bool { return all[i].version.LessThan(all[j].version) })
		k.known[name] = all
	case all[i].pin != "":
		return -1, nil
	default:
		all[i].pin = digest
		k.learn(&all[i], p)
	}
	return 0, errRestart
}
