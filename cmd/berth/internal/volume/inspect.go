// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

type inspectOptions struct {
	format string
	all    bool
}

// NewInspect returns the command `volume inspect`.
func NewInspect(g *cli.Global) *cobra.Command { return newInspect(g, inspect) }

func newInspect(g *cli.Global, run cli.Run[*inspectOptions]) *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use:     "inspect [options] VOLUME [VOLUME...]",
		Short:   "Display detailed information on one or more volumes",
		Example: "berth volume inspect --format '{{.Mountpoint}}' data",
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.all == (len(args) > 0) {
				return errors.New("volume inspect: give names of volumes, or --all")
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	cmd.Flags().BoolVarP(&o.all, "all", "a", false, "inspect all volumes")
	cmd.Flags().StringVarP(&o.format, "format", "f", "json", "json, or a Go template")
	cli.Fields(cmd.Flags(), libctr.Volume{})
	return cmd
}

// inspect shows what is found, and then says what was not.
func inspect(ctx context.Context, call cli.Call, o *inspectOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	var list []libctr.Volume
	var errs []error
	if o.all {
		if list, err = e.Volumes(); err != nil {
			return err
		}
	}
	for _, name := range call.Args {
		v, err := e.Volume(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		list = append(list, v)
	}
	if err := e.CountMounts(ctx, list); err != nil {
		return err
	}
	e.DescribePluginVolumes(list)
	found := []any{}
	for _, v := range list {
		found = append(found, v)
	}
	if err := console.Inspected(call.Out, found, o.format); err != nil {
		return err
	}
	return cli.ReportAllButLast(errors.Join(errs...))
}
