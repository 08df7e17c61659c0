// SPDX-License-Identifier: Apache-2.0

package solve

import "math/bits"

// set is a set of choices of one variable: bit 0 is "not chosen", bit i+1 is its version i. Sets are
// not changed once made, and all sets of a variable have the same length.
type set []uint64

const absent = 0

func newSet(n int, members ...int) set {
	s := make(set, (n+63)/64)
	for _, m := range members {
		s[m/64] |= 1 << (m % 64)
	}
	return s
}

func fullSet(n int) set { return newSet(n).complement(n) }

func (s set) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

func (s set) and(t set) set {
	r := make(set, len(s))
	for i := range s {
		r[i] = s[i] & t[i]
	}
	return r
}

func (s set) or(t set) set {
	r := make(set, len(s))
	for i := range s {
		r[i] = s[i] | t[i]
	}
	return r
}

func (s set) complement(n int) set {
	r := make(set, len(s))
	for i := range s {
		r[i] = ^s[i]
	}
	if n%64 != 0 {
		r[len(r)-1] &= 1<<(n%64) - 1
	}
	return r
}

func (s set) within(t set) bool {
	for i := range s {
		if s[i]&^t[i] != 0 {
			return false
		}
	}
	return true
}

func (s set) meets(t set) bool {
	for i := range s {
		if s[i]&t[i] != 0 {
			return true
		}
	}
	return false
}

func (s set) len() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// highest returns the greatest member, or -1.
func (s set) highest() int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] != 0 {
			return i*64 + bits.Len64(s[i]) - 1
		}
	}
	return -1
}
