// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
)

func newUntagCmd(f *engineFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "untag IMAGE [NAME...]",
		Short:   "Take names from an image",
		Long:    "Takes names from a local image, or all it has if none is given. The image itself stays.",
		Example: "berth untag app app:1",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeImages(cmd.Context(), f, func(_ *libctr.Engine, r *library.Runtime) error {
				return r.Untag(args[0], args[1:]...)
			})
		},
	}
}
