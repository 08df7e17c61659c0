// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"fmt"
	"io"
	"os"

	"github.com/berth-containers/berth/build/partial/project"
	"github.com/spf13/cobra"
)

func newPartialEjectCmd(f *engineFlags) *cobra.Command {
	var p partialFlags
	cmd := &cobra.Command{
		Use:     "eject [options]",
		Short:   "Replace a source by its composed file",
		Example: "berth partial eject --file Containerfile",
		Long: "Replaces the source by the plain Containerfile that it stands for. From then on it is an ordinary Containerfile,\n" +
			"which builds the same layers in any builder. It has no label with its text, since that would be wrong after the first edit;\n" +
			"\"berth partial compose\" writes the file with the label. The lock stays as a record. A requirement file stays; Containerfile\n" +
			"is written next to it.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := p.source(cmd, f)
			if err != nil {
				return err
			}
			return partialEject(cmd, o, p.format, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	p.bindCompose(cmd.Flags())
	p.bindFormat(cmd.Flags())
	return cmd
}

func partialEject(cmd *cobra.Command, o project.Options, format string, out, talk io.Writer) error {
	text, err := os.ReadFile(o.File)
	if err != nil {
		return err
	}
	if !project.IsSource(o.File, text) {
		return &exitError{Code: 1, Err: fmt.Errorf("%s has no parts: it is a plain Containerfile already", o.File)}
	}
	if file := project.EjectTarget(o.File); file != o.File {
		if _, err := os.Lstat(file); err == nil {
			return &exitError{Code: 1, Err: fmt.Errorf("eject %s: %s is there already", o.File, file)}
		}
	}
	r, err := project.Compose(cmd.Context(), o)
	if err != nil {
		return partialError(err)
	}
	printNotes(talk, r.Notes)
	target, digest, err := project.Eject(o, r)
	if err != nil {
		return err
	}
	if format == "json" {
		return printJSON(out, struct {
			File, Digest string
			Notes        []string
		}{target, digest, r.Notes})
	}
	_, err = fmt.Fprintf(talk, "wrote %s; it needs no parts any more\n", target)
	return err
}
