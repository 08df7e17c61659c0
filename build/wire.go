// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/registry"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
)

// Between Run and the process that builds there are three pipes. Through one goes the order, a line of JSON, and then nothing more: that it closes ends
// the build. Through another come the events, a line each as --progress=json writes them, and last an ending. The third is standard error, for
// what the libraries log.

// order is what the process is to do: one of Build and Commit.
type order struct {
	Engine libctr.Options
	Build  *Request     `json:",omitempty"`
	Commit *commitOrder `json:",omitempty"`
}

type commitOrder struct {
	Container string
	Options   CommitOptions
}

// ending is the last line of the events.
type ending struct {
	Kind   Kind `json:"event"` // ended
	Result Result
	Error  *wireError `json:",omitempty"`
}

// ended is the kind of the last line. No Progress is shown it.
const ended Kind = "ended"

// wireError is an error with what callers ask errors for.
type wireError struct {
	Text    string
	Hint    hint.Hint      `json:",omitzero"`
	Field   field.Name     `json:",omitempty"`
	Step    *wireStep      `json:",omitempty"`
	Compose bool           `json:",omitempty"` // it is a ComposeError
	Part    *partial.Error `json:",omitempty"`
	Network bool           `json:",omitempty"` // a registry did not answer
}

// wireStep is a StepError.
type wireStep struct {
	File, Instruction, Text string
	Line, Code              int
}

func encodeError(err error) *wireError {
	if err == nil {
		return nil
	}
	w := &wireError{Text: err.Error()}
	var advice *hint.Error
	if errors.As(err, &advice) {
		w.Hint = advice.Hint
	}
	var wrong *field.Error
	if errors.As(err, &wrong) {
		w.Field = wrong.Field
	}
	var step *StepError
	if errors.As(err, &step) {
		w.Step = &wireStep{File: step.File, Line: step.Line, Instruction: step.Instruction, Code: step.Code, Text: step.Err.Error()}
	}
	var compose *ComposeError
	w.Compose = errors.As(err, &compose)
	errors.As(err, &w.Part)
	var network *registry.NetworkError
	w.Network = errors.As(err, &network)
	return w
}

// decode is the error again: errors.As finds in it what it found in the one that was encoded.
func (w *wireError) decode() error {
	if w == nil {
		return nil
	}
	var err error
	switch {
	case w.Step != nil:
		err = &StepError{File: w.Step.File, Line: w.Step.Line, Instruction: w.Step.Instruction, Code: w.Step.Code, Err: errors.New(w.Step.Text)}
	case w.Part != nil:
		err = w.Part
	case w.Network:
		err = &registry.NetworkError{Err: errors.New(w.Text)}
	}
	if err == nil {
		err = errors.New(w.Text)
	} else if err.Error() != w.Text {
		err = &retold{w.Text, err}
	}
	if w.Compose {
		err = &ComposeError{err}
	}
	if w.Field != "" {
		err = field.In(w.Field, err)
	}
	return hint.With(err, w.Hint)
}
