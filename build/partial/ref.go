// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"strings"

	"github.com/berth-containers/berth/build/partial/solve"
)

// Ref names where a part comes from, as the user wrote it, without the range.
type Ref struct {
	Kind string // folder, alias, registry, git, https
	Text string // ./dir, alias/name, host/repo/name, git+https://host/repo//dir, https://…/x.tgz
}

// ParseRef reads REF[@RANGE]. The range is what follows the first @ after the last slash.
func ParseRef(s string) (Ref, solve.Range, error) {
	text, rng := s, ""
	if at := strings.IndexByte(s[strings.LastIndexByte(s, '/')+1:], '@'); at >= 0 {
		at += strings.LastIndexByte(s, '/') + 1
		text, rng = s[:at], s[at+1:]
		if rng == "" {
			return Ref{}, solve.Range{}, Errorf("P003", "%q has no range after the @", s)
		}
	}
	r, err := solve.ParseRange(rng)
	if err != nil {
		return Ref{}, solve.Range{}, Errorf("P003", "%v; write ^1.2, ~1.2.3, >=1,<3 or =1.2.3, with || for or", err)
	}
	ref := Ref{Text: text}
	switch {
	case strings.HasPrefix(text, "./"), strings.HasPrefix(text, "../"), strings.HasPrefix(text, "/"), text == ".", text == "..":
		ref.Kind = "folder"
	case strings.HasPrefix(text, "git+https://"):
		ref.Kind = "git"
	case strings.HasPrefix(text, "https://"):
		ref.Kind = "https"
	case strings.Contains(text, "://"):
		return Ref{}, solve.Range{}, Errorf("P003", "%q is not a reference; sources are ./dir, alias/name, host/repo/name, git+https://host/repo//dir and https://host/x.tgz", text)
	case isPartName(text):
		host, _, _ := strings.Cut(text, "/")
		ref.Kind = "alias"
		if strings.ContainsAny(host, ".:") || host == "localhost" {
			ref.Kind = "registry"
		}
	default:
		return Ref{}, solve.Range{}, Errorf("P003", "%q is not a reference; sources are ./dir, alias/name, host/repo/name, git+https://host/repo//dir and https://host/x.tgz", text)
	}
	return ref, r, nil
}

// Leaf is the last component of a name: nodejs of std/nodejs.
func leaf(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// isPartName reports whether s is a lower-case path of at least two components, the first of which may be a host.
func isPartName(s string) bool {
	parts := strings.Split(s, "/")
	if len(parts) < 2 {
		return false
	}
	for i, p := range parts {
		if p == "" {
			return false
		}
		for j, c := range []byte(p) {
			switch {
			case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			case strings.IndexByte("._-", c) >= 0 && j > 0 && j < len(p)-1:
			case i == 0 && c == ':' && isDigits(p[j+1:]): // host:port
			default:
				return false
			}
		}
	}
	return true
}

// parseRequirement reads REF[@RANGE] or cap:NAME[@RANGE].
func parseRequirement(s string) (solve.Requirement, *Error) {
	r, err := solve.ParseRequirement(s)
	switch {
	case err != nil:
		return r, Errorf("P003", "%v", err)
	case r.Cap && !isCapability(r.Name):
		return r, Errorf("P003", "%q is not a capability's name: lower-case letters, digits, dots, dashes", s)
	case !r.Cap && !isPartName(r.Name):
		return r, Errorf("P003", "%q is not a part's name; write alias/name or cap:NAME", s)
	}
	return r, nil
}

func isCapability(s string) bool {
	for i, c := range []byte(s) {
		ok := 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || i > 0 && strings.IndexByte(".-_+", c) >= 0
		if !ok {
			return false
		}
	}
	return s != ""
}
