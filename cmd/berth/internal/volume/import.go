// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"os"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/spf13/cobra"
)

// NewImport returns the command `volume import`.
func NewImport(g *cli.Global) *cobra.Command {
	return &cobra.Command{
		Use:     "import VOLUME [FILE]",
		Short:   "Import a tar archive into a volume",
		Long:    "Unpacks a tar archive, which may be compressed, from a file or standard input (-) into a volume, over what it holds.",
		Example: "berth volume create data && berth volume import data data.tar",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return importInto(cmd.Context(), g.Call(cmd, args), nil)
		},
	}
}

func importInto(ctx context.Context, call cli.Call, _ cli.None) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	if len(call.Args) == 1 || call.Args[1] == "-" {
		return e.ImportVolume(ctx, call.Args[0], call.In)
	}
	f, err := os.Open(call.Args[1])
	if err != nil {
		return err
	}
	defer f.Close()
	return e.ImportVolume(ctx, call.Args[0], f)
}
