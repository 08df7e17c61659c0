// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"fmt"
	"io"

	"github.com/berth-containers/berth/build/partial/project"
	"github.com/spf13/cobra"
)

func newPartialComposeCmd(f *engineFlags) *cobra.Command {
	var p partialFlags
	var output, push string
	cmd := &cobra.Command{
		Use:   "compose [options]",
		Short: "Write the plain Containerfile that a source stands for",
		Long: "Writes the composed file: the plain Containerfile that build would build, which any builder takes. Versions come\n" +
			"from the lock as long as it fits the source; otherwise they are chosen, and the lock FILE.lock is written. With --push the\n" +
			"composed file is published, with the lock and the source, where extract finds it.",
		Example: "berth partial compose -o Containerfile.composed\n  berth partial compose --locked\n  berth partial compose --push registry.example.org/files/web:7",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := p.source(cmd, f)
			if err != nil {
				return err
			}
			return partialCompose(cmd, o, output, push, p.format, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	p.bindCompose(cmd.Flags())
	p.bindFormat(cmd.Flags())
	cmd.Flags().StringVarP(&output, "output", "o", "", "`FILE` to write to (default: standard output)")
	cmd.Flags().StringVar(&push, "push", "", "`NAME` in a registry to publish it as, HOST/REPOSITORY[:TAG]; its digest is printed instead of the text")
	return cmd
}

func partialCompose(cmd *cobra.Command, o project.Options, output, push, format string, out, talk io.Writer) error {
	r, err := project.Compose(cmd.Context(), o)
	if err != nil {
		return partialError(err)
	}
	printNotes(talk, r.Notes)
	published := ""
	if push != "" {
		if published, err = project.PublishFile(cmd.Context(), o, r, push); err != nil {
			return partialError(err)
		}
	}
	if format == "json" {
		type block struct {
			Name, Version, Digest, Role, Stage, NeededBy string
			Params                                       map[string]string
		}
		shown := struct {
			Text, Digest string
			Published    string `json:",omitempty"`
			Blocks       []block
			Notes        []string
		}{Text: r.Text, Digest: r.Digest, Published: published, Notes: r.Notes}
		for _, b := range r.Blocks {
			shown.Blocks = append(shown.Blocks, block{b.Part.Meta.Name, b.Part.Meta.Version, b.Part.Digest, b.Role, b.Stage, b.Needed, b.Params})
		}
		return printJSON(out, shown)
	}
	if published != "" {
		if _, err := fmt.Fprintln(out, published); err != nil || output == "" {
			return err
		}
	}
	return writeOutput(out, output, r.Text)
}
