// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

// ward is a subsystem whose problems are words. What repair leaves is found by the next look.
type ward struct {
	name      string
	problems  []string
	leaves    map[string]string // what the repair of a problem leaves
	incurable []string
	broken    error
	looks     int
}

func (w *ward) Name() string { return w.name }

func (w *ward) Check(context.Context, bool) ([]Problem, error) {
	w.looks++
	var found []Problem
	for _, what := range w.problems {
		p := Problem{What: what, Kept: what == "kept"}
		if what != "without a way" {
			p.Repair = func(context.Context) error { return w.repair(what) }
		}
		found = append(found, p)
	}
	return found, w.broken
}

func (w *ward) repair(what string) error {
	if slices.Contains(w.incurable, what) {
		return errors.New("still in use")
	}
	w.problems = slices.DeleteFunc(w.problems, func(p string) bool { return p == what })
	if next := w.leaves[what]; next != "" {
		w.problems = append(w.problems, next)
	}
	return nil
}

// words writes findings in a line each: subsystem, problem, what became of it.
func words(found []Finding) string {
	var lines []string
	for _, f := range found {
		line := f.Subsystem + ": " + f.What
		switch {
		case f.Kept:
			line += " (kept)"
		case f.Repaired:
			line += " (repaired)"
		case f.Err != nil:
			line += " (" + f.Err.Error() + ")"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestCheckChangesNothing(t *testing.T) {
	a := &ward{name: "containers", problems: []string{"one", "kept"}}
	b := &ward{name: "images", problems: []string{"two"}}
	for range 2 {
		found, err := Check(t.Context(), false, a, b)
		if got := words(found); err != nil || got != "containers: one\ncontainers: kept (kept)\nimages: two" {
			t.Errorf("found %q, %v", got, err)
		}
	}
}

func TestRepairLooksAgain(t *testing.T) {
	a := &ward{name: "containers", problems: []string{"half-made", "kept"}, leaves: map[string]string{"half-made": "name without a container"}}
	b := &ward{name: "images"}
	found, err := Repair(t.Context(), false, a, b)
	want := "containers: half-made (repaired)\ncontainers: name without a container (repaired)\ncontainers: kept (kept)"
	if got := words(found); err != nil || got != want {
		t.Errorf("found %q, %v; want %q", got, err, want)
	}
	if a.looks != 3 || b.looks != 3 {
		t.Errorf("looked %d and %d times, want 3: until nothing was repaired", a.looks, b.looks)
	}
}

// What cannot be repaired is told once, and keeps no other subsystem from its second look.
func TestRepairOfWhatStays(t *testing.T) {
	a := &ward{name: "builds", problems: []string{"without a way", "stuck"}, incurable: []string{"stuck"}}
	b := &ward{name: "containers", problems: []string{"layer"}, leaves: map[string]string{"layer": "file"}}
	found, err := Repair(t.Context(), false, a, b)
	want := "containers: layer (repaired)\ncontainers: file (repaired)\n" +
		"builds: without a way (there is no safe way to repair it)\nbuilds: stuck (still in use)"
	if got := words(found); err != nil || got != want {
		t.Errorf("found %q, %v; want %q", got, err, want)
	}
}

func TestRepairEnds(t *testing.T) {
	a := &ward{name: "containers", problems: []string{"again"}, leaves: map[string]string{"again": "again"}}
	found, err := Repair(t.Context(), false, a)
	if err != nil || len(found) != rounds || a.looks != rounds {
		t.Errorf("found %q in %d looks, %v", words(found), a.looks, err)
	}
}

// An error ends the check, names the subsystem, and loses nothing of what was found.
func TestCheckThatFails(t *testing.T) {
	a := &ward{name: "containers", problems: []string{"one"}, broken: errors.New("no such store")}
	b := &ward{name: "images"}
	for name, look := range map[string]func(context.Context, bool, ...Subsystem) ([]Finding, error){"Check": Check, "Repair": Repair} {
		found, err := look(t.Context(), false, a, b)
		if err == nil || err.Error() != "check containers: no such store" || len(found) != 1 || b.looks != 0 {
			t.Errorf("%s: found %q, %v", name, words(found), err)
		}
		a.problems = []string{"one"}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Check(ended, false, b); !errors.Is(err, context.Canceled) {
		t.Errorf("a check that was interrupted: %v", err)
	}
}

func TestRecover(t *testing.T) {
	done := 0
	err := Recover(t.Context(),
		func(context.Context) error { done++; return errors.New("busy") },
		func(context.Context) error { done++; return nil })
	if err == nil || err.Error() != "busy" || done != 2 {
		t.Errorf("%d recovered, %v", done, err)
	}
}
