// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
)

// commandOf is the command line for a verb of the libraries, without berth in front and names behind.
func commandOf(v hint.Verb) string {
	switch v {
	case hint.ListRevisions:
		return "container history"
	case hint.ListContainers:
		return "ps -a"
	case hint.RunContainer:
		return "run"
	case hint.RunRootfs:
		return "run --rootfs"
	case hint.ExportContainer:
		return "export --output files.tar"
	case hint.StartContainer:
		return "start"
	case hint.StopContainer:
		return "stop"
	case hint.UnpauseContainer:
		return "unpause"
	case hint.RemoveContainer:
		return "rm"
	case hint.ForceRemoveContainer:
		return "rm --force"
	case hint.RemoveDependents:
		return "rm --depend"
	case hint.CheckpointContainer:
		return "container checkpoint"
	case hint.PreCheckpointContainer:
		return "container checkpoint --pre-checkpoint"
	case hint.ExportCheckpoint:
		return "container checkpoint --export"
	case hint.MakeImageOfCheckpoint:
		return "container checkpoint --create-image"
	case hint.ListImages:
		return "images"
	case hint.PullImage:
		return "pull"
	case hint.LoadImages:
		return "load"
	case hint.ImportImage:
		return "import"
	case hint.PruneImages:
		return "image prune"
	case hint.ForceRemoveImage:
		return "rmi --force"
	case hint.ShowImageCommand:
		return "image inspect --format '{{.Config.Entrypoint}} {{.Config.Cmd}}'"
	case hint.Login:
		return "login"
	case hint.ListSecrets:
		return "secret ls"
	case hint.ListNetworks:
		return "network ls"
	case hint.CreateNetwork:
		return "network create"
	case hint.ImportNetwork:
		return "network import"
	case hint.ForceRemoveNetwork:
		return "network rm --force"
	case hint.ListVolumes:
		return "volume ls"
	case hint.ForceRemoveVolume:
		return "volume rm --force"
	case hint.PullLocked:
		return "partial pull --lock"
	case hint.UpdateBase:
		return "partial update --base"
	case hint.BuildImage:
		return "build"
	case hint.UpdateLock:
		return "partial update -f"
	case hint.ListVersions:
		return "partial search --versions"
	case hint.ShowInfo:
		return "info"
	case hint.ShowDiskUsage:
		return "system df"
	case hint.Check:
		return "system check"
	case hint.Repair:
		return "system check --repair"
	}
	return ""
}

// CommandLine is the command line for one of the libraries' commands.
func CommandLine(c hint.Command) string {
	return strings.Join(append([]string{"berth", commandOf(c.Do)}, c.To...), " ")
}

// HintText is what a hint says, with command lines and flags.
func HintText(h hint.Hint) string { return h.Text(field.Flag, CommandLine) }

// Hints are the steps that fix err: none, or that of the outermost error, which knows most of what the user did.
func Hints(err error) []string {
	h := hint.Of(err)
	if h.Empty() {
		return nil
	}
	return []string{HintText(h)}
}

// see is what a message of the log has at its end for an attribute that is a command of the libraries'.
func see(c hint.Command) string { return fmt.Sprintf("; see: %s", CommandLine(c)) }
