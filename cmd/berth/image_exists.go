// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"errors"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/spf13/cobra"
)

func newImageExistsCmd(f *engineFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "exists IMAGE",
		Short:   "Tell whether an image is in the local store",
		Long:    "Prints nothing. Exit status: 0 if the image exists, 1 if not, 125 for a failure.",
		Example: "berth image exists app || berth pull app",
		Args:    cobra.ExactArgs(1),
		RunE: f.withEngine(func(cmd *cobra.Command, e *libctr.Engine, args []string) error {
			_, err := e.ImageView().Lookup(args[0], image.LookupOptions{})
			if errors.Is(err, image.ErrNotFound) {
				return &exitError{Code: 1}
			}
			return err
		}),
	}
}
