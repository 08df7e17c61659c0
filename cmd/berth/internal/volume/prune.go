// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

// NewPrune returns the command `volume prune`.
func NewPrune(g *cli.Global) *cobra.Command { return newPrune(g, prune) }

func newPrune(g *cli.Global, run cli.Run[*cli.PruneOptions]) *cobra.Command {
	var o cli.PruneOptions
	cmd := &cobra.Command{
		Use:     "prune [options]",
		Short:   "Remove all unused volumes",
		Long:    "Removes all volumes that no container uses. Asks for confirmation first, unless --force is given.",
		Example: "berth volume prune --force\n  berth volume prune --filter anonymous=true",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	o.BindForce(cmd.Flags())
	o.BindFilter(cmd.Flags(), libctr.VolumeFilterKeys(), "remove only volumes that match "+filterKeys)
	return cmd
}

func prune(ctx context.Context, call cli.Call, o *cli.PruneOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	// A filter that cannot be read ends it before anybody is asked.
	if _, err := e.SelectVolumes(ctx, nil, o.Filters); err != nil {
		return err
	}
	return cli.Prune(call, o, "This will remove all volumes that no container uses", func(removed func(string)) error {
		return e.PruneVolumes(ctx, libctr.PruneOptions{Filters: o.Filters, Removed: removed})
	})
}
