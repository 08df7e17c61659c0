// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package cli

import (
	"errors"
	"os/exec"

	"github.com/berth-containers/berth/build"
)

// StepCode gives an error of RUN that command's exit code, as podman does.
func StepCode(err error) error {
	var compose *build.ComposeError
	var step *build.StepError
	var exit *exec.ExitError
	switch {
	case errors.As(err, &compose):
	case errors.As(err, &step) && step.Code > 0:
		return &ExitError{Code: step.Code, Err: err}
	case errors.As(err, &step):
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return &ExitError{Code: exit.ExitCode(), Err: err}
	}
	return err
}
