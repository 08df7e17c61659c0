//go:build !lean

package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.podman.io/buildah/define"
	buildahcli "go.podman.io/buildah/pkg/cli"
	"golang.org/x/term"
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
	return []*cobra.Command{newBuildCmd(f), newPushCmd(f), newCommitCmd(f),
		group("buildx", "Build images, by Docker's name", newBuildCmd(f), newBuilderPruneCmd(f)),
		group("builder", "Look after what builds keep", newBuildCmd(f), newBuilderPruneCmd(f))}
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
	if files, err = s.Contain(opts.ContextDirectory, files); err != nil {
		return err
	}
	if files, err = s.KeepPipes(files); err != nil {
		return err
	}
	if err := build.ReadIgnoreFile(&opts, files); err != nil {
		return err
	}
	files, printed, err := flags.compose.compose(ctx, e, &opts, files, out, cmd.ErrOrStderr())
	if err != nil || printed {
		return err
	}
	progress := flags.shown(&opts, out)
	defer progress.Close()
	id, err := s.Build(ctx, build.Options{BuildOptions: opts, Files: files, Progress: progress, Flags: given(cmd.Flags())})
	if err != nil {
		return buildError(ctx, err)
	}
	return flags.compose.built(e, id, cmd.ErrOrStderr())
}

// given are the flags that the user gave.
func given(f *pflag.FlagSet) map[string]string {
	flags := map[string]string{}
	f.Visit(func(f *pflag.Flag) { flags[f.Name] = f.Value.String() })
	return flags
}

// shown chooses how the build is shown. A terminal gets moving lines on standard error; anything else lines on
// standard output, as podman writes them, unless that is where the result goes.
func (b *buildFlags) shown(opts *define.BuildOptions, out io.Writer) build.Progress {
	if slices.ContainsFunc(opts.BuildOutputs, func(o string) bool { return o == "-" || strings.Contains(o, "dest=-") }) {
		out = os.Stderr
	}
	switch {
	case b.bud.Quiet:
		return build.Quiet(out, os.Stderr)
	case b.progress == "json":
		return build.JSON(out)
	case b.progress == "tty", b.progress == "auto" && isTerminal(os.Stderr) && isTerminal(os.Stdout):
		return build.Terminal(out, os.Stderr, func() int {
			if w, _, err := term.GetSize(int(os.Stderr.Fd())); err == nil && w > 20 {
				return w
			}
			return 80
		})
	default:
		return build.Plain(out)
	}
}

// buildError gives an error of RUN that command's exit code, as podman does.
func buildError(_ context.Context, err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return &exitError{Code: exit.ExitCode(), Err: err}
	}
	return err
}
