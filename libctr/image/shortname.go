// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/shortnames"
	"go.podman.io/storage"
)

func isNotFound(err error) bool { return errors.Is(err, storage.ErrImageUnknown) }

// candidates returns the full names that named may stand for, in the order of
// preference: an alias, localhost/, the unqualified-search registries, docker.io.
//
// Reading registries.conf and its aliases takes longer than all the rest of a lookup,
// so it is left out where it cannot change the answer: where at most one local name
// ends in the short name, and no alias of that name is in the files' text.
func (v *View) candidates(named reference.Named) ([]reference.Named, error) {
	if !IsShort(named) {
		full, err := reference.ParseNormalizedNamed(named.String())
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadReference, err)
		}
		return []reference.Named{full}, nil
	}
	if full, ok, err := v.onlyMatch(named); ok || err != nil {
		return full, err
	}
	all, err := shortnames.ResolveLocally(v.System, named.String())
	if err != nil {
		return nil, fmt.Errorf("resolve short name: %w", err)
	}
	// Docker's habit, whatever registries.conf says.
	if hub, err := reference.ParseNormalizedNamed(named.String()); err == nil {
		all = append(all, hub)
	}
	return all, nil
}

// onlyMatch returns the one local name that named can stand for. It says false where
// registries.conf must decide. It returns no name where it found none, which leaves
// the short IDs.
func (v *View) onlyMatch(named reference.Named) ([]reference.Named, bool, error) {
	if _, ok := named.(reference.Digested); ok {
		return nil, false, nil
	}
	all, err := v.Images()
	if err != nil {
		return nil, false, err
	}
	if v.mayHaveAlias(named.Name()) {
		return nil, false, nil
	}
	tagged := reference.TagNameOnly(named)
	var matches []reference.Named
	for _, img := range all {
		for _, name := range img.Names {
			if strings.HasSuffix(name, "/"+tagged.String()) {
				full, err := reference.ParseNormalizedNamed(name)
				if err != nil {
					return nil, false, nil
				}
				matches = append(matches, full)
			}
		}
	}
	switch {
	case len(matches) > 1:
		return nil, false, nil
	case len(matches) == 1 && v.prefixes(all, named.String()):
		// busybox pulled from an unlisted registry, or the image whose ID begins
		// with these digits? The configuration decides.
		return nil, false, nil
	}
	return matches, true, nil
}

// prefixes reports whether an image's ID begins with s.
func (v *View) prefixes(all []*Image, s string) bool {
	for _, img := range all {
		if strings.HasPrefix(img.ID, s) {
			return true
		}
	}
	return false
}

// mayHaveAlias reports whether the text of a registries.conf file has repo as a key. It
// errs on the side of yes.
func (v *View) mayHaveAlias(repo string) bool {
	for _, file := range v.registriesFiles() {
		data, err := os.ReadFile(file)
		if err == nil && hasKey(data, repo) {
			return true
		}
	}
	return false
}

// hasKey reports whether key is followed by = in TOML text, quoted or bare.
func hasKey(text []byte, key string) bool {
	for {
		i := bytes.Index(text, []byte(key))
		if i < 0 {
			return false
		}
		rest := text[i+len(key):]
		rest = bytes.TrimLeft(rest, "\"'")
		rest = bytes.TrimLeft(rest, " \t")
		if bytes.HasPrefix(rest, []byte("=")) && (i == 0 || !isNameByte(text[i-1])) {
			return true
		}
		text = text[i+len(key):]
	}
}

func isNameByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || strings.IndexByte("/._-", b) >= 0
}
