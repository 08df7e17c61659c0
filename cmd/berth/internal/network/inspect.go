// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr/networks"
	"github.com/spf13/cobra"
)

type inspectOptions struct{ format string }

// NewInspect returns the command `network inspect`.
func NewInspect(g *cli.Global) *cobra.Command { return newInspect(g, inspect) }

func newInspect(g *cli.Global, run cli.Run[*inspectOptions]) *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use:     "inspect [options] NETWORK [NETWORK...]",
		Short:   "Display the configuration of one or more networks",
		Long:    "Displays networks and the running containers in them.",
		Example: "berth network inspect --format '{{range .Subnets}}{{.Subnet}}{{end}}' podman",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	cmd.Flags().StringVarP(&o.format, "format", "f", "", "json, or a Go template")
	cli.Fields(cmd.Flags(), networks.Network{})
	return cmd
}

// inspect shows what is found, and then says what was not.
func inspect(ctx context.Context, call cli.Call, o *inspectOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	found := []any{}
	var errs []error
	for _, name := range call.Args {
		n, err := networks.Inspect(ctx, e, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found = append(found, n)
	}
	if err := console.Inspected(call.Out, found, o.format); err != nil {
		return err
	}
	return cli.ReportAllButLast(errors.Join(errs...))
}
