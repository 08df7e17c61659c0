// SPDX-License-Identifier: Apache-2.0

package solve

import (
	"context"
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Part is one version of a part: what the solver reads of its metadata.
type Part struct {
	Name          string
	Version       *semver.Version
	Digest        string        // of the artifact; kept for the caller
	Yanked        bool          // chosen only if locked, overridden or asked for by its digest
	Requires      []Requirement // in the stages that the part is in
	BuildRequires []Requirement // in the part's own helper stages
	Provides      []Capability
	Exclusive     []string      // capabilities that no other part of a stage may provide or claim
	Conflicts     []Requirement // what may not be in the same stage
	Data          any           // the caller's, not read here
}

// Requirement is a part or a capability, within a range.
type Requirement struct {
	Name  string
	Cap   bool
	Range Range
}

// Capability is something that a part or a base provides.
type Capability struct {
	Name    string
	Version *semver.Version // nil: without a version, meets only a range that is any
}

// Candidate is a published version.
type Candidate struct {
	Version *semver.Version
	Yanked  bool // as far as the list of versions tells; Part.Yanked counts as well
}

// Source tells what is published. The solver asks each question once; an error ends the solve
// and is returned as it is, so it is best a [*Failure] (P022 for a part that does not exist).
type Source interface {
	// Versions lists the versions of a part, in any order.
	Versions(ctx context.Context, name string) ([]Candidate, error)
	// Part returns the metadata of one of them.
	Part(ctx context.Context, name string, version *semver.Version) (*Part, error)
	// Pinned returns the metadata of the artifact with that digest, whether or not its version is listed.
	Pinned(ctx context.Context, name, digest string) (*Part, error)
	// Providers names the parts that are known to have versions that provide a capability. Parts
	// that the source uses need not be among them. A source without such an index returns nothing.
	Providers(ctx context.Context, capability string) ([]string, error)
}

// Use is a line that asks for a part.
type Use struct {
	Name  string
	Range Range
	Line  int    // for messages
	Stage string // any text that tells the stages apart
}

// Input is what [Solve] solves.
type Input struct {
	File string // the source's name, for messages
	Uses []Use
	// Base is what the base image of a stage has (base-provides), by stage.
	Base map[string][]Capability
	// Inherits names for a stage the stage that it is FROM: the parts of that one are in this one too.
	Inherits map[string]string
	// Locked are versions to prefer, by name.
	Locked map[string]string
	// Overrides are versions that are taken whatever is required, by name.
	Overrides map[string]string
	// Fit says why a part cannot be in a stage (P030 and its like), or nil. For what a part's
	// BuildRequires pull in, stage is [HelperStage] of that part. Nil accepts everything.
	Fit func(p *Part, stage string) *Failure
}

// HelperStage is the stage that stands for the helper stages of a part in [Chosen] and Fit.
func HelperStage(name string) string { return "build:" + name }

// Result is a solution.
type Result struct {
	Parts []Chosen // by name
	Notes []string // overrides that were in force, one sentence each
	uses  []Use
}

// Chosen is a part of a solution.
type Chosen struct {
	*Part
	Stages []string // that it has to be put into, sorted; not those that inherit it
	Uses   []int    // indexes into Input.Uses
	Needs  []Edge   // its requirements, sorted by name
}

// Edge is a requirement that is met.
type Edge struct {
	Requirement
	Build bool   // of BuildRequires
	By    string // the part that meets it; "" if it is the base
	Stage string // for a capability: the stage where it is met so
}

// Part returns the part of that name, or nil.
func (r *Result) Part(name string) *Chosen {
	for i := range r.Parts {
		if r.Parts[i].Name == name {
			return &r.Parts[i]
		}
	}
	return nil
}

// Failure says why there is no solution, with a code of the catalogue (P020 to P025, or one of Fit's).
type Failure struct {
	Code    string
	Line    int      // of the source; 0 if no single line is to blame
	Message string   // one line
	Explain []string // what it follows from, a line each
	Try     string   // what would help, or ""
}

func (f *Failure) Error() string {
	return strings.Join(append([]string{f.Message}, f.Explain...), "\n  ")
}

// ParseRequirement reads "NAME", "NAME@RANGE" or "cap:NAME@RANGE".
func ParseRequirement(s string) (Requirement, error) {
	s = strings.TrimSpace(s)
	name, text := SplitRange(s)
	r, err := ParseRange(text)
	if err != nil {
		return Requirement{}, err
	}
	rest, isCap := strings.CutPrefix(name, "cap:")
	if rest == "" || strings.ContainsAny(rest, " \t") {
		return Requirement{}, fmt.Errorf("read requirement %q: write NAME@RANGE or cap:NAME@RANGE", s)
	}
	return Requirement{Name: rest, Cap: isCap, Range: r}, nil
}

// SplitRange splits a reference at its last "@", unless a path follows, as in git+ssh://git@host/repo.
func SplitRange(ref string) (name, text string) {
	i := strings.LastIndexByte(ref, '@')
	if i < 0 || strings.Contains(ref[i:], "/") {
		return ref, ""
	}
	return ref[:i], ref[i+1:]
}

// ParseCapability reads "NAME" or "NAME=VERSION"; the version may be short ("22" is 22.0.0).
func ParseCapability(s string) (Capability, error) {
	name, text, versioned := strings.Cut(strings.TrimSpace(s), "=")
	if name == "" || strings.ContainsAny(name, " \t@:") {
		return Capability{}, fmt.Errorf("read capability %q: write NAME or NAME=VERSION", s)
	}
	c := Capability{Name: name}
	if !versioned {
		return c, nil
	}
	v, err := semver.NewVersion(text)
	if err != nil {
		return Capability{}, fmt.Errorf("read capability %q: %q is not a version", s, text)
	}
	c.Version = v
	return c, nil
}

func (c Capability) meets(r Requirement) bool {
	return c.Name == r.Name && (r.Range.Any() || c.Version != nil && r.Range.Match(c.Version))
}

// String returns the requirement as it is shown in messages: "std/openssl ^3", "capability nodejs".
func (r Requirement) String() string {
	s := r.Name
	if r.Cap {
		s = "capability " + s
	}
	if !r.Range.Any() {
		s += " " + r.Range.String()
	}
	return s
}
