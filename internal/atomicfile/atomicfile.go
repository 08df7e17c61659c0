// SPDX-License-Identifier: Apache-2.0

// Package atomicfile replaces files so that a reader, or the next boot, sees
// either the old content or the new, never a part.
package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

var counter atomic.Uint64

const temporary = ".tmp-" // what the name of a file begins with that is not in its place yet

// Write replaces path with data. The temporary file is in the same directory,
// named .tmp-PID-N. With durable set, data and name are on the disk on return;
// without, they survive the death of the process but perhaps not a power cut.
func Write(path string, data []byte, perm os.FileMode, durable bool) error {
	dir := filepath.Dir(path)
	tmp := filepath.Join(dir, temporary+strconv.Itoa(os.Getpid())+"-"+strconv.FormatUint(counter.Add(1), 10))
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, perm) // others may write to dir, and guess the name
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && durable {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
		return err
	}
	if durable {
		return Sync(dir)
	}
	return nil
}

// Sync puts the content of files and the entries of directories on the disk. They are synced side by side, since file systems write
// what is asked for at the same time with one commit of their journal.
func Sync(paths ...string) error {
	if len(paths) == 1 {
		return sync1(paths[0])
	}
	errs := make([]error, len(paths))
	var all sync.WaitGroup
	for i, path := range paths {
		all.Go(func() { errs[i] = sync1(path) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func sync1(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Tree returns the regular files and the directories below dir, and dir itself, without the temporary files of Write: somebody may be
// writing there, and these are gone in a moment.
func Tree(dir string) (paths []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && (d.IsDir() || d.Type().IsRegular()) && !strings.HasPrefix(d.Name(), temporary) {
			paths = append(paths, path)
		}
		return err
	})
	return paths, err
}
