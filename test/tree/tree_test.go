// SPDX-License-Identifier: Apache-2.0

// Package tree checks what the source tree holds.
package tree

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const top = "../.."

// files calls f for each file of the tree, with the path below its top, but not for what is built or fetched.
func files(t *testing.T, f func(path string, content []byte)) {
	t.Helper()
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(top, path)
		if d.IsDir() && slices.Contains([]string{".git", "bin", ".vscode", ".idea"}, rel) {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(path)
		if err == nil {
			f(rel, content)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Programs do not belong in the tree. The image that Berth carries is an archive, made by `make hello`.
func TestNoPrograms(t *testing.T) {
	magic := map[string][]byte{
		"ELF":         []byte("\x7fELF"),
		"ar":          []byte("!<arch>\n"),
		"WebAssembly": []byte("\x00asm"),
		"PE":          []byte("MZ\x90\x00"),
		"Mach-O":      []byte("\xcf\xfa\xed\xfe"),
	}
	files(t, func(path string, content []byte) {
		for what, start := range magic {
			if bytes.HasPrefix(content, start) {
				t.Errorf("%s is a program (%s): remove it, and have it built", path, what)
			}
		}
		if len(content) > 1<<20 {
			t.Errorf("%s has %d bytes: files above 1 MiB do not belong in the tree", path, len(content))
		}
	})
}

// Each source file names its license in the first lines.
func TestLicenseLines(t *testing.T) {
	kinds := []string{".go", ".c", ".h", ".sh", ".bats", ".bash"}
	files(t, func(path string, content []byte) {
		source := slices.Contains(kinds, filepath.Ext(path)) || bytes.HasPrefix(content, []byte("#!"))
		// What images are made of stays as it is: the digests of parts and of the image hello are those of the text.
		exempt := strings.Contains(path, "testdata/") || strings.HasPrefix(path, "contrib/parts/") || strings.HasPrefix(path, "contrib/hello/program/")
		if !source || exempt {
			return
		}
		head := content[:min(len(content), 400)]
		if !bytes.Contains(head, []byte("SPDX-License-Identifier: Apache-2.0\n")) {
			t.Errorf("%s does not have the line \"SPDX-License-Identifier: Apache-2.0\" at its beginning", path)
		}
	})
}
