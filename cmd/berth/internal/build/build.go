// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package build

import (
	"context"
	"errors"
	"io"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/cmd/berth/internal/partial"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// NewBuild returns the command `build`.
func NewBuild(g *cli.Global) *cobra.Command { return newBuild(g, buildImage) }

func newBuild(g *cli.Global, run cli.Run[*build.Flags]) *cobra.Command {
	var flags build.Flags
	cmd := &cobra.Command{
		Use:     "build [options] [CONTEXT]",
		Short:   "Build an image from a Containerfile",
		Example: "berth build -t app .\n  berth build -f app.Containerfile --build-arg VERSION=2 https://example.org/app.git",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flags.Check(); err != nil {
				return err
			}
			return run(cmd.Context(), g.Call(cmd, args), &flags)
		},
	}
	flags.Bind(cmd.Flags())
	return cmd
}

func buildImage(ctx context.Context, call cli.Call, flags *build.Flags) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	out, errOut := console.AsIs(call.Out), console.AsIs(call.Err)
	shown := withNotes{progress(flags, out, errOut), call.Err}
	defer shown.Close()
	r, err := flags.Build(ctx, e, call.Args, build.Console{Progress: shown, Stdout: out, Bars: console.Progress(flags.Quiet())})
	var compose *build.ComposeError
	if errors.As(err, &compose) {
		return partial.Coded(err)
	}
	if err != nil {
		return cli.StepCode(err)
	}
	for _, text := range r.Composed {
		if _, err := io.WriteString(call.Out, text); err != nil {
			return err
		}
	}
	return nil
}

// withNotes shows notes on a composition on standard error, whatever shows the build.
type withNotes struct {
	build.Progress
	errOut io.Writer
}

func (w withNotes) Show(e build.Event) {
	if e.Kind == build.Note {
		partial.PrintNotes(w.errOut, []string{e.Text})
		return
	}
	w.Progress.Show(e)
}

// progress chooses how the build is shown; package build makes visible what is not a RUN's own output. A terminal gets moving lines
// on standard error; anything else lines on standard output, as podman writes them, unless that is where the result goes.
func progress(f *build.Flags, out, errOut io.Writer) build.Progress {
	if f.ToStdout() {
		out = errOut
	}
	terminal := console.IsTerminal(console.Err.File()) && console.IsTerminal(console.Out.File())
	switch {
	case f.Quiet():
		return build.Quiet(out, errOut)
	case f.Progress == "json":
		return build.JSON(out)
	case f.Progress == "tty", f.Progress == "auto" && terminal:
		return build.Terminal(out, errOut, terminalWidth)
	default:
		return build.Plain(out, errOut)
	}
}

func terminalWidth() int {
	if w, _, err := term.GetSize(int(console.Err.File().Fd())); err == nil && w > 20 {
		return w
	}
	return 80
}
