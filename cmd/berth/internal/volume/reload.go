// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"fmt"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/spf13/cobra"
)

// NewReload returns the command `volume reload`.
func NewReload(g *cli.Global) *cobra.Command {
	return &cobra.Command{
		Use:     "reload",
		Short:   "Reload all volumes from volume plugins",
		Long:    "Takes up the volumes that volume plugins have, and forgets those that they have no more. Nothing is changed in the plugins.",
		Example: "berth volume reload",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return reload(cmd.Context(), g.Call(cmd, args), nil)
		},
	}
}

func reload(ctx context.Context, call cli.Call, _ cli.None) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	done, err := e.ReloadVolumes(ctx)
	printed(call, "Added:", done.Added)
	printed(call, "Removed:", done.Removed)
	return cli.ReportAllButLast(err)
}

func printed(call cli.Call, heading string, names []string) {
	if len(names) == 0 {
		return
	}
	fmt.Fprintln(call.Out, heading)
	for _, name := range names {
		fmt.Fprintln(call.Out, name)
	}
}
