// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/openshift/imagebuilder/dockerfile/parser"
	mode "github.com/tonistiigi/dchapes-mode"
)

// Mark begins the patterns of --exclude that are words to build/copier.
const Mark = ".berth-copy:"

// The words after Mark. Those that end in = have a value.
const (
	Exclude  = "exclude="     // a pattern that the user gave
	Chmod    = "chmod="       // a mode in symbols
	DropGit  = "drop-git"     // leave .git out of a repository
	NoUnpack = "unpack=false" // copy a tar as it is
	Pivot    = "pivot="       // a directory that --parents begins after
)

// Bits of --chmod that buildah hands on unread with what it fetches from a URL, where it reads no patterns; tar headers have
// 21 bits for a mode.
const (
	Unpack    = 0o4000000 // what was fetched is a tar to unpack
	WithOwner = 0o2000000 // and --chown is given
	WithMode  = 0o1000000 // the rest is a mode that the user gave
)

const (
	urlMode = 0o600 // of what is fetched from a URL
	docMode = 0o644 // of a here-document
)

// copies rewrites ADD and COPY.
func (r *rewriter) copies(n *parser.Node, word string, flags []string, rest string) (string, error) {
	before := slices.Clone(flags)
	add := strings.EqualFold(word, "add")
	words := arguments(n)
	if len(words) < 2 {
		return n.Original, nil
	}
	sources := words[:len(words)-1]
	var dir bool // the destination is one
	for i, f := range flags {
		switch name, value, _ := strings.Cut(f, "="); name {
		case "--from":
			ref, ok := r.find(value)
			if strings.Contains(value, "$") {
				ref, ok = r.findExpanded(value, r.env())
			}
			if ok && ref != value {
				r.replaceFlag(flags, i, "--from="+ref)
			}
		case "--exclude":
			if value != "" {
				r.replaceFlag(flags, i, "--exclude="+Mark+Exclude+value)
			}
		case "--parents":
			if on, _ := boolean(f, "parents"); on {
				dir = true
				flags = r.pivots(flags, sources)
			}
		}
	}
	flags, err := r.chmod(flags, sources)
	if err != nil {
		return "", err
	}
	if add {
		var unpacked bool
		if word, flags, unpacked, err = r.add(word, flags, sources); err != nil {
			return "", err
		}
		dir = dir || unpacked
	}
	if dir {
		rest = asDirectory(n, rest)
	}
	if slices.Equal(flags, before) && !dir && word == n.Original[:len(word)] {
		return n.Original, nil
	}
	line := join(word, flags, rest)
	if add && strings.EqualFold(word, "copy") {
		r.shown = append(r.shown, line, n.Original)
	}
	return line, nil
}

func arguments(n *parser.Node) []string {
	var words []string
	for w := n.Next; w != nil; w = w.Next {
		words = append(words, w.Value)
	}
	return words
}

// asDirectory ends the destination with a slash.
func asDirectory(n *parser.Node, rest string) string {
	words := arguments(n)
	last := words[len(words)-1]
	if strings.HasSuffix(last, "/") || strings.HasSuffix(last, "/.") {
		return rest
	}
	if !n.Attributes["json"] {
		return strings.TrimRight(rest, " \t") + "/"
	}
	words[len(words)-1] = last + "/"
	list, err := json.Marshal(words)
	if err != nil {
		return rest
	}
	return string(list)
}

// pivots tells where paths begin that --parents keeps: --exclude is relative to that.
func (r *rewriter) pivots(flags, sources []string) []string {
	for _, s := range sources {
		if before, _, ok := strings.Cut(s, "/./"); ok && !strings.ContainsAny(before, "$*?[\\") {
			flags = r.addFlag(flags, "--exclude="+Mark+Pivot+strings.Trim(before, "/"))
		}
	}
	return flags
}

func isDoc(source string) bool { return strings.HasPrefix(source, "<<") }

func isURL(source string) bool {
	return strings.HasPrefix(source, "http://") || strings.HasPrefix(source, "https://")
}

// maybeURL holds for what may turn out to be one.
func maybeURL(source string) bool { return isURL(source) || strings.HasPrefix(source, "$") }

// maybeGit holds for what may be a repository.
func maybeGit(source string) bool {
	return strings.HasPrefix(source, "$") || strings.HasPrefix(source, "git://") || strings.HasPrefix(source, "git@") ||
		strings.HasPrefix(source, "ssh://") || strings.Contains(source, ".git") || strings.HasPrefix(source, "github.com/")
}

// chmod hands a mode that is not a number on as a pattern, or computes it for what has no mode yet: buildah knows numbers only.
func (r *rewriter) chmod(flags, sources []string) ([]string, error) {
	for i, f := range flags {
		value, ok := strings.CutPrefix(f, "--chmod=")
		if !ok || value == "" {
			continue
		}
		variable := strings.Contains(value, "$")
		if !variable {
			if n, err := strconv.ParseUint(value, 8, 32); err == nil {
				if n > 0o7777 {
					return nil, fmt.Errorf("--chmod=%s: must be an octal number from 0 to 07777, or symbols as u=rwX,go=rX", value)
				}
				continue
			}
			if _, err := mode.Parse(value); err != nil {
				return nil, fmt.Errorf("--chmod=%s: must be an octal number from 0 to 07777, or symbols as u=rwX,go=rX", value)
			}
		}
		var modes []fs.FileMode // of sources that buildah copies without a look at patterns
		var others bool
		for _, s := range sources {
			switch {
			case isDoc(s):
				modes = append(modes, docMode)
			case isURL(s):
				modes = append(modes, urlMode)
			default:
				others = true
			}
		}
		if len(modes) == 0 {
			r.replaceFlag(flags, i, "--exclude="+Mark+Chmod+value)
			return flags, nil
		}
		if variable {
			if words, known, _ := r.expand(value); known && len(words) == 1 {
				value = words[0]
			}
		}
		now, err := applied(value, modes)
		if err != nil {
			return nil, err
		}
		r.replaceFlag(flags, i, "--chmod="+now)
		if others {
			flags = r.addFlag(flags, "--exclude="+Mark+Chmod+value)
		}
		return flags, nil
	}
	return flags, nil
}

// applied is the mode that symbols make of one.
func applied(symbols string, modes []fs.FileMode) (string, error) {
	set, err := mode.ParseWithUmask(symbols, 0)
	if err != nil {
		return symbols, nil // a number in a variable, or for buildah to complain about
	}
	if slices.ContainsFunc(modes, func(m fs.FileMode) bool { return m != modes[0] }) {
		return "", fmt.Errorf("--chmod=%s: URLs and here-documents begin with different modes: use a number, or an instruction for each", symbols)
	}
	return strconv.FormatUint(uint64(Bits(set.Apply(modes[0]))), 8), nil
}

// Bits is a mode as chmod(2) has it.
func Bits(m fs.FileMode) uint32 {
	bits := uint32(m.Perm())
	for _, b := range []struct {
		mode fs.FileMode
		bit  uint32
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if m&b.mode != 0 {
			bits |= b.bit
		}
	}
	return bits
}

// add rewrites what only ADD has.
func (r *rewriter) add(word string, flags, sources []string) (_ string, _ []string, dir bool, err error) {
	keepGit := false
	unpack, said := false, false
	kept := flags[:0:0]
	for _, f := range flags {
		if on, ok := boolean(f, "keep-git-dir"); ok {
			keepGit = on
			continue
		}
		if on, ok := boolean(f, "unpack"); ok {
			unpack, said = on, true
			continue
		}
		if strings.HasPrefix(f, "--unpack=") || strings.HasPrefix(f, "--keep-git-dir=") {
			return "", nil, false, fmt.Errorf("%s: must be true or false", f)
		}
		kept = append(kept, f)
	}
	if !keepGit && slices.ContainsFunc(sources, maybeGit) {
		kept = r.addFlag(kept, "--exclude="+Mark+DropGit)
	}
	remote := slices.ContainsFunc(sources, maybeURL)
	switch {
	case said && !unpack && !remote && !slices.ContainsFunc(sources, maybeGit):
		word = "COPY" // that copies a tar as it is
	case said && !unpack:
		kept = r.addFlag(kept, "--exclude="+Mark+NoUnpack)
	case unpack && remote:
		kept, err = r.unpackURL(kept)
		dir = true
	}
	return word, kept, dir, err
}

func (r *rewriter) unpackURL(flags []string) ([]string, error) {
	bits := uint64(Unpack | urlMode)
	if slices.ContainsFunc(flags, func(f string) bool { return strings.HasPrefix(f, "--chown=") }) {
		bits |= WithOwner
	}
	for i, f := range flags {
		if value, ok := strings.CutPrefix(f, "--chmod="); ok {
			n, err := strconv.ParseUint(value, 8, 32)
			if err != nil {
				return nil, fmt.Errorf("%s: must be an octal number, together with --unpack", f)
			}
			r.replaceFlag(flags, i, "--chmod="+strconv.FormatUint(bits&^0o7777|n|WithMode, 8))
			return flags, nil
		}
	}
	return r.addFlag(flags, "--chmod="+strconv.FormatUint(bits, 8)), nil
}
