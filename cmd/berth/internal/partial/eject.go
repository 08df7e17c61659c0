// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package partial

import (
	"context"
	"fmt"
	"os"

	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/spf13/cobra"
)

type ejectOptions struct {
	common
}

// NewEject returns the command `partial eject`.
func NewEject(g *cli.Global) *cobra.Command { return newEject(g, eject) }

func newEject(g *cli.Global, run cli.Run[*ejectOptions]) *cobra.Command {
	var o ejectOptions
	cmd := &cobra.Command{
		Use:     "eject [options]",
		Short:   "Replace a source by its composed file",
		Example: "berth partial eject --file Containerfile",
		Long: "Replaces the source by the plain Containerfile that it stands for. From then on it is an ordinary Containerfile,\n" +
			"which builds the same layers in any builder. It has no label with its text, since that would be wrong after the first edit;\n" +
			"\"berth partial compose\" writes the file with the label. The lock stays as a record. A requirement file stays; Containerfile\n" +
			"is written next to it.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	o.bindCompose(f)
	o.format.bind(f)
	return cmd
}

func eject(ctx context.Context, call cli.Call, o *ejectOptions) error {
	opts, err := o.source(ctx, call)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(opts.File)
	if err != nil {
		return err
	}
	if !project.IsSource(opts.File, text) {
		return &cli.ExitError{Code: 1, Err: fmt.Errorf("%s has no parts: it is a plain Containerfile already", opts.File)}
	}
	if file := project.EjectTarget(opts.File); file != opts.File {
		if _, err := os.Lstat(file); err == nil {
			return &cli.ExitError{Code: 1, Err: fmt.Errorf("eject %s: %s is there already", opts.File, file)}
		}
	}
	r, err := project.Compose(ctx, opts)
	if err != nil {
		return Coded(err)
	}
	PrintNotes(call.Err, r.Notes)
	target, digest, err := project.Eject(opts, r)
	if err != nil {
		return err
	}
	if o.format.json() {
		return console.JSON(call.Out, struct {
			File, Digest string
			Notes        []string
		}{target, digest, r.Notes})
	}
	_, err = fmt.Fprintf(call.Err, "wrote %s; it needs no parts any more\n", target)
	return err
}
