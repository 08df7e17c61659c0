// SPDX-License-Identifier: Apache-2.0

// Package doctor is where the parts of Berth that keep something on the host meet when that is looked after: what killed commands
// left is found and repaired (system check), what they began is finished (at the start of commands), and what takes room on the
// disk is added up (system df).
//
// A part joins with a Subsystem, which is a Measurer too if it takes room on the disk, and with a function for Recover if it has something to finish.
// The package knows none of them: who runs a check says which subsystems take part, those whose repairs set others free first.
package doctor

import (
	"context"
	"errors"
	"fmt"
)

// Subsystem is a part of Berth that can be checked: containers, images, builds …
type Subsystem interface {
	// Name is what the subsystem looks after, in the plural and in lower case: containers.
	Name() string

	// Check looks for what no record owns, and for what a record claims and is not there. It changes nothing, and takes the locks
	// of what it looks at, so that it can run beside other commands. What it returns besides an error is found nevertheless. quick
	// leaves out what takes longer the more there is to read.
	Check(ctx context.Context, quick bool) ([]Problem, error)
}

// Measurer is a Subsystem that takes room on the disk.
type Measurer interface {
	Subsystem

	// Measure adds up what it takes. size is the room that a path and everything below takes, without what was
	// counted before: a file with several names counts once.
	Measure(ctx context.Context, size func(path string) (int64, error)) (Share, error)
}

// Share is the room that one kind of thing takes on the disk, in bytes.
type Share struct {
	Kind        string // in the words of the table: "Build Cache"
	Total       int    // things; 0 where they are not counted
	Active      int    // of them in use
	Size        int64
	Reclaimable int64 // what would be free without those that are not in use
}

// Problem is what a Check has found.
type Problem struct {
	What string // a sentence: what, where
	Kept bool   // it is no problem yet, and stays

	// Repair repairs it, unless somebody else has done so meanwhile; nil is where nothing can be done safely.
	Repair func(context.Context) error
}

// Finding is a problem and what became of it.
type Finding struct {
	Subsystem string // its name
	What      string
	Kept      bool // it is no problem yet, and stays
	Repaired  bool
	Err       error // why it could not be repaired; nil where that was not asked for
}

// rounds is how often Repair looks again: what one repair leaves, a name without its container, the next look finds.
const rounds = 4

var errNoRepair = errors.New("there is no safe way to repair it")

// Check has each of the subsystems look, in order. An error comes with what was found before.
func Check(ctx context.Context, quick bool, subsystems ...Subsystem) ([]Finding, error) {
	var found []Finding
	err := each(ctx, quick, subsystems, func(f Finding, _ Problem) { found = append(found, f) })
	return found, err
}

// Repair is Check, and repairs what is found. It looks again for as long as there was something to repair. A Finding that is
// neither Repaired nor Kept is one of the last look.
func Repair(ctx context.Context, quick bool, subsystems ...Subsystem) ([]Finding, error) {
	var repaired, rest []Finding
	for range rounds {
		before := len(repaired)
		rest = nil
		err := each(ctx, quick, subsystems, func(f Finding, p Problem) {
			if !p.Kept {
				f.Err = errNoRepair
				if p.Repair != nil {
					f.Err = p.Repair(ctx)
				}
				f.Repaired = f.Err == nil
			}
			if f.Repaired {
				repaired = append(repaired, f)
			} else {
				rest = append(rest, f)
			}
		})
		if err != nil || len(repaired) == before {
			return append(repaired, rest...), err
		}
	}
	return append(repaired, rest...), nil
}

// each calls with every problem that a subsystem has found before the next subsystem looks.
func each(ctx context.Context, quick bool, subsystems []Subsystem, with func(Finding, Problem)) error {
	for _, s := range subsystems {
		problems, err := s.Check(ctx, quick)
		for _, p := range problems {
			with(Finding{Subsystem: s.Name(), What: p.What, Kept: p.Kept}, p)
		}
		if err != nil {
			return fmt.Errorf("check %s: %w", s.Name(), err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// Recover has each part finish what killed commands began. Commands call it before their own work, so that a part costs next to nothing where
// there is nothing to do. One that fails does not keep the others from it.
//
// These are functions, because a program that starts fast recovers and does not check: an interface with an engine
// behind it would have the linker keep all exported methods of the engine.
func Recover(ctx context.Context, parts ...func(context.Context) error) error {
	var errs []error
	for _, part := range parts {
		errs = append(errs, part(ctx))
	}
	return errors.Join(errs...)
}
