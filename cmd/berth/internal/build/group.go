// SPDX-License-Identifier: Apache-2.0

//go:build !lean

// Package build has the commands that make images from Containerfiles and containers.
package build

import (
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/spf13/cobra"
)

// Commands returns the commands that make images, and the groups `buildx`, Docker's name for it, and `builder`.
func Commands(g *cli.Global) []*cobra.Command {
	return []*cobra.Command{
		NewBuild(g), newWorker(g), NewCommit(g), newBuildxGroup(g),
		cli.Group("builder", "Manage the build cache", NewBuild(g), newPrune(g, prune)),
	}
}
