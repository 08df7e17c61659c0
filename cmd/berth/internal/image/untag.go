// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package image

import (
	"context"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
)

// NewUntag returns the command `untag`.
func NewUntag(g *cli.Global) *cobra.Command {
	run := withImages(untag)
	return &cobra.Command{
		Use:     "untag IMAGE [NAME...]",
		Short:   "Remove one or more names from a local image",
		Long:    "Removes names from a local image, or all it has if none is given. The image itself stays.",
		Example: "berth untag app app:1",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return run(cmd.Context(), g.Call(cmd, args), nil)
		},
	}
}

func untag(_ context.Context, _ *libctr.Engine, r *library.Runtime, call cli.Call, _ cli.None) error {
	return r.Untag(call.Args[0], call.Args[1:]...)
}
