// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr/networks"
	"github.com/spf13/cobra"
)

// NewPrune returns the command `network prune`.
func NewPrune(g *cli.Global) *cobra.Command { return newPrune(g, prune) }

func newPrune(g *cli.Global, run cli.Run[*cli.PruneOptions]) *cobra.Command {
	var o cli.PruneOptions
	cmd := &cobra.Command{
		Use:     "prune [options]",
		Short:   "Remove all unused networks",
		Long:    "Removes all networks that no container has. Asks for confirmation first, unless --force is given.",
		Example: "berth network prune --force",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	o.BindForce(cmd.Flags())
	o.BindFilter(cmd.Flags(), networks.FilterKeys(), "remove only networks that match "+filterKeys)
	return cmd
}

func prune(ctx context.Context, call cli.Call, o *cli.PruneOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	// A filter that cannot be read ends it before anybody is asked.
	if _, err := networks.Filter(o.Filters); err != nil {
		return err
	}
	return cli.Prune(call, o, "This will remove all networks that no container has", func(removed func(string)) error {
		return networks.Prune(ctx, e, o.Filters, removed)
	})
}
