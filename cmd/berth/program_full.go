// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"context"
	"os"
	"slices"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/build/confine"
	"github.com/berth-containers/berth/build/copier"
	buildcmd "github.com/berth-containers/berth/cmd/berth/internal/build"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/container"
	"github.com/berth-containers/berth/cmd/berth/internal/image"
	"github.com/berth-containers/berth/cmd/berth/internal/live"
	"github.com/berth-containers/berth/cmd/berth/internal/network"
	"github.com/berth-containers/berth/cmd/berth/internal/partial"
	"github.com/berth-containers/berth/cmd/berth/internal/reference"
	"github.com/berth-containers/berth/cmd/berth/internal/secret"
	"github.com/berth-containers/berth/cmd/berth/internal/system"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/cdi"
	libimage "github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/image/library"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"
)

// help does what this program was started for as a helper of its own, if it was; the libraries' are reexec's.
func help() bool {
	confine.Help(os.Args)
	return build.ReadUserFile(os.Args) || build.RunGit(os.Args) || build.Pack(os.Args) || copier.Help(os.Args)
}

// ready has what this program starts die with it: layers are unpacked, RUN runs and git fetches in processes of their own.
func ready() error { return libctr.Leash("") }

// beforeExec does nothing: no other program takes the place of this one.
func beforeExec(func() error) {}

// otherCommands are those that only this program has.
func otherCommands(g *cli.Global) ([]*cobra.Command, error) {
	group := image.NewGroup(g, image.Others{Build: buildcmd.NewBuild(g), Containerfile: partial.NewExtract(g), Diff: container.NewImageDiff(g)})
	return slices.Concat(image.Commands(g), buildcmd.Commands(g), []*cobra.Command{
		container.NewInit(g), container.NewMount(g), container.NewUnmount(g), container.NewStats(g), container.NewUpdate(g), container.NewHealthcheckGroup(g), container.NewGenerateGroup(g),
		group, system.NewInfo(g), system.NewGroup(g), partial.NewGroup(g), secret.NewGroup(g), network.NewGroup(g), reference.New(g),
	}), nil
}

// rareOnContainers are the commands of the group `container` that only this program has.
func rareOnContainers(g *cli.Global) []*cobra.Command {
	return append(container.Rare(g, buildcmd.ImageOf), buildcmd.NewCommit(g))
}

// liveView is what `top` without a container shows.
func liveView(ctx context.Context, call cli.Call, global []string) error {
	return live.Command(ctx, call, global, container.StatsOnce)
}

// pullImage fetches the image of a new container.
func pullImage(ctx context.Context, e *libctr.Engine, name string, opts libimage.PullOptions) ([]string, error) {
	return library.Pull(ctx, e, name, opts)
}

// injectCDI adds the devices of a new container that files describe.
func injectCDI(dirs, names []string, s *specs.Spec) error { return cdi.Inject(dirs, names, s) }
