// SPDX-License-Identifier: Apache-2.0

package library

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// fifo makes a FIFO in the scratch directory, for libraries that write to a path only.
// Both ends are open on return: the reader sees the end of file when writer, and whoever
// else opened the path to write, have closed it.
func (r *Runtime) fifo() (path string, reader, writer *os.File, err error) {
	dir, err := os.MkdirTemp(r.scratch, "output-")
	if err != nil {
		return "", nil, nil, err
	}
	path = filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return "", nil, nil, err
	}
	// Without O_NONBLOCK the open would wait for a writer (fifo(7)).
	if reader, err = os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0); err != nil {
		return "", nil, nil, err
	}
	if writer, err = os.OpenFile(path, os.O_WRONLY, 0); err != nil {
		reader.Close()
		return "", nil, nil, err
	}
	return path, reader, writer, nil
}
