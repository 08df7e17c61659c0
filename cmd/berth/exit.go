// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
)

// exitError carries an exit code that is not an error of Berth's: the container's own,
// or a command's answer (image exists). Nothing is printed for it but Err, if there is one.
type exitError struct {
	Code int
	Err  error
}

func (e *exitError) Error() string {
	if e.Err != nil {
		return e.Err.Error()
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

func (e *exitError) Unwrap() error { return e.Err }

// interruption is the signal that ended the program's context.
type interruption struct{ signal syscall.Signal }

func (i *interruption) Error() string { return "interrupted by " + i.signal.String() }

// interruptedError is err, or, where the command failed because a signal has interrupted it, an error with the exit code
// for that: 1 for Ctrl-C, as podman's, and 128 + N for another signal N. That the context was canceled is not said.
func interruptedError(ctx context.Context, err error) error {
	var by *interruption
	var exit *exitError
	if err == nil || errors.As(err, &exit) || !errors.As(context.Cause(ctx), &by) {
		return err
	}
	code := 1
	if by.signal != syscall.SIGINT {
		code = 128 + int(by.signal)
	}
	var said []string
	for line := range strings.SplitSeq(errorText(err), "\n") {
		if !strings.Contains(line, context.Canceled.Error()) {
			said = append(said, line)
		}
	}
	if len(said) == 0 {
		return &exitError{Code: code}
	}
	return &exitError{Code: code, Err: errors.New(strings.Join(said, "\n"))}
}

// exitCode is the one place that knows exit codes; they are those of podman-run(1), "Exit Status".
func exitCode(err error) int {
	var exit *exitError
	var failed *libctr.StartError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.Code
	case errors.As(err, &failed):
		return failed.Code
	default:
		return 125
	}
}

// reportError prints an error, and on a line of its own each step that mends it.
func reportError(err error) {
	var exit *exitError
	if errors.As(err, &exit) && exit.Err == nil {
		return
	}
	fmt.Fprintf(stderr, "Error: %s\n", paragraph(errorText(err)))
	for _, h := range hints(err) {
		fmt.Fprintf(stderr, "Hint: %s\n", paragraph(h))
	}
}

// errorText is what an error says; the fields that the libraries name are flags here.
func errorText(err error) string { return field.Text(err, field.Flag) }

func hints(err error) []string {
	var all []string
	var walk func(error)
	walk = func(err error) {
		if h, ok := err.(*hint.Error); ok && h.Hint != "" {
			all = append(all, h.Hint)
		}
		switch u := err.(type) {
		case interface{ Unwrap() error }:
			if next := u.Unwrap(); next != nil {
				walk(next)
			}
		case interface{ Unwrap() []error }:
			for _, next := range u.Unwrap() {
				walk(next)
			}
		}
	}
	walk(err)
	if len(all) > 1 {
		all = all[:1] // the outermost knows most of what the user did
	}
	return all
}
