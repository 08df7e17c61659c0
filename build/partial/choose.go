// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/berth-containers/berth/build/partial/solve"
)

// catalog is what the solver sees of a Library: it maps names to references, and remembers.
type catalog struct {
	lib      Library
	refs     map[string]Ref // by part name
	releases map[string][]Release
	metas    map[string]*Meta             // by name and version or digest
	given    map[string]map[string]string // parameters of the first use, by name: what "provides" may name
	lock     *Lock                        // not nil: only what it has exists
	pins     *Lock                        // not nil: a version that it has is the one with its digest
}

func newCatalog(lib Library, lock *Lock) *catalog {
	return &catalog{lib: lib, lock: lock, refs: map[string]Ref{}, releases: map[string][]Release{}, metas: map[string]*Meta{}, given: map[string]map[string]string{}}
}

// errNotLocked says that the lock has not what the source asks for.
var errNotLocked = errors.New("not in the lock")

// identify returns the name of the part that a use leads to.
func (c *catalog) identify(ctx context.Context, u *Use) (string, error) {
	if c.lock != nil {
		for _, p := range c.lock.Parts {
			if p.From == u.Ref.Text {
				c.refs[p.Name] = u.Ref
				return p.Name, nil
			}
		}
		return "", errNotLocked
	}
	r := Release{Digest: u.Range.Digest()}
	if r.Digest == "" {
		all, err := c.lib.Releases(ctx, u.Ref)
		if err != nil {
			return "", err
		}
		if len(all) == 0 {
			return "", Errorf("P022", "part %s has no versions", u.Ref.Text)
		}
		r = c.pinned(Newest(all), func(p LockedPart) bool { return p.From == u.Ref.Text })
	}
	m, err := c.lib.Meta(ctx, u.Ref, r)
	if err != nil {
		return "", err
	}
	if old, ok := c.refs[m.Name]; ok && old != u.Ref {
		return "", Errorf("P026", "%s comes from %s and from %s", m.Name, old.Text, u.Ref.Text)
	}
	c.refs[m.Name] = u.Ref
	return m.Name, nil
}

// Newest returns the highest release; what is yanked, and prereleases, only where there is nothing else.
func Newest(all []Release) Release {
	rank := func(r Release) (int, *semver.Version) {
		v, err := semver.StrictNewVersion(r.Version)
		switch {
		case err != nil:
			return 0, semver.New(0, 0, 0, "", "")
		case r.Yanked:
			return 1, v
		case v.Prerelease() != "":
			return 2, v
		}
		return 3, v
	}
	return slices.MaxFunc(all, func(a, b Release) int {
		x, v := rank(a)
		y, w := rank(b)
		if x != y {
			return x - y
		}
		return v.Compare(w)
	})
}

// ref returns where the part called name comes from.
func (c *catalog) ref(name string) (Ref, error) {
	if r, ok := c.refs[name]; ok {
		return r, nil
	}
	if c.lock != nil {
		for _, p := range c.lock.Parts {
			if p.Name == name {
				r, _, err := ParseRef(p.From)
				return r, err
			}
		}
		return Ref{}, errNotLocked
	}
	r, _, err := ParseRef(name)
	return r, err
}

func (c *catalog) list(ctx context.Context, name string) ([]Release, error) {
	if all, ok := c.releases[name]; ok {
		return all, nil
	}
	ref, err := c.ref(name)
	if err != nil {
		return nil, err
	}
	var all []Release
	if c.lock != nil {
		for _, p := range c.lock.Parts {
			if p.Name == name {
				all = []Release{{Version: p.Version, Digest: p.Digest}}
			}
		}
	} else if all, err = c.lib.Releases(ctx, ref); err != nil {
		return nil, err
	}
	all = slices.Clone(all)
	for i, r := range all {
		all[i] = c.pinned(r, func(p LockedPart) bool { return p.Name == name })
	}
	c.releases[name] = all
	return all, nil
}

// pinned gives a release the digest that it has in the lock. If it has another one by now that is P051, when it is read.
func (c *catalog) pinned(r Release, same func(LockedPart) bool) Release {
	if c.pins == nil {
		return r
	}
	for _, p := range c.pins.Parts {
		if p.Version == r.Version && same(p) {
			r.Digest = p.Digest
		}
	}
	return r
}

// Versions implements solve.Source.
func (c *catalog) Versions(ctx context.Context, name string) ([]solve.Candidate, error) {
	all, err := c.list(ctx, name)
	if err != nil {
		return nil, err
	}
	var out []solve.Candidate
	for _, r := range all {
		if v, err := semver.StrictNewVersion(r.Version); err == nil { // other tags are not versions
			out = append(out, solve.Candidate{Version: v, Yanked: r.Yanked})
		}
	}
	return out, nil
}

// Part implements solve.Source.
func (c *catalog) Part(ctx context.Context, name string, v *semver.Version) (*solve.Part, error) {
	all, err := c.list(ctx, name)
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		if r.Version == v.String() {
			return c.part(ctx, name, r)
		}
	}
	return nil, Errorf("P022", "part %s has no version %s", name, v)
}

// Pinned implements solve.Source.
func (c *catalog) Pinned(ctx context.Context, name, digest string) (*solve.Part, error) {
	return c.part(ctx, name, Release{Digest: digest})
}

func (c *catalog) part(ctx context.Context, name string, r Release) (*solve.Part, error) {
	m, err := c.meta(ctx, name, r)
	if err != nil {
		return nil, err
	}
	v, err := semver.StrictNewVersion(m.Version)
	if err != nil {
		return nil, checkVersion(m.Version)
	}
	p := &solve.Part{Name: name, Version: v, Digest: r.Digest, Yanked: r.Yanked, Requires: m.requires, BuildRequires: m.buildRequires,
		Exclusive: m.Exclusive, Conflicts: m.conflicts, Data: m}
	values, bad := m.bind(c.given[name])
	if len(bad) > 0 { // check says so, once the parts are chosen
		values, _ = m.bind(nil)
	}
	for _, s := range m.Provides {
		name, version, _ := strings.Cut(s, "=")
		text, err := m.expand(version, values)
		if err != nil {
			return nil, Errorf("P003", "%s: provides %s: %v", m.Name, s, err)
		}
		if text != "" {
			name += "=" + text
		}
		cap, err := solve.ParseCapability(name)
		if err != nil {
			return nil, Errorf("P003", "%s: provides: %v", m.Name, err)
		}
		p.Provides = append(p.Provides, cap)
	}
	return p, nil
}

func (c *catalog) meta(ctx context.Context, name string, r Release) (*Meta, error) {
	key := name + "@" + r.Version + r.Digest
	if m, ok := c.metas[key]; ok {
		return m, nil
	}
	ref, err := c.ref(name)
	if err != nil {
		return nil, err
	}
	m, err := c.lib.Meta(ctx, ref, r)
	if err != nil {
		return nil, err
	}
	if m.Name != name {
		return nil, Errorf("P022", "part %s not found: what %s leads to is called %s", name, ref.Text, m.Name)
	}
	c.metas[key] = m
	return m, nil
}

// Providers implements solve.Source.
func (c *catalog) Providers(ctx context.Context, capability string) ([]string, error) {
	if c.lock == nil {
		return c.lib.Providers(ctx, capability)
	}
	var names []string
	for _, p := range c.lock.Parts {
		m, err := c.meta(ctx, p.Name, Release{Version: p.Version, Digest: p.Digest})
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(m.Provides, func(s string) bool { return s == capability || strings.HasPrefix(s, capability+"=") }) {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// input states the source as a problem for the solver. It fills in the names of the uses.
func (m *maker) input(ctx context.Context, c *catalog) (solve.Input, error) {
	in := solve.Input{File: m.src.name(), Base: map[string][]solve.Capability{}, Inherits: map[string]string{}, Locked: map[string]string{}, Overrides: map[string]string{}}
	for _, s := range m.src.stages {
		if s.parent != nil {
			in.Inherits[s.key()] = s.parent.key()
		}
		for name, version := range m.src.d.provides {
			if version != "" {
				name += "=" + version
			}
			cap, err := solve.ParseCapability(name)
			if err != nil {
				return in, Errorf("P001", "base-provides: %v", err).at(m.src.file, 0)
			}
			in.Base[s.key()] = append(in.Base[s.key()], cap)
		}
		for _, u := range s.uses {
			name, err := c.identify(ctx, u)
			if err != nil {
				return in, place(err, m.src.file, m.src.shown(u.Line))
			}
			m.names[u] = name
			given, err := m.given(name, u.Params)
			if err != nil {
				return in, err
			}
			if c.given[name] == nil {
				c.given[name] = given
			}
			in.Uses = append(in.Uses, solve.Use{Name: name, Range: u.Range, Line: m.src.shown(u.Line), Stage: s.key()})
		}
	}
	for _, o := range m.src.d.overrides {
		if !strings.HasPrefix(o.Name, "env.") {
			in.Overrides[o.Name] = o.Value
		}
	}
	if m.opts.Lock != nil && !m.opts.Update {
		for _, p := range m.opts.Lock.Parts {
			in.Locked[p.Name] = p.Version
		}
	}
	in.Fit = func(p *solve.Part, stage string) *solve.Failure {
		s := m.stageByKey(stage)
		if s == nil {
			return nil
		}
		root := s.root()
		if e := p.Data.(*Meta).fits(root.image, root.base, m.platforms(root)); e != nil {
			return &solve.Failure{Code: e.Code, Message: e.Msg}
		}
		return nil
	}
	return in, nil
}

// platforms are those that the build asks for, or the base's if the stage is bound to none of them.
func (m *maker) platforms(root *srcStage) []string {
	if root.platform != "" && !strings.Contains(root.platform, "$") {
		return []string{root.platform}
	}
	if strings.Contains(root.platform, "BUILDPLATFORM") {
		return nil
	}
	return m.opts.Platforms
}

func (m *maker) stageByKey(key string) *srcStage {
	i := slices.IndexFunc(m.src.stages, func(s *srcStage) bool { return s.key() == key })
	if i < 0 {
		return nil
	}
	return m.src.stages[i]
}

// choose finds the versions: those of the lock as long as they fit the source, or new ones.
func (m *maker) choose(ctx context.Context) error {
	if m.opts.Lock != nil && !m.opts.Update {
		res, err := m.solve(ctx, newCatalog(m.opts.Library, m.opts.Lock))
		var catalogue *Error
		switch {
		case err == nil:
			m.solution = res
			return nil
		case errors.Is(err, errNotLocked):
		case errors.As(err, &catalogue) && catalogue.Code == "P051" && m.raised(ctx):
			// A part in a folder is under work, and has another version: it is locked again.
		case errors.As(err, &catalogue) && (catalogue.Code == "P051" || catalogue.Code == "P052" || catalogue.Code[:3] == "P06" || catalogue.Code[:3] == "P00"):
			return err
		}
	}
	c := newCatalog(m.opts.Library, nil)
	c.pins = m.locked()
	res, err := m.solve(ctx, c)
	m.solution = res
	return err
}

// raised reports whether all parts that cannot be had as the lock has them are in folders that have another version by now.
func (m *maker) raised(ctx context.Context) bool {
	local, ok := m.opts.Library.(interface{ IsLocal(ref Ref) bool })
	if !ok {
		return false
	}
	for _, p := range m.opts.Lock.Parts {
		ref, _, err := ParseRef(p.From)
		if err != nil {
			return false
		}
		if _, err := m.opts.Library.Part(ctx, ref, Release{Version: p.Version, Digest: p.Digest}); err == nil {
			continue
		}
		all, err := m.opts.Library.Releases(ctx, ref)
		if err != nil || !local.IsLocal(ref) || slices.ContainsFunc(all, func(r Release) bool { return r.Version == p.Version }) {
			return false
		}
	}
	return true
}

func (m *maker) solve(ctx context.Context, c *catalog) (*solve.Result, error) {
	in, err := m.input(ctx, c)
	if err != nil {
		return nil, err
	}
	res, err := solve.Solve(ctx, c, in)
	if err != nil {
		return nil, m.solveError(err)
	}
	m.catalog = c
	return res, nil
}

// solveError gives a failure of the solver its place and its text.
func (m *maker) solveError(err error) error {
	var f *solve.Failure
	if !errors.As(err, &f) {
		return place(err, m.src.file, 0)
	}
	msg := f.Message
	for _, l := range f.Explain {
		msg += "\n  " + l
	}
	if f.Try != "" {
		msg += "\ntry: " + f.Try
	}
	return &Error{Code: f.Code, File: m.src.file, Line: f.Line, Msg: msg}
}

// place gives an error of the catalogue a place; others are told what was being read.
func place(err error, file string, line int) error {
	var e *Error
	switch {
	case errors.Is(err, errNotLocked):
		return err
	case errors.As(err, &e):
		if e.File == "" && line > 0 {
			c := *e
			return c.at(file, line)
		}
		return err
	case line > 0:
		return fmt.Errorf("%s:%d: %w", file, line, err)
	}
	return err
}

var _ solve.Source = (*catalog)(nil)
