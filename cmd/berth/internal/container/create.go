// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"fmt"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr/flags"
	"github.com/spf13/cobra"
)

// NewCreate returns the command `create`.
func NewCreate(g *cli.Global) *cobra.Command {
	return newCreate(g, create)
}

func newCreate(g *cli.Global, run cli.Run[*flags.Create]) *cobra.Command {
	var f flags.Create
	cmd := &cobra.Command{
		Use:     "create [options] IMAGE [COMMAND [ARG...]]",
		Short:   "Create a container without starting it",
		Example: "berth create --name web -p 8080:80 nginx",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &f) },
	}
	f.Bind(cmd.Flags())
	cmd.Flags().StringArrayP("attach", "a", nil, "no effect; accepted for compatibility")
	return cmd
}

func create(ctx context.Context, call cli.Call, f *flags.Create) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	o, err := createOptions(f, e, call.Args, call.Argv)
	if err != nil {
		return err
	}
	c, err := e.Create(ctx, o)
	if err != nil {
		return err
	}
	fmt.Fprintln(call.Out, c.ID)
	return nil
}
