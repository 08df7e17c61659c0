// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

// NewPrune returns the command `container prune`.
func NewPrune(g *cli.Global) *cobra.Command { return newPrune(g, prune) }

func newPrune(g *cli.Global, run cli.Run[*cli.PruneOptions]) *cobra.Command {
	var o cli.PruneOptions
	cmd := &cobra.Command{
		Use:     "prune [options]",
		Short:   "Remove all stopped containers",
		Example: "berth container prune --force",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	o.BindForce(cmd.Flags())
	o.BindFilter(cmd.Flags(), libctr.ContainerFilterKeys(), "remove only containers that match `KEY=VALUE`, as in ps (repeatable)")
	return cmd
}

func prune(ctx context.Context, call cli.Call, o *cli.PruneOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	// A filter that cannot be read ends it before anybody is asked.
	if err := libctr.CheckFilters(o.Filters); err != nil {
		return err
	}
	if _, err := e.ContainerFilter(ctx, o.Filters); err != nil {
		return err
	}
	return cli.Prune(call, o, "This will remove all stopped containers", func(removed func(string)) error {
		return e.PruneContainers(ctx, libctr.PruneOptions{Filters: o.Filters, Removed: removed})
	})
}
