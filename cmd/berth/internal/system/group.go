// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package system

import (
	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/doctor"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
)

// NewGroup returns the group `system`.
func NewGroup(g *cli.Global) *cobra.Command {
	return cli.Group("system", "Manage the engine", NewBoot(g), NewCheck(g), NewDf(g), NewEvents(g), NewInfo(g), NewMigrate(g), NewPrune(g), NewRenumber(g), NewReset(g))
}

// subsystems are those that system check and system df look at. What builds have in use goes before the layers below it.
func subsystems(e *libctr.Engine, o libctr.CheckOptions) []doctor.Subsystem {
	return append([]doctor.Subsystem{build.Subsystem{Engine: e}, library.TemporaryFiles{}}, e.Subsystems(o)...)
}
