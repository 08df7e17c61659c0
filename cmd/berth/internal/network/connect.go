// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/network"
	"github.com/spf13/cobra"
)

type connectOptions struct {
	ip, ip6, mac string
	aliases      []string
}

// NewConnect returns the command `network connect`.
func NewConnect(g *cli.Global) *cobra.Command { return newConnect(g, connect) }

func newConnect(g *cli.Global, run cli.Run[*connectOptions]) *cobra.Command {
	var o connectOptions
	cmd := &cobra.Command{
		Use:   "connect [options] NETWORK CONTAINER",
		Short: "Connect a container to a network",
		Long: "Connects a container to one more network: one that runs at once, any other from its next start on. It gets one more interface, and its names are\n" +
			"known in that network. The container must have been made with --network NAME or --network bridge.",
		Example: "berth network connect web mycontainer\n  berth network connect --alias db --ip 10.9.0.7 front mycontainer",
		Args:    cobra.ExactArgs(2),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.aliases, "alias", nil, "one more name of the container in this network (repeatable)")
	f.StringVar(&o.ip, "ip", "", "IPv4 address of the container in this network")
	f.StringVar(&o.ip6, "ip6", "", "IPv6 address of the container in this network")
	f.StringVar(&o.mac, "mac-address", "", "MAC address of the container's interface in this network")
	return cmd
}

func connect(ctx context.Context, call cli.Call, o *connectOptions) error {
	given := func(ip string) []string {
		if ip == "" {
			return nil
		}
		return []string{ip}
	}
	n, err := network.NewShared(call.Args[0], given(o.ip), given(o.ip6), o.mac, o.aliases)
	if err != nil {
		return err
	}
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	c, err := e.Lookup(ctx, call.Args[1])
	if err != nil {
		return err
	}
	return e.ConnectNetwork(ctx, c, n)
}
