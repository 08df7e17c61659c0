// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

type existsOptions struct{ external bool }

// NewExists returns the command `container exists`.
func NewExists(g *cli.Global) *cobra.Command { return newExists(g, exists) }

func newExists(g *cli.Global, run cli.Run[*existsOptions]) *cobra.Command {
	var o existsOptions
	cmd := &cobra.Command{
		Use:     "exists [options] CONTAINER",
		Short:   "Check whether a container exists",
		Long:    "Checks whether a container exists, and prints nothing. Exit status: 0 if it exists, 1 if not, 125 for other errors.",
		Example: "berth container exists web && echo yes",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	cmd.Flags().BoolVar(&o.external, "external", false, "or one of another program, such as buildah, in the same store")
	return cmd
}

func exists(ctx context.Context, call cli.Call, o *existsOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	_, err = e.Lookup(ctx, call.Args[0])
	if o.external && errors.Is(err, libctr.ErrNoSuchContainer) {
		others, viewErr := e.ImageView().StoreContainers()
		if viewErr != nil {
			return viewErr
		}
		for _, c := range others {
			if c.Is(call.Args[0]) {
				return nil
			}
		}
	}
	return cli.Exists(err, libctr.ErrNoSuchContainer)
}
