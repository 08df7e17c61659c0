// SPDX-License-Identifier: Apache-2.0

package copier

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/berth-containers/berth/build/rewrite"
	"github.com/moby/patternmatcher"
	mode "github.com/tonistiigi/dchapes-mode"
)

// Matcher tells what patterns of an ignore file leave out, by Docker's rules, those of moby/patternmatcher: the last pattern that
// matches a path or one of its directories decides. (BuildKit's walk, which asks with what the directory has matched, skips
// patterns that could not change the directory's own result, and so forgets vendor in the three lines *, !**/*.go, vendor.)
type Matcher struct {
	pm *patternmatcher.PatternMatcher
}

// NewMatcher reads patterns.
func NewMatcher(patterns []string) (*Matcher, error) {
	pm, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, fmt.Errorf("read the patterns of what to leave out: %w", err)
	}
	return &Matcher{pm}, nil
}

// Exceptions reports whether something below a directory that is left out may be kept.
func (m *Matcher) Exceptions() bool { return m.pm.Exclusions() }

// Out reports whether a path, without a slash in front, is left out.
func (m *Matcher) Out(name string) (bool, error) {
	if name == "" || name == "." {
		return false, nil
	}
	return m.pm.MatchesOrParentMatches(name)
}

// rules are what the patterns of one copy say, once the words of build/rewrite are taken for what they mean.
type rules struct {
	ignore   []string // relative to the root of what is copied from
	exclude  []string // of --exclude
	pivots   []string
	chmod    func(fs.FileMode) fs.FileMode
	dropGit  bool
	noUnpack bool
}

func readRules(patterns []string) (r rules, err error) {
	for _, p := range patterns {
		word, ok := strings.CutPrefix(p, rewrite.Mark)
		if !ok {
			// buildah puts the source in front of patterns once more
			if !strings.Contains(p, rewrite.Mark) {
				r.ignore = append(r.ignore, p)
			}
			continue
		}
		switch key, value, _ := strings.Cut(word, "="); key + "=" {
		case rewrite.Exclude:
			r.exclude = append(r.exclude, value)
		case rewrite.Pivot:
			r.pivots = append(r.pivots, value)
		case rewrite.Chmod:
			if r.chmod, err = readMode(value); err != nil {
				return r, err
			}
		default:
			r.dropGit = r.dropGit || word == rewrite.DropGit
			r.noUnpack = r.noUnpack || word == rewrite.NoUnpack
		}
	}
	return r, nil
}

// readMode reads the mode of --chmod: a number, or symbols as chmod(1) has them.
func readMode(text string) (func(fs.FileMode) fs.FileMode, error) {
	if n, err := strconv.ParseUint(text, 8, 32); err == nil && n <= 0o7777 {
		m := fs.FileMode(n & 0o777)
		for bit, special := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
			if n&bit != 0 {
				m |= special
			}
		}
		return func(fs.FileMode) fs.FileMode { return m }, nil
	}
	set, err := mode.ParseWithUmask(text, 0)
	if err != nil {
		return nil, fmt.Errorf("--chmod=%s: must be an octal number from 0 to 07777, or symbols as u=rwX,go=rX", text)
	}
	return set.Apply, nil
}
