// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"fmt"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr/networks"
	"github.com/spf13/cobra"
)

// NewImport returns the command `network import`.
func NewImport(g *cli.Global) *cobra.Command {
	return &cobra.Command{
		Use:   "import [NETWORK...]",
		Short: "Take over networks that podman has made",
		Long: "Defines networks that podman has made for netavark as CNI configurations, with their names, subnets, options and labels; without a name all that\n" +
			"there are. podman's own stay as they are. As root do not use both at the same time: their bridges would have the same addresses.",
		Example: "berth network import\n  berth network import web",
		RunE:    func(cmd *cobra.Command, args []string) error { return takeOver(cmd.Context(), g.Call(cmd, args), nil) },
	}
}

func takeOver(ctx context.Context, call cli.Call, _ cli.None) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	return cli.ReportAllButLast(networks.Import(e, call.Args, func(name string) { fmt.Fprintln(call.Out, name) }))
}
