// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr/networks"
	"github.com/spf13/cobra"
)

type rmOptions struct {
	force   bool
	timeout *time.Duration
}

// NewRm returns the command `network rm`.
func NewRm(g *cli.Global) *cobra.Command { return newRm(g, remove) }

func newRm(g *cli.Global, run cli.Run[*rmOptions]) *cobra.Command {
	var o rmOptions
	var timeout int
	cmd := &cobra.Command{
		Use:     "rm [options] NETWORK [NETWORK...]",
		Aliases: []string{"remove"},
		Short:   "Remove one or more networks",
		Long:    "Removes networks. Exit status: 0 if all are removed, 1 if one does not exist, 2 if one has containers, 125 for other errors.",
		Example: "berth network rm web",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("time") {
				d := time.Duration(max(timeout, 0)) * time.Second
				o.timeout = &d
				if !o.force {
					return errors.New("--force option must be specified to use the --time option")
				}
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	cmd.Flags().BoolVarP(&o.force, "force", "f", false, "remove the containers that have the network first; ignore networks that do not exist")
	cmd.Flags().IntVarP(&timeout, "time", "t", 10, "seconds to wait before killing such a container")
	return cmd
}

func remove(ctx context.Context, call cli.Call, o *rmOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range call.Args {
		removed, err := networks.Remove(ctx, e, name, o.force, o.timeout)
		switch {
		case err == nil:
			fmt.Fprintln(call.Out, removed)
		case o.force && errors.Is(err, networks.ErrNotFound):
		case errors.Is(err, networks.ErrNotFound):
			errs = append(errs, &cli.ExitError{Code: 1, Err: err})
		case errors.Is(err, networks.ErrInUse):
			errs = append(errs, &cli.ExitError{Code: 2, Err: err})
		default:
			errs = append(errs, err)
		}
	}
	return cli.ReportAllButLast(errors.Join(errs...))
}
