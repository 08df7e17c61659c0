// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"errors"
	"fmt"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/docker/go-units"
	"github.com/spf13/cobra"
)

func newBuilderPruneCmd(f *engineFlags) *cobra.Command {
	var all, force bool
	cmd := &cobra.Command{
		Use:   "prune [options]",
		Short: "Remove what builds keep to be faster the next time",
		Long: "Removes the images of single steps that no named image is made of, and with --all also what RUN --mount=type=cache has kept.\n" +
			"Images with a name stay. Asks first, but for --force. Builds that are at work lose cache mounts under their feet: let them end.",
		Example: "berth builder prune --all --force",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if ok, err := confirm(cmd, force, "This removes what builds keep to be faster the next time."); !ok {
				return err
			}
			return changeImages(cmd.Context(), f, func(e *libctr.Engine, r *library.Runtime) error {
				removed, errs := r.Prune(cmd.Context(), false, nil)
				var freed int64
				for _, img := range removed {
					fmt.Fprintln(cmd.OutOrStdout(), img.ID)
					freed += img.Freed
				}
				n, err := build.PruneCache(e, all)
				fmt.Fprintf(cmd.OutOrStdout(), "Total reclaimed space: %s\n", units.HumanSize(float64(freed+n)))
				return errors.Join(append(errs, err)...)
			})
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "remove cache mounts too")
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not ask")
	return cmd
}
