// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package partial

import (
	"context"

	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/build/partial/registry"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/spf13/cobra"
)

type searchOptions struct {
	common
	versions bool
}

// NewSearch returns the command `partial search`.
func NewSearch(g *cli.Global) *cobra.Command { return newSearch(g, search) }

func newSearch(g *cli.Global, run cli.Run[*searchOptions]) *cobra.Command {
	var o searchOptions
	cmd := &cobra.Command{
		Use:     "search [options] [WORD...]",
		Short:   "Search the indexes of the aliases in partials.conf",
		Long:    "Lists the parts whose name, summary, application or capabilities have all of the words: each one's newest version.",
		Example: "berth partial search node",
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	o.bindRegistry(f)
	o.format.bind(f)
	f.BoolVar(&o.versions, "versions", false, "list all versions")
	return cmd
}

func search(ctx context.Context, call cli.Call, o *searchOptions) error {
	return o.onLibrary(ctx, call, func(p *project.Project) error {
		found, err := p.Parts.Search(ctx, call.Args...)
		if err != nil {
			return err
		}
		if !o.versions {
			found = newestOfEach(found)
		}
		if o.format.json() {
			return console.JSON(call.Out, found)
		}
		rows := [][]string{{"PART", "VERSION", "SUMMARY"}}
		for _, e := range found {
			rows = append(rows, []string{e.Ref, e.Version, e.Summary})
		}
		return console.Columns(call.Out, rows)
	})
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
