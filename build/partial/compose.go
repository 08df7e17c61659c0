// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/berth-containers/berth/build/partial/solve"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
)

// Options are what Compose works on.
type Options struct {
	File    string // the source's name, for messages, the header and the lock's name
	Source  []byte // a Containerfile with directives, or a requirement file if File ends in .yaml or .yml
	Library Library
	Bases   Bases

	Lock    *Lock // nil is none
	Locked  bool  // fail if the lock would change
	Update  bool  // take nothing from the lock
	Only    []string
	Profile string // of a requirement file

	BuildArgs map[string]string
	Params    map[string]string // --param: NAME.PARAM=VALUE, where NAME is a part's name or its last component
	Platforms []string          // os/arch[/variant] that the build asks for; empty asks for none in particular
	Target    string            // leave later stages out
	NoLink    bool              // leave --link out, for builders that lack it

	// Lines are the numbers to show for the lines of Source, where the user's file is not that text: nil if it is.
	Lines []int

	source  string
	ejected bool // there is a lock, of a source that was ejected since
}

func (o *Options) lockName() string { return o.File + ".lock" }

// Result is a composition.
type Result struct {
	Text   string // the composed file
	Body   string // the same without the trailer
	Digest string // of Body
	Lock   *Lock
	Notes  []string // what the user should know: parts moved up, overrides in force
	Blocks []Block
	Why    func(name string) []string // the solver's: what leads to a part
}

// Block is a part in a stage, in the order of the composed file.
type Block struct {
	Part   *Part
	Role   string // install or dev
	Stage  string // the source's stage: its name, or # and its number; build:NAME for a part's helpers
	Needed string // the part that needs it; "" if the source uses it
	Params map[string]string
}

// Compose writes the composed file: a pure function of its options, as far as Library and Bases
// are. The same input makes the same bytes. It does not write anything on disk.
//
// The errors are of the catalogue; nothing is built on a P071.
func Compose(ctx context.Context, opts Options) (*Result, error) {
	if opts.Lock != nil && opts.Lock.Ejected != "" {
		opts.Lock, opts.ejected = nil, true
	}
	if opts.Target == "" {
		r, err := compose(ctx, opts)
		return noted(r, opts, err)
	}
	// The lock is that of the whole source, whatever stage is built.
	whole := opts
	whole.Target = ""
	all, err := compose(ctx, whole)
	if err != nil {
		return nil, err
	}
	was := opts
	opts.Lock, opts.Locked, opts.Update, opts.Only = all.Lock, false, false, nil
	r, err := compose(ctx, opts)
	if err != nil {
		return nil, err
	}
	r.Lock = all.Lock
	return noted(r, was, nil)
}

// noted adds to a composition what has another version than in the lock, though no update was asked for.
func noted(r *Result, opts Options, err error) (*Result, error) {
	if err != nil || opts.Lock == nil || opts.Update {
		return r, err
	}
	for _, c := range LockChanges(opts.Lock, r.Lock) {
		if c.Old != "" && c.New != "" {
			r.Notes = append(r.Notes, fmt.Sprintf("%s changes: %s", opts.lockName(), c))
		}
	}
	return r, nil
}

func compose(ctx context.Context, opts Options) (*Result, error) {
	m := &maker{opts: opts, names: map[*Use]string{}, parts: map[string]*Part{}, usedBases: map[string]*Base{}, usedImages: map[string]string{},
		helpers: map[string]*stageCtx{}, stages: map[*srcStage]*stageCtx{}, taken: map[string]bool{}}
	if opts.Update && len(opts.Only) > 0 {
		m.opts.Lock, m.opts.Update = without(opts.Lock, opts.Only), false
	}
	m.opts.source = string(opts.Source)
	text := m.opts.source
	lines := opts.Lines
	if isRequirementFile(opts.File) {
		var err error
		if text, lines, err = expandRequirements(opts.File, text, opts.Profile); err != nil {
			return nil, err
		}
	} else if opts.Profile != "" {
		return nil, Errorf("P003", "%s %s needs a requirement file (partials.yaml); %s is none", field.Name("profile"), opts.Profile, opts.File)
	}
	var err error
	if m.src, err = parseSource(opts.File, text, opts.BuildArgs); err != nil {
		return nil, relocate(err, lines)
	}
	m.src.lines = lines
	if !m.src.cut(opts.Target) {
		return nil, Errorf("P002", "there is no stage %s to end with%s", opts.Target, didYouMean(strings.ToLower(opts.Target), m.src.stageNames())).at(opts.File, 0)
	}
	for _, step := range []func(context.Context) error{m.facts, m.choose, m.load, m.check, m.plan, m.render} {
		if err := step(ctx); err != nil {
			return nil, m.offline(ctx, err)
		}
	}
	return m.result()
}

// maker is one composition.
type maker struct {
	opts     Options
	src      *source
	names    map[*Use]string // parts' names
	catalog  *catalog
	solution *solve.Result
	parts    map[string]*Part

	stages  map[*srcStage]*stageCtx
	helpers map[string]*stageCtx // helper and carrier stages, by what they are made of
	taken   map[string]bool      // names of stages
	placed  []*block
	out     []item
	notes   []string

	usedBases  map[string]*Base
	usedImages map[string]string
}

// without is the lock as if it knew nothing of some parts.
func without(l *Lock, names []string) *Lock {
	if l == nil {
		return nil
	}
	c := *l
	c.Parts = slices.DeleteFunc(slices.Clone(l.Parts), func(p LockedPart) bool {
		return slices.Contains(names, p.Name) || slices.Contains(names, leaf(p.Name))
	})
	return &c
}

// locked is the lock that facts and versions may be taken from.
func (m *maker) locked() *Lock {
	if m.opts.Update {
		return nil
	}
	return m.opts.Lock
}

// facts learns what the bases of the stages are.
func (m *maker) facts(ctx context.Context) error {
	for _, s := range m.src.stages {
		if s.name != "" {
			m.taken[s.name] = true
		}
		if root := s.root(); s.hasParts() && root.base == nil && root.image != "scratch" {
			b, err := m.base(ctx, root.image)
			if err != nil {
				return place(err, m.src.file, m.src.shown(root.from.start))
			}
			root.base = b
		}
	}
	return nil
}

func (m *maker) base(ctx context.Context, ref string) (*Base, error) {
	if b, ok := m.usedBases[ref]; ok {
		return b, nil
	}
	var b *Base
	if l := m.locked(); l != nil {
		b = l.Bases[ref]
	}
	if b == nil {
		var err error
		if b, err = m.opts.Bases.Base(ctx, ref); err != nil {
			return nil, err
		}
	}
	m.usedBases[ref] = b
	return b, nil
}

// pin returns the image's name with its digest.
func (m *maker) pin(ctx context.Context, ref string) (string, error) {
	if !m.src.d.opts.Pin || ref == "scratch" || strings.Contains(ref, "@") {
		return ref, nil
	}
	if b, ok := m.usedBases[ref]; ok {
		return pinned(ref, b.Digest), nil
	}
	d, ok := m.usedImages[ref]
	if !ok {
		if l := m.locked(); l != nil {
			d = l.Images[ref]
		}
		if d == "" {
			var err error
			if d, err = m.opts.Bases.Digest(ctx, ref); err != nil {
				return "", err
			}
		}
		m.usedImages[ref] = d
	}
	return pinned(ref, d), nil
}

// load reads the chosen parts.
func (m *maker) load(ctx context.Context) error {
	for _, c := range m.solution.Parts {
		ref, err := m.catalog.ref(c.Name)
		if err != nil {
			return err
		}
		p, err := m.opts.Library.Part(ctx, ref, Release{Version: c.Version.String(), Digest: c.Digest})
		if err != nil {
			return place(err, m.src.file, 0)
		}
		if c.Digest != "" && p.Digest != c.Digest {
			return Errorf("P051", "%s %s: digest is %s but the lock says %s; the published part was changed or tampered with", c.Name, c.Version, p.Digest, c.Digest)
		}
		m.parts[c.Name] = p
	}
	return nil
}

// given are the parameters that a use has, those of the command line included.
func (m *maker) given(name string, use map[string]string) (map[string]string, error) {
	all := map[string]string{}
	for k, v := range use {
		all[k] = v
	}
	for _, key := range sortedKeys(m.opts.Params) {
		part, param, ok := cutLast(key, ".")
		if !ok {
			return nil, Errorf("P008", "%s %s: write NAME.PARAMETER=VALUE", field.Name("param"), key)
		}
		if part == name || part == leaf(name) {
			all[param] = m.opts.Params[key]
		}
	}
	return all, nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// check validates what can be said before a line is written: parameters, and names that are the parts'.
func (m *maker) check(context.Context) error {
	var errs []*Error
	for _, s := range m.src.stages {
		first := map[string]*Use{}
		for _, u := range m.inheritedUses(s) {
			name := m.names[u]
			given, err := m.given(name, u.Params)
			if err != nil {
				return err
			}
			if u.stage == s.index {
				_, bad := m.parts[name].Meta.bind(given)
				for _, e := range bad {
					errs = append(errs, e.at(m.src.file, m.src.shown(u.Line)))
				}
				for _, a := range u.Allow {
					if !slices.Contains(m.parts[name].Meta.Needs, a) {
						errs = append(errs, Errorf("P008", "%s does not need %s", name, a).at(m.src.file, m.src.shown(u.Line)))
					}
				}
			}
			key := name + " " + u.Role
			if o := first[key]; o == nil {
				first[key] = u
			} else if !slices.Equal(flat(o.Params), flat(u.Params)) && u.stage == s.index {
				errs = append(errs, Errorf("P026", "%s is used with %s (line %d) and %s (line %d) in stage %s",
					name, paramText(o.Params), m.src.shown(o.Line), paramText(u.Params), m.src.shown(u.Line), s.key()).at(m.src.file, m.src.shown(u.Line)))
			}
		}
	}
	for _, key := range sortedKeys(m.opts.Params) {
		part, param, _ := cutLast(key, ".")
		if !slices.ContainsFunc(m.solution.Parts, func(c solve.Chosen) bool { return c.Name == part || leaf(c.Name) == part }) {
			var used []string
			for _, c := range m.solution.Parts {
				used = append(used, c.Name)
			}
			errs = append(errs, Errorf("P008", "%s %s: no part %s is used%s", field.Name("param"), key, part, didYouMeanPart(part, used)))
			continue
		}
		for _, c := range m.solution.Parts {
			if meta := m.parts[c.Name].Meta; (c.Name == part || leaf(c.Name) == part) && meta.Params[param] == nil {
				e := Errorf("P008", "%s has no parameter %q%s", c.Name, param, didYouMean(param, sortedKeys(meta.Params)))
				// Parts that a line uses were checked above, those that are only required were not.
				if !slices.ContainsFunc(errs, func(o *Error) bool { return o.Msg == e.Msg }) {
					errs = append(errs, e)
				}
			}
		}
	}
	errs = append(errs, m.checkNames()...)
	return joinErrors(dedupe(errs))
}

func dedupe(errs []*Error) []*Error {
	seen := map[string]bool{}
	return slices.DeleteFunc(errs, func(e *Error) bool {
		was := seen[e.Error()]
		seen[e.Error()] = true
		return was
	})
}

// inheritedUses are the uses of a stage and of those it is FROM, in the order they take effect.
func (m *maker) inheritedUses(s *srcStage) []*Use {
	if s == nil {
		return nil
	}
	return append(m.inheritedUses(s.parent), s.uses...)
}

func paramText(params map[string]string) string {
	if len(params) == 0 {
		return "no parameters"
	}
	var words []string
	for _, k := range sortedKeys(params) {
		words = append(words, k+"="+QuoteWord(params[k]))
	}
	return strings.Join(words, " ")
}

// checkNames finds source lines and build arguments that meddle with the parameters of parts.
func (m *maker) checkNames() []*Error {
	var errs []*Error
	for _, c := range m.solution.Parts {
		p := m.parts[c.Name]
		for _, param := range sortedKeys(p.Meta.Params) {
			arg := argName(c.Name, param)
			if _, ok := m.opts.BuildArgs[arg]; ok {
				errs = append(errs, Errorf("P013", "%s %s sets a parameter of %s; use %s %s.%s=…", field.Name("build-arg"), arg, c.Name, field.Name("param"), leaf(c.Name), param))
			}
			for i := range m.src.cf.instrs {
				if in := &m.src.cf.instrs[i]; touches(in, m.src.cf.text(in), arg) {
					errs = append(errs, Errorf("P012", "%s belongs to %s; this file may not declare or read it", arg, c.Name).at(m.src.file, m.src.shown(in.start)))
				}
			}
		}
	}
	return errs
}

// touches reports whether an instruction declares or reads a variable.
func touches(in *instruction, text, name string) bool {
	kv, _ := in.keyValues()
	if in.cmd != "LABEL" && slices.ContainsFunc(kv, func(e [2]string) bool { return e[0] == name }) {
		return true
	}
	for rest := text; ; {
		i := strings.IndexByte(rest, '$')
		if i < 0 {
			return false
		}
		rest = strings.TrimLeft(rest[i+1:], "{#!")
		if after, ok := strings.CutPrefix(rest, name); ok && (after == "" || !isEnvName("_"+after[:1])) {
			return true
		}
	}
}

func (m *maker) note(format string, args ...any) {
	n := fmt.Sprintf(format, args...)
	if !slices.Contains(m.notes, n) {
		m.notes = append(m.notes, n)
	}
}

// offline lists all that is missing of the lock, where one thing is.
func (m *maker) offline(ctx context.Context, err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Code != "P052" || m.opts.Lock == nil {
		return err
	}
	const prefix = "offline: missing "
	var missing []string
	note := func(what string, err error) {
		var e *Error
		if errors.As(err, &e) && e.Code == "P052" && !slices.Contains(missing, what) {
			missing = append(missing, what)
		}
	}
	for _, p := range m.opts.Lock.Parts {
		if ref, _, err := ParseRef(p.From); err == nil {
			_, err := m.opts.Library.Part(ctx, ref, Release{Version: p.Version, Digest: p.Digest})
			note(p.Name+" "+p.Version, err)
		}
	}
	for _, ref := range sortedKeys(m.opts.Lock.Bases) {
		_, err := m.opts.Bases.Base(ctx, pinned(ref, m.opts.Lock.Bases[ref].Digest))
		note("base "+shortImage(ref), err)
	}
	if len(missing) == 0 {
		return err
	}
	return Errorf("P052", "%s%s", prefix, strings.Join(missing, ", ")).FixedBy("run: %s", hint.To(hint.PullLocked, m.opts.lockName()))
}
