// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package system

import (
	"context"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/spf13/cobra"
)

// NewRenumber returns the command `system renumber`.
func NewRenumber(g *cli.Global) *cobra.Command { return newRenumber(g, renumber) }

func newRenumber(g *cli.Global, run cli.Run[cli.None]) *cobra.Command {
	return &cobra.Command{
		Use:     "renumber",
		Short:   "Renumber locks: there is nothing to do, for Berth's have no numbers",
		Long:    "Berth locks a file of each container's own. For scripts that call podman's command, this one succeeds.",
		Example: "berth system renumber",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), nil) },
	}
}

func renumber(ctx context.Context, call cli.Call, _ cli.None) error {
	e, err := call.Open(ctx)
	if err == nil {
		e.Renumber()
	}
	return err
}
