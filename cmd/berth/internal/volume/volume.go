// SPDX-License-Identifier: Apache-2.0

// Package volume has the commands on volumes.
package volume

import (
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/spf13/cobra"
)

// NewGroup returns the group `volume`.
func NewGroup(g *cli.Global) *cobra.Command {
	return cli.Group("volume", "Manage volumes", NewCreate(g), NewLs(g), NewInspect(g), NewExists(g), NewRm(g), NewPrune(g),
		NewExport(g), NewImport(g), NewRename(g), NewMount(g), NewUnmount(g), NewStats(g), NewReload(g))
}
