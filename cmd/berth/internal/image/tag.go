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

// NewTag returns the command `tag`.
func NewTag(g *cli.Global) *cobra.Command {
	run := withImages(tag)
	return &cobra.Command{
		Use:     "tag IMAGE NAME [NAME...]",
		Short:   "Add one or more names to a local image",
		Long:    "Adds names to a local image. A name without a registry gets localhost/ in front; one without a tag gets latest.",
		Example: "berth tag app registry.example.org/team/app:1",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return run(cmd.Context(), g.Call(cmd, args), nil)
		},
	}
}

func tag(_ context.Context, _ *libctr.Engine, r *library.Runtime, call cli.Call, _ cli.None) error {
	return r.Tag(call.Args[0], call.Args[1:]...)
}
