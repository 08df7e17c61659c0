// SPDX-License-Identifier: Apache-2.0

package solve

// trail is what the search holds for true, in the order it came to. Each assignment narrows one variable.
type trail struct {
	steps   []assignment
	domains []set   // by variable: what may still be chosen
	last    [][]int // by variable: the indexes of its steps
	level   int     // how many decisions
}

// assignment narrows a variable to a set of choices.
type assignment struct {
	on    *variable
	allow set       // what the cause leaves, whatever held before
	after set       // the domain that results
	cause *incompat // nil for a decision
	level int
}

func (t *trail) track(v *variable) {
	t.domains = append(t.domains, fullSet(v.size()))
	t.last = append(t.last, nil)
}

func (t *trail) domain(v *variable) set { return t.domains[v.index] }

func (t *trail) push(v *variable, allow set, cause *incompat) {
	after := t.domain(v).and(allow)
	t.last[v.index] = append(t.last[v.index], len(t.steps))
	t.steps = append(t.steps, assignment{v, allow, after, cause, t.level})
	t.domains[v.index] = after
}

func (t *trail) decide(v *variable, choice int) {
	t.level++
	t.push(v, newSet(v.size(), choice), nil)
}

// backtrack forgets what came after the level.
func (t *trail) backtrack(level int) {
	for len(t.steps) > 0 {
		i := len(t.steps) - 1
		a := t.steps[i]
		if a.level <= level {
			break
		}
		l := t.last[a.on.index]
		l = l[:len(l)-1]
		t.last[a.on.index] = l
		if len(l) == 0 {
			t.domains[a.on.index] = fullSet(a.on.size())
		} else {
			t.domains[a.on.index] = t.steps[l[len(l)-1]].after
		}
		t.steps = t.steps[:i]
	}
	t.level = level
}

// satisfier returns the index of the first step after which the variable's domain is within in; -1 if it
// always is. Only steps before end count; with them, narrowed to also.
func (t *trail) satisfier(v *variable, in, also set, end int) int {
	if also.within(in) {
		return -1
	}
	for _, i := range t.last[v.index] {
		if i >= end {
			break
		}
		if t.steps[i].after.and(also).within(in) {
			return i
		}
	}
	return end
}

// blame finds the step that made all terms of c hold, and the level at which the others held already.
func (t *trail) blame(c *incompat) (step, before int) {
	step = -1
	for _, tm := range c.terms {
		step = max(step, t.satisfier(tm.on, tm.in, fullSet(tm.on.size()), len(t.steps)))
	}
	if step < 0 {
		return -1, 0
	}
	last := t.steps[step]
	for _, tm := range c.terms {
		also := fullSet(tm.on.size())
		if tm.on == last.on {
			also = last.allow
		}
		if i := t.satisfier(tm.on, tm.in, also, step); i >= 0 && i < step {
			before = max(before, t.steps[i].level)
		}
	}
	return step, before
}
