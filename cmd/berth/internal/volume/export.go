// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"io"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/spf13/cobra"
)

type exportOptions struct{ output string }

// NewExport returns the command `volume export`.
func NewExport(g *cli.Global) *cobra.Command { return newExport(g, export) }

func newExport(g *cli.Global, run cli.Run[*exportOptions]) *cobra.Command {
	var o exportOptions
	cmd := &cobra.Command{
		Use:     "export [options] VOLUME",
		Short:   "Export a volume as a tar archive",
		Long:    "Writes what a volume holds as a tar archive, with owners, modes, links and extended attributes, to standard output or a file.",
		Example: "berth volume export --output data.tar data",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "write to a file instead of standard output")
	return cmd
}

func export(ctx context.Context, call cli.Call, o *exportOptions) (err error) {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	if _, err := e.VolumePath(call.Args[0]); err != nil {
		return err
	}
	to := console.Exact(call.Out)
	if o.output != "" {
		return atomicfile.Stream(o.output, 0o600, func(w io.Writer) error { return e.ExportVolume(ctx, call.Args[0], w) })
	}
	if console.IsTerminal(console.Out.File()) {
		return errors.New("volume export: it would be written to the terminal: give --output")
	}
	return e.ExportVolume(ctx, call.Args[0], to)
}
