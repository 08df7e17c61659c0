// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/spf13/cobra"
)

func newPartialInitCmd(f *engineFlags) *cobra.Command {
	var p partialFlags
	var version, from string
	cmd := &cobra.Command{
		Use:   "init [options] NAME [DIR]",
		Short: "Begin a part: a folder with a Containerfile that works",
		Long: "Writes a small part to begin with. With --from the part is made of a container file, or of that of an image: its last stage\n" +
			"becomes the part. What a part cannot have is left out, with a warning.",
		Example: "berth partial init acme/greeting\n  berth partial init --from Containerfile acme/web parts/web\n  berth partial init --from docker.io/library/redis:7 acme/redis",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := filepath.Base(args[0])
			if len(args) == 2 {
				dir = args[1]
			}
			if err := checkFormat(p.format); err != nil {
				return err
			}
			if from == "" {
				im, err := templatePart(args[0], version)
				if err != nil {
					return partialError(err)
				}
				return partialInit(cmd, dir, p.format, im)
			}
			text, err := os.ReadFile(from)
			if err == nil {
				im, err := partial.PartFrom(args[0], version, from, string(text))
				if err != nil {
					return partialError(err)
				}
				return partialInit(cmd, dir, p.format, im)
			}
			o, err := p.options(cmd, f)
			if err != nil {
				return err
			}
			return withLibrary(o, "", func(pr *project.Project) error {
				x, err := extracted(cmd.Context(), pr, from)
				if err != nil {
					return err
				}
				im, err := partial.PartFrom(args[0], version, from, x.Text)
				if err != nil {
					return err
				}
				return partialInit(cmd, dir, p.format, im)
			})
		},
	}
	p.bindRegistry(cmd.Flags())
	p.bindFormat(cmd.Flags())
	cmd.Flags().StringVar(&version, "part-version", "0.1.0", "`VERSION` of the part")
	cmd.Flags().StringVar(&from, "from", "", "`FILE|IMAGE` to make it of")
	return cmd
}

func templatePart(name, version string) (*partial.Imported, error) {
	text, err := partial.PartTemplate(name, version)
	if err != nil {
		return nil, err
	}
	return &partial.Imported{Containerfile: text,
		Readme: fmt.Sprintf("# %s\n\nWhat it adds to an image, and its parameters.\n\n    #: use %s greeting=\"good morning\"\n", name, name)}, nil
}

// partialInit writes a part into a folder that has none yet.
func partialInit(cmd *cobra.Command, dir, format string, im *partial.Imported) error {
	for _, name := range []string{"Containerfile", "README.md"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return &exitError{Code: 1, Err: errors.New(filepath.Join(dir, name) + " is there already")}
		}
	}
	if err := writePart(dir, im); err != nil {
		return fmt.Errorf("write the part: %w", err)
	}
	if format != "json" {
		for _, w := range im.Warnings {
			fmt.Fprintf(cmd.ErrOrStderr(), "Warning: %s\n", paragraph(w))
		}
	}
	if err := showPart(cmd.OutOrStdout(), format, dir, im); err != nil || format == "json" {
		return err
	}
	_, err := fmt.Fprintf(cmd.ErrOrStderr(), "Next: edit %s, then: berth partial lint %s && berth partial test %s; use it with: berth partial add %s\n",
		filepath.Join(dir, "Containerfile"), shellWord(dir), shellWord(dir), shellWord(folderRef(dir)))
	return err
}

// folderRef is a folder as a use line names it.
func folderRef(dir string) string {
	if filepath.IsAbs(dir) || strings.HasPrefix(dir, ".") {
		return dir
	}
	return "./" + dir
}

// shellWord quotes what a shell would read as more than a word.
func shellWord(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/@+-") == "" && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
