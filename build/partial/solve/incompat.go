// SPDX-License-Identifier: Apache-2.0

package solve

// variable is what is chosen: a version of a part, or (with one version) whether a part is in a stage.
type variable struct {
	index    int
	name     string // of the part
	stage    string // for a presence
	presence bool
	versions []candidate // ascending; one for a presence
}

// size is the number of choices, "not chosen" included.
func (v *variable) size() int { return len(v.versions) + 1 }

// term says that the choice of a variable is in a set.
type term struct {
	on *variable
	in set
}

// incompat is a list of terms, one a variable, that cannot all hold: because of a fact, or because it
// was derived from two others.
type incompat struct {
	terms       []term
	fact        *fact
	left, right *incompat
}

// resolve derives from a and b, which both have a term on pivot, what they imply together: the other terms,
// and that pivot's choice is in either set.
func resolve(a, b *incompat, pivot *variable) *incompat {
	r := &incompat{left: a, right: b}
	for _, t := range a.terms {
		if u, ok := b.termOn(t.on); ok {
			if t.on == pivot {
				t.in = t.in.or(u)
				if t.in.len() == pivot.size() {
					continue
				}
			} else {
				t.in = t.in.and(u)
			}
		}
		r.terms = append(r.terms, t)
	}
	for _, t := range b.terms {
		if _, ok := a.termOn(t.on); !ok {
			r.terms = append(r.terms, t)
		}
	}
	return r
}

func (c *incompat) termOn(v *variable) (set, bool) {
	for _, t := range c.terms {
		if t.on == v {
			return t.in, true
		}
	}
	return nil, false
}
