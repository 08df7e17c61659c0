// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/build/partial/registry"
	"github.com/spf13/cobra"
)

func newPartialSearchCmd(f *engineFlags) *cobra.Command {
	var p partialFlags
	var versions bool
	cmd := &cobra.Command{
		Use:     "search [options] [WORD...]",
		Short:   "Search the indexes of the aliases of partials.conf",
		Long:    "Lists the parts whose name, summary, application or capabilities have all of the words: each one's newest version.",
		Example: "berth partial search node",
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := p.options(cmd, f)
			if err != nil {
				return err
			}
			return withLibrary(o, "", func(pr *project.Project) error {
				found, err := pr.Parts.Search(cmd.Context(), args...)
				if err != nil {
					return err
				}
				if !versions {
					found = newestOfEach(found)
				}
				if p.format == "json" {
					return printJSON(cmd.OutOrStdout(), found)
				}
				rows := [][]string{{"PART", "VERSION", "SUMMARY"}}
				for _, e := range found {
					rows = append(rows, []string{e.Ref, e.Version, e.Summary})
				}
				return printColumns(cmd.OutOrStdout(), rows)
			})
		},
	}
	p.bindRegistry(cmd.Flags())
	p.bindFormat(cmd.Flags())
	cmd.Flags().BoolVar(&versions, "versions", false, "list every version")
	return cmd
}

// newestOfEach keeps the first of each part; they come newest first.
func newestOfEach(all []registry.IndexEntry) []registry.IndexEntry {
	var out []registry.IndexEntry
	for i, e := range all {
		if i == 0 || e.Ref != all[i-1].Ref {
			out = append(out, e)
		}
	}
	return out
}
