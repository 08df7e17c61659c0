// SPDX-License-Identifier: Apache-2.0

package solve

import (
	"context"
	"fmt"
	"strings"
)

// maxTries bounds the searches for a hint.
const maxTries = 8

// try finds changes of one line that lead to a solution: another range for its part or, if there is
// none, no such line. It returns "" if no change of one line helps.
func (k *knowledge) try(ctx context.Context, r *report) string {
	var found []string
	tries := 0
	attempt := func(uses []Use) *Result {
		if tries++; tries > maxTries {
			return nil
		}
		in := r.in
		in.Uses = uses
		res, _, err := (&knowledge{k.src, in, k.known, k.listed, k.providers}).solve(ctx)
		if err != nil {
			return nil
		}
		return res
	}
	for _, i := range r.uses {
		u := r.in.Uses[i]
		if u.Range.Any() || r.in.Overrides[u.Name] != "" {
			continue
		}
		uses := append([]Use(nil), r.in.Uses...)
		uses[i].Range = Range{}
		if res := attempt(uses); res != nil {
			found = append(found, fmt.Sprintf("line %d with %s%s", u.Line, around(res.Part(u.Name)), r.because(res.Part(u.Name))))
		}
	}
	if len(found) > 0 {
		return strings.Join(found, ", or ")
	}
	for _, i := range r.uses {
		if len(r.in.Uses) < 2 {
			break
		}
		uses := append(append([]Use(nil), r.in.Uses[:i]...), r.in.Uses[i+1:]...)
		if attempt(uses) != nil {
			found = append(found, fmt.Sprintf("without line %d (%s)", r.in.Uses[i].Line, r.in.Uses[i].Name))
		}
	}
	return strings.Join(found, ", or ")
}

// around is a range that has the chosen version in it.
func around(c *Chosen) string {
	if c.Version.Prerelease() != "" || c.Yanked {
		return "=" + c.Version.String()
	}
	return fmt.Sprintf("^%d.%d", c.Version.Major(), c.Version.Minor())
}

// because tells what the chosen version requires of a part that the conflict is about.
func (r *report) because(c *Chosen) string {
	for _, f := range r.facts {
		if f.kind != needs {
			continue
		}
		for _, e := range c.Needs {
			if e.Name == f.req.Name && e.Cap == f.req.Cap && e.String() != f.req.String() {
				return fmt.Sprintf(" (%s needs %s)", c.Version, e.Requirement)
			}
		}
	}
	return fmt.Sprintf(" (%s)", c.Version)
}
