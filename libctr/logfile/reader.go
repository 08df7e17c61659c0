// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"context"
	"io"
	"time"
)

// ReadOptions say what a Reader returns. The zero values of all but Path and Format are the defaults.
type ReadOptions struct {
	Path   string
	Format Format

	Tail  int       // lines to begin with, counted from the end; 0 is all there are, negative is none
	Since time.Time // entries before are left out
	Until time.Time // entries after are left out; a following reader ends then

	// Follow makes Next wait for further entries, until Done is closed (the
	// container has ended) and all there is has been read.
	Follow bool
	Done   <-chan struct{}

	// Pos and Lost are LinesOptions': how a following reader learns what it was too slow for.
	Pos  string
	Lost func(bytes int64)
}

// Reader reads a log, its rotated files first.
type Reader struct {
	opts    ReadOptions
	skipped int
	lines   *Lines
}

// Skipped counts lines that were no entries: torn by a full disk or a power cut.
func (r *Reader) Skipped() int { return r.skipped }

// OpenReader opens the log. The error is fs.ErrNotExist where there is none and
// Follow is not set.
func OpenReader(opts ReadOptions) (*Reader, error) {
	if err := opts.Format.check(); err != nil {
		return nil, err
	}
	lines, err := OpenLines(LinesOptions{
		Path: opts.Path, Since: opts.Since, Until: opts.Until, Follow: opts.Follow, Done: opts.Done, Pos: opts.Pos, Lost: opts.Lost,
	})
	if err != nil {
		return nil, err
	}
	r := &Reader{opts: opts, lines: lines}
	if err := r.seekTail(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Close frees what the reader holds.
func (r *Reader) Close() error { return r.lines.Close() }

// Next returns the next entry, which is valid until the next call. The error is
// io.EOF at the end, and ctx.Err() if a following reader's ctx ends.
func (r *Reader) Next(ctx context.Context) (Entry, error) {
	for {
		line, err := r.lines.Next(ctx)
		r.skipped += r.lines.Torn
		r.lines.Torn = 0
		if err != nil {
			return Entry{}, err
		}
		e, err := r.opts.Format.decode(line)
		if err != nil {
			r.skipped++
			continue
		}
		if !r.opts.Until.IsZero() && e.Time.After(r.opts.Until) {
			return Entry{}, io.EOF
		}
		if e.Time.Before(r.opts.Since) {
			continue
		}
		return e, nil
	}
}
