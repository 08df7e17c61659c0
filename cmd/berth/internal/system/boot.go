// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package system

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/spf13/cobra"
)

// NewBoot returns the command `system boot`.
func NewBoot(g *cli.Global) *cobra.Command { return newBoot(g, boot) }

func newBoot(g *cli.Global, run cli.Run[cli.None]) *cobra.Command {
	return &cobra.Command{
		Use:   "boot",
		Short: "Start the containers that should run after a reboot",
		Long: "Starts the containers with restart policy always; those with unless-stopped that were not stopped by their user; and those with\n" +
			"on-failure that ran when the host went down. For systemd, OpenRC or cron to call when the host has started; see docs/boot.md.\n" +
			"What runs already is left alone. Prints the ID of each container that it starts.",
		Example: "berth system boot",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), nil) },
	}
}

func boot(ctx context.Context, call cli.Call, _ cli.None) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	results, err := e.StartAtBoot(ctx)
	errs := cli.Joined(err)
	for _, r := range results {
		if r.Err != nil {
			errs = append(errs, r.Err)
			continue
		}
		fmt.Fprintln(call.Out, r.Container.ID)
	}
	return cli.ReportAllButLast(errors.Join(errs...))
}
