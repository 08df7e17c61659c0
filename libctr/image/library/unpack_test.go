// SPDX-License-Identifier: Apache-2.0

package library

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.podman.io/storage/pkg/archive"
)

// The store unpacks layers in a chroot. What it is built on must stay in the directory without one as well: storage before
// 1.65 wrote outside for several of these (CVE-2026-17106).
func TestUnpackingStaysInItsDirectory(t *testing.T) {
	link := func(name, to string) tar.Header {
		return tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeSymlink}
	}
	hard := func(name, to string) tar.Header { return tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeLink} }
	file := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg, Size: 4} }
	dir := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeDir} }
	for name, entries := range map[string][]tar.Header{
		"..":                                  {file("../root-sibling/new")},
		"a link to a directory with its name": {link("l", "../root-sibling"), file("l/new")},
		"over a file of it":                   {link("l", "../root-sibling"), file("l/secret")},
		"an absolute link":                    {link("l", "/SIBLING"), file("l/new")},
		"a link through a link":               {link("a", "."), link("a/b", "../root-sibling"), file("b/new")},
		"a link in place of a directory":      {dir("d"), link("d", "../root-sibling"), file("d/new")},
		"a hard link":                         {hard("h", "../root-sibling/secret"), file("h")},
		"a hard link through a link":          {link("l", "../root-sibling"), hard("h", "l/secret"), file("h")},
		"a hard link to a link":               {link("l", "../root-sibling/secret"), hard("h", "l")},
		"a directory's mode":                  {link("l", "../root-sibling"), dir("l/dir")},
		"a link as the root":                  {link(".", "../root-sibling"), file("new")},
		"a whiteout":                          {link("l", "../root-sibling"), file("l/.wh.secret")},
	} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			root, sibling := filepath.Join(top, "root"), filepath.Join(top, "root-sibling")
			for _, d := range []string{root, filepath.Join(sibling, "dir")} {
				if err := os.MkdirAll(d, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(sibling, "secret"), []byte("secret"), 0o600); err != nil {
				t.Fatal(err)
			}
			before := listing(t, sibling)
			var b bytes.Buffer
			w := tar.NewWriter(&b)
			for _, h := range entries {
				h.Mode = 0o777
				h.Linkname = strings.Replace(h.Linkname, "/SIBLING", sibling, 1)
				if err := w.WriteHeader(&h); err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write([]byte("evil")[:h.Size]); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			err := archive.Untar(&b, root, &archive.TarOptions{NoLchown: true}) // it may refuse
			if after := listing(t, sibling); after != before {
				t.Errorf("it wrote outside (%v): before\n%safter\n%s", err, before, after)
			}
			if secret, _ := os.Stat(filepath.Join(sibling, "secret")); secret != nil {
				if h, err := os.Lstat(filepath.Join(root, "h")); err == nil && os.SameFile(h, secret) {
					t.Error("a file in the directory is one outside")
				}
			}
		})
	}
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		b.WriteString(path + " " + st.Mode().String() + "\n")
		if st.Mode().IsRegular() {
			text, err := os.ReadFile(path)
			b.WriteString(string(text) + "\n")
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
