// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"errors"
	"fmt"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/nearest"
)

// Error is a finding of the catalogue in docs/partials-format.md. Its text begins with the
// place, where there is one, and the code: "Containerfile:3: P001: unknown directive …".
type Error struct {
	Code string    // P001
	File string    // as the user named it; empty if the finding is in no file
	Line int       // from 1; 0 if the finding is not in one line
	Msg  string    // may have several lines; the last may begin with "try: "
	Fix  hint.Hint `json:",omitzero"` // what fixes it, if that is known

	named error // Msg, or what of it names fields
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ":")
		if e.Line > 0 {
			fmt.Fprintf(&b, "%d:", e.Line)
		}
		b.WriteByte(' ')
	}
	b.WriteString(e.Code + ": " + e.Msg)
	return b.String()
}

// Unwrap returns Msg as a field.Error where it names fields, so that a front end can word them.
func (e *Error) Unwrap() error { return e.named }

// Advice is what fixes it; see package hint.
func (e *Error) Advice() hint.Hint { return e.Fix }

// FixedBy says what fixes the error, in words as hint.Textf has them, and returns the error.
func (e *Error) FixedBy(format string, args ...any) *Error {
	e.Fix = hint.Textf(format, args...)
	return e
}

// Is tells errors of one code to be equal, so that errors.Is(err, &Error{Code: "P020"}) asks for a code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Msg == ""
}

// Errorf returns an error of the catalogue without a place. Arguments that are field.Names, or a field.Error, are fields to front ends.
func Errorf(code, format string, args ...any) *Error {
	e := &Error{Code: code, Msg: fmt.Sprintf(format, args...)}
	for _, a := range args {
		switch a := a.(type) {
		case field.Name:
			e.named = field.Errorf(format, args...)
			return e
		case *field.Error:
			e.named = a
			return e
		}
	}
	return e
}

// at gives the error a place, unless it has one.
func (e *Error) at(file string, line int) *Error {
	if e.File == "" {
		e.File, e.Line = file, line
	}
	return e
}

// relocate gives errors the lines of a requirement file for those of the text that it was written out as.
func relocate(err error, lines []int) error {
	if lines == nil {
		return err
	}
	switch e := err.(type) {
	case *Error:
		src := source{lines: lines}
		e.Line = src.shown(e.Line)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			_ = relocate(one, lines)
		}
	}
	return err
}

// joinErrors returns nil for none, the error itself for one.
func joinErrors(list []*Error) error {
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	all := make([]error, len(list))
	for i, e := range list {
		all[i] = e
	}
	return errors.Join(all...)
}

// ExitCode returns what a command exits with for err: 1 for wrong use and lint, 2 where there
// is no solution, 3 where something is not what it was, 4 for what only the network has, 5 for
// policy; 0 if err is no error of the catalogue (the caller then knows better).
func ExitCode(err error) int {
	var e *Error
	if !errors.As(err, &e) {
		return 0
	}
	switch e.Code {
	case "P051", "P063", "P064", "P082":
		return 3
	case "P052":
		return 4
	case "P060", "P061":
		return 5
	case "P071":
		return 125
	case "P090":
		return 2
	}
	switch e.Code[:3] {
	case "P02", "P03", "P04":
		return 2
	}
	return 1
}

// DidYouMean returns `; did you mean "x"?` for the known word that is nearest to word, if one is near; else "".
func DidYouMean(word string, known []string) string { return didYouMean(word, known) }

// didYouMean returns `; did you mean "x"?` for the known word that is nearest to word, if one is near.
func didYouMean(word string, known []string) string {
	best := nearest.Word(word, known)
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}
