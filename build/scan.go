// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/flags"
)

// scanner runs commands of an SBOM scanner as `berth run --rm` would: with the default limits, capabilities and seccomp
// profile. It has no network, unless the build was given one.
func (b *Flags) scanner(e *libctr.Engine) func(context.Context, ScanRun) error {
	return func(ctx context.Context, r ScanRun) error {
		network := b.space.Network
		if network == "" {
			network = "none"
		}
		line := []string{"--rm", "--entrypoint", "", "--network", network, "--pull", r.Pull, "--log-driver", "none"}
		for _, m := range r.Mounts {
			line = append(line, "--volume", m)
		}
		create, err := flags.ParseCreate(slices.Concat(line, []string{r.Image}, r.Args))
		if err != nil {
			return err
		}
		create.CreateCommand, create.Progress = append([]string{"berth", "run"}, line...), r.Output
		code, err := e.RunOnce(ctx, create, libctr.Streams{Stdout: r.Output, Stderr: r.Output})
		var failed *libctr.StartError
		if errors.As(err, &failed) {
			return errors.New(libctr.ErrorText(err, field.Flag)) // 126 and 127 are not the build's exit codes
		}
		if err == nil && code != 0 {
			err = fmt.Errorf("exit code %d", code)
		}
		return err
	}
}
