// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
)

// LockChange is a difference between two locks.
type LockChange struct {
	Kind                 string // part, base or image
	Name                 string
	Old, New             string // version, or digest of an image; empty for what was not there, or is not any more
	OldDigest, NewDigest string
}

func (c LockChange) String() string {
	short := func(s string) string {
		if rest, ok := strings.CutPrefix(s, "sha256:"); ok {
			return "sha256:" + rest[:min(12, len(rest))]
		}
		return s
	}
	switch {
	case c.Old == "":
		return fmt.Sprintf("+ %s %s %s", c.Kind, c.Name, short(c.New))
	case c.New == "":
		return fmt.Sprintf("- %s %s %s", c.Kind, c.Name, short(c.Old))
	case c.Old == c.New:
		return fmt.Sprintf("! %s %s %s has another digest: %s, was %s", c.Kind, c.Name, c.Old, short(c.NewDigest), short(c.OldDigest))
	}
	return fmt.Sprintf("~ %s %s %s -> %s", c.Kind, c.Name, short(c.Old), short(c.New))
}

// LockChanges lists how a lock differs from an older one: parts, bases, images, each sorted by name.
func LockChanges(old, now *Lock) []LockChange {
	var out []LockChange
	version := func(l *Lock, name string) (string, string) {
		for _, p := range l.Parts {
			if p.Name == name {
				return p.Version, p.Digest
			}
		}
		return "", ""
	}
	names := map[string]bool{}
	for _, p := range slices.Concat(old.Parts, now.Parts) {
		names[p.Name] = true
	}
	for _, n := range sortedKeys(names) {
		c := LockChange{Kind: "part", Name: n}
		c.Old, c.OldDigest = version(old, n)
		c.New, c.NewDigest = version(now, n)
		if c.Old != c.New || c.OldDigest != c.NewDigest {
			out = append(out, c)
		}
	}
	out = append(out, digestChanges("base", baseDigests(old), baseDigests(now))...)
	return append(out, digestChanges("image", old.Images, now.Images)...)
}

func baseDigests(l *Lock) map[string]string {
	m := map[string]string{}
	for ref, b := range l.Bases {
		m[ref] = b.Digest
	}
	return m
}

func digestChanges(kind string, old, now map[string]string) []LockChange {
	var out []LockChange
	all := maps.Clone(now)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, old)
	for _, ref := range sortedKeys(all) {
		if old[ref] != now[ref] {
			out = append(out, LockChange{Kind: kind, Name: ref, Old: old[ref], New: now[ref], OldDigest: old[ref], NewDigest: now[ref]})
		}
	}
	return out
}

// Pinned lists the images of a lock as name:tag@digest.
func (l *Lock) Pinned() []string {
	var out []string
	for ref, b := range l.Bases {
		out = append(out, pinned(ref, b.Digest))
	}
	for ref, d := range l.Images {
		out = append(out, pinned(ref, d))
	}
	slices.Sort(out)
	return out
}

// Diff shows how the lines of b differ from those of a, each changed line with + or - and the indent in front.
func Diff(a, b, indent string) string {
	x, y := splitLines(a), splitLines(b)
	var out strings.Builder
	write := func(sign string, lines []string) {
		for _, line := range lines {
			out.WriteString(indent + sign + line + "\n")
		}
	}
	const noJunk = false // a line that comes often is a line like others
	for _, op := range difflib.NewMatcherWithJunk(x, y, noJunk, nil).GetOpCodes() {
		if op.Tag != 'e' { // equal
			write("-", x[op.I1:op.I2])
			write("+", y[op.J1:op.J2])
		}
	}
	return out.String()
}
