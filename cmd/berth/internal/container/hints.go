// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
)

// notRunningHint says how to start a container that a command needs to be running.
func notRunningHint(err error, name string) error {
	if errors.Is(err, libctr.ErrNotRunning) {
		return hint.Add(err, "start it with: berth start %s", name)
	}
	return err
}

// pausedHint says how to resume a container that a command needs not to be paused.
func pausedHint(err error, name string) error {
	if errors.Is(err, libctr.ErrPaused) {
		return hint.Add(err, "resume it with: berth unpause %s", name)
	}
	return err
}

// startCode gives a container that cannot be started the exit code of podman-start(1), whatever run would end with.
func startCode(err error) error {
	var failed *libctr.StartError
	if errors.As(err, &failed) {
		return &cli.ExitError{Code: 125, Err: err}
	}
	return err
}
