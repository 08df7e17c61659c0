// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
	"github.com/sirupsen/logrus"
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
			id, err := runBuild(cmd, engine, &flags, args, cmd.OutOrStdout())
			if err != nil {
				return err
			}
			return flags.exported(cmd.Context(), engine, id)
		},
	}
	flags.bind(cmd.Flags())
	flags.hide(cmd)
	return cmd
}

// buildCommands returns the commands that make images, and the group `buildx`, Docker's name for it.
func buildCommands(f *engineFlags) []*cobra.Command {
	return []*cobra.Command{newBuildCmd(f), newPushCmd(f), newCommitCmd(f),
		newBuildxGroup(f),
		group("builder", "Look after what builds keep", newBuildCmd(f), newBuilderPruneCmd(f))}
}

// runBuild builds, and returns the ID of the image; empty if there is none.
func runBuild(cmd *cobra.Command, e *libctr.Engine, flags *buildFlags, args []string, out io.Writer) (id string, err error) {
	ctx := cmd.Context()
	conf, err := e.Config()
	if err != nil {
		return "", err
	}
	if err := flags.defaults(cmd.Flags(), conf); err != nil {
		return "", err
	}
	if err := flags.layers(cmd.Flags()); err != nil {
		return "", err
	}
	security, err := flags.security(e)
	if err != nil {
		return "", err
	}
	s, err := build.Begin(ctx, e)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.End()) }()
	if err := checkContext(args); err != nil {
		return "", err
	}
	contexts := args
	if len(args) == 1 {
		dir, err := s.FetchContext(ctx, args[0], os.Stdin)
		if err != nil {
			return "", err
		}
		if dir != "" {
			contexts = []string{dir}
		}
	}
	opts, files, _, err := buildahcli.GenBuildOptions(cmd, contexts, flags.cliOptions())
	if err != nil {
		return "", s.Reword(err, strings.Join(args, " "))
	}
	names := flags.names(args, opts.ContextDirectory)
	asked := slices.Clone(files)
	if files, err = s.Contain(opts.ContextDirectory, files); err != nil {
		return "", err
	}
	contained := files
	if files, err = s.KeepPipes(files); err != nil {
		return "", err
	}
	for i, f := range files {
		names[f] = flags.nameOf(args, opts.ContextDirectory, asked[i])
		if _, local := names[opts.ContextDirectory]; names[f] == standardInput || f != contained[i] {
			flags.compose.read(f, opts.ContextDirectory, local)
		}
	}
	if err := build.ReadIgnoreFile(&opts, files); err != nil {
		return "", err
	}
	sources := slices.Clone(files)
	files, printed, err := flags.compose.compose(ctx, e, &opts, files, names, out, cmd.ErrOrStderr())
	if err != nil || printed {
		return "", err
	}
	for i, f := range files {
		if f != sources[i] {
			names[f] = names[sources[i]] + " (composed)"
		}
	}
	progress := flags.shown(&opts, asIs(out), asIs(stderr))
	defer progress.Close()
	defer quietLog()()
	id, err = s.Build(ctx, build.Options{BuildOptions: opts, Files: files, Progress: progress, Flags: given(cmd.Flags()), Names: names,
		AllowHostNetwork: slices.Contains(flags.docker.allow, "network.host"), Security: security, DecryptionKeys: flags.run.DecryptionKeys,
		FormatGiven: cmd.Flags().Changed("format") || os.Getenv("BUILDAH_FORMAT") != "", Scan: flags.scanner(e)})
	if err != nil {
		return "", buildError(ctx, err)
	}
	return id, flags.compose.built(e, id, cmd.ErrOrStderr())
}

// given are the flags that the user gave.
func given(f *pflag.FlagSet) map[string]string {
	flags := map[string]string{}
	f.Visit(func(f *pflag.Flag) { flags[f.Name] = f.Value.String() })
	return flags
}

// shown chooses how the build is shown; package build makes visible what is not a RUN's own output. A terminal gets moving lines on standard error; anything else lines on
// standard output, as podman writes them, unless that is where the result goes.
func (b *buildFlags) shown(opts *define.BuildOptions, out, errOut io.Writer) build.Progress {
	if slices.ContainsFunc(opts.BuildOutputs, func(o string) bool { return o == "-" || strings.Contains(o, "dest=-") }) || b.docker.toStdout() {
		out = errOut
	}
	switch {
	case b.bud.Quiet:
		return build.Quiet(out, errOut)
	case b.progress == "json":
		return build.JSON(out)
	case b.progress == "tty", b.progress == "auto" && isTerminal(stderr.file()) && isTerminal(stdout.file()):
		return build.Terminal(out, errOut, func() int {
			if w, _, err := term.GetSize(int(stderr.file().Fd())); err == nil && w > 20 {
				return w
			}
			return 80
		})
	default:
		return build.Plain(out, errOut)
	}
}

// checkContext says of a context that is to be a directory, or a Containerfile, that it is not there.
func checkContext(args []string) error {
	if len(args) == 0 || args[0] == "-" || strings.Contains(args[0], "://") || strings.HasPrefix(args[0], "github.com/") {
		return nil
	}
	if _, err := os.Stat(args[0]); err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return hint.Add(fmt.Errorf("build context %q: %w", args[0], err), "the context is a directory, a URL, or - for standard input")
	}
	return nil
}

// names begins what build.Options.Names wants: the name of the context.
func (b *buildFlags) names(args []string, dir string) map[string]string {
	names := map[string]string{}
	if len(args) == 0 {
		names[dir] = "."
	} else if st, err := os.Stat(args[0]); err == nil && st.IsDir() {
		names[dir] = args[0]
	}
	return names
}

// standardInput is the name of a Containerfile that comes from there.
const standardInput = "standard input"

// nameOf is what the user calls a Containerfile: as it was given, or its path from where the user is, or in a context that was
// fetched its path in there.
func (b *buildFlags) nameOf(args []string, dir, file string) string {
	if file == "/dev/stdin" {
		return standardInput
	}
	if strings.Contains(file, "://") || slices.Contains(b.bud.File, file) {
		return file
	}
	if len(args) == 1 && args[0] == "-" {
		// A Containerfile in place of a context lies alone in the directory made for it.
		if all, err := os.ReadDir(dir); err == nil && len(all) == 1 && all[0].Name() == "Dockerfile" && len(b.bud.File) == 0 {
			return standardInput
		}
	}
	if _, local := b.names(args, dir)[dir]; !local {
		if rel, err := filepath.Rel(dir, file); err == nil && filepath.IsLocal(rel) {
			return rel
		}
		return filepath.Base(file)
	}
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, file); err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return file
}

// buildError gives an error of RUN that command's exit code, as podman does.
func buildError(_ context.Context, err error) error {
	var step *build.StepError
	var exit *exec.ExitError
	switch {
	case errors.As(err, &step) && step.Code > 0:
		return &exitError{Code: step.Code, Err: err}
	case errors.As(err, &step):
		return err
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return &exitError{Code: exit.ExitCode(), Err: err}
	}
	return err
}

// quietLog keeps lines of buildah's log back that an error says better, until the function that it returns is called.
func quietLog() func() {
	log := logrus.StandardLogger()
	before := log.Formatter
	log.SetFormatter(withoutNoise{before})
	return func() { log.SetFormatter(before) }
}

type withoutNoise struct{ logrus.Formatter }

func (f withoutNoise) Format(e *logrus.Entry) ([]byte, error) {
	for _, noise := range []string{
		"did not get container create message from subprocess", // the runtime's own words are told
		"error unmounting container: ",                         // of a stage that was cut off by another's error
	} {
		if strings.HasPrefix(e.Message, noise) {
			return nil, nil
		}
	}
	return f.Formatter.Format(e)
}
