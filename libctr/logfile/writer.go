// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Options say where a Writer writes, and when it rotates.
type Options struct {
	Path    string
	Format  Format
	MaxSize int64 // bytes per file; 0 is no limit. An entry that is larger has a file of its own
	MaxFile int   // files to keep, the current one included; less than 2 is 2, see the package comment

	// Pos is a small file that says where the current file begins in the log, for followers that want to know how
	// much they have missed. It need not outlast a boot. Empty is none.
	Pos string
}

// Writer appends to a log. Its methods must not be called at the same time.
type Writer struct {
	opts  Options
	fd    int
	size  int64
	limit int64 // the size that the current file is rotated at
	begin int64 // of the current file, in bytes since the log began
	slack int64 // followSlack
	buf   []byte
	carry [Stderr + 1][]byte // json-file: the begin of a rune, per stream
}

// maxBuf bounds the memory that a Writer keeps between two writes.
const maxBuf = 64 << 10

// OpenWriter opens or makes the log. If its last line was torn (its writer was
// killed, or the disk was full) the next entry begins on a new line all the same.
func OpenWriter(opts Options) (*Writer, error) {
	if err := opts.Format.check(); err != nil {
		return nil, err
	}
	w := &Writer{opts: opts, fd: -1, limit: opts.MaxSize, slack: followSlack}
	if err := w.open(); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	w.resumePos()
	var last [1]byte
	if w.size > 0 {
		if n, _ := unix.Pread(w.fd, last[:], w.size-1); n == 1 && last[0] != '\n' {
			if err := w.append([]byte{'\n'}); err != nil {
				w.Close()
				return nil, err
			}
		}
	}
	return w, nil
}

// open makes the file at Path the current one. The former one stays open if it fails.
func (w *Writer) open() error {
	// O_RDWR for OpenWriter, which looks at the last byte.
	fd, err := unix.Open(w.opts.Path, unix.O_RDWR|unix.O_APPEND|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &fs.PathError{Op: "open", Path: w.opts.Path, Err: err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return &fs.PathError{Op: "stat", Path: w.opts.Path, Err: err}
	}
	if w.fd >= 0 {
		unix.Close(w.fd)
	}
	w.fd, w.size = fd, st.Size
	return nil
}

// Write logs data, a piece of a stream's output that arrived at t, with one
// system call where it needs no rotation. What could not be written is lost; the next call tries again.
func (w *Writer) Write(stream Stream, t time.Time, data []byte) error {
	if w.opts.Format == JSON {
		if c := w.carry[stream]; len(c) > 0 {
			data = append(c, data...)
			w.carry[stream] = nil
		}
		var rest []byte
		if data, rest = cutRune(data); len(rest) > 0 {
			w.carry[stream] = append([]byte(nil), rest...)
		}
	}
	return w.write(stream, t, data)
}

func (w *Writer) write(stream Stream, t time.Time, data []byte) error {
	var errs error
	batch := w.buf[:0]
	e := Entry{Time: t, Stream: stream}
	for len(data) > 0 {
		e.Text, e.Partial, data = cutEntry(data)
		begin := len(batch)
		batch = w.opts.Format.appendEntry(batch, &e)
		if w.opts.MaxSize <= 0 || w.size+int64(len(batch)) <= w.limit || (begin == 0 && w.size == 0) {
			continue
		}
		// The entry that was just appended has no place in this file any more.
		errs = errors.Join(errs, w.append(batch[:begin]))
		if w.size > 0 {
			errs = errors.Join(errs, w.rotate())
		}
		batch = append(batch[:0], batch[begin:]...)
	}
	errs = errors.Join(errs, w.append(batch))
	if cap(batch) <= maxBuf {
		w.buf = batch[:0]
	}
	return errs
}

// append writes data whole, or not at all where the disk is full.
func (w *Writer) append(data []byte) error {
	written := 0
	for written < len(data) {
		n, err := unix.Write(w.fd, data[written:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			unix.Ftruncate(w.fd, w.size)
			return &fs.PathError{Op: "write log", Path: w.opts.Path, Err: err}
		}
		written += n
	}
	w.size += int64(written)
	return nil
}

// rotate renames the files and begins a new one. Where that fails, the present
// file is written on: a log too large is better than a line lost. So it is where a
// follower still reads what would go, until the present file is followSlack too large.
func (w *Writer) rotate() error {
	oldest := max(w.opts.MaxFile, 2) - 1
	free, held := claim(w.rotated(oldest))
	defer closeFD(free) // whoever follows waits for the end of the renaming
	if held && w.size < w.opts.MaxSize+w.slack {
		w.limit = w.size + max(w.opts.MaxSize/4, lookAgain)
		return nil
	}
	for i := oldest; i >= 1; i-- {
		if err := os.Rename(w.rotated(i-1), w.rotated(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("rotate log: %w", err)
		}
	}
	size := w.size
	if err := w.open(); err != nil {
		return fmt.Errorf("rotate log: %w", err)
	}
	w.limit = w.opts.MaxSize
	w.begin += size
	w.notePos()
	return nil
}

func (w *Writer) rotated(i int) string { return rotated(w.opts.Path, i) }

func rotated(path string, i int) string {
	if i == 0 {
		return path
	}
	return path + "." + strconv.Itoa(i)
}

// Flush writes what Write held back: the begin of a rune that did not go on.
func (w *Writer) Flush() (errs error) {
	for _, s := range []Stream{Stdout, Stderr} {
		if c := w.carry[s]; len(c) > 0 {
			w.carry[s] = nil
			errs = errors.Join(errs, w.write(s, time.Now(), c))
		}
	}
	return errs
}

// Close flushes and closes the file.
func (w *Writer) Close() error { return errors.Join(w.Flush(), unix.Close(w.fd)) }
