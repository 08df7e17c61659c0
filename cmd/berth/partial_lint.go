//go:build !lean

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/berth-containers/berth/build/partial"
	"github.com/spf13/cobra"
)

func newPartialLintCmd(*engineFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "lint [PATH...]",
		Short: "Check parts and sources",
		Long: "Checks each PATH: a folder is a part, a file is a source (a Containerfile with directives, or a requirement file). Without\n" +
			"one, the working directory: as a part if its Containerfile has metadata, else as a source.",
		Example: "berth partial lint parts/*\n  berth partial lint Containerfile",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"."}
			}
			var all []error
			for _, path := range args {
				all = append(all, lintPath(path, cmd.ErrOrStderr()))
			}
			return partialError(errors.Join(all...))
		},
	}
}

// lintPath checks a part or a source.
func lintPath(path string, talk io.Writer) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	if st.IsDir() {
		file := filepath.Join(path, "Containerfile")
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if partial.HasMetadata(string(text)) || !partial.HasDirectives(text) {
			_, err := partial.ReadPart(os.DirFS(path), path)
			return err
		}
		path = file
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	warnings, err := partial.LintSource(path, string(text))
	for _, w := range warnings {
		fmt.Fprintf(talk, "Warning: %s\n", w)
	}
	return err
}
