// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
)

func newTagCmd(f *engineFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "tag IMAGE NAME [NAME...]",
		Short:   "Give an image another name",
		Long:    "Gives a local image more names. A name without a registry gets localhost/ in front; one without a tag gets latest.",
		Example: "berth tag app registry.example.org/team/app:1",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeImages(cmd.Context(), f, func(_ *libctr.Engine, r *library.Runtime) error {
				return r.Tag(args[0], args[1:]...)
			})
		},
	}
}
