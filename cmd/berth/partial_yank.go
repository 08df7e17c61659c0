//go:build !lean

package main

import (
	"errors"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/spf13/cobra"
)

func newPartialYankCmd(f *engineFlags) *cobra.Command {
	var p partialFlags
	var reason string
	cmd := &cobra.Command{
		Use:     "yank [options] PART@VERSION",
		Short:   "Mark a published version as not to be chosen any more",
		Long:    "Marks a version in its registry: composition chooses it only where a lock has it. The version itself stays.",
		Example: "berth partial yank --reason \"CVE-2026-1\" registry.example.org/parts/nodejs@1.4.1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := p.options(cmd, f)
			if err != nil {
				return err
			}
			ref, rng, err := partial.ParseRef(args[0])
			if err != nil {
				return partialError(err)
			}
			if rng.Any() {
				return errors.New("name the version: PART@VERSION")
			}
			return withLibrary(o, "", func(pr *project.Project) error {
				return pr.Parts.Yank(cmd.Context(), ref, rng.String(), reason)
			})
		},
	}
	p.registry.bind(cmd.Flags())
	cmd.Flags().StringVar(&reason, "reason", "", "`TEXT` to leave with it")
	return cmd
}
