// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/spf13/cobra"
)

func newPartialRemoveCmd(f *engineFlags) *cobra.Command {
	var p partialFlags
	cmd := &cobra.Command{
		Use:     "remove [options] PART",
		Aliases: []string{"rm"},
		Short:   "Remove a part from a source",
		Long:    "Removes the \"#: use\" lines of a part from the source, and writes the lock. Parts that others need stay in the image.",
		Example: "berth partial remove std/nodejs",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := p.source(cmd, f)
			if err != nil {
				return err
			}
			return partialRemove(cmd, o, args[0], p.format)
		},
	}
	p.bindCompose(cmd.Flags())
	p.bindFormat(cmd.Flags())
	return cmd
}

func partialRemove(cmd *cobra.Command, o project.Options, part, format string) error {
	return withProject(o, func(p *project.Project) error {
		text, err := partial.RemoveUse(o.File, string(p.Text()), part)
		if err != nil {
			return err
		}
		r, err := p.ComposeText(cmd.Context(), []byte(text), p.Lock())
		if err != nil {
			return err
		}
		if err := atomicfile.Write(o.File, []byte(text), fileMode(o.File), false); err != nil {
			return err
		}
		if _, err = p.WriteLock(r); err != nil || format != "json" {
			return err
		}
		return printJSON(cmd.OutOrStdout(), struct {
			File, Part string
			Notes      []string
		}{o.File, part, r.Notes})
	})
}
