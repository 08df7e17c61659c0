// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package partial

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/docker/go-units"
	"github.com/spf13/cobra"
)

type pruneOptions struct {
	common
	cli.PruneOptions
	all bool
}

// NewPrune returns the command `partial prune`.
func NewPrune(g *cli.Global) *cobra.Command { return newPrune(g, prune) }

func newPrune(g *cli.Global, run cli.Run[*pruneOptions]) *cobra.Command {
	var o pruneOptions
	cmd := &cobra.Command{
		Use:   "prune [options]",
		Short: "Remove unused parts, and records of images that do not exist any more",
		Long: "Removes the parts in local storage that neither the record of a local image nor a lock in the working directory names; with --all\n" +
			"all of them. They are fetched again when they are needed. Asks for confirmation first, unless --force is given.",
		Example: "berth partial prune --force",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	o.format.bind(f)
	f.BoolVarP(&o.all, "all", "a", false, "remove all parts")
	f.BoolVar(&o.Force, "force", false, "do not ask for confirmation")
	return cmd
}

func prune(ctx context.Context, call cli.Call, o *pruneOptions) error {
	return cli.Prune(call, &o.PruneOptions, "This will remove parts from local storage", func(func(string)) error {
		locks, err := filepath.Glob("*.lock")
		if err != nil {
			return err
		}
		return o.onLibrary(ctx, call, func(p *project.Project) error {
			removed, freed, err := p.Prune(o.all, locks)
			if err != nil {
				return err
			}
			if o.format.json() {
				return console.JSON(call.Out, struct {
					Removed any
					Freed   int64
				}{removed, freed})
			}
			for _, s := range removed {
				fmt.Fprintf(call.Out, "%s %s %s\n", s.Location, s.Version, s.Digest)
			}
			_, err = fmt.Fprintf(call.Out, "Total reclaimed space: %s\n", units.HumanSize(float64(freed)))
			return err
		})
	})
}
