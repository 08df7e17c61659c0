// SPDX-License-Identifier: Apache-2.0

package project

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
)

// ReadPart reads the part in a folder.
func ReadPart(dir string) (*partial.Part, error) { return partial.ReadPart(os.DirFS(dir), dir) }

// ImportFeature makes a part of the devcontainer Feature in a folder, and writes it to another one.
func ImportFeature(dir, name, output string) (*partial.Imported, error) {
	metadata, err := os.ReadFile(filepath.Join(dir, "devcontainer-feature.json"))
	if err != nil {
		return nil, fmt.Errorf("import the Feature in %s: %w", dir, err)
	}
	files, err := featureFiles(dir)
	if err != nil {
		return nil, err
	}
	im, err := partial.ImportFeature(name, metadata, files)
	if err != nil {
		return nil, err
	}
	if _, err := partial.NewPart(filepath.Join(output, "Containerfile"), im.Containerfile, im.Files); err != nil {
		return im, err
	}
	return im, WritePart(output, im)
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

// WritePart writes a part into a folder.
func WritePart(dir string, im *partial.Imported) error {
	if err := writePart(dir, im); err != nil {
		return fmt.Errorf("write the part: %w", err)
	}
	return nil
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

// Lint checks the part in a folder, or a source, and returns what is no error.
func Lint(path string) (warnings []string, err error) {
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
			p, err := ReadPart(path)
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

// TestBases are the images to test the part in a folder on: those given, else those of its file test/bases, else the default of its ARG BASE.
func TestBases(part *partial.Part, dir string, given []string) ([]string, error) {
	if len(given) > 0 {
		return given, nil
	}
	data, err := os.ReadFile(filepath.Join(dir, "test", "bases"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var list []string
	for l := range strings.Lines(string(data)) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
			list = append(list, l)
		}
	}
	if len(list) == 0 {
		list = []string{part.DefaultBase()}
	}
	if list[0] == "" {
		return nil, hint.Add(errors.New("there is no base to test on"), "name one with %s", field.Name("base"))
	}
	return list, nil
}
