// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"strings"
	"syscall"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
)

// interruption is the signal that ended the program's context.
type interruption struct{ signal syscall.Signal }

func (i *interruption) Error() string { return "interrupted by " + i.signal.String() }

// interruptedError is err, or, where the command failed because a signal has interrupted it, an error with the exit code
// for that: 1 for Ctrl-C, as podman's, and 128 + N for another signal N. That the context was canceled is not said.
func interruptedError(ctx context.Context, err error) error {
	var by *interruption
	var exit *cli.ExitError
	if err == nil || errors.As(err, &exit) || !errors.As(context.Cause(ctx), &by) {
		return err
	}
	code := 1
	if by.signal != syscall.SIGINT {
		code = 128 + int(by.signal)
	}
	var said []string
	for line := range strings.SplitSeq(cli.ErrorText(err), "\n") {
		if !strings.Contains(line, context.Canceled.Error()) {
			said = append(said, line)
		}
	}
	if len(said) == 0 {
		return &cli.ExitError{Code: code}
	}
	return &cli.ExitError{Code: code, Err: errors.New(strings.Join(said, "\n"))}
}

// exitCode is the one place that knows exit codes; they are those of podman-run(1), "Exit Status".
func exitCode(err error) int {
	var exit *cli.ExitError
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
