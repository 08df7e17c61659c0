// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package image

import (
	"context"
	"errors"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
)

type pruneOptions struct {
	cli.PruneOptions
	all, buildCache, external bool
}

// NewPrune returns the command `image prune`.
func NewPrune(g *cli.Global) *cobra.Command { return newPrune(g, prune) }

func newPrune(g *cli.Global, run cli.Run[*pruneOptions]) *cobra.Command {
	var o pruneOptions
	cmd := &cobra.Command{
		Use:   "prune [options]",
		Short: "Remove unused images",
		Long: "Removes the images without a name and without children, or with --all those that no container uses,\n" +
			"and prints their IDs. Asks for confirmation first, unless --force is given. With --external the working containers that builds have left,\n" +
			"by buildah and podman too, keep no image, and go with it: let builds that are running finish first.",
		Example: "berth image prune --all --force --filter until=240h\n  berth image prune --force --build-cache",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	cmd.Flags().BoolVarP(&o.all, "all", "a", false, "remove all images that no container uses, not only those without a name")
	cmd.Flags().BoolVar(&o.buildCache, "build-cache", false, "remove what builds keep, too: cache mounts and what is known of whole builds")
	cmd.Flags().BoolVar(&o.external, "external", false, "remove images that only working containers of builds use, too, with these")
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
	if o.buildCache {
		warning += ", and what builds keep"
	}
	return cli.Prune(call, &o.PruneOptions, warning, func(removed func(string)) error {
		return library.Change(e, func(r *library.Runtime) error {
			if o.external {
				if err := o.removeWorking(e); err != nil {
					return err
				}
			}
			images, errs := r.Prune(ctx, o.all, o.Filters)
			for _, img := range images {
				removed(img.ID)
			}
			if o.buildCache {
				_, err := build.PruneCache(e, true)
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		})
	})
}

// removeWorking removes the working containers of images that are to go.
func (o *pruneOptions) removeWorking(e *libctr.Engine) error {
	filters := append([]string{"readonly=false"}, o.Filters...)
	if !o.all {
		filters = append(filters, "dangling=true")
	}
	view := e.ImageView()
	images, err := view.Images()
	if err != nil {
		return err
	}
	if images, err = view.Select(images, filters); err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, img := range images {
		wanted[img.ID] = true
	}
	return build.RemoveWorking(e, wanted)
}
