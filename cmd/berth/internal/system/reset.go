// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package system

import (
	"context"
	"errors"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
)

type resetOptions struct{ force bool }

// NewReset returns the command `system reset`.
func NewReset(g *cli.Global) *cobra.Command { return newReset(g, reset) }

func newReset(g *cli.Global, run cli.Run[*resetOptions]) *cobra.Command {
	var o resetOptions
	cmd := &cobra.Command{
		Use:   "reset [options]",
		Short: "Remove all containers, volumes, secrets and images",
		Long: "Removes all containers of Berth's, running or not, its volumes and secrets, what builds keep, and the images of the store.\n" +
			"What belongs to another engine of the same store stays: its containers, and the images that these use.",
		Example: "berth system reset --force",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	cmd.Flags().BoolVarP(&o.force, "force", "f", false, "do not ask for confirmation")
	return cmd
}

func reset(ctx context.Context, call cli.Call, o *resetOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	warning := "This will remove all containers, running or not, all volumes and secrets, what builds keep, and all images that no other engine's container uses."
	if ok, err := console.Confirm(call.In, call.Err, o.force, warning); !ok {
		return err
	}
	errs := cli.Joined(e.Reset(ctx))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	_, err = build.PruneCache(e, true)
	errs = append(errs, err)
	err = library.Change(e, func(r *library.Runtime) error {
		_, failed := r.Prune(ctx, true, nil)
		return errors.Join(failed...)
	})
	return cli.ReportAllButLast(errors.Join(append(errs, err)...))
}
