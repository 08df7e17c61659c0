// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/berth-containers/berth/build/partial/solve"
)

// Meta is a part's metadata: the YAML between "# /// partial" and "# ///" in its Containerfile.
type Meta struct {
	Name          string              `yaml:"name" json:"name"`       // lower-case path: std/nodejs
	Version       string              `yaml:"version" json:"version"` // of the part itself, semver 2
	Summary       string              `yaml:"summary" json:"summary"`
	Licenses      string              `yaml:"licenses" json:"licenses,omitempty"` // SPDX
	Source        string              `yaml:"source" json:"source,omitempty"`     // URL
	Application   *Application        `yaml:"application" json:"application,omitempty"`
	Base          BaseNeeds           `yaml:"base" json:"base,omitzero"`
	Params        map[string]*Param   `yaml:"params" json:"params,omitempty"`
	Requires      []string            `yaml:"requires" json:"requires,omitempty"`             // REF[@RANGE] or cap:NAME[@RANGE]
	BuildRequires []string            `yaml:"build-requires" json:"build-requires,omitempty"` // the same, for the helper stages
	Provides      []string            `yaml:"provides" json:"provides,omitempty"`             // NAME[=VERSION]
	Conflicts     []string            `yaml:"conflicts" json:"conflicts,omitempty"`           // as Requires
	Exclusive     []string            `yaml:"exclusive" json:"exclusive,omitempty"`           // capabilities that only one part may give
	After         []string            `yaml:"after" json:"after,omitempty"`                   // parts; order among what is chosen anyway
	Packages      map[string][]string `yaml:"packages" json:"packages,omitempty"`             // apt, apk, dnf, zypper
	Env           map[string]*EnvRule `yaml:"env" json:"env,omitempty"`
	Runtime       *Runtime            `yaml:"runtime" json:"runtime,omitempty"` // proposals; the source's own win
	Owns          []string            `yaml:"owns" json:"owns,omitempty"`       // absolute paths
	Layer         string              `yaml:"layer" json:"layer,omitempty"`     // inline (or empty) or detached
	Check         *Check              `yaml:"check" json:"check,omitempty"`
	Needs         []string            `yaml:"needs" json:"needs,omitempty"` // secret:ID, ssh:ID

	requires, buildRequires, conflicts []solve.Requirement
}

// Application is the software that a part installs.
type Application struct {
	Name    string `yaml:"name" json:"name"`
	Version Scalar `yaml:"version" json:"version,omitempty"` // may name parameters
}

// BaseNeeds is what a part needs of the image it is put on.
type BaseNeeds struct {
	OS   []string `yaml:"os" json:"os,omitempty"`     // ID[op VERSION_ID] or like:ID, any of them
	Arch []string `yaml:"arch" json:"arch,omitempty"` // in the image specification's words
	Libc string   `yaml:"libc" json:"libc,omitempty"` // glibc or musl
}

// EnvRule is what a part does to one environment variable: one of Set and Default, or Prepend and Append.
type EnvRule struct {
	Set     *Scalar  `yaml:"set" json:"set,omitempty"`
	Default *Scalar  `yaml:"default" json:"default,omitempty"`
	Prepend []string `yaml:"prepend" json:"prepend,omitempty"` // entries of a list joined by colons
	Append  []string `yaml:"append" json:"append,omitempty"`
}

// Runtime is what a part proposes for the image's configuration.
type Runtime struct {
	Cmd         []string     `yaml:"cmd" json:"cmd,omitempty"`
	Entrypoint  []string     `yaml:"entrypoint" json:"entrypoint,omitempty"`
	User        Scalar       `yaml:"user" json:"user,omitempty"`
	Expose      []Scalar     `yaml:"expose" json:"expose,omitempty"`
	Volume      []string     `yaml:"volume" json:"volume,omitempty"`
	Healthcheck *Healthcheck `yaml:"healthcheck" json:"healthcheck,omitempty"`
	StopSignal  Scalar       `yaml:"stopsignal" json:"stopsignal,omitempty"`
}

// Healthcheck has the words of the HEALTHCHECK instruction.
type Healthcheck struct {
	Cmd      []string `yaml:"cmd" json:"cmd"`
	Interval string   `yaml:"interval" json:"interval,omitempty"`
	Timeout  string   `yaml:"timeout" json:"timeout,omitempty"`
	Retries  int      `yaml:"retries" json:"retries,omitempty"`
}

// Check is a command that shows that the part works in an image.
type Check struct {
	Argv  []string `yaml:"argv" json:"argv"`
	Match string   `yaml:"match" json:"match,omitempty"` // regular expression for its output; may name parameters
}

const fenceOpen, fenceClose = "# /// partial", "# ///"

// findMeta returns the YAML of the fenced comment and the line its first line is before.
func findMeta(lines []string) (text string, offset int, err *Error) {
	open := slices.Index(lines, fenceOpen)
	if open < 0 {
		return "", 0, Errorf("P003", "no metadata: a line %q is missing", fenceOpen)
	}
	var b strings.Builder
	for i, l := range lines[open+1:] {
		switch {
		case l == fenceClose:
			return b.String(), open + 1, nil
		case l == "#":
			b.WriteByte('\n')
		case strings.HasPrefix(l, "# "):
			b.WriteString(l[2:] + "\n")
		default:
			return "", 0, &Error{Code: "P003", Line: open + 2 + i, Msg: fmt.Sprintf("metadata lines begin with %q; %q is missing", "# ", fenceClose)}
		}
	}
	return "", 0, &Error{Code: "P003", Line: open + 1, Msg: fmt.Sprintf("the metadata has no end: a line %q is missing", fenceClose)}
}

// ParseMeta decodes and checks metadata in YAML. offset is added to the lines of errors.
func ParseMeta(text string, offset int) (*Meta, []*Error) {
	var m Meta
	if errs := strictYAML(text, "metadata field", offset, &m); len(errs) > 0 {
		return nil, errs
	}
	return &m, m.check()
}

var packageName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9][a-z0-9+._-]*((=~|~=|==|>=|<=|=|<|>|~)[A-Za-z0-9.+:~*-]+)?$`)
})

// check wants every field to be as the format says, and fills what is derived.
func (m *Meta) check() []*Error {
	var errs []*Error
	bad := func(format string, args ...any) { errs = append(errs, Errorf("P003", format, args...)) }
	if !isPartName(m.Name) {
		bad("name %q is not a lower-case path such as std/nodejs", m.Name)
	}
	if err := checkVersion(m.Version); err != nil {
		errs = append(errs, err)
	}
	if m.Summary == "" {
		bad("summary is missing")
	}
	for _, field := range []struct {
		name string
		in   []string
		out  *[]solve.Requirement
	}{{"requires", m.Requires, &m.requires}, {"build-requires", m.BuildRequires, &m.buildRequires}, {"conflicts", m.Conflicts, &m.conflicts}} {
		*field.out = nil
		for _, s := range field.in {
			r, err := parseRequirement(s)
			if err != nil {
				bad("%s: %s", field.name, err.Msg)
				continue
			}
			*field.out = append(*field.out, r)
		}
		slices.SortFunc(*field.out, func(a, b solve.Requirement) int { return strings.Compare(a.String(), b.String()) })
	}
	for _, a := range m.After {
		if !isPartName(a) {
			bad("after: %q is not a part's name", a)
		}
	}
	m.checkBase(bad)
	m.checkEnv(bad)
	m.checkCapabilities(bad)
	for _, name := range sortedKeys(m.Params) {
		if err := m.Params[name].define(m.Name, name); err != nil {
			errs = append(errs, err)
		}
	}
	for _, manager := range sortedKeys(m.Packages) {
		if _, ok := managers()[manager]; !ok {
			bad("packages: manager %q is not known; known are apk, apt, dnf, zypper", manager)
		}
		for _, p := range m.Packages[manager] {
			if _, err := m.expand(p, nil); err != nil {
				bad("packages: %s: %v", p, err)
			} else if !packageName().MatchString(variable().ReplaceAllString(p, "1")) {
				bad("packages: %q is not a package's name", p)
			}
		}
	}
	for _, p := range m.Owns {
		if !path.IsAbs(p) || path.Clean(p) != p {
			bad("owns: %q is not a clean absolute path", p)
		}
	}
	if m.Layer != "" && m.Layer != "inline" && m.Layer != "detached" {
		bad("layer %q is not inline or detached", m.Layer)
	}
	for _, n := range m.Needs {
		if kind, id, ok := strings.Cut(n, ":"); !ok || id == "" || kind != "secret" && kind != "ssh" {
			bad("needs: %q is not secret:ID or ssh:ID", n)
		}
	}
	m.checkRuntime(bad)
	m.checkCheck(bad)
	return errs
}

func (m *Meta) checkBase(bad func(string, ...any)) {
	for _, s := range m.Base.OS {
		if _, err := parseOSNeed(s); err != nil {
			bad("base: os: %v", err)
		}
	}
	for _, a := range m.Base.Arch {
		if a == "" || strings.ToLower(a) != a || strings.ContainsAny(a, " /") {
			bad("base: arch: %q is not an architecture such as amd64 or arm64", a)
		}
	}
	if l := m.Base.Libc; l != "" && l != "glibc" && l != "musl" {
		bad("base: libc: %q is not glibc or musl", l)
	}
}

func (m *Meta) checkEnv(bad func(string, ...any)) {
	for _, name := range sortedKeys(m.Env) {
		r := m.Env[name]
		if r == nil {
			bad("env: %s: give set, default, prepend or append", name)
			continue
		}
		kinds := 0
		for _, has := range []bool{r.Set != nil, r.Default != nil, len(r.Prepend)+len(r.Append) > 0} {
			if has {
				kinds++
			}
		}
		if !isEnvName(name) {
			bad("env: %q is not a variable's name", name)
		}
		if kinds != 1 {
			bad("env: %s: give one of set, default, and prepend with append", name)
		}
		for _, v := range r.values() {
			if _, err := m.expand(v, nil); err != nil {
				bad("env: %s: %v", name, err)
			}
			if err := checkText("env: "+name, v); err != nil {
				bad("%s", err.Msg)
			}
		}
		for _, e := range slices.Concat(r.Prepend, r.Append) {
			if e == "" || strings.Contains(variable().ReplaceAllString(e, ""), ":") {
				bad("env: %s: %q is not one entry", name, e)
			}
		}
	}
}

// values are all texts of a rule.
func (r *EnvRule) values() []string {
	all := slices.Concat(r.Prepend, r.Append)
	for _, s := range []*Scalar{r.Set, r.Default} {
		if s != nil {
			all = append(all, string(*s))
		}
	}
	return all
}

func (m *Meta) checkCapabilities(bad func(string, ...any)) {
	names := map[string]bool{}
	for _, p := range m.Provides {
		name, version, _ := strings.Cut(p, "=")
		if !isCapability(name) {
			bad("provides: %q is not NAME or NAME=VERSION", p)
		}
		if _, err := m.expand(version, nil); err != nil {
			bad("provides: %s: %v", p, err)
		}
		names[name] = true
	}
	for _, x := range m.Exclusive {
		if !names[x] {
			bad("exclusive: %q is not under provides", x)
		}
	}
	if m.Application != nil {
		if _, err := m.expand(string(m.Application.Version), nil); err != nil {
			bad("application: version: %v", err)
		}
	}
}

func (m *Meta) checkRuntime(bad func(string, ...any)) {
	r := m.Runtime
	if r == nil {
		return
	}
	texts := slices.Concat(r.Cmd, r.Entrypoint, r.Volume, []string{string(r.User), string(r.StopSignal)})
	for _, e := range r.Expose {
		texts = append(texts, string(e))
	}
	if h := r.Healthcheck; h != nil {
		if len(h.Cmd) == 0 {
			bad("runtime: healthcheck: cmd is missing")
		}
		texts = slices.Concat(texts, h.Cmd, []string{h.Interval, h.Timeout})
	}
	for _, t := range texts {
		if err := checkText("runtime", t); err != nil {
			bad("%s", err.Msg)
		}
		if _, err := m.expand(t, nil); err != nil {
			bad("runtime: %v", err)
		}
	}
	words := []string{string(r.User), string(r.StopSignal)}
	for _, e := range r.Expose {
		words = append(words, string(e))
	}
	for _, w := range words {
		if strings.ContainsAny(w, " \t\"'\\#<") {
			bad("runtime: %q is not one word", w)
		}
	}
}

func (m *Meta) checkCheck(bad func(string, ...any)) {
	if m.Check == nil {
		return
	}
	if len(m.Check.Argv) == 0 {
		bad("check: argv is missing")
	}
	for _, t := range append(slices.Clone(m.Check.Argv), m.Check.Match) {
		if _, err := m.expand(t, nil); err != nil {
			bad("check: %v", err)
		}
	}
	if _, err := regexp.Compile(variable().ReplaceAllString(m.Check.Match, "x")); err != nil {
		bad("check: match: %v", err)
	}
}

var variable = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\$\{([a-z][a-z0-9_-]*)\}`) })

// expand replaces ${param} by the parameter's value. With values nil it only checks that the
// names are parameters. Nothing else is special: what a value holds is not looked at again.
func (m *Meta) expand(s string, values map[string]string) (string, error) {
	var err error
	out := variable().ReplaceAllStringFunc(s, func(v string) string {
		name := v[2 : len(v)-1]
		if _, ok := m.Params[name]; !ok {
			err = fmt.Errorf("%s is not a parameter of the part%s", v, didYouMean(strings.Trim(v, "${}"), sortedKeys(m.Params)))
			return v
		}
		return values[name]
	})
	return out, err
}
