// SPDX-License-Identifier: Apache-2.0

package solve

import (
	"fmt"
	"strings"
	"testing"
)

// twenty is 20 used parts with 10 versions each, which need three others each.
func twenty() (world, use string) {
	var b strings.Builder
	var all []string
	for p := range 20 {
		for v := range 10 {
			fmt.Fprintf(&b, "std/p%02d 1.%d.0", p, v)
			for q := p + 1; q < min(p+4, 20); q++ {
				fmt.Fprintf(&b, "; needs std/p%02d@>=1.%d", q, v/2)
			}
			b.WriteString("\n")
		}
		all = append(all, fmt.Sprintf("std/p%02d@^1", p))
	}
	return b.String(), strings.Join(all, ", ")
}

func BenchmarkSolve20Parts(b *testing.B) {
	world, use := twenty()
	s, in := newShop(b, world), Input{Uses: uses(b, use)}
	for b.Loop() {
		if _, err := Solve(b.Context(), s, in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBacktrack(b *testing.B) {
	world, use := twenty()
	s, in := newShop(b, world+"std/q 1.0.0 needs std/p19@<1.3\n"), Input{Uses: uses(b, use+", std/q")}
	in.Uses[0].Range, _ = ParseRange("^1.8")
	for b.Loop() {
		if r, err := Solve(b.Context(), s, in); err != nil {
			b.Fatal(err, r)
		}
	}
}

// TestHard solves what has no solution but for the last of many tries.
func TestHard(t *testing.T) {
	var b strings.Builder
	const n = 60
	for v := range n {
		fmt.Fprintf(&b, "a 1.%d.0 needs z@=1.%d.0\n", v, v)
		fmt.Fprintf(&b, "b 1.%d.0 needs z@=1.%d.0\n", v, n-1-v)
		fmt.Fprintf(&b, "c 1.%d.0 needs z@<=1.%d.0\n", v, v)
		fmt.Fprintf(&b, "z 1.%d.0\n", v)
	}
	b.WriteString("d 1.0.0 needs z@=1.0.0\n")
	r, err := Solve(t.Context(), newShop(t, b.String()), Input{Uses: uses(t, "a, b, c, d")})
	if want := "a 1.0.0, b 1.59.0, c 1.59.0, d 1.0.0, z 1.0.0"; err != nil || show(r) != want {
		t.Errorf("Solve = %v, %v; want %s", r, err, want)
	}
}

func TestWhy(t *testing.T) {
	s := newShop(t, "a 1.0.0 needs b@^1\n b 1.0.0 needs cap:js; builds c\n c 1.0.0\n node 1.0.0; gives js")
	r, err := Solve(t.Context(), s, Input{Uses: uses(t, "a@^1, c")})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"node": "b 1.0.0 needs capability js, which node provides|a 1.0.0 needs b ^1|line 3 uses a ^1 (1.0.0)",
		"c":    "line 4 uses c (1.0.0)|b 1.0.0 needs to build c|a 1.0.0 needs b ^1|line 3 uses a ^1 (1.0.0)",
		"x":    "",
	} {
		if got := strings.Join(r.Why(name), "|"); got != want {
			t.Errorf("Why(%s) = %s; want %s", name, got, want)
		}
	}
	s = newShop(t, "a 1.0.0 needs b@^2\n b 1.0.0")
	r, err = Solve(t.Context(), s, Input{Uses: uses(t, "a"), Overrides: map[string]string{"b": "1.0.0"}})
	if err != nil || len(r.Notes) != 1 || r.Notes[0] != "b is overridden to 1.0.0, whatever is required of it" {
		t.Errorf("Solve with an override = %+v, %v", r, err)
	}
}
