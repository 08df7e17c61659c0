// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package partial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/build/partial/trial"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/spf13/cobra"
)

type testOptions struct {
	common
	bases []string
}

// NewTest returns the command `partial test`.
func NewTest(g *cli.Global) *cobra.Command { return newTest(g, test) }

func newTest(g *cli.Global, run cli.Run[*testOptions]) *cobra.Command {
	var o testOptions
	cmd := &cobra.Command{
		Use:   "test [options] [DIR]",
		Short: "Build a part on its bases, and run its check",
		Long: "Lints the part, and on each base builds it alone, as any builder would, then composed; then its check is run in the result. What the part\n" +
			"requires, and its packages, are put on the base before it is built alone. The bases are those of --base, else of DIR/test/bases (one a line),\n" +
			"else the default of ARG BASE.",
		Example: "berth partial test parts/nodejs --base docker.io/library/debian:12-slim",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	o.bindRegistry(f)
	o.format.bind(f)
	f.StringArrayVar(&o.params, "param", nil, "set a part's parameter: `PART.NAME=VALUE` (repeatable)")
	f.StringArrayVar(&o.bases, "base", nil, "`IMAGE` to test on (repeatable)")
	return cmd
}

func test(ctx context.Context, call cli.Call, o *testOptions) error {
	dir, err := filepath.Abs(directory(call.Args))
	if err != nil {
		return err
	}
	opts, err := o.options(ctx, call)
	if err != nil {
		return err
	}
	opts.File = "Containerfile"
	return withLibrary(opts, ".", func(p *project.Project) error {
		part, err := project.ReadPart(dir)
		if err != nil {
			return err
		}
		bases, err := project.TestBases(part, dir, o.bases)
		if err != nil {
			return err
		}
		t := &trial.PartTest{Trial: &trial.Trial{Project: p, Log: call.Err}, Part: part, Dir: dir, Params: opts.Params}
		if !o.format.json() {
			t.Passed = func(what string) { fmt.Fprintf(call.Out, "ok  %s\n", what) }
		}
		results, err := testOn(ctx, t, bases, call.Err)
		if o.format.json() {
			err = errors.Join(err, console.JSON(call.Out, results))
		}
		return err
	})
}

// testOn tests a part on bases, up to the first where it fails; what was printed there is shown.
func testOn(ctx context.Context, t *trial.PartTest, bases []string, errOut io.Writer) (results []trial.PartResult, err error) {
	for _, base := range bases {
		r, err := t.On(ctx, base)
		if err != nil {
			r.Error = cli.ErrorText(err)
		}
		results = append(results, r)
		var failed *trial.FailedError
		if errors.As(err, &failed) {
			for _, line := range failed.Output {
				fmt.Fprintln(errOut, line)
			}
		}
		if err != nil {
			return results, err
		}
	}
	return results, nil
}
