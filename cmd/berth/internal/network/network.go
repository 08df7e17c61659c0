// SPDX-License-Identifier: Apache-2.0

// Package network has the commands on networks that containers share.
package network

import (
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/spf13/cobra"
)

// NewGroup returns the group `network`.
func NewGroup(g *cli.Global) *cobra.Command {
	return cli.Group("network", "Manage networks", NewCheck(g), NewConnect(g), NewCreate(g), NewDisconnect(g), NewExists(g), NewImport(g), NewInspect(g), NewLs(g), NewPrune(g), NewReload(g), NewResolve(g), NewRm(g), NewUpdate(g))
}
