// SPDX-License-Identifier: Apache-2.0

package project

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/internal/hint"
)

// Add adds a line "#: use" to a stage of the source, the last if stage is empty, composes it, and writes source and lock. If there is no
// solution, nothing is written. It returns the number of the line.
func (p *Project) Add(ctx context.Context, use, stage string) (*partial.Result, int, error) {
	text, line, err := partial.AddUse(p.opts.File, string(p.text), use, stage)
	if err != nil {
		return nil, 0, err
	}
	r, err := p.ComposeText(ctx, []byte(text), p.lock)
	if err != nil {
		added := partial.LinesIn(text, string(p.text))[line-1]
		return nil, 0, partial.WithoutLine(err, added)
	}
	return r, line, p.rewrite(text, r)
}

// Remove removes the lines that use a part from the source, composes it, and writes source and lock.
func (p *Project) Remove(ctx context.Context, part string) (*partial.Result, error) {
	text, err := partial.RemoveUse(p.opts.File, string(p.text), part)
	if err != nil {
		return nil, err
	}
	r, err := p.ComposeText(ctx, []byte(text), p.lock)
	if err != nil {
		return nil, err
	}
	return r, p.rewrite(text, r)
}

// rewrite writes the source and the lock of its composition.
func (p *Project) rewrite(text string, r *partial.Result) error {
	if err := atomicfile.Write(p.opts.File, []byte(text), fileMode(p.opts.File), false); err != nil {
		return err
	}
	_, err := p.WriteLock(r)
	return err
}

// fileMode is the permission bits that a file has; those of a new one if it is not there.
func fileMode(file string) fs.FileMode {
	if st, err := os.Stat(file); err == nil {
		return st.Mode().Perm()
	}
	return 0o644
}

// Update is what a new composition of a source has that its lock has not, and the other way round.
type Update struct {
	*partial.Result
	Changes []Change

	project *Project
	text    []byte // the source, with another base
	newBase bool
}

// Change is one difference of two locks. Diff is that of the texts of a part; it is empty, and Lost true, where the old text cannot be had.
type Change struct {
	partial.LockChange
	Diff string `json:",omitempty"`
	Lost bool   `json:"-"`
}

// Update composes the source again, with another base for its last stage if base is not empty. Nothing is written before Write.
func (p *Project) Update(ctx context.Context, base string) (*Update, error) {
	if err := p.known(p.opts.Only); err != nil {
		return nil, err
	}
	u := &Update{project: p, text: p.text, newBase: base != ""}
	if u.newBase {
		text, err := partial.SetBase(p.opts.File, string(p.text), base)
		if err != nil {
			return nil, err
		}
		u.text = []byte(text)
	}
	var err error
	if u.Result, err = p.ComposeText(ctx, u.text, p.lock); err != nil {
		return nil, err
	}
	u.Changes = p.changes(ctx, u.Result)
	return u, nil
}

// Write writes the lock, and the source where its base is another.
func (u *Update) Write() error {
	file := u.project.opts.File
	if _, err := u.project.WriteLock(u.Result); err != nil || !u.newBase {
		return err
	}
	return atomicfile.Write(file, u.text, fileMode(file), false)
}

// known wants each name to be that of a part in the lock, or of a line of the source.
func (p *Project) known(names []string) error {
	known := partial.UsedParts(p.text)
	if l := p.lock; l != nil {
		for _, part := range l.Parts {
			known = append(known, part.Name)
		}
	}
	for _, n := range names {
		if !slices.ContainsFunc(known, func(k string) bool { return k == n || strings.HasSuffix(k, "/"+n) }) {
			return partial.Errorf("P022", "%s is neither used nor locked%s", n, partial.DidYouMean(n, known))
		}
	}
	return nil
}

// changes compares a composition with the lock as it was read.
func (p *Project) changes(ctx context.Context, r *partial.Result) []Change {
	old := p.lock
	if old == nil {
		old = &partial.Lock{}
	}
	changes := []Change{}
	for _, c := range partial.LockChanges(old, r.Lock) {
		change := Change{LockChange: c}
		if c.Kind == "part" && c.Old != "" && c.New != "" {
			was, err := p.lockedPart(ctx, old, c)
			i := slices.IndexFunc(r.Blocks, func(b partial.Block) bool { return b.Part.Meta.Name == c.Name })
			if change.Lost = err != nil; err == nil && i >= 0 {
				change.Diff = partial.Diff(was.Text, r.Blocks[i].Part.Text, "  ")
			}
		}
		changes = append(changes, change)
	}
	return changes
}

// lockedPart reads the part that a lock has.
func (p *Project) lockedPart(ctx context.Context, l *partial.Lock, c partial.LockChange) (*partial.Part, error) {
	for _, lp := range l.Parts {
		if lp.Name == c.Name && lp.Digest == c.OldDigest {
			ref, _, err := partial.ParseRef(lp.From)
			if err != nil {
				return nil, err
			}
			return p.Parts.Part(ctx, ref, partial.Release{Version: lp.Version, Digest: lp.Digest})
		}
	}
	return nil, fmt.Errorf("%s is not in the lock", c.Name)
}

// Outdated is a part or a base of a lock that is not the newest: Wanted is what an update takes, Latest the newest version that there is of a part.
type Outdated struct{ Kind, Name, Current, Wanted, Latest string }

// Outdated compares the lock with what an update would make of it, and its parts with the newest. Nothing is written. There must be a lock.
func (p *Project) Outdated(ctx context.Context) ([]Outdated, error) {
	r, err := p.Compose(ctx)
	if err != nil {
		return nil, err
	}
	latest, err := p.Latest(ctx, p.lock)
	if err != nil {
		return nil, err
	}
	found := []Outdated{}
	seen := map[string]bool{}
	for _, c := range partial.LockChanges(p.lock, r.Lock) {
		found = append(found, Outdated{c.Kind, c.Name, c.Old, c.New, latest[c.Name]})
		seen[c.Name] = true
	}
	for _, lp := range p.lock.Parts {
		if !seen[lp.Name] && latest[lp.Name] != lp.Version {
			found = append(found, Outdated{"part", lp.Name, lp.Version, lp.Version, latest[lp.Name]})
			seen[lp.Name] = true
		}
	}
	return found, nil
}

// FetchLocked fetches what a lock names into local storage, and returns its parts and bases.
func (p *Project) FetchLocked(ctx context.Context, file string) (parts []partial.LockedPart, bases []string, err error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, hint.Add(err, "write it with: %s", hint.To(hint.UpdateLock, strings.TrimSuffix(file, ".lock")))
	}
	if err != nil {
		return nil, nil, err
	}
	l, err := partial.ParseLock(filepath.Base(file), data)
	if err != nil {
		return nil, nil, err
	}
	for _, lp := range l.Parts {
		ref, _, err := partial.ParseRef(lp.From)
		if err != nil {
			return nil, nil, err
		}
		if _, err := p.Parts.Part(ctx, ref, partial.Release{Version: lp.Version, Digest: lp.Digest}); err != nil {
			return nil, nil, err
		}
	}
	for _, pin := range l.Pinned() {
		if err := p.Bases.Fetch(ctx, pin); err != nil {
			return nil, nil, err
		}
	}
	return l.Parts, l.Pinned(), nil
}
