// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package partial

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/spf13/cobra"
)

type lintOptions struct {
	format format
}

// NewLint returns the command `partial lint`.
func NewLint(g *cli.Global) *cobra.Command { return newLint(g, lint) }

func newLint(g *cli.Global, run cli.Run[*lintOptions]) *cobra.Command {
	var o lintOptions
	cmd := &cobra.Command{
		Use:   "lint [options] [PATH...]",
		Short: "Check parts and sources",
		Long: "Checks each PATH: a folder is a part, a file is a source (a Containerfile with directives, or a requirement file). Without\n" +
			"one, the working directory: as a part if its Containerfile has metadata, else as a source.",
		Example: "berth partial lint parts/*\n  berth partial lint Containerfile",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.format.check(); err != nil {
				return err
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	o.format.bind(f)
	return cmd
}

func lint(ctx context.Context, call cli.Call, o *lintOptions) error {
	paths := call.Args
	if len(paths) == 0 {
		paths = []string{"."}
	}
	type finding struct {
		Path     string
		Warnings []string
		Error    string `json:",omitempty"`
	}
	var found []finding
	var all []error
	for _, path := range paths {
		warnings, err := project.Lint(path)
		x := finding{Path: path, Warnings: warnings}
		if err != nil {
			x.Error = cli.ErrorText(err)
		}
		found = append(found, x)
		all = append(all, err)
		for _, w := range warnings {
			if !o.format.json() {
				fmt.Fprintf(call.Err, "Warning: %s\n", console.Paragraph(w))
			}
		}
	}
	if o.format.json() {
		all = append(all, console.JSON(call.Out, found))
	}
	return Coded(errors.Join(all...))
}
