// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"fmt"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/spf13/cobra"
)

func newPartialWhyCmd(f *engineFlags) *cobra.Command {
	var p partialFlags
	cmd := &cobra.Command{
		Use:     "why [options] PART",
		Short:   "Show what leads to a part",
		Example: "berth partial why std/ca-certs",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := p.source(cmd, f)
			if err != nil {
				return err
			}
			return withProject(o, func(pr *project.Project) error {
				r, err := pr.Compose(cmd.Context())
				if err != nil {
					return err
				}
				lines := r.Why(args[0])
				if lines == nil {
					return partial.Errorf("P022", "%s is not among the parts of %s%s", args[0], o.File, partial.DidYouMean(args[0], r.PartNames()))
				}
				if p.format == "json" {
					return printJSON(cmd.OutOrStdout(), lines)
				}
				for _, l := range lines {
					fmt.Fprintln(cmd.OutOrStdout(), l)
				}
				return nil
			})
		},
	}
	p.bindCompose(cmd.Flags())
	p.bindFormat(cmd.Flags())
	return cmd
}
