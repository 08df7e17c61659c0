//go:build !lean

package main

import (
	"fmt"
	"io"
	"os"

	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/spf13/cobra"
)

func newPartialEjectCmd(f *engineFlags) *cobra.Command {
	var p partialFlags
	cmd := &cobra.Command{
		Use:     "eject [options]",
		Short:   "Replace a source by its composed file",
		Example: "berth partial eject --file Containerfile",
		Long: "Replaces the source by the plain Containerfile that it stands for. From then on it is an ordinary Containerfile,\n" +
			"which builds the same image. The lock stays as a record. A requirement file stays; Containerfile is written next to it.",
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
	r, err := project.Compose(cmd.Context(), o)
	if err != nil {
		return partialError(err)
	}
	printNotes(talk, r.Notes)
	target := project.EjectTarget(o.File)
	if target != o.File {
		if _, err := os.Stat(target); err == nil {
			return &exitError{Code: 1, Err: fmt.Errorf("eject %s: %s is there already", o.File, target)}
		}
	}
	if err := atomicfile.Write(target, []byte(r.Text), 0o644, false); err != nil {
		return fmt.Errorf("eject %s: %w", o.File, err)
	}
	if format == "json" {
		return printJSON(out, struct {
			File, Digest string
			Notes        []string
		}{target, r.Digest, r.Notes})
	}
	_, err = fmt.Fprintf(talk, "wrote %s; it needs no parts any more\n", target)
	return err
}
