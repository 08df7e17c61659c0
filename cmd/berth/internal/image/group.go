// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package image

import (
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/spf13/cobra"
)

// Others are commands of other packages that the group `image` has too.
type Others struct{ Build, Containerfile, Diff *cobra.Command }

// NewGroup returns the group `image`.
func NewGroup(g *cli.Global, others Others) *cobra.Command {
	return cli.Group("image", "Manage images",
		others.Build, cli.Named(others.Containerfile, "containerfile"), others.Diff,
		NewExists(g), NewHistory(g), NewImport(g), NewInspect(g), NewLoad(g), NewMount(g), NewUnmount(g), cli.Named(NewImages(g), "list", "ls"), NewPrune(g), NewPull(g), NewPush(g),
		cli.Named(NewRmi(g), "rm"), NewSave(g), NewTag(g), NewTree(g), NewUntag(g))
}

// Commands returns the commands that stand at the top level.
func Commands(g *cli.Global) []*cobra.Command {
	return []*cobra.Command{
		NewPull(g), NewPush(g), NewLoad(g), NewSave(g), NewImport(g), NewTag(g), NewUntag(g), NewRmi(g), NewHistory(g), NewLogin(g), NewLogout(g),
	}
}
