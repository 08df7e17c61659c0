// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package partial

import (
	"context"
	"fmt"
	"io"

	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/spf13/cobra"
)

type updateOptions struct {
	common
	dryRun bool
	base   string
}

// NewUpdate returns the command `partial update`.
func NewUpdate(g *cli.Global) *cobra.Command { return newUpdate(g, update) }

func newUpdate(g *cli.Global, run cli.Run[*updateOptions]) *cobra.Command {
	var o updateOptions
	cmd := &cobra.Command{
		Use:   "update [options] [PART...]",
		Short: "Update the lock to new versions of parts and bases",
		Long: "Chooses versions again, of all parts or only of those named, asks registries for the digests of bases, prints what changes, with\n" +
			"the differences of the parts' texts, and writes the lock.",
		Example: "berth partial update --dry-run\n  berth partial update std/nodejs",
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	o.bindCompose(f)
	o.format.bind(f)
	f.BoolVar(&o.dryRun, "dry-run", false, "print what would change; do not write it")
	f.StringVar(&o.base, "base", "", "`IMAGE` to write into the FROM line of the last stage")
	return cmd
}

func update(ctx context.Context, call cli.Call, o *updateOptions) error {
	these := func(opts *project.Options) { opts.Update, opts.Only = true, call.Args }
	return o.onSource(ctx, call, these, func(p *project.Project) error {
		u, err := p.Update(ctx, o.base)
		if err != nil {
			return err
		}
		PrintNotes(call.Err, u.Notes)
		if err := printChanges(u.Changes, o.format, call.Out); err != nil || o.dryRun {
			return err
		}
		return u.Write()
	})
}

// printChanges prints what a new lock has that the old one has not, and the other way round.
func printChanges(changes []project.Change, format format, out io.Writer) error {
	if format.json() {
		return console.JSON(out, changes)
	}
	for _, c := range changes {
		fmt.Fprintln(out, c.String())
		if c.Lost {
			fmt.Fprintln(out, "  (the old text cannot be had, so what has changed in it is not shown)")
		}
		fmt.Fprint(out, c.Diff)
	}
	return nil
}
