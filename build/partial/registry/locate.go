// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"maps"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/build/partial"

	"go.podman.io/image/v5/docker/reference"
)

type kind int

const (
	registry kind = iota
	folder
	gitRepo
	archive
)

// location is where a reference leads.
type location struct {
	kind kind
	ref  string // as the user wrote it, for messages
	path string // folder: its path; registry: host/repository; gitRepo and archive: the URL
	dir  string // gitRepo: the directory in it, or ""
}

// key tells locations apart, in the store too.
func (loc location) key() string {
	switch {
	case loc.kind == gitRepo && loc.dir != "":
		return "git+" + loc.path + "//" + loc.dir
	case loc.kind == gitRepo:
		return "git+" + loc.path
	}
	return loc.path
}

// locate replaces an alias and asks the allow-list.
func (l *Library) locate(ref partial.Ref) (location, error) {
	text, kindOf := ref.Text, ref.Kind
	if kindOf == "alias" {
		first, rest, _ := strings.Cut(text, "/")
		prefix, ok := l.opts.Aliases[first]
		if !ok {
			return location{}, partial.Errorf("P062", "alias %q is not defined; add it to partials.conf or write the full name%s", first, partial.DidYouMean(first, slices.Sorted(maps.Keys(l.opts.Aliases))))
		}
		text = strings.TrimSuffix(prefix, "/") + "/" + rest
	}
	loc, err := l.parse(text)
	if err != nil {
		return location{}, err
	}
	loc.ref = ref.Text
	return loc, l.allowed(loc)
}

func (l *Library) parse(text string) (location, error) {
	bad := func(why string) (location, error) {
		return location{}, partial.Errorf("P022", "%q is not a source of parts: %s", text, why)
	}
	switch {
	case strings.HasPrefix(text, "git+"):
		scheme, rest, ok := strings.Cut(strings.TrimPrefix(text, "git+"), "://")
		repo, dir, _ := strings.Cut(rest, "//")
		if !ok || !slices.Contains([]string{"https", "ssh", "file"}, scheme) {
			return bad("git is reached by git+https, git+ssh or git+file")
		}
		if repo == "" || !isPlain(repo) || dir != "" && (!isPlain(dir) || path.Clean(dir) != dir || path.IsAbs(dir) || dir == "..") {
			return bad("write git+https://HOST/REPOSITORY//DIRECTORY")
		}
		return location{kind: gitRepo, path: scheme + "://" + repo, dir: dir}, nil
	case strings.HasPrefix(text, "https://"):
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || !isPlain(text) {
			return bad("write https://HOST/PATH.tgz without user, query and fragment")
		}
		return location{kind: archive, path: text}, nil
	case path.IsAbs(text):
		return location{kind: folder, path: path.Clean(text)}, nil
	case text == ".", text == "..", strings.HasPrefix(text, "./"), strings.HasPrefix(text, "../"):
		return location{kind: folder, path: filepath.Join(l.opts.Dir, text)}, nil
	}
	// There is no short-name search: the first component must be a host.
	host, _, ok := strings.Cut(text, "/")
	named, err := reference.ParseNamed(text)
	if err != nil || !ok || !reference.IsNameOnly(named) || reference.Domain(named) != host {
		return bad("write HOST/REPOSITORY/NAME")
	}
	return location{kind: registry, path: named.Name()}, nil
}

// isPlain refuses what programs and servers could read in different ways.
func isPlain(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`\"'<>^{|}`+"`", c) >= 0 {
			return false
		}
	}
	return !strings.HasPrefix(s, "-") && !slices.Contains(strings.Split(s, "/"), "..") && !strings.Contains(strings.ToLower(s), "%2e") && !strings.Contains(strings.ToLower(s), "%2f")
}

// allowed is P060 for what partials.conf does not list. A prefix ends where a component ends.
func (l *Library) allowed(loc location) error {
	if l.opts.Allow == nil || loc.kind == folder {
		return nil
	}
	for _, prefix := range l.opts.Allow {
		prefix = strings.TrimSuffix(prefix, "/")
		if rest, ok := strings.CutPrefix(loc.key(), prefix); ok && (rest == "" || rest[0] == '/') {
			return nil
		}
	}
	return partial.Errorf("P060", "source %s is not allowed by partials.conf", loc.host())
}

// host is the name in front of the path.
func (loc location) host() string {
	_, rest, ok := strings.Cut(loc.path, "://")
	if !ok {
		rest = loc.path
	}
	host, _, _ := strings.Cut(rest, "/")
	return host
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
