// SPDX-License-Identifier: Apache-2.0

package library

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// The library opens and reads the files of a directory with an image (dir:, oci:) as they are: it would wait for a FIFO or a device,
// and take a manifest of any size into memory. The same goes for an oci-archive, which it unpacks first.

// wholeFile matches what the library reads as a whole, at the top of such a directory; blobFile what it reads as a stream.
var (
	wholeFile = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(oci-layout|index\.json|version|(.*\.)?manifest\.json|.*signature-[0-9]+)$`)
	})
	blobFile = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([a-z0-9]+-)?[0-9a-f]{32,}$`) })
)

// checkDirectory makes sure that the library can read an image in a directory. What is no such directory is the library's to refuse.
func checkDirectory(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		most := int64(0)
		switch {
		case wholeFile().MatchString(e.Name()):
			most = maxManifestSize
		case blobFile().MatchString(e.Name()):
			most = maxLayersSize
		default:
			continue
		}
		if err := checkFile(filepath.Join(dir, e.Name()), most); err != nil {
			return err
		}
	}
	blobs, err := filepath.Glob(filepath.Join(globEscape(dir), "blobs", "*", "*"))
	if err != nil {
		return err
	}
	for _, path := range blobs {
		if err := checkFile(path, maxLayersSize); err != nil {
			return err
		}
	}
	listed, err := readListed(filepath.Join(dir, imagespec.ImageIndexFile))
	if err != nil {
		return nil // the library says so
	}
	return checkListed(listed, func(d digest.Digest) ([]digest.Digest, error) {
		path := filepath.Join(dir, "blobs", d.Algorithm().String(), d.Encoded())
		if err := checkFile(path, maxManifestSize); err != nil {
			return nil, err
		}
		listed, err := readListed(path)
		if err != nil {
			return nil, nil
		}
		return listed, nil
	})
}

// globEscape makes a pattern of a path that matches it alone.
func globEscape(path string) string {
	return regexp.MustCompile(`[][\\*?]`).ReplaceAllString(path, `\$0`)
}

// checkFile makes sure that a file is a regular one of at most that size. Files of /proc, which may be waited for, are empty ones.
func checkFile(path string, most int64) error {
	st, err := os.Stat(path)
	if err != nil {
		return nil // the library says so, if it needs the file
	}
	switch {
	case !st.Mode().IsRegular():
		err = fmt.Errorf("%s is %s, and no regular file", path, kindOf(st.Mode()))
	case st.Size() > most:
		err = fmt.Errorf("%s has %d bytes, and %d are the most that is taken", path, st.Size(), most)
	default:
		var fsys unix.Statfs_t
		if unix.Statfs(path, &fsys) != nil || fsys.Type != unix.PROC_SUPER_MAGIC && fsys.Type != unix.TRACEFS_MAGIC {
			return nil
		}
		err = fmt.Errorf("%s is a file of the kernel's", path)
	}
	return hostile(err)
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case mode&fs.ModeDevice != 0:
		return "a device"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeSymlink != 0:
		return "a link"
	}
	return "something else"
}

// readListed returns the manifests that an index lists; none of another file.
func readListed(path string) ([]digest.Digest, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return listedIn(f)
}

func listedIn(in io.Reader) ([]digest.Digest, error) {
	raw, err := io.ReadAll(io.LimitReader(in, maxManifestSize+1))
	if err != nil {
		return nil, err
	}
	var index struct {
		Manifests []struct{ Digest digest.Digest }
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, err
	}
	var listed []digest.Digest
	for _, m := range index.Manifests {
		if m.Digest.Validate() == nil && len(listed) < maxInstances {
			listed = append(listed, m.Digest)
		}
	}
	return listed, nil
}

// checkListed calls check for each manifest that is listed, and those that they list.
func checkListed(listed []digest.Digest, check func(digest.Digest) ([]digest.Digest, error)) error {
	seen := map[digest.Digest]bool{}
	for len(listed) > 0 && len(seen) < maxInstances {
		d := listed[0]
		listed = listed[1:]
		if seen[d] {
			continue
		}
		seen[d] = true
		more, err := check(d)
		if err != nil {
			return err
		}
		listed = append(listed, more...)
	}
	return nil
}

// archived are the files of an OCI layout in an archive.
type archived struct {
	index  []digest.Digest
	sizes  map[string]int64
	listed map[string][]digest.Digest // of what may be an index
}

// add takes an entry of the archive. name is clean.
func (a *archived) add(name string, regular bool, size int64, in io.Reader) error {
	isLayout := name == "blobs" || strings.HasPrefix(name, "blobs/") || name == imagespec.ImageIndexFile || name == imagespec.ImageLayoutFile
	switch {
	case !isLayout:
		return nil
	case !regular:
		return fmt.Errorf("%s in the archive is no regular file", name)
	case !strings.HasPrefix(name, "blobs/") && size > maxManifestSize:
		return fmt.Errorf("%s in the archive has %d bytes, and %d are the most that is taken", name, size, int64(maxManifestSize))
	}
	a.sizes[name] = size
	if size > maxManifestSize {
		return nil
	}
	listed, err := listedIn(in)
	if err != nil || len(listed) == 0 {
		return nil
	}
	if name == imagespec.ImageIndexFile {
		a.index = listed
	} else {
		a.listed[name] = listed
	}
	return nil
}

// check makes sure that no manifest is too large.
func (a *archived) check() error {
	return checkListed(a.index, func(d digest.Digest) ([]digest.Digest, error) {
		name := "blobs/" + d.Algorithm().String() + "/" + d.Encoded()
		if a.sizes[name] > maxManifestSize {
			return nil, fmt.Errorf("the manifest %s has %d bytes, and %d are the most that is taken", d, a.sizes[name], int64(maxManifestSize))
		}
		return a.listed[name], nil
	})
}
