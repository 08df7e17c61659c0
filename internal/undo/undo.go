// SPDX-License-Identifier: Apache-2.0

// Package undo keeps the way back of a change of several steps.
package undo

import "errors"

// Stack holds what undoes the steps taken so far. Its zero value is empty.
type Stack struct{ steps []func() error }

// Push adds the step that undoes what was just done.
func (s *Stack) Push(step func() error) { s.steps = append(s.steps, step) }

// OnError runs the steps, last first, if *err is not nil, and joins their errors
// to it. It is meant for defer, with the function's named result.
func (s *Stack) OnError(err *error) {
	if *err == nil {
		return
	}
	for i := len(s.steps) - 1; i >= 0; i-- {
		*err = errors.Join(*err, s.steps[i]())
	}
	s.steps = nil
}
