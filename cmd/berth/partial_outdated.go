// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/spf13/cobra"
)

func newPartialOutdatedCmd(f *engineFlags) *cobra.Command {
	var p partialFlags
	cmd := &cobra.Command{
		Use:     "outdated [options]",
		Short:   "Show which parts and bases of the lock have newer versions",
		Example: "berth partial outdated",
		Long:    "Lists what update would change (wanted), and for parts the newest version there is. Nothing is written.",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := p.source(cmd, f)
			if err != nil {
				return err
			}
			o.Update = true
			return withProject(o, func(pr *project.Project) error {
				return partialOutdated(cmd.Context(), pr, p.format, cmd.OutOrStdout())
			})
		},
	}
	p.bindCompose(cmd.Flags())
	p.bindFormat(cmd.Flags())
	return cmd
}

type outdatedRow struct{ Kind, Name, Current, Wanted, Latest string }

func partialOutdated(ctx context.Context, p *project.Project, format string, out io.Writer) error {
	old := p.Lock()
	if old == nil {
		return &exitError{Code: 1, Err: fmt.Errorf("there is no lock; write it with: berth partial update")}
	}
	r, err := p.Compose(ctx)
	if err != nil {
		return err
	}
	latest, err := p.Latest(ctx, old)
	if err != nil {
		return err
	}
	rows := []outdatedRow{}
	seen := map[string]bool{}
	for _, c := range partial.LockChanges(old, r.Lock) {
		rows = append(rows, outdatedRow{c.Kind, c.Name, c.Old, c.New, latest[c.Name]})
		seen[c.Name] = true
	}
	for _, lp := range old.Parts {
		if !seen[lp.Name] && latest[lp.Name] != lp.Version {
			rows = append(rows, outdatedRow{"part", lp.Name, lp.Version, lp.Version, latest[lp.Name]})
			seen[lp.Name] = true
		}
	}
	if format == "json" {
		return printJSON(out, rows)
	}
	table := [][]string{{"KIND", "NAME", "CURRENT", "WANTED", "LATEST"}}
	for _, row := range rows {
		table = append(table, []string{row.Kind, row.Name, dash(row.Current), dash(row.Wanted), dash(row.Latest)})
	}
	if len(rows) == 0 {
		return nil
	}
	return printColumns(out, table)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
