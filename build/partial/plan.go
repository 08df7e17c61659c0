// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"context"
	"path"
	"slices"
	"strings"
)

// block is a part that gets its place in a stage.
type block struct {
	part     *Part
	role     string
	values   map[string]string
	neededBy string
	stageKey string
	needs    []string
	manager  string
	packages []string
}

func (b *block) name() string { return b.part.Meta.Name }

// why is what the marker says.
func (b *block) why() string {
	if b.neededBy != "" {
		return "needed by " + b.neededBy
	}
	return "used"
}

// stageCtx is a stage being written: one of the source, or a helper stage of a part.
type stageCtx struct {
	key      string // of the solver
	name     string // in the composed file
	from     string // what stands after FROM
	ref      string // the image at the root, for messages
	platform string
	base     *Base
	src      *srcStage // nil for a helper
	start    *state    // what the stage begins with
	st       *state

	have   map[string]*block // by name and role: in the stage, or inherited
	order  []*block          // in the stage itself
	plan   map[*Use][]*block // what to write at the line of a use
	owners map[string]string // path to part
	setBy  map[string]setVar
	out    []item
	merged bool // the merged packages are written
}

// setVar is a variable that a part has set.
type setVar struct{ part, value string }

func (m *maker) newStage(s *srcStage) *stageCtx {
	root := s.root()
	c := &stageCtx{key: s.key(), name: s.name, ref: root.image, platform: s.platform, base: root.base, src: s, plan: map[*Use][]*block{},
		have: map[string]*block{}, owners: map[string]string{}, setBy: map[string]setVar{}}
	if p := m.stages[s.parent]; p != nil {
		for k, v := range p.have {
			c.have[k] = v
		}
		for k, v := range p.owners {
			c.owners[k] = v
		}
	}
	return c
}

// plan decides which blocks stand where.
func (m *maker) plan(ctx context.Context) error {
	for _, s := range m.src.stages {
		c := m.newStage(s)
		m.stages[s] = c
		first, uses := m.canonical(s)
		for _, u := range uses {
			at := u
			if slices.Contains(first, u) {
				at = first[0]
			}
			if err := m.place(c, at, u.Line, m.names[u], u.Role, ""); err != nil {
				return place(err, m.src.file, m.src.shown(u.Line))
			}
		}
	}
	return nil
}

// canonical returns the uses of a stage in the order to place them, and with order=canonical the
// leading ones, which are sorted and written together.
func (m *maker) canonical(s *srcStage) (leading, all []*Use) {
	if !m.src.d.opts.Canonical || len(s.uses) == 0 {
		return nil, s.uses
	}
	for _, u := range s.uses {
		if len(s.body) > 0 && s.body[0].start < u.Line {
			break
		}
		leading = append(leading, u)
	}
	sorted := slices.Clone(leading)
	slices.SortStableFunc(sorted, func(a, b *Use) int {
		return strings.Compare(m.names[a]+" "+a.Role, m.names[b]+" "+b.Role)
	})
	return leading, append(sorted, s.uses[len(leading):]...)
}

// place puts a part into the stage, after what it requires.
func (m *maker) place(c *stageCtx, at *Use, line int, name, role, neededBy string) error {
	key := name + " " + role
	if c.have[key] != nil || m.solution.Part(name) == nil {
		return nil
	}
	b := &block{part: m.parts[name], role: role, stageKey: c.key, neededBy: neededBy}
	c.have[key] = b
	for _, dep := range m.needs(name, c.key, false) {
		b.needs = append(b.needs, dep)
		if err := m.place(c, at, line, dep, "install", name); err != nil {
			return err
		}
	}
	var params map[string]string
	if c.src != nil {
		for _, u := range c.src.uses {
			if m.names[u] == name && u.Role == role {
				params = u.Params
				if neededBy != "" {
					b.neededBy = ""
					if u.Line > line {
						m.note("%s (line %d) moves up before %s, which needs it", name, m.src.shown(u.Line), neededBy)
					}
				}
				break
			}
		}
	}
	given, err := m.given(name, params)
	if err != nil {
		return err
	}
	var bad []*Error
	if b.values, bad = b.part.Meta.bind(given); len(bad) > 0 {
		if neededBy != "" {
			bad[0].Msg += "; it is needed by " + neededBy
		}
		return bad[0]
	}
	if e := m.admit(c, b); e != nil {
		return e
	}
	c.order = append(c.order, b)
	m.placed = append(m.placed, b)
	if at != nil {
		c.plan[at] = append(c.plan[at], b)
	}
	return nil
}

// needs returns the parts that meet the requirements of a part in a stage, sorted by name, those
// that come after others (by their own wish) behind them.
func (m *maker) needs(name, stage string, build bool) []string {
	var deps []string
	for _, e := range m.solution.Part(name).Needs {
		if e.Build == build && e.By != "" && e.By != name && (e.Stage == "" || e.Stage == stage || m.inherits(stage, e.Stage)) {
			deps = append(deps, e.By)
		}
	}
	slices.Sort(deps)
	deps = slices.Compact(deps)
	var out []string
	var visit func(d string)
	visit = func(d string) {
		if slices.Contains(out, d) {
			return
		}
		for _, a := range slices.Sorted(slices.Values(m.parts[d].Meta.After)) {
			if a != d && slices.Contains(deps, a) && !slices.Contains(m.parts[a].Meta.After, d) {
				visit(a)
			}
		}
		out = append(out, d)
	}
	for _, d := range deps {
		visit(d)
	}
	return out
}

func (m *maker) inherits(stage, ancestor string) bool {
	for s := m.stageByKey(stage); s != nil; s = s.parent {
		if s.key() == ancestor {
			return true
		}
	}
	return false
}

// admit checks a block against its stage: base, packages, paths, secrets, names of variables.
func (m *maker) admit(c *stageCtx, b *block) error {
	meta := b.part.Meta
	if e := meta.fits(c.ref, c.base, nil); e != nil {
		return e
	}
	var e *Error
	if b.manager, b.packages, e = b.part.packagesFor(c.ref, c.base, b.values); e != nil {
		return e
	}
	for _, p := range meta.Owns {
		for q, other := range c.owners {
			if other != meta.Name && (p == q || strings.HasPrefix(p, q+"/") || strings.HasPrefix(q, p+"/")) {
				return Errorf("P042", "%s and %s both own %s", min(other, meta.Name), max(other, meta.Name), longer(p, q))
			}
		}
	}
	for _, p := range meta.Owns {
		c.owners[path.Clean(p)] = meta.Name
	}
	for _, n := range meta.Needs {
		if !m.allowed(meta.Name, n) {
			return Errorf("P006", "%s needs %s; grant it: #: use %s allow=%s", meta.Name, n, meta.Name, n)
		}
	}
	return nil
}

func osOf(b *Base) *OSRelease {
	if b == nil {
		return nil
	}
	return b.OS
}

func longer(a, b string) string {
	if len(a) > len(b) {
		return a
	}
	return b
}

// allowed reports whether a use of the part grants what it needs.
func (m *maker) allowed(name, need string) bool {
	for _, u := range m.src.d.uses {
		if m.names[u] == name && slices.Contains(u.Allow, need) {
			return true
		}
	}
	return false
}
