// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// Stream replaces path with what write writes, once that has succeeded: until then, and if it fails, path is as it was. A path that leads to
// something else than a file (a pipe, /dev/stdout) is written to as it is, and so is a file in a directory that nothing can be made in. A file
// that is replaced keeps its mode; a new one gets perm, less the umask.
func Stream(path string, perm os.FileMode, write func(io.Writer) error) error {
	old, err := os.Stat(path)
	if err == nil && !old.Mode().IsRegular() {
		return straight(path, perm, write)
	}
	if to, err := os.Readlink(path); err == nil { // what a link names is replaced, not the link
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		if real, err := filepath.EvalSymlinks(to); err == nil {
			to = real
		}
		path = to
	}
	tmp := filepath.Join(filepath.Dir(path), temporary+strconv.Itoa(os.Getpid())+"-"+strconv.FormatUint(counter.Add(1), 10))
	f, terr := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	switch {
	case terr != nil && err == nil:
		return straight(path, perm, write)
	case errors.Is(terr, fs.ErrNotExist):
		return &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	case terr != nil:
		return terr
	}
	if err == nil {
		err = f.Chmod(old.Mode().Perm())
	} else {
		err = nil
	}
	if err == nil {
		err = write(f)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
	}
	return err
}

func straight(path string, perm os.FileMode, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
