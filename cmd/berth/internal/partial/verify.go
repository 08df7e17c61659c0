// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package partial

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/build/partial/trial"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/spf13/cobra"
)

type verifyOptions struct {
	common
	runChecks bool
}

// NewVerify returns the command `partial verify`.
func NewVerify(g *cli.Global) *cobra.Command { return newVerify(g, verify) }

func newVerify(g *cli.Global, run cli.Run[*verifyOptions]) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:     "verify [options] [IMAGE]",
		Short:   "Check a source against its lock and its sources, or an image against its container file",
		Example: "berth partial verify\n  berth partial verify registry.example.org/shop/web:7",
		Long: "Without IMAGE: the source's digest, the composed text, and each part's digest where it is published, against the lock; yanked\n" +
			"versions and newer bases are noted. With IMAGE: its label, history, base layers, os-release, and layers against the record of its build; with\n" +
			"--run-checks also the check of each of its parts, run in a container of the image without a network. Exit code 3 says that something is not what it was.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.runChecks && len(args) == 0 {
				return errors.New("--run-checks needs an image to run them in")
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	o.bindCompose(f)
	o.format.bind(f)
	f.BoolVar(&o.runChecks, "run-checks", false, "run the check of each part in the image")
	return cmd
}

func verify(ctx context.Context, call cli.Call, o *verifyOptions) error {
	if len(call.Args) == 0 {
		return o.onSource(ctx, call, nil, func(p *project.Project) error {
			found, err := p.Verify(ctx)
			return showFindings(found, err, o.format, call.Out)
		})
	}
	image := call.Args[0]
	return o.onLibrary(ctx, call, func(p *project.Project) error {
		found, err := p.VerifyImage(ctx, image)
		if err == nil && o.runChecks {
			t := &trial.Trial{Project: p, Log: call.Err}
			var more partial.Findings
			more, err = t.RunChecks(ctx, image)
			found = append(found, more...)
		}
		return showFindings(found, err, o.format, call.Out)
	})
}

func showFindings(found partial.Findings, err error, format format, out io.Writer) error {
	for i, x := range found { // here in the words of the command line
		found[i].Text = x.Worded(field.Flag)
		if !x.Fix.Empty() {
			found[i].Text += "; " + cli.HintText(x.Fix)
			found[i].Fix = hint.Hint{}
		}
	}
	if format.json() && len(found) > 0 {
		if err := console.JSON(out, found); err != nil {
			return err
		}
	} else {
		for _, x := range found {
			state := "ok"
			switch {
			case x.Bad:
				state = "BAD"
			case x.Note:
				state = "note"
			}
			fmt.Fprintf(out, "%-4s  %s: %s\n", state, x.What, x.Text)
		}
	}
	if err != nil {
		return err
	}
	return found.Err()
}
