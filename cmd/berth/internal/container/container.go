// SPDX-License-Identifier: Apache-2.0

// Package container has the commands on containers: those at the top level, and the group `container`, which has them all.
package container

import (
	"context"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

// Commands are the commands that stand at the top level and below `container`, by their names.
func Commands() map[string]cli.Constructor {
	return map[string]cli.Constructor{
		"attach": NewAttach, "cp": NewCp, "create": NewCreate, "diff": NewDiff, "export": NewExport, "exec": NewExec, "kill": NewKill, "logs": NewLogs, "pause": NewPause, "port": NewPort,
		"ps": NewPs, "rename": NewRename, "restart": NewRestart, "rm": NewRm, "run": NewRun, "start": NewStart, "stop": NewStop, "top": NewTop,
		"unpause": NewUnpause, "wait": NewWait,
	}
}

// CommitShort describes the command `commit`, which only the complete program has, in both.
const CommitShort = "Create an image from a container's changes"

// MakeImage makes an image of a file, with annotations, and returns its ID.
type MakeImage func(ctx context.Context, e *libctr.Engine, file, name string, annotations map[string]string) (string, error)

// Rare are the commands of the group `container` that only the complete program has, but for commit; image is what checkpoint makes images with.
func Rare(g *cli.Global, image MakeImage) []*cobra.Command {
	return []*cobra.Command{NewInit(g), NewMount(g), NewUnmount(g), newCleanupContainers(g, cleanupContainers), NewClone(g), NewRunlabel(g), NewStats(g), NewUpdate(g), NewRevisions(g), NewRollback(g),
		NewCheckpoint(g, image), NewRestore(g)}
}

// RareWords are the words of Rare and their descriptions, for the program that starts fast.
var RareWords = []struct{ Use, Short string }{
	{"init [options] CONTAINER [CONTAINER...]", "Initialize one or more containers"},
	{"mount [options] [CONTAINER...]", "Mount the root file systems of containers, or list those that are mounted"},
	{"unmount [options] CONTAINER [CONTAINER...]", "Undo mount"},
	{"cleanup [options] CONTAINER [CONTAINER...]", "Clean up what is left of containers that do not run"},
	{"clone [options] CONTAINER [NAME [IMAGE]]", "Make a container like another one"},
	{"runlabel [options] LABEL IMAGE [ARG...]", "Run the command that a label of an image has"},
	{"stats [options] [CONTAINER...]", "Display a live stream of the resources that containers use"},
	{"update [options] CONTAINER", "Change limits, restart policy, health check and environment of a container"},
	{"history [options] CONTAINER", "List what was changed of a container since it was made"},
	{"rollback CONTAINER [REVISION]", "Undo changes of a container"},
	{"checkpoint [options] CONTAINER [CONTAINER...]", "Write the processes of containers down, and end them"},
	{"restore [options] CONTAINER|IMAGE [CONTAINER|IMAGE...]", "Start containers from checkpoints"},
}

// RareAliases are the aliases of RareWords, by their Use.
var RareAliases = map[string][]string{"unmount [options] CONTAINER [CONTAINER...]": {"umount"}}

// NewGroup returns the group `container`; rare are the commands that the complete program has.
func NewGroup(g *cli.Global, rare []*cobra.Command) *cobra.Command {
	group := cli.Group("container", "Manage containers")
	all := Commands()
	delete(all, "diff") // the group's is for containers alone
	for _, construct := range all {
		group.AddCommand(construct(g))
	}
	for _, cmd := range group.Commands() {
		if cmd.Name() == "ps" {
			cmd.Aliases = append(cmd.Aliases, "ls", "list")
		}
	}
	group.AddCommand(newDiff(g, diffContainers, diff), newInspectContainers(g, inspect), NewExists(g), NewPrune(g))
	group.AddCommand(rare...)
	return group
}
