// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/berth-containers/berth/build/partial"
	"github.com/spf13/cobra"
)

func newPartialLintCmd(*engineFlags) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "lint [options] [PATH...]",
		Short: "Check parts and sources",
		Long: "Checks each PATH: a folder is a part, a file is a source (a Containerfile with directives, or a requirement file). Without\n" +
			"one, the working directory: as a part if its Containerfile has metadata, else as a source.",
		Example: "berth partial lint parts/*\n  berth partial lint Containerfile",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if len(args) == 0 {
				args = []string{"."}
			}
			type finding struct {
				Path     string
				Warnings []string
				Error    string `json:",omitempty"`
			}
			var found []finding
			var all []error
			for _, path := range args {
				warnings, err := lintPath(path)
				x := finding{Path: path, Warnings: warnings}
				if err != nil {
					x.Error = err.Error()
				}
				found, all = append(found, x), append(all, err)
				for _, w := range warnings {
					if format != "json" {
						fmt.Fprintf(cmd.ErrOrStderr(), "Warning: %s\n", paragraph(w))
					}
				}
			}
			if format == "json" {
				all = append(all, printJSON(cmd.OutOrStdout(), found))
			}
			return partialError(errors.Join(all...))
		},
	}
	bindFormat(cmd.Flags(), &format)
	return cmd
}

// lintPath checks a part or a source.
func lintPath(path string) (warnings []string, err error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		file := filepath.Join(path, "Containerfile")
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if partial.HasMetadata(string(text)) || !partial.HasDirectives(text) {
			p, err := partial.ReadPart(os.DirFS(path), path)
			if err != nil {
				return nil, err
			}
			return p.Warnings(), nil
		}
		path = file
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return partial.LintSource(path, string(text))
}
