// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/spf13/cobra"
)

type disconnectOptions struct{ force bool }

// NewDisconnect returns the command `network disconnect`.
func NewDisconnect(g *cli.Global) *cobra.Command { return newDisconnect(g, disconnect) }

func newDisconnect(g *cli.Global, run cli.Run[*disconnectOptions]) *cobra.Command {
	var o disconnectOptions
	cmd := &cobra.Command{
		Use:   "disconnect [options] NETWORK CONTAINER",
		Short: "Disconnect a container from a network",
		Long: "Takes a network from a container: from one that runs at once, from any other before its next start. Ports that were published through it are\n" +
			"published through the next network that it has.",
		Example: "berth network disconnect web mycontainer",
		Args:    cobra.ExactArgs(2),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	cmd.Flags().BoolVarP(&o.force, "force", "f", false, "disconnect it also where what was made for it cannot be undone")
	return cmd
}

func disconnect(ctx context.Context, call cli.Call, o *disconnectOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	c, err := e.Lookup(ctx, call.Args[1])
	if err != nil {
		return err
	}
	return e.DisconnectNetwork(ctx, c, call.Args[0], o.force)
}
