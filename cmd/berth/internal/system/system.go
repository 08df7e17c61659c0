// SPDX-License-Identifier: Apache-2.0

// Package system has the commands on the engine itself: what it is, what it works with, what takes its disk, and whether all is well.
package system

import (
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
)

// Commands are the commands that stand at the top level and that the program which starts fast has, by their names.
func Commands() map[string]cli.Constructor {
	return map[string]cli.Constructor{"events": NewEvents, "unshare": NewUnshare, "version": NewVersion}
}
