// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"fmt"

	"github.com/berth-containers/berth/internal/visible"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

func newSystemGroup(e *engineFlags) *cobra.Command {
	return group("system", "Look after the engine", newSystemCheckCmd(e), newSystemDfCmd(e), newInfoCmd(e))
}

func newSystemCheckCmd(e *engineFlags) *cobra.Command {
	var opts libctr.CheckOptions
	cmd := &cobra.Command{
		Use:   "check [options]",
		Short: "Find, and with --repair remove, what no record owns",
		Long: "Find what killed commands, full disks and power cuts may have left: half-made containers, names, layers, mounts,\n" +
			"processes and files without an owner, and damaged images. Exit status: 0 when there is nothing, or all was mended; 1 otherwise.",
		Example: "berth system check --repair",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			engine, err := e.open(cmd.Context())
			if err != nil {
				return err
			}
			problems, err := buildProblems(cmd.Context(), engine, opts.Repair)
			if err != nil {
				return err
			}
			more, err := engine.Check(cmd.Context(), opts)
			problems = append(problems, more...)
			left := 0
			for _, p := range problems {
				line := p.What
				switch {
				case p.Kept:
				case p.Mended:
					line += ": mended"
				case p.Err != nil:
					left++
					line += fmt.Sprintf(": not mended: %v", p.Err)
				default:
					left++
				}
				fmt.Fprintln(cmd.OutOrStdout(), visible.Line(line)) // a file's name may have a line end
			}
			if err != nil {
				return err
			}
			if left > 0 {
				if !opts.Repair {
					fmt.Fprintln(cmd.ErrOrStderr(), "Hint: mend it with: berth system check --repair")
				}
				return &exitError{Code: 1}
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&opts.Repair, "repair", "r", false, "mend what is found")
	cmd.Flags().BoolVar(&opts.Quick, "quick", false, "leave out the checks that read every layer")
	return cmd
}
