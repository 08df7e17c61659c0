// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
)

// Lock is what a composition was made of. With it, and with parts and images in local storage, the
// same text is made again without a network.
type Lock struct {
	Version  int               `json:"lock"` // 1
	Source   LockSource        `json:"source"`
	Composed string            `json:"composed"` // digest of the composed text without the trailer
	Bases    map[string]*Base  `json:"bases"`    // by reference as in FROM
	Images   map[string]string `json:"images"`   // digests of images that are only copied from
	Parts    []LockedPart      `json:"parts"`    // by name, then stages
	// Ejected is the digest of the Containerfile that the source was replaced by; "" as long as there is a source. Such a
	// lock is a record: nothing is chosen by it.
	Ejected string `json:"ejected,omitempty"`
}

// LockSource says what the lock belongs to.
type LockSource struct {
	Digest  string            `json:"digest"`
	Profile string            `json:"profile,omitempty"`
	Args    map[string]string `json:"args,omitempty"`   // --build-arg that FROM lines read
	Params  map[string]string `json:"params,omitempty"` // --param
}

// LockedPart is one part with one set of parameters.
type LockedPart struct {
	Name     string            `json:"name"`
	Version  string            `json:"version"`
	Digest   string            `json:"digest"`
	From     string            `json:"from"` // the reference without a range
	Params   map[string]string `json:"params,omitempty"`
	Requires []string          `json:"requires,omitempty"` // names of the parts that meet its requirements
	Stages   []string          `json:"stages"`             // of the source; build:NAME for the helpers of a part
}

// ParseLock reads a lock file. file names it in errors.
func ParseLock(file string, data []byte) (*Lock, error) {
	for i, l := range splitLines(string(data)) {
		if strings.HasPrefix(l, "<<<<<<< ") || l == "=======" || strings.HasPrefix(l, ">>>>>>> ") {
			return nil, Errorf("P053", "%s has merge conflict markers at line %d", file, i+1)
		}
	}
	var l Lock
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		return nil, Errorf("P053", "%s cannot be read: %v; delete it, and the next build writes a new one", file, err)
	}
	if l.Version != 1 {
		return nil, Errorf("P053", "%s has lock version %d; this program knows version 1", file, l.Version)
	}
	for _, p := range l.Parts {
		if !isPartName(p.Name) || checkVersion(p.Version) != nil || !isDigest(p.Digest) {
			return nil, Errorf("P053", "%s cannot be read: part %q has no proper name, version and digest", file, p.Name)
		}
	}
	return &l, nil
}

// Marshal returns the lock as it is written: JSON with sorted keys, two spaces, a line end.
func (l *Lock) Marshal() ([]byte, error) {
	data, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	var sorted any // a map's keys are written in order, a struct's are not
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&sorted); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err = e.Encode(sorted)
	return buf.Bytes(), err
}

// newLock writes down what the maker has used.
func (m *maker) newLock(composed string) *Lock {
	l := &Lock{Version: 1, Composed: digestOf([]byte(composed)), Bases: m.usedBases, Images: m.usedImages,
		Source: LockSource{Digest: digestOf([]byte(m.opts.source)), Profile: m.opts.Profile, Params: m.opts.Params}}
	if args := m.lockedArgs(); len(args) > 0 {
		l.Source.Args = args
	}
	byKey := map[string]*LockedPart{}
	for _, b := range m.placed {
		key := b.part.Meta.Name + "\x00" + jsonWords(flat(b.values))
		p := byKey[key]
		if p == nil {
			from := b.part.Meta.Name
			if r, err := m.catalog.ref(from); err == nil {
				from = r.Text
			}
			p = &LockedPart{Name: b.part.Meta.Name, Version: b.part.Meta.Version, Digest: b.part.Digest, From: from, Params: b.values, Requires: b.needs}
			byKey[key] = p
		}
		if !slices.Contains(p.Stages, b.stageKey) {
			p.Stages = append(p.Stages, b.stageKey)
		}
	}
	for _, p := range byKey {
		slices.Sort(p.Stages)
		l.Parts = append(l.Parts, *p)
	}
	slices.SortFunc(l.Parts, func(a, b LockedPart) int {
		return strings.Compare(a.Name+" "+strings.Join(a.Stages, " "), b.Name+" "+strings.Join(b.Stages, " "))
	})
	return l
}

func flat(m map[string]string) []string {
	var out []string
	for _, k := range sortedKeys(m) {
		out = append(out, k, m[k])
	}
	return out
}

// lockedArgs are the build arguments that decide on FROM lines.
func (m *maker) lockedArgs() map[string]string {
	args := map[string]string{}
	for _, in := range m.src.cf.instrs {
		if in.cmd == "FROM" {
			break
		}
		if in.cmd != "ARG" {
			continue
		}
		kv, _ := in.keyValues()
		for _, a := range kv {
			if v, ok := m.opts.BuildArgs[a[0]]; ok {
				args[a[0]] = v
			}
		}
	}
	return args
}

// outOfDate says why a lock that may not change would change.
func (m *maker) outOfDate(now *Lock) *Error {
	was := m.opts.Lock
	var why error
	switch {
	case m.opts.ejected:
		why = errors.New("the source that it was of is ejected")
	case was == nil:
		return Errorf("P050", "%s is missing", m.opts.lockName()).FixedBy("run: %s", hint.To(hint.UpdateLock, m.opts.File))
	default:
		why = m.whatChanged(was, now)
	}
	return Errorf("P050", "%s is out of date (%s)", m.opts.lockName(), why).FixedBy("run: %s", hint.To(hint.UpdateLock, m.opts.File))
}

// whatChanged names the first thing that a lock does not have as it is now: a part, a line, then the rest.
func (m *maker) whatChanged(was, now *Lock) error {
	for _, c := range LockChanges(was, now) {
		if c.Kind == "part" && c.Old != "" && c.New != "" {
			return fmt.Errorf("%s is %s by now, the lock has %s", c.Name, c.New, c.Old)
		}
	}
	for _, u := range m.src.d.uses {
		name := m.names[u]
		if name == "" {
			name = u.Ref.Text
		}
		entries := func(l *Lock) (in []LockedPart) {
			for _, p := range l.Parts {
				if p.Name == name && slices.Contains(p.Stages, m.src.stages[u.stage].key()) {
					in = append(in, p)
				}
			}
			return in
		}
		then, current := entries(was), entries(now)
		same := slices.EqualFunc(then, current, func(a, b LockedPart) bool { return slices.Equal(flat(a.Params), flat(b.Params)) })
		switch {
		case len(then) == 0:
			return fmt.Errorf("%s, line %d is not in it", name, m.src.shown(u.Line))
		case !same && len(m.opts.Params)+len(was.Source.Params) > 0 && !maps.Equal(m.opts.Params, was.Source.Params):
			return field.Errorf("%s is not what it was", field.Name("param"))
		case !same:
			return fmt.Errorf("%s, line %d changed", name, m.src.shown(u.Line))
		}
	}
	switch {
	case was.Source.Profile != now.Source.Profile:
		return field.Errorf("%s is not what it was", field.Name("profile"))
	case !maps.Equal(was.Source.Args, now.Source.Args):
		return field.Errorf("%s is not what it was", field.Name("build-arg"))
	case !maps.Equal(was.Source.Params, now.Source.Params):
		return field.Errorf("%s is not what it was", field.Name("param"))
	case was.Source.Digest == now.Source.Digest && was.Composed != now.Composed:
		return errors.New("the composed text changed")
	}
	return errors.New("the source changed")
}
