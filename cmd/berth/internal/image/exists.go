// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package image

import (
	"context"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/spf13/cobra"
)

// NewExists returns the command `image exists`.
func NewExists(g *cli.Global) *cobra.Command {
	return &cobra.Command{
		Use:     "exists IMAGE",
		Short:   "Check whether an image is in local storage",
		Long:    "Checks whether an image is in local storage, and prints nothing. Exit status: 0 if it is, 1 if not, 125 for other errors.",
		Example: "berth image exists app || berth pull app",
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
	_, err = e.ImageView().Lookup(call.Args[0], image.LookupOptions{})
	return cli.Exists(err, image.ErrNotFound)
}
