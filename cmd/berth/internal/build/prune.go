// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package build

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/docker/go-units"
	"github.com/spf13/cobra"
)

type pruneOptions struct {
	cli.PruneOptions
	all bool
}

func newPrune(g *cli.Global, run cli.Run[*pruneOptions]) *cobra.Command {
	var o pruneOptions
	cmd := &cobra.Command{
		Use:   "prune [options]",
		Short: "Remove the build cache",
		Long: "Removes the images of single steps that no named image is made of, and with --all also what RUN --mount=type=cache has kept.\n" +
			"Images with a name stay. Asks for confirmation first, unless --force is given. Builds that are running lose their cache mounts:\n" +
			"let them finish first.",
		Example: "berth builder prune --all --force",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	cmd.Flags().BoolVarP(&o.all, "all", "a", false, "remove cache mounts too")
	o.BindForce(cmd.Flags())
	return cmd
}

func prune(ctx context.Context, call cli.Call, o *pruneOptions) error {
	return cli.Prune(call, &o.PruneOptions, "This will remove the build cache", func(removed func(string)) error {
		e, err := call.Open(ctx)
		if err != nil {
			return err
		}
		return library.Change(e, func(r *library.Runtime) error {
			images, errs := r.Prune(ctx, false, nil)
			var freed int64
			for _, img := range images {
				removed(img.ID)
				freed += img.Freed
			}
			n, err := build.PruneCache(e, o.all)
			fmt.Fprintf(call.Out, "Total reclaimed space: %s\n", units.HumanSize(float64(freed+n)))
			return errors.Join(append(errs, err)...)
		})
	})
}
