// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const chunk = 4 << 20

// copyContent writes the content of a regular file, at most as much as it had when it was looked at. Holes stay holes, and where the
// file system can share what is on the disk it does.
func copyContent(ctx context.Context, to *os.File, e *Entry) error {
	from, ok := e.Content.(*os.File)
	if !ok {
		if e.Content == nil {
			return nil
		}
		_, err := io.Copy(to, withContext{ctx, e.Content})
		return err
	}
	if e.Size == 0 {
		return nil
	}
	in, out := int(from.Fd()), int(to.Fd())
	if unix.IoctlFileClone(out, in) == nil {
		return unix.Ftruncate(out, e.Size)
	}
	for at := int64(0); at < e.Size; {
		data, err := unix.Seek(in, at, unix.SEEK_DATA)
		if err == unix.ENXIO {
			break // a hole up to the end
		}
		if err != nil { // a file system that knows none
			data = at
		}
		end := e.Size
		if hole, err := unix.Seek(in, data, unix.SEEK_HOLE); err == nil {
			end = min(end, hole)
		}
		n, err := copyRange(ctx, out, in, data, end)
		if err != nil {
			return err
		}
		if data+n < end {
			break // it has become shorter
		}
		at = end
	}
	return unix.Ftruncate(out, e.Size)
}

// copyRange copies the bytes from begin to end, and returns how many there were.
func copyRange(ctx context.Context, out, in int, begin, end int64) (int64, error) {
	var buf []byte
	at := begin
	if end-begin >= chunk { // ext4 takes a quarter less time where the blocks are there already
		if err := unix.Fallocate(out, unix.FALLOC_FL_KEEP_SIZE, begin, end-begin); err == unix.ENOSPC || err == unix.EDQUOT {
			return 0, err
		}
	}
	for at < end {
		if err := ctx.Err(); err != nil {
			return at - begin, err
		}
		size := int(min(chunk, end-at))
		var n int
		var err error
		if buf == nil {
			from, to := at, at
			if n, err = unix.CopyFileRange(in, &from, out, &to, size, 0); err != nil && err != unix.EINTR {
				buf = make([]byte, min(1<<20, end-begin)) // the two file systems cannot: EXDEV, EINVAL, EOPNOTSUPP
				continue
			}
		} else {
			n, err = copyBuffered(out, in, buf[:min(len(buf), size)], at)
		}
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return at - begin, err
		}
		at += int64(n)
	}
	return at - begin, nil
}

func copyBuffered(out, in int, buf []byte, at int64) (int, error) {
	n, err := unix.Pread(in, buf, at)
	for done := 0; err == nil && done < n; {
		var m int
		m, err = unix.Pwrite(out, buf[done:n], at+int64(done))
		done += m
	}
	return n, err
}

// withContext ends reading when the context does.
type withContext struct {
	ctx context.Context
	r   io.Reader
}

func (w withContext) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.r.Read(p)
}
