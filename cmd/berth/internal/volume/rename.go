// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/spf13/cobra"
)

// NewRename returns the command `volume rename`.
func NewRename(g *cli.Global) *cobra.Command {
	return &cobra.Command{
		Use:     "rename VOLUME NAME",
		Short:   "Rename a volume",
		Long:    "Gives a volume that no container uses another name.",
		Example: "berth volume rename data old-data",
		Args:    cobra.ExactArgs(2),
		RunE:    func(cmd *cobra.Command, args []string) error { return rename(cmd.Context(), g.Call(cmd, args), nil) },
	}
}

func rename(ctx context.Context, call cli.Call, _ cli.None) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	return e.RenameVolume(ctx, call.Args[0], call.Args[1])
}
