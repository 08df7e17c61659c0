//go:build !lean

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

// scanner runs commands of an SBOM scanner as `berth run --rm` would: with the default limits, capabilities and seccomp
// profile. It has no network, unless the build was given one.
func (b *buildFlags) scanner(e *libctr.Engine) func(context.Context, build.ScanRun) error {
	return func(ctx context.Context, r build.ScanRun) error {
		var f createFlags
		cmd := &cobra.Command{Use: "run"}
		f.bind(cmd.Flags())
		network := b.space.Network
		if network == "" {
			network = "none"
		}
		flags := []string{"--rm", "--entrypoint", "", "--network", network, "--pull", r.Pull, "--log-driver", "none"}
		for _, m := range r.Mounts {
			flags = append(flags, "--volume", m)
		}
		if err := cmd.Flags().Parse(flags); err != nil {
			return err
		}
		create, err := f.options(cmd, e, append([]string{r.Image}, r.Args...))
		if err != nil {
			return err
		}
		create.CreateCommand, create.Progress = append([]string{"berth", "run"}, flags...), r.Output
		_, session, err := e.Run(ctx, create, libctr.StartOptions{Attach: &libctr.Streams{Stdout: r.Output, Stderr: r.Output}})
		var failed *libctr.StartError
		if errors.As(err, &failed) {
			return errors.New(errorText(err)) // 126 and 127 are not the build's exit codes
		}
		if err != nil {
			return err
		}
		code, err := session.Wait(ctx)
		if err == nil && code != 0 {
			err = fmt.Errorf("exit code %d", code)
		}
		return err
	}
}
