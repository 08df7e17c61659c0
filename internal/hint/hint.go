// SPDX-License-Identifier: Apache-2.0

// Package hint joins an error with the step that mends it.
package hint

import "fmt"

// Error is an error that the user can mend. Only the CLI prints the Hint, on a
// line of its own below the error.
type Error struct {
	Err  error
	Hint string // a sentence or a command to paste, without "Hint:"
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Add returns err with a hint made from format and args, or nil if err is nil.
func Add(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Error{Err: err, Hint: fmt.Sprintf(format, args...)}
}
