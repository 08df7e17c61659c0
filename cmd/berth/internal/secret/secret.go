// SPDX-License-Identifier: Apache-2.0

// Package secret has the commands on secrets.
package secret

import (
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/spf13/cobra"
)

// NewGroup returns the group `secret`.
func NewGroup(g *cli.Global) *cobra.Command {
	return cli.Group("secret", "Manage secrets", NewCreate(g), NewLs(g), NewInspect(g), NewExists(g), NewRm(g))
}
