// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/spf13/cobra"
)

func newPartialAddCmd(f *engineFlags) *cobra.Command {
	var p partialFlags
	var stage string
	cmd := &cobra.Command{
		Use:   "add [options] PART[@RANGE] [as dev] [PARAM=VALUE...]",
		Short: "Add a part to a source",
		Long: "Adds a \"#: use\" line to the source and, the first time, the guard that keeps plain builders from building the file\n" +
			"without its parts; composes it, and writes the lock. If there is no solution nothing is written.",
		Example: "berth partial add std/nodejs@^1 version=22.11.0",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := p.source(cmd, f)
			if err != nil {
				return err
			}
			for i, a := range args {
				args[i] = partial.QuoteWord(a)
			}
			return partialAdd(cmd, o, strings.Join(args, " "), stage, p.format)
		},
	}
	p.bindCompose(cmd.Flags())
	p.bindFormat(cmd.Flags())
	cmd.Flags().StringVar(&stage, "stage", "", "`STAGE` to add it to (default: the last)")
	return cmd
}

func partialAdd(cmd *cobra.Command, o project.Options, use, stage, format string) error {
	return withProject(o, func(p *project.Project) error {
		text, line, err := partial.AddUse(o.File, string(p.Text()), use, stage)
		if err != nil {
			return err
		}
		r, err := p.ComposeText(cmd.Context(), []byte(text), p.Lock())
		if err != nil {
			added := partial.LinesIn(text, string(p.Text()))[line-1]
			return partial.WithoutLine(err, added)
		}
		if err := atomicfile.Write(o.File, []byte(text), fileMode(o.File), false); err != nil {
			return err
		}
		if _, err := p.WriteLock(r); err != nil {
			return err
		}
		printNotes(cmd.ErrOrStderr(), r.Notes)
		if format == "json" {
			return printJSON(cmd.OutOrStdout(), struct {
				File  string
				Line  int
				Use   string
				Notes []string
			}{o.File, line, use, r.Notes})
		}
		_, err = fmt.Fprintf(cmd.ErrOrStderr(), "%s:%d: #: use %s\n", o.File, line, use)
		return err
	})
}

// fileMode is the permission bits that a file has; those of a new one if it is not there.
func fileMode(file string) os.FileMode {
	if st, err := os.Stat(file); err == nil {
		return st.Mode().Perm()
	}
	return 0o644
}
