// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package build

import (
	"context"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/spf13/cobra"
)

// newWorker returns the command that is the process in which another program, or another command, builds: see build.Run.
func newWorker(g *cli.Global) *cobra.Command {
	return &cobra.Command{
		Use:    "build-worker",
		Short:  "Build an image for a program that uses the library",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE:   func(cmd *cobra.Command, args []string) error { return work(cmd.Context(), g.Call(cmd, args), nil) },
	}
}

func work(ctx context.Context, call cli.Call, _ cli.None) error {
	return build.Work(ctx, console.AsIs(call.Out))
}
