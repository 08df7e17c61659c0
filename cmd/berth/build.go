package main

import (
	"context"
	"errors"
	"io"
	"os/exec"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
	buildahcli "go.podman.io/buildah/pkg/cli"
)

func newBuildCmd(e *engineFlags) *cobra.Command {
	var flags buildFlags
	cmd := &cobra.Command{
		Use:     "build [options] [CONTEXT]",
		Short:   "Build an image from a Containerfile",
		Example: "berth build -t app .\n  berth build -f app.Containerfile --build-arg VERSION=2 https://example.org/app.git",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flags.check(cmd.Flags()); err != nil {
				return err
			}
			engine, err := e.open(cmd.Context())
			if err != nil {
				return err
			}
			return runBuild(cmd, engine, &flags, args, cmd.OutOrStdout())
		},
	}
	flags.bind(cmd.Flags())
	flags.hide(cmd)
	return cmd
}

// buildCommands returns the commands that make images, and the group `buildx`, Docker's name for it.
func buildCommands(f *engineFlags) []*cobra.Command {
	return []*cobra.Command{newBuildCmd(f), group("buildx", "Build images, by Docker's name", newBuildCmd(f))}
}

func runBuild(cmd *cobra.Command, e *libctr.Engine, flags *buildFlags, args []string, out io.Writer) (err error) {
	ctx := cmd.Context()
	conf, err := e.Config()
	if err != nil {
		return err
	}
	if err := flags.defaults(cmd.Flags(), conf); err != nil {
		return err
	}
	if err := flags.layers(cmd.Flags()); err != nil {
		return err
	}
	s, err := build.Begin(ctx, e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.End()) }()
	opts, files, _, err := buildahcli.GenBuildOptions(cmd, args, flags.cliOptions())
	if err != nil {
		return err
	}
	_, err = s.Build(ctx, build.Options{BuildOptions: opts, Files: files, Out: out})
	return buildError(ctx, err)
}

// buildError gives an error of RUN that command's exit code, as podman does.
func buildError(_ context.Context, err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return &exitError{Code: exit.ExitCode(), Err: err}
	}
	return err
}
