// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing/fstest" // for MapFS, the standard library's file system in memory

	"github.com/berth-containers/berth/build/partial"
)

// Bounds of what is read. They are far above what the format allows (64 KiB a file, 256 KiB in all), so that
// the format's own errors are seen first.
const (
	maxArchive = 4 << 20   // a folder as an archive, unpacked, tests and README included
	maxEntries = 2000      // in an archive
	maxBlob    = 1 << 20   // a layer of a part
	maxMeta    = 256 << 10 // a config, a Containerfile
	maxReply   = 8 << 20   // any answer of a registry
)

// readFolder reads a part from a directory. Links that lead out of it are not followed.
func readFolder(loc location) (_ *partial.Part, err error) {
	root, err := os.OpenRoot(loc.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, partial.Errorf("P022", "part %s not found (no directory %s)", loc.ref, loc.path)
	}
	if err != nil {
		return nil, fmt.Errorf("read part %s: %w", loc.ref, err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	return readTree(loc, root.FS())
}

func readTree(loc location, tree fs.FS) (*partial.Part, error) {
	info, err := fs.Stat(tree, "Containerfile")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, partial.Errorf("P022", "part %s not found (no Containerfile in %s)", loc.ref, loc.key())
	}
	if err != nil {
		return nil, fmt.Errorf("read part %s: %w", loc.ref, err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxMeta {
		return nil, fmt.Errorf("read part %s: its Containerfile is not a file of at most %d bytes", loc.ref, maxMeta)
	}
	return partial.ReadPart(tree, loc.ref)
}

// untgz reads a folder from a gzipped tar, whose members may all be in one directory.
func untgz(r io.Reader) (fs.FS, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	tree, err := untar(z, maxArchive)
	if err != nil {
		return nil, err
	}
	if _, err := fs.Stat(tree, "Containerfile"); err == nil {
		return tree, nil
	}
	top, err := fs.ReadDir(tree, ".")
	if err != nil || len(top) != 1 || !top[0].IsDir() {
		return tree, err
	}
	return fs.Sub(tree, top[0].Name())
}

// untar reads an archive of plain files and directories into memory. Anything else in it is an error, not
// skipped: an archive that holds links or devices was made to do harm or by mistake.
func untar(r io.Reader, limit int64) (fs.FS, error) {
	tree := fstest.MapFS{}
	parents := map[string]bool{}
	left := limit
	tr := tar.NewReader(io.LimitReader(r, 2*limit+maxEntries*1024))
	for n := 0; ; n++ {
		h, err := tr.Next()
		if err == io.EOF {
			return tree, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read archive: %w", err)
		}
		name, err := member(h)
		switch {
		case err != nil:
			return nil, err
		case n >= maxEntries:
			return nil, fmt.Errorf("read archive: more than %d members", maxEntries)
		case name == "." || h.Typeflag == tar.TypeXGlobalHeader:
			continue
		case tree[name] != nil:
			return nil, fmt.Errorf("read archive: %q is there twice", h.Name)
		case h.Typeflag == tar.TypeReg && parents[name]:
			return nil, fmt.Errorf("read archive: %q is a file and a directory", name)
		case h.Typeflag == tar.TypeDir:
			tree[name] = &fstest.MapFile{Mode: fs.ModeDir | 0o755}
			continue
		case h.Size > left:
			return nil, fmt.Errorf("read archive: more than %d bytes", limit)
		}
		left -= h.Size
		data, err := io.ReadAll(io.LimitReader(tr, h.Size))
		if err != nil {
			return nil, fmt.Errorf("read archive: %q: %w", h.Name, err)
		}
		tree[name] = &fstest.MapFile{Data: data, Mode: 0o644 | fs.FileMode(h.Mode)&0o111}
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			parents[dir] = true
			if f := tree[dir]; f != nil && !f.Mode.IsDir() {
				return nil, fmt.Errorf("read archive: %q is a file and a directory", dir)
			}
		}
	}
}

// member returns the clean relative path of a member that may be in an archive.
func member(h *tar.Header) (string, error) {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeDir, tar.TypeXGlobalHeader:
	default:
		return "", fmt.Errorf("read archive: %q is a link, a device or another special file (type %q); parts hold files only", h.Name, string(h.Typeflag))
	}
	name := strings.TrimSuffix(strings.TrimPrefix(h.Name, "./"), "/")
	if name == "" {
		name = "."
	}
	if !fs.ValidPath(name) || strings.ContainsAny(name, "\\\x00") {
		return "", fmt.Errorf("read archive: %q is not a plain relative path", h.Name)
	}
	return name, nil
}

// filesOf reads the layer that holds a part's files.
func filesOf(data []byte) ([]partial.File, error) {
	tree, err := untar(bytes.NewReader(data), maxBlob)
	if err != nil {
		return nil, err
	}
	var files []partial.File
	err = fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content, err := fs.ReadFile(tree, name)
		files = append(files, partial.File{Path: name, Executable: info.Mode()&0o100 != 0, Data: string(content)})
		return err
	})
	return files, err
}
