// SPDX-License-Identifier: Apache-2.0

// Package field has the error that says which field of a request is wrong. The libraries name fields in one way; each front end
// has its own word for a field: a flag, a key of JSON, a key of a unit file.
package field

import (
	"errors"
	"fmt"
	"strings"
)

// Name is a field's name: that of podman's flag, without the dashes.
type Name string

// Flag is how a command line writes the field.
func Flag(n Name) string { return "--" + string(n) }

// Error is an error in a field of a request.
type Error struct {
	Field Name // where several contradict each other, the first that the text names

	err    error // with the names as they are
	format string
	args   []any
}

// Errorf makes an Error as fmt.Errorf does. Each argument that is a Name is a field, and at least one is.
func Errorf(format string, args ...any) error {
	e := &Error{err: fmt.Errorf(format, args...), format: format, args: args}
	for _, a := range args {
		if n, ok := a.(Name); ok {
			e.Field = n
			break
		}
	}
	return e
}

func (e *Error) Error() string { return e.err.Error() }

// Unwrap returns what the Error was made from with %w.
func (e *Error) Unwrap() error { return e.err }

// Text is the error with the names of its fields as word has them.
func (e *Error) Text(word func(Name) string) string {
	args := make([]any, len(e.args))
	for i, a := range e.args {
		switch a := a.(type) {
		case Name:
			args[i] = word(a)
		case error:
			args[i] = errors.New(Text(a, word))
		default:
			args[i] = a
		}
	}
	return fmt.Errorf(e.format, args...).Error()
}

// Text is what err says, with the names of the fields in it as word has them.
func Text(err error, word func(Name) string) string {
	text, done := err.Error(), 0
	walk(err, func(e *Error) {
		plain, worded := e.Error(), e.Text(word)
		if i := strings.Index(text[done:], plain); i >= 0 {
			i += done
			text = text[:i] + worded + text[i+len(plain):]
			done = i + len(worded) // what has been replaced may have the plain text in it
		}
	})
	return text
}

// walk calls do with the outermost Errors of err's tree.
func walk(err error, do func(*Error)) {
	if e, ok := err.(*Error); ok {
		do(e)
		return
	}
	switch u := err.(type) {
	case interface{ Unwrap() error }:
		if next := u.Unwrap(); next != nil {
			walk(next, do)
		}
	case interface{ Unwrap() []error }:
		for _, next := range u.Unwrap() {
			walk(next, do)
		}
	}
}

// In says that err is about a field which its text does not name.
func In(n Name, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Field: n, err: err, format: "%w", args: []any{err}}
}
