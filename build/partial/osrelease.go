// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// OSRelease is what parts ask of a base's os-release(5).
type OSRelease struct {
	ID      string   `json:"id"`
	Version string   `json:"version,omitempty"` // VERSION_ID
	Like    []string `json:"like,omitempty"`
	Libc    string   `json:"libc,omitempty"` // glibc or musl, found by its loader
}

// ParseOSRelease reads an os-release file; nil if it has no ID.
func ParseOSRelease(data []byte) *OSRelease {
	var o OSRelease
	for l := range strings.Lines(string(data)) {
		key, value, ok := strings.Cut(strings.TrimSpace(l), "=")
		if !ok {
			continue
		}
		if words, err := splitWords(value); err == nil {
			value = strings.Join(words, " ")
		}
		switch key {
		case "ID":
			o.ID = value
		case "VERSION_ID":
			o.Version = value
		case "ID_LIKE":
			o.Like = strings.Fields(value)
		}
	}
	if o.ID == "" {
		return nil
	}
	return &o
}

func (o *OSRelease) String() string {
	if o == nil {
		return "a system without os-release"
	}
	if o.Version == "" {
		return o.ID
	}
	return o.ID + " " + o.Version
}

// osNeed is one entry of base.os.
type osNeed struct {
	id, op, version string
	like            bool
}

var osNeedRE = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(like:)?([a-z0-9][a-z0-9._-]*?)\s*(?:(>=|<=|!=|>|<|=)\s*([A-Za-z0-9.]+))?$`)
})

func parseOSNeed(s string) (osNeed, error) {
	f := osNeedRE().FindStringSubmatch(s)
	if f == nil || f[1] != "" && f[3] != "" {
		return osNeed{}, fmt.Errorf("%q is not ID, ID>=VERSION_ID or like:ID", s)
	}
	return osNeed{id: f[2], op: f[3], version: f[4], like: f[1] != ""}, nil
}

// met reports whether o is what is needed.
func (n osNeed) met(o *OSRelease) bool {
	if n.like {
		return o.ID == n.id || slices.Contains(o.Like, n.id)
	}
	if o.ID != n.id {
		return false
	}
	c := compareDotted(o.Version, n.version)
	switch n.op {
	case ">=":
		// 3.20 is "no less than 3.20"; so is 3.20.3.
		return o.Version != "" && c >= 0
	case ">":
		return o.Version != "" && c > 0
	case "<":
		return o.Version != "" && c < 0
	case "<=":
		return o.Version != "" && (c <= 0 || strings.HasPrefix(o.Version, n.version+"."))
	case "=":
		return o.Version == n.version || strings.HasPrefix(o.Version, n.version+".")
	case "!=":
		return o.Version != n.version && !strings.HasPrefix(o.Version, n.version+".")
	}
	return true
}

// variants are the suffixes of stage names to look for, the most special first.
func (o *OSRelease) variants() []string {
	if o == nil {
		return nil
	}
	return append([]string{o.ID}, o.Like...)
}

// manager is a package manager: the text before and after the packages in a RUN.
type manager struct {
	ids           []string // of os-release
	before, after string
}

var managers = sync.OnceValue(func() map[string]manager {
	return map[string]manager{
		"apt": {ids: []string{"debian", "ubuntu"}, before: "apt-get update && apt-get install -y --no-install-recommends ", after: " && rm -rf /var/lib/apt/lists/*"},
		"apk": {ids: []string{"alpine", "wolfi", "chainguard"}, before: "apk add --no-cache "},
		"dnf": {ids: []string{"fedora", "rhel", "centos", "rocky", "almalinux", "amzn", "ol"},
			before: "dnf install -y --setopt=install_weak_deps=False ", after: " && dnf clean all"},
		"zypper": {ids: []string{"opensuse", "opensuse-leap", "opensuse-tumbleweed", "sles", "suse"},
			before: "zypper --non-interactive install --no-recommends ", after: " && zypper clean --all"},
	}
})

// packageManager is the base's, or "".
func (o *OSRelease) packageManager() string {
	for _, id := range o.variants() {
		for _, name := range sortedKeys(managers()) {
			if slices.Contains(managers()[name].ids, id) {
				return name
			}
		}
	}
	return ""
}
