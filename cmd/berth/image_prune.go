// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"errors"
	"fmt"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
)

func newImagePruneCmd(f *engineFlags) *cobra.Command {
	var all, force bool
	var filters []string
	cmd := &cobra.Command{
		Use:     "prune [options]",
		Short:   "Remove images that nothing needs",
		Long:    "Removes the images without a name and without children, or with --all those that no container uses,\nand prints their IDs. Asks first, but for --force.",
		Example: "berth image prune --all --force --filter until=240h",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// A filter that cannot be read ends it before anything is removed.
			if err := wholeFilters(filters); err != nil {
				return err
			}
			engine, err := f.open(cmd.Context())
			if err != nil {
				return err
			}
			if _, err := engine.ImageView().Select(nil, filters); err != nil {
				return wrapf(err, "--filter")
			}
			if ok, err := confirm(cmd, force, pruneWarning(all)); !ok {
				return err
			}
			return changeImages(cmd.Context(), f, func(_ *libctr.Engine, r *library.Runtime) error {
				removed, errs := r.Prune(cmd.Context(), all, filters)
				for _, img := range removed {
					fmt.Fprintln(cmd.OutOrStdout(), img.ID)
				}
				return errors.Join(errs...)
			})
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "remove every image that no container uses")
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not ask")
	cmd.Flags().StringArrayVar(&filters, "filter", nil, "only images that pass, as in label=KEY[=VALUE] or until=TIME (repeatable)")
	return cmd
}

func pruneWarning(all bool) string {
	if all {
		return "This removes all images that no container uses."
	}
	return "This removes all images without a name."
}
