// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr/secret"
	"github.com/spf13/cobra"
)

type rmOptions struct{ all, ignore bool }

// NewRm returns the command `secret rm`.
func NewRm(g *cli.Global) *cobra.Command { return newRm(g, remove) }

func newRm(g *cli.Global, run cli.Run[*rmOptions]) *cobra.Command {
	var o rmOptions
	cmd := &cobra.Command{
		Use:     "rm [options] SECRET [SECRET...]",
		Aliases: []string{"remove"},
		Short:   "Remove one or more secrets",
		Long:    "Removes secrets. Containers that were given one keep their copy of it.",
		Example: "berth secret rm password",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case !o.all && len(args) == 0:
				return errors.New("secret rm: give a secret's name, or --all")
			case o.all && len(args) > 0:
				return errors.New("secret rm: --all and names of secrets exclude each other")
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	cmd.Flags().BoolVarP(&o.all, "all", "a", false, "remove all secrets")
	cmd.Flags().BoolVarP(&o.ignore, "ignore", "i", false, "ignore secrets that do not exist")
	return cmd
}

func remove(ctx context.Context, call cli.Call, o *rmOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	names := call.Args
	if o.all {
		list, err := e.Secrets().List(ctx)
		if err != nil {
			return err
		}
		for _, s := range list {
			names = append(names, s.ID)
		}
	}
	var errs []error
	for _, name := range names {
		s, err := e.RemoveSecret(ctx, name)
		switch {
		case err == nil:
			fmt.Fprintln(call.Out, s.ID)
		case errors.Is(err, secret.ErrNoSuchSecret) && (o.ignore || o.all):
		default:
			errs = append(errs, err)
		}
	}
	return cli.ReportAllButLast(errors.Join(errs...))
}
