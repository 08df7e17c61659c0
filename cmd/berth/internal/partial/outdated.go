// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package partial

import (
	"cmp"
	"context"
	"errors"

	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/spf13/cobra"
)

type outdatedOptions struct {
	common
}

// NewOutdated returns the command `partial outdated`.
func NewOutdated(g *cli.Global) *cobra.Command { return newOutdated(g, outdated) }

func newOutdated(g *cli.Global, run cli.Run[*outdatedOptions]) *cobra.Command {
	var o outdatedOptions
	cmd := &cobra.Command{
		Use:     "outdated [options]",
		Short:   "Show which parts and bases of the lock have newer versions",
		Example: "berth partial outdated",
		Long:    "Lists what update would change (wanted), and for parts the newest version there is. Nothing is written.",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	o.bindCompose(f)
	o.format.bind(f)
	return cmd
}

func outdated(ctx context.Context, call cli.Call, o *outdatedOptions) error {
	update := func(opts *project.Options) { opts.Update = true }
	return o.onSource(ctx, call, update, func(p *project.Project) error {
		if p.Lock() == nil {
			return &cli.ExitError{Code: 1, Err: errors.New("there is no lock; write it with: berth partial update")}
		}
		rows, err := p.Outdated(ctx)
		if err != nil {
			return err
		}
		if o.format.json() {
			return console.JSON(call.Out, rows)
		}
		if len(rows) == 0 {
			return nil
		}
		table := [][]string{{"KIND", "NAME", "CURRENT", "WANTED", "LATEST"}}
		for _, r := range rows {
			table = append(table, []string{r.Kind, r.Name, cmp.Or(r.Current, "-"), cmp.Or(r.Wanted, "-"), cmp.Or(r.Latest, "-")})
		}
		return console.Columns(call.Out, table)
	})
}
