// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"fmt"
	"path/filepath"

	"github.com/berth-containers/berth/build/partial/project"
	"github.com/docker/go-units"
	"github.com/spf13/cobra"
)

func newPartialPruneCmd(f *engineFlags) *cobra.Command {
	var p partialFlags
	var all, force bool
	cmd := &cobra.Command{
		Use:   "prune [options]",
		Short: "Remove parts from the local store, and records of images that are gone",
		Long: "Removes the parts that neither the record of a local image nor a lock in the working directory names; with --all\n" +
			"all of them. They are fetched again when they are needed. Records of builds whose images are gone are removed as well.",
		Example: "berth partial prune --force",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if ok, err := confirm(cmd, force, "This removes parts from the local store."); !ok {
				return err
			}
			o, err := p.options(cmd, f)
			if err != nil {
				return err
			}
			locks, err := filepath.Glob("*.lock")
			if err != nil {
				return err
			}
			return withLibrary(o, "", func(pr *project.Project) error {
				removed, freed, err := pr.Prune(all, locks)
				if err != nil {
					return err
				}
				if p.format == "json" {
					return printJSON(cmd.OutOrStdout(), struct {
						Removed any
						Freed   int64
					}{removed, freed})
				}
				for _, s := range removed {
					fmt.Fprintf(cmd.OutOrStdout(), "%s %s %s\n", s.Location, s.Version, s.Digest)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "Total reclaimed space: %s\n", units.HumanSize(float64(freed)))
				return err
			})
		},
	}
	p.bindFormat(cmd.Flags())
	cmd.Flags().BoolVarP(&all, "all", "a", false, "remove all parts")
	cmd.Flags().BoolVar(&force, "force", false, "do not ask")
	return cmd
}
