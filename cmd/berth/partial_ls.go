// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/docker/go-units"
	"github.com/spf13/cobra"
)

func newPartialLsCmd(f *engineFlags) *cobra.Command {
	var p partialFlags
	var digests bool
	cmd := &cobra.Command{
		Use:     "ls [options]",
		Aliases: []string{"list"},
		Short:   "List the parts in the local store",
		Example: "berth partial ls",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := p.options(cmd, f)
			if err != nil {
				return err
			}
			return withLibrary(o, "", func(pr *project.Project) error {
				all, err := pr.Parts.Stored()
				if err != nil {
					return err
				}
				if p.format == "json" {
					return printJSON(cmd.OutOrStdout(), all)
				}
				rows := [][]string{{"PART", "VERSION", "SIZE"}}
				if digests {
					rows[0] = append(rows[0], "DIGEST")
				}
				for _, s := range all {
					row := []string{s.Location, s.Version, units.HumanSize(float64(s.Size))}
					if digests {
						row = append(row, s.Digest)
					}
					rows = append(rows, row)
				}
				return printColumns(cmd.OutOrStdout(), rows)
			})
		},
	}
	p.bindFormat(cmd.Flags())
	cmd.Flags().BoolVar(&digests, "digests", false, "show digests")
	return cmd
}
