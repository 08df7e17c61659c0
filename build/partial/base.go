// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Base is what composition must know of an image that parts are put on. It goes into the lock.
type Base struct {
	Digest    string     `json:"digest"` // of the index, or of the manifest where there is no index
	OS        *OSRelease `json:"os,omitempty"`
	Platforms []string   `json:"platforms,omitempty"` // os/architecture[/variant], sorted
	Config    BaseConfig `json:"config"`
}

// BaseConfig is the part of an image's configuration that blocks must respect.
type BaseConfig struct {
	User    string            `json:"user,omitempty"`
	Workdir string            `json:"workdir,omitempty"`
	Shell   []string          `json:"shell,omitempty"`
	Env     map[string]string `json:"env,omitempty"`
}

// Bases tells of images. ref is a reference as a Containerfile has it, without variables. Both
// methods may fetch; the errors are P052 where they may not.
type Bases interface {
	// Base returns the facts of an image.
	Base(ctx context.Context, ref string) (*Base, error)
	// Digest returns the digest of an image that is only copied from.
	Digest(ctx context.Context, ref string) (string, error)
}

// shortImage is an image's name for messages: debian:12 of docker.io/library/debian:12@sha256:….
func shortImage(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	return strings.TrimPrefix(strings.TrimPrefix(ref, "docker.io/"), "library/")
}

// pinned returns name:tag@digest.
func pinned(ref, digest string) string {
	if strings.Contains(ref, "@") || digest == "" {
		return ref
	}
	if !strings.Contains(ref[strings.LastIndexByte(ref, '/')+1:], ":") {
		ref += ":latest"
	}
	return ref + "@" + digest
}

// fits says why the part cannot be on the base, or nil. ref names the base; b is nil for scratch.
func (m *Meta) fits(ref string, b *Base, platforms []string) *Error {
	needsOS := len(m.Base.OS) > 0 || m.Base.Libc != ""
	if needsOS && (b == nil || b.OS == nil) {
		return Errorf("P032", "base %s has no os-release; parts with an os constraint (%s %s) cannot be used on it", shortImage(ref), m.Name, m.Version)
	}
	if len(m.Base.OS) > 0 && !slices.ContainsFunc(m.Base.OS, func(s string) bool {
		n, err := parseOSNeed(s)
		return err == nil && n.met(b.OS)
	}) {
		return Errorf("P030", "%s %s needs %s; base %s is %s", m.Name, m.Version, strings.Join(m.Base.OS, " or "), shortImage(ref), b.OS)
	}
	if l := m.Base.Libc; l != "" && b.OS.Libc != "" && b.OS.Libc != l {
		return Errorf("P030", "%s %s needs %s; base %s has %s", m.Name, m.Version, l, shortImage(ref), b.OS.Libc)
	}
	for _, p := range platforms {
		if a := archOf(p); len(m.Base.Arch) > 0 && !slices.Contains(m.Base.Arch, a) {
			return Errorf("P031", "%s %s supports %s; this build asks for %s", m.Name, m.Version, strings.Join(m.Base.Arch, ", "), p)
		}
	}
	return nil
}

func archOf(platform string) string {
	_, rest, _ := strings.Cut(platform, "/")
	arch, _, _ := strings.Cut(rest, "/")
	return arch
}

// packagesFor returns the part's packages for the base's manager, expanded. It fails where the
// part has packages for other managers only, and no stage of its own for this system either.
func (p *Part) packagesFor(ref string, b *Base, values map[string]string) (manager string, list []string, err *Error) {
	if len(p.Meta.Packages) == 0 {
		return "", nil, nil
	}
	var os *OSRelease
	if b != nil {
		os = b.OS
	}
	manager = os.packageManager()
	packages, ok := p.Meta.Packages[manager]
	if !ok {
		for _, v := range os.variants() {
			if p.stage("install."+v) != nil || p.stage("dev."+v) != nil {
				return "", nil, nil
			}
		}
		what := "has no package manager that is known"
		if manager != "" {
			what = "has " + manager
		}
		return "", nil, Errorf("P030", "%s %s has packages for %s; base %s %s", p.Meta.Name, p.Meta.Version,
			strings.Join(sortedKeys(p.Meta.Packages), ", "), shortImage(ref), what)
	}
	for _, s := range packages {
		name, e := p.Meta.expand(s, values)
		if e != nil || !packageName().MatchString(name) {
			return "", nil, Errorf("P009", "%s: %q is not a package's name", p.Meta.Name, name)
		}
		list = append(list, name)
	}
	slices.Sort(list)
	return manager, slices.Compact(list), nil
}

// packageRun is the RUN that installs packages.
func packageRun(name string, list []string) string {
	m := managers()[name]
	var b strings.Builder
	fmt.Fprintf(&b, "RUN %s", m.before)
	for i, p := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		if strings.ContainsAny(p, "=<>~*") {
			p = `"` + p + `"`
		}
		b.WriteString(p)
	}
	return b.String() + m.after
}
