// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr/networks"
	"github.com/spf13/cobra"
)

// NewExists returns the command `network exists`.
func NewExists(g *cli.Global) *cobra.Command {
	return &cobra.Command{
		Use:     "exists NETWORK",
		Short:   "Check whether a network exists",
		Long:    "Checks whether a network exists, and prints nothing. Exit status: 0 if it exists, 1 if not, 125 for other errors.",
		Example: "berth network exists web || berth network create web",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return exists(cmd.Context(), g.Call(cmd, args), nil)
		},
	}
}

func exists(ctx context.Context, call cli.Call, _ cli.None) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	_, err = networks.Inspect(ctx, e, call.Args[0])
	return cli.Exists(err, networks.ErrNotFound)
}
