// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"errors"
	"fmt"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/spf13/cobra"
)

func newPartialYankCmd(f *engineFlags) *cobra.Command {
	var p partialFlags
	var reason string
	var undo bool
	cmd := &cobra.Command{
		Use:   "yank [options] PART@VERSION",
		Short: "Mark a published version as not to be chosen any more",
		Long: "Marks a version in its registry: composition chooses it only where a lock has it. The version itself stays. With --undo\n" +
			"the mark is removed, where the registry lets anything be deleted.",
		Example: "berth partial yank --reason \"CVE-2026-1\" registry.example.org/parts/nodejs@1.4.1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if undo && reason != "" {
				return errors.New("--reason is for yanking, not for --undo")
			}
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
				version := rng.String()
				if undo {
					err = pr.Parts.Unyank(cmd.Context(), ref, version)
				} else {
					err = pr.Parts.Yank(cmd.Context(), ref, version, reason)
				}
				if err != nil {
					return err
				}
				if p.format == "json" {
					return printJSON(cmd.OutOrStdout(), struct {
						Part, Version string
						Yanked        bool
					}{ref.Text, version, !undo})
				}
				word := "yanked"
				if undo {
					word = "not yanked any more"
				}
				_, err := fmt.Fprintf(cmd.ErrOrStderr(), "%s %s is %s\n", ref.Text, version, word)
				return err
			})
		},
	}
	p.registry.bind(cmd.Flags())
	p.bindFormat(cmd.Flags())
	cmd.Flags().StringVar(&reason, "reason", "", "`TEXT` to leave with it")
	cmd.Flags().BoolVar(&undo, "undo", false, "remove the mark")
	return cmd
}
