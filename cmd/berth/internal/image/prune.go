// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package image

import (
	"context"
	"errors"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
)

type pruneOptions struct {
	cli.PruneOptions
	all bool
}

// NewPrune returns the command `image prune`.
func NewPrune(g *cli.Global) *cobra.Command { return newPrune(g, prune) }

func newPrune(g *cli.Global, run cli.Run[*pruneOptions]) *cobra.Command {
	var o pruneOptions
	cmd := &cobra.Command{
		Use:   "prune [options]",
		Short: "Remove unused images",
		Long: "Removes the images without a name and without children, or with --all those that no container uses,\n" +
			"and prints their IDs. Asks for confirmation first, unless --force is given.",
		Example: "berth image prune --all --force --filter until=240h",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	cmd.Flags().BoolVarP(&o.all, "all", "a", false, "remove all images that no container uses, not only those without a name")
	o.BindForce(cmd.Flags())
	o.BindFilter(cmd.Flags(), image.FilterKeys(), "remove only images that match, as in label=KEY[=VALUE] or until=TIME (repeatable)")
	return cmd
}

func prune(ctx context.Context, call cli.Call, o *pruneOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	// A filter that cannot be read ends it before anybody is asked.
	if err := libctr.CheckFilters(o.Filters); err != nil {
		return err
	}
	if _, err := e.ImageView().Select(nil, o.Filters); err != nil {
		return cli.Wrapf(err, "--filter")
	}
	warning := "This will remove all images without a name"
	if o.all {
		warning = "This will remove all images that no container uses"
	}
	return cli.Prune(call, &o.PruneOptions, warning, func(removed func(string)) error {
		return library.Change(e, func(r *library.Runtime) error {
			images, errs := r.Prune(ctx, o.all, o.Filters)
			for _, img := range images {
				removed(img.ID)
			}
			return errors.Join(errs...)
		})
	})
}
