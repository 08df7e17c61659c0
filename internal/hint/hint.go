// SPDX-License-Identifier: Apache-2.0

// Package hint joins an error with what fixes it. The libraries say in one way which command of the engine or which field of a
// request they mean; each front end has its own words for it: a command line, a request, a key of a unit file.
package hint

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/berth-containers/berth/internal/field"
)

// Error is an error that the user can fix.
type Error struct {
	Err  error
	Hint Hint
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Advice is the hint.
func (e *Error) Advice() Hint { return e.Hint }

// Of is the hint of err: that of the outermost error in its tree which has a method Advice, as Error has, and advice to give.
func Of(err error) Hint {
	if e, ok := err.(interface{ Advice() Hint }); ok && !e.Advice().Empty() {
		return e.Advice()
	}
	switch u := err.(type) {
	case interface{ Unwrap() error }:
		if next := u.Unwrap(); next != nil {
			return Of(next)
		}
	case interface{ Unwrap() []error }:
		for _, next := range u.Unwrap() {
			if h := Of(next); !h.Empty() {
				return h
			}
		}
	}
	return Hint{}
}

// Hint says what fixes an error. In JSON it is a string where it has nothing but text.
type Hint struct{ Parts []Part }

// Part is text, a field or a command; one of the three.
type Part struct {
	Text    string     `json:"text,omitempty"`
	Field   field.Name `json:"field,omitempty"`
	Command *Command   `json:"command,omitempty"`
}

// Add returns err with a hint made from format and args as Textf does, or nil if err is nil.
func Add(err error, format string, args ...any) error { return With(err, Textf(format, args...)) }

// With returns err with a hint; just err if the hint is empty.
func With(err error, h Hint) error {
	if err == nil || h.Empty() {
		return err
	}
	return &Error{Err: err, Hint: h}
}

// Textf makes a hint as fmt.Sprintf does. Each argument that is a field.Name or a Command stays one.
func Textf(format string, args ...any) Hint {
	var h Hint
	marked := make([]any, len(args))
	for i, a := range args {
		switch a.(type) {
		case field.Name, Command:
			marked[i] = fmt.Sprintf("\x00%d\x00", i)
		default:
			marked[i] = a
		}
	}
	for i, piece := range strings.Split(fmt.Sprintf(format, marked...), "\x00") {
		switch {
		case i%2 == 0 && piece != "":
			h.Parts = append(h.Parts, Part{Text: piece})
		case i%2 == 1:
			h.Parts = append(h.Parts, part(args, piece))
		}
	}
	return h
}

// part is the argument whose number stands in number; text that has a NUL of its own is text.
func part(args []any, number string) Part {
	if n, err := strconv.Atoi(number); err == nil && n >= 0 && n < len(args) {
		switch a := args[n].(type) {
		case field.Name:
			return Part{Field: a}
		case Command:
			return Part{Command: &a}
		}
	}
	return Part{Text: number}
}

// Empty checks whether the hint says nothing.
func (h Hint) Empty() bool { return len(h.Parts) == 0 }

// String is the hint in the libraries' own words.
func (h Hint) String() string {
	return h.Text(func(n field.Name) string { return string(n) }, Command.String)
}

// Text is the hint with fields and commands as a front end has them.
func (h Hint) Text(word func(field.Name) string, command func(Command) string) string {
	var b strings.Builder
	for _, p := range h.Parts {
		switch {
		case p.Command != nil:
			b.WriteString(command(*p.Command))
		case p.Field != "":
			b.WriteString(word(p.Field))
		default:
			b.WriteString(p.Text)
		}
	}
	return b.String()
}

// MarshalJSON writes a string where there is nothing but text, which is what a monitor of an earlier version understands.
func (h Hint) MarshalJSON() ([]byte, error) {
	for _, p := range h.Parts {
		if p.Text == "" {
			return json.Marshal(h.Parts)
		}
	}
	return json.Marshal(h.String())
}

// UnmarshalJSON reads both forms.
func (h *Hint) UnmarshalJSON(data []byte) error {
	h.Parts = nil
	if len(data) > 0 && data[0] == '[' {
		return json.Unmarshal(data, &h.Parts)
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	if text != "" {
		h.Parts = []Part{{Text: text}}
	}
	return nil
}

// IsZero has JSON leave an empty hint out, with omitzero.
func (h Hint) IsZero() bool { return h.Empty() }
