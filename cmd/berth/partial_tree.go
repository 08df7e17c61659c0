// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/spf13/cobra"
)

func newPartialTreeCmd(f *engineFlags) *cobra.Command {
	var p partialFlags
	cmd := &cobra.Command{
		Use:     "tree [options]",
		Short:   "Show the parts of a source and what they require",
		Example: "berth partial tree",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := p.source(cmd, f)
			if err != nil {
				return err
			}
			return withProject(o, func(pr *project.Project) error {
				r, err := pr.Compose(cmd.Context())
				if err != nil {
					return err
				}
				if p.format == "json" {
					return printJSON(cmd.OutOrStdout(), r.Lock.Parts)
				}
				printPartTree(cmd.OutOrStdout(), r)
				return nil
			})
		},
	}
	p.bindCompose(cmd.Flags())
	p.bindFormat(cmd.Flags())
	return cmd
}

// printPartTree prints each stage with the parts that the source uses in it, and below them what they require.
func printPartTree(out io.Writer, r *partial.Result) {
	version, requires := map[string]string{}, map[string][]string{}
	for _, lp := range r.Lock.Parts {
		version[lp.Name] = lp.Version
		requires[lp.Name] = lp.Requires
	}
	var show func(name string, depth int)
	show = func(name string, depth int) {
		fmt.Fprintf(out, "%s%s %s\n", strings.Repeat("  ", depth), name, version[name])
		for _, dep := range requires[name] {
			show(dep, depth+1)
		}
	}
	stage := ""
	for i, b := range r.Blocks {
		if strings.HasPrefix(b.Stage, "build:") {
			continue
		}
		if b.Stage != stage || i == 0 {
			stage = b.Stage
			fmt.Fprintln(out, stage)
		}
		if b.Needed == "" {
			show(b.Part.Meta.Name, 1)
		}
	}
}
