// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

type reloadOptions struct{ all, latest bool }

// NewReload returns the command `network reload`.
func NewReload(g *cli.Global) *cobra.Command { return newReload(g, reload) }

func newReload(g *cli.Global, run cli.Run[*reloadOptions]) *cobra.Command {
	var o reloadOptions
	cmd := &cobra.Command{
		Use:   "reload [options] [CONTAINER...]",
		Short: "Make bridges, rules and published ports of running containers anew",
		Long: "Makes anew what the host has for the networks of running containers, after somebody has flushed the firewall or removed a bridge. Containers\n" +
			"keep their addresses. Of the kinds of networks it is for those that containers share.",
		Example: "berth network reload mycontainer\n  berth network reload --all",
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	cmd.Flags().BoolVarP(&o.all, "all", "a", false, "reload the networks of all containers that run")
	cmd.Flags().BoolVarP(&o.latest, "latest", "l", false, "act on the most recently created container")
	return cmd
}

func reload(ctx context.Context, call cli.Call, o *reloadOptions) error {
	if len(call.Args) == 0 && !o.all && !o.latest {
		return errors.New("network reload: you must provide at least one name or id")
	}
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	list, err := e.Select(ctx, libctr.Selection{Names: call.Args, All: o.all, Latest: o.latest})
	errs := cli.Joined(err)
	if len(list) == 0 && err != nil {
		return err
	}
	for _, c := range list {
		switch err := e.ReloadNetwork(ctx, c.Container); {
		case err == nil:
			fmt.Fprintln(call.Out, c.ID)
		case ctx.Err() != nil:
			return err
		case o.all && (errors.Is(err, libctr.ErrState) || errors.Is(err, libctr.ErrNetworkMode)):
		default:
			errs = append(errs, err)
		}
	}
	return cli.ReportAllButLast(errors.Join(errs...))
}
