// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package build

import (
	"fmt"
	"io"
	"runtime"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/version"
	"github.com/spf13/cobra"
)

// Docker's scripts make a builder, use it, and look at it before they build. Berth builds in the command itself: there is one
// builder, always ready, and every name stands for it.
const theBuilder = "default"

func newBuildxGroup(g *cli.Global) *cobra.Command {
	return cli.Group("buildx", "Build images, by Docker's name", NewBuild(g), newPrune(g, prune),
		newBuildxLsCmd(), newBuildxInspectCmd(), newBuildxCreateCmd(), newBuildxUseCmd(), newBuildxRmCmd(), newBuildxVersionCmd())
}

func newBuildxLsCmd() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List builders: there is one", Example: "berth buildx ls", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return console.Columns(cmd.OutOrStdout(), [][]string{
				{"NAME/NODE", "DRIVER/ENDPOINT", "STATUS", "PLATFORMS"},
				{theBuilder + "*", "berth", "", ""},
				{" \\_ " + theBuilder, " \\_ " + theBuilder, "running", buildPlatform()},
			})
		},
	}
}

func newBuildxInspectCmd() *cobra.Command {
	var bootstrap bool
	cmd := &cobra.Command{
		Use: "inspect [options] [NAME]", Short: "Show the builder", Example: "berth buildx inspect --bootstrap", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := theBuilder
			if len(args) > 0 {
				name = args[0]
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "Name:   %s\nDriver: berth\n\nNodes:\nName:      %s\nEndpoint:  %s\nStatus:    running\nPlatforms: %s\n",
				name, name, theBuilder, buildPlatform())
			return err
		},
	}
	cmd.Flags().BoolVar(&bootstrap, "bootstrap", false, "no effect; accepted for compatibility: the builder is always ready")
	return cmd
}

func newBuildxCreateCmd() *cobra.Command {
	var name, driver string
	var use, bootstrap bool
	cmd := &cobra.Command{
		Use: "create [options]", Short: "Print the name of the builder, which needs no creation",
		Long:    "For scripts written for Docker. Berth has one builder, which runs in the command that builds; the name is printed and stands for it.",
		Example: "berth buildx create --name ci --use",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if driver != "docker" && driver != "docker-container" {
				return hint.Add(fmt.Errorf("--driver %s is not supported", driver), "leave it out: Berth builds in the command itself")
			}
			_, err := io.WriteString(cmd.OutOrStdout(), name+"\n")
			return err
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&name, "name", theBuilder, "name of the builder")
	fs.StringVar(&driver, "driver", "docker", "docker or docker-container, which are the same here")
	fs.BoolVar(&use, "use", false, "no effect; accepted for compatibility: the builder is always in use")
	fs.BoolVar(&bootstrap, "bootstrap", false, "no effect; accepted for compatibility: the builder is always ready")
	return cmd
}

func newBuildxUseCmd() *cobra.Command {
	return &cobra.Command{
		Use: "use NAME", Short: "No effect: there is one builder", Example: "berth buildx use ci", Args: cobra.ExactArgs(1),
		RunE: func(*cobra.Command, []string) error { return nil },
	}
}

func newBuildxRmCmd() *cobra.Command {
	return &cobra.Command{
		Use: "rm [NAME...]", Short: "No effect: there is one builder, which stays", Example: "berth buildx rm ci",
		RunE: func(*cobra.Command, []string) error { return nil },
	}
}

func newBuildxVersionCmd() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Example: "berth buildx version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "berth", version.Version)
			return err
		},
	}
}

func buildPlatform() string { return "linux/" + runtime.GOARCH }
