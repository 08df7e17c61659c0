// SPDX-License-Identifier: Apache-2.0

package solve

import (
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Range says which versions are wanted. The zero value wants any release.
type Range struct {
	text   string
	groups []group // or-ed
	digest string
}

// group is one side of an "||": comparisons that must all hold.
type group struct {
	all *semver.Constraints
	pre []*semver.Version // the prereleases that the group names
}

// ParseRange reads comparisons with ^ ~ = != < <= > >= or no operator, joined by "," or a space (and)
// and "||" (or), with x or * for any number; or "sha256:…", one artifact by its digest.
// The empty text is any release.
//
// A prerelease is matched only by a group that names a prerelease of the same
// major.minor.patch, as npm and Cargo do: ">=2.0.0-0" admits 2.0.0-rc.1 but not 2.1.0-rc.1.
func ParseRange(text string) (Range, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return Range{}, nil
	}
	if strings.HasPrefix(text, "sha256:") {
		if !isDigest(text) {
			return Range{}, fmt.Errorf("read range %q: a digest is sha256: and 64 digits of 0-9a-f", text)
		}
		return Range{text: text, digest: text}, nil
	}
	r := Range{text: text}
	for _, alt := range strings.Split(text, "||") {
		g, err := parseGroup(alt)
		if err != nil {
			return Range{}, fmt.Errorf("read range %q: %w", text, err)
		}
		r.groups = append(r.groups, g)
	}
	return r, nil
}

func parseGroup(s string) (group, error) {
	var g group
	var all []string
	for rest := strings.Trim(s, " \t"); rest != ""; rest = strings.TrimLeft(rest, ", \t") {
		word := rest[len(rest)-len(strings.TrimLeft(rest, "^~=!<>")):]
		op := rest[:len(rest)-len(word)]
		word = strings.TrimLeft(word, " \t")
		if i := strings.IndexAny(word, ", \t"); i >= 0 {
			word, rest = word[:i], word[i:]
		} else {
			rest = ""
		}
		switch op {
		case "", "^", "~", "=", "!=", "<", "<=", ">", ">=":
		default:
			return g, fmt.Errorf("%q is not one of ^ ~ = != < <= > >=", op)
		}
		if !isVersionPattern(word) {
			return g, fmt.Errorf("%q is not a version", word)
		}
		if op == "" {
			op = "="
		}
		all = append(all, op+word)
		if v, err := semver.NewVersion(word); err == nil && v.Prerelease() != "" {
			g.pre = append(g.pre, v)
		}
	}
	if len(all) == 0 {
		return g, fmt.Errorf("a side of || is empty")
	}
	var err error
	g.all, err = semver.NewConstraint(strings.Join(all, ", "))
	return g, err
}

// isVersionPattern reports whether s looks like a version or a pattern; semver has the last word.
func isVersionPattern(s string) bool {
	if s == "*" || s == "x" || s == "X" {
		return true
	}
	if s == "" || s[0] < '0' || s[0] > '9' {
		return false
	}
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '.', c == '-', c == '*', c == '+':
		default:
			return false
		}
	}
	return true
}

func isDigest(s string) bool {
	hex, ok := strings.CutPrefix(s, "sha256:")
	return ok && len(hex) == 64 && strings.Trim(hex, "0123456789abcdef") == ""
}

// Match reports whether v is in r. A range that is a digest matches no version: ask the [Source].
func (r Range) Match(v *semver.Version) bool {
	if r.digest != "" {
		return false
	}
	if len(r.groups) == 0 {
		return v.Prerelease() == ""
	}
	for _, g := range r.groups {
		if g.match(v) {
			return true
		}
	}
	return false
}

func (g group) match(v *semver.Version) bool {
	if v.Prerelease() != "" {
		named := false
		for _, p := range g.pre {
			named = named || p.Major() == v.Major() && p.Minor() == v.Minor() && p.Patch() == v.Patch()
		}
		if !named {
			return false
		}
	}
	return g.all.Check(v)
}

// Digest returns the digest that r is, or "".
func (r Range) Digest() string { return r.digest }

// Any reports whether r is the zero Range.
func (r Range) Any() bool { return r.text == "" }

// String returns the text that r was read from.
func (r Range) String() string { return r.text }
