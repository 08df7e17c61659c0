// SPDX-License-Identifier: Apache-2.0

package hint

import "strings"

// Command is something that every front end can do, in its own way.
type Command struct {
	Do Verb     `json:"do"`
	To []string `json:"to,omitempty"` // names, in the order that the Verb says
}

// To is the command that does verb to names.
func To(verb Verb, names ...string) Command { return Command{Do: verb, To: names} }

// String is the command in the libraries' own words.
func (c Command) String() string { return strings.Join(append([]string{string(c.Do)}, c.To...), " ") }

// Verb is what a command does.
type Verb string

// The verbs, and what they want as names.
const (
	ListContainers   Verb = "list containers"
	ListRevisions    Verb = "list revisions"
	RunContainer     Verb = "run container"             // an image, and perhaps a word for its command
	RunRootfs        Verb = "run root file system"      // a directory, and perhaps a word for the command
	ExportContainer  Verb = "export files of container" // a container
	StartContainer   Verb = "start container"           // a container
	StopContainer    Verb = "stop container"            // a container
	UnpauseContainer Verb = "unpause container"         // a container
	RemoveContainer  Verb = "remove container"          // a container
	// ForceRemoveContainer stops it first.
	ForceRemoveContainer Verb = "stop and remove container" // a container
	// RemoveDependents removes those that depend on it, too.
	RemoveDependents Verb = "remove container and its dependents" // a container

	CheckpointContainer    Verb = "checkpoint container"                    // a container
	PreCheckpointContainer Verb = "pre-checkpoint container"                // a container
	ExportCheckpoint       Verb = "export checkpoint of container"          // a file, a container
	MakeImageOfCheckpoint  Verb = "make image of a checkpoint of container" // an image, a container

	ListImages  Verb = "list images"
	PullImage   Verb = "pull image" // an image
	LoadImages  Verb = "load images"
	ImportImage Verb = "import image"
	PruneImages Verb = "prune images"
	// ForceRemoveImage removes its containers first, and all of its names.
	ForceRemoveImage Verb = "remove image with its containers" // an image, or none
	ShowImageCommand Verb = "show the command of image"        // an image
	Login            Verb = "log in"                           // a registry

	ListNetworks  Verb = "list networks"
	CreateNetwork Verb = "create network"    // a network
	ImportNetwork Verb = "take over network" // a network of podman's
	// ForceRemoveNetwork removes its containers first.
	ForceRemoveNetwork Verb = "remove network with its containers" // a network

	ListVolumes Verb = "list volumes"
	ListSecrets Verb = "list secrets"
	// ForceRemoveVolume removes its containers first.
	ForceRemoveVolume Verb = "remove volume with its containers" // a volume

	UpdateLock   Verb = "update the lock of"    // a source with parts
	ListVersions Verb = "list the versions of"  // a part
	PullLocked   Verb = "pull what is named by" // a lock
	UpdateBase   Verb = "update the base to"    // an image
	BuildImage   Verb = "build the image"

	ShowInfo      Verb = "show info"
	ShowDiskUsage Verb = "show disk usage"
	Check         Verb = "check the system"
	Repair        Verb = "repair the system"
)

// Verbs are all of them, each with as many names as it may have.
func Verbs() map[Verb]int {
	return map[Verb]int{
		ListContainers: 0, ListRevisions: 1, RunContainer: 2, RunRootfs: 2, ExportContainer: 1, StartContainer: 1, StopContainer: 1, UnpauseContainer: 1, RemoveContainer: 1, ForceRemoveContainer: 1, RemoveDependents: 1,
		CheckpointContainer: 1, PreCheckpointContainer: 1, ExportCheckpoint: 2, MakeImageOfCheckpoint: 2,
		ListImages: 0, PullImage: 1, LoadImages: 0, ImportImage: 0, PruneImages: 0, ForceRemoveImage: 1, ShowImageCommand: 1, Login: 1,
		ListNetworks: 0, CreateNetwork: 1, ImportNetwork: 1, ForceRemoveNetwork: 1,
		ListVolumes: 0, ListSecrets: 0, ForceRemoveVolume: 1,
		UpdateLock: 1, ListVersions: 1, PullLocked: 1, UpdateBase: 1, BuildImage: 0,
		ShowInfo: 0, ShowDiskUsage: 0, Check: 0, Repair: 0,
	}
}
