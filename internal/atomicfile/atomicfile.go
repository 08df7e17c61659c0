// SPDX-License-Identifier: Apache-2.0

// Package atomicfile replaces files so that a reader, or the next boot, sees
// either the old content or the new, never a part.
package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
)

var counter atomic.Uint64

// Write replaces path with data. The temporary file is in the same directory,
// named .tmp-PID-N. With durable set, data and name are on the disk on return;
// without, they survive the death of the process but perhaps not a power cut.
func Write(path string, data []byte, perm os.FileMode, durable bool) error {
	dir := filepath.Dir(path)
	tmp := filepath.Join(dir, ".tmp-"+strconv.Itoa(os.Getpid())+"-"+strconv.FormatUint(counter.Add(1), 10))
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
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
		return SyncDir(dir)
	}
	return nil
}

// SyncDir puts a directory's entries, or a file's content, on the disk.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// SyncTree puts the regular files and the directories below dir, and dir itself, on the disk.
func SyncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() && !d.Type().IsRegular() {
			return err
		}
		return SyncDir(path)
	})
}
