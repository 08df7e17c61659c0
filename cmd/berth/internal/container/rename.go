// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/spf13/cobra"
)

// NewRename returns the command `rename`.
func NewRename(g *cli.Global) *cobra.Command {
	return &cobra.Command{
		Use:     "rename CONTAINER NAME",
		Short:   "Rename a container",
		Example: "berth rename web web-old",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return rename(cmd.Context(), g.Call(cmd, args), nil)
		},
	}
}

func rename(ctx context.Context, call cli.Call, _ cli.None) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	c, err := e.Lookup(ctx, call.Args[0])
	if err != nil {
		return err
	}
	return e.Rename(ctx, c, call.Args[1])
}
