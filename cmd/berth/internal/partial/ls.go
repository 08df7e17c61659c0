// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package partial

import (
	"context"

	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/docker/go-units"
	"github.com/spf13/cobra"
)

type lsOptions struct {
	common
	digests bool
}

// NewLs returns the command `partial ls`.
func NewLs(g *cli.Global) *cobra.Command { return newLs(g, ls) }

func newLs(g *cli.Global, run cli.Run[*lsOptions]) *cobra.Command {
	var o lsOptions
	cmd := &cobra.Command{
		Use:     "ls [options]",
		Aliases: []string{"list"},
		Short:   "List parts in local storage",
		Example: "berth partial ls",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	o.format.bind(f)
	f.BoolVar(&o.digests, "digests", false, "show digests")
	return cmd
}

func ls(ctx context.Context, call cli.Call, o *lsOptions) error {
	return o.onLibrary(ctx, call, func(p *project.Project) error {
		all, err := p.Parts.Stored()
		if err != nil {
			return err
		}
		if o.format.json() {
			return console.JSON(call.Out, all)
		}
		rows := [][]string{{"PART", "VERSION", "SIZE"}}
		if o.digests {
			rows[0] = append(rows[0], "DIGEST")
		}
		for _, s := range all {
			row := []string{s.Location, s.Version, units.HumanSize(float64(s.Size))}
			if o.digests {
				row = append(row, s.Digest)
			}
			rows = append(rows, row)
		}
		return console.Columns(call.Out, rows)
	})
}
