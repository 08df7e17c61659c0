// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/berth-containers/berth/build/partial"
	"github.com/spf13/cobra"
)

func newPartialImportCmd(*engineFlags) *cobra.Command {
	var name, output, format string
	cmd := &cobra.Command{
		Use:   "import [options] DIR",
		Short: "Make a part of a devcontainer Feature",
		Long: "Makes a part of the Feature in DIR: options become parameters, containerEnv env, dependsOn requires, installsAfter after. What a\n" +
			"part cannot have (privileged, mounts, capabilities) is dropped with a warning.",
		Example: "berth partial import --name dev/node -o parts/node features/src/node",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			dir := filepath.Clean(args[0])
			if name == "" {
				name = "dev/" + filepath.Base(dir)
			}
			if output == "" {
				output = filepath.Base(name)
			}
			return partialError(partialImport(dir, name, output, format, cmd.OutOrStdout(), cmd.ErrOrStderr()))
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "`NAME` of the part (default: dev/ and the folder's)")
	cmd.Flags().StringVarP(&output, "output", "o", "", "`DIR` to write the part to (default: the name's last component)")
	bindFormat(cmd.Flags(), &format)
	return cmd
}

func partialImport(dir, name, output, format string, out, talk io.Writer) error {
	metadata, err := os.ReadFile(filepath.Join(dir, "devcontainer-feature.json"))
	if err != nil {
		return fmt.Errorf("import the Feature in %s: %w", dir, err)
	}
	files, err := featureFiles(dir)
	if err != nil {
		return err
	}
	im, err := partial.ImportFeature(name, metadata, files)
	if err != nil {
		return err
	}
	for _, w := range im.Warnings {
		fmt.Fprintf(talk, "Warning: %s\n", w)
	}
	if _, err := partial.NewPart(filepath.Join(output, "Containerfile"), im.Containerfile, im.Files); err != nil {
		return err
	}
	if err := writePart(output, im); err != nil {
		return fmt.Errorf("write the part: %w", err)
	}
	return showPart(out, format, output, im)
}

// showPart prints where a part was written to.
func showPart(out io.Writer, format, dir string, im *partial.Imported) error {
	if format == "json" {
		return printJSON(out, struct {
			Directory string
			Warnings  []string
		}{dir, im.Warnings})
	}
	_, err := fmt.Fprintln(out, dir)
	return err
}

func featureFiles(dir string) ([]partial.File, error) {
	var files []partial.File
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "devcontainer-feature.json" || d.Name() == "README.md" || d.Name() == "NOTES.md" {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return partial.Errorf("P070", "%s is not a regular file", path)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		files = append(files, partial.File{Path: filepath.ToSlash(rel), Executable: info.Mode()&0o100 != 0, Data: string(data)})
		return err
	})
	return files, err
}

func writePart(dir string, im *partial.Imported) error {
	all := []partial.File{{Path: "Containerfile", Data: im.Containerfile}, {Path: "README.md", Data: im.Readme}}
	for _, f := range im.Files {
		f.Path = "files/" + f.Path
		all = append(all, f)
	}
	for _, f := range all {
		path := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if f.Executable {
			mode = 0o755
		}
		if err := os.WriteFile(path, []byte(f.Data), mode); err != nil {
			return err
		}
	}
	return nil
}
