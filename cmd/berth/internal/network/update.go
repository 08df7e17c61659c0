// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"fmt"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr/networks"
	"github.com/spf13/cobra"
)

type updateOptions struct{ add, drop []string }

// NewUpdate returns the command `network update`.
func NewUpdate(g *cli.Global) *cobra.Command { return newUpdate(g, update) }

func newUpdate(g *cli.Global, run cli.Run[*updateOptions]) *cobra.Command {
	var o updateOptions
	cmd := &cobra.Command{
		Use:     "update [options] NETWORK",
		Short:   "Change the name servers of a network",
		Long:    "Adds and drops name servers that a network asks for names that are not containers'. Containers that run have them at once.",
		Example: "berth network update --dns-add 192.0.2.1 --dns-drop 192.0.2.2 web",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	cmd.Flags().StringSliceVar(&o.add, "dns-add", nil, "add a name server, by its address (repeatable)")
	cmd.Flags().StringSliceVar(&o.drop, "dns-drop", nil, "drop a name server (repeatable)")
	return cmd
}

func update(ctx context.Context, call cli.Call, o *updateOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	if err := networks.Update(ctx, e, call.Args[0], o.add, o.drop); err != nil {
		return err
	}
	fmt.Fprintln(call.Out, call.Args[0])
	return nil
}
