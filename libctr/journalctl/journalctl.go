// SPDX-License-Identifier: Apache-2.0

// Package journalctl reads a container's output back from systemd's journal, through the program of that name: libsystemd, which
// reads the journal's files, needs cgo (docs/decisions/0067).
//
// What it reads are the entries that the container's owner has sent: journald itself says which user that was.
package journalctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/berth-containers/berth/libctr/journald"
	"github.com/berth-containers/berth/libctr/logfile"
)

// Options say what a Reader returns.
type Options struct {
	ID  string // of the container
	UID int    // of who runs it, as the host has it

	// Of these Path, Format and Pos mean nothing here. Lost is also called for what journald has not taken, whoever follows.
	logfile.ReadOptions
}

// Reader reads the log of a container.
type Reader struct {
	opts    Options
	pending []entry  // the last lines, read backwards: the next one is the last
	program *program // nil: all that remains is pending
	cursor  string   // of the last entry, whichever it was
	late    <-chan time.Time
}

// Open starts to read. The error is exec.ErrNotFound where there is no journalctl.
func Open(opts Options) (*Reader, error) {
	r := &Reader{opts: opts}
	switch {
	case opts.Tail > 0:
		if err := r.readBackwards(); err != nil {
			return nil, err
		}
		if !opts.Follow {
			return r, nil
		}
	case opts.Tail < 0 && !opts.Follow:
		return r, nil
	case opts.Tail < 0:
		if now := time.Now(); now.After(r.opts.Since) {
			r.opts.Since = now
		}
	}
	if opts.Follow && !opts.Until.IsZero() {
		r.late = time.After(time.Until(opts.Until))
	}
	return r, r.start(opts.Follow)
}

// Close ends the program.
func (r *Reader) Close() error {
	r.end()
	return nil
}

// Skipped is what logfile.Reader counts. journald keeps damaged entries to itself.
func (r *Reader) Skipped() int { return 0 }

func (r *Reader) end() {
	if r.program != nil {
		r.program.end()
		r.program = nil
	}
}

// start reads what comes behind the cursor, if there is one.
func (r *Reader) start(follow bool) (err error) {
	args := r.from()
	if follow {
		args = append(args, "--follow", "--no-tail")
	}
	r.program, err = run(append(args, r.match()...))
	return err
}

// from says where to begin, and where to end. A following journalctl of systemd 252 knows no end.
func (r *Reader) from() (args []string) {
	switch {
	case r.cursor != "":
		args = append(args, "--after-cursor="+r.cursor)
	case !r.opts.Since.IsZero():
		args = append(args, "--since="+stamp(r.opts.Since))
	}
	if !r.opts.Until.IsZero() && !r.opts.Follow {
		args = append(args, "--until="+stamp(r.opts.Until))
	}
	return args
}

func (r *Reader) match() []string {
	return []string{journald.IDField + "=" + r.opts.ID, "_UID=" + strconv.Itoa(r.opts.UID)}
}

func stamp(t time.Time) string {
	us := max(t.UnixMicro(), 0)
	return fmt.Sprintf("@%d.%06d", us/1e6, us%1e6)
}

// readBackwards collects the last lines.
func (r *Reader) readBackwards() error {
	p, err := run(append(append(r.from(), "--reverse"), r.match()...))
	if err != nil {
		return err
	}
	defer p.end()
	count := logfile.LineCounter{Want: r.opts.Tail}
	for e := range p.entries {
		if r.cursor == "" {
			r.cursor = e.cursor
		}
		if e.lost == 0 && count.Enough(e.Entry) {
			return nil
		}
		r.pending = append(r.pending, e)
	}
	return p.err
}

// Next returns the next entry, which is valid until the next call. The error is
// io.EOF at the end, and ctx.Err() if ctx ends.
func (r *Reader) Next(ctx context.Context) (logfile.Entry, error) {
	for {
		e, err := r.next(ctx)
		if err != nil {
			return logfile.Entry{}, err
		}
		switch {
		case !r.opts.Until.IsZero() && e.Time.After(r.opts.Until):
			return logfile.Entry{}, io.EOF
		case e.Time.Before(r.opts.Since):
		case e.lost == 0:
			return e.Entry, nil
		case r.opts.Lost != nil:
			r.opts.Lost(e.lost)
		}
	}
}

func (r *Reader) next(ctx context.Context) (entry, error) {
	if n := len(r.pending); n > 0 {
		e := r.pending[n-1]
		r.pending = slices.Delete(r.pending, n-1, n)
		return e, nil
	}
	if r.program == nil {
		return entry{}, io.EOF
	}
	for {
		select {
		case e, more := <-r.program.entries:
			if more {
				r.cursor = e.cursor
				return e, nil
			}
			err := r.program.err
			if err == nil && r.opts.Follow {
				err = errors.New("journalctl has ended while it was to follow the journal")
			}
			if err == nil {
				err = io.EOF
			}
			return entry{}, err
		case <-r.opts.Done:
			// All is in the journal by now: see journald.Writer.Close. What the program had not shown yet is read by another, to its end.
			r.end()
			r.opts.Done, r.opts.Follow = nil, false
			if err := r.start(false); err != nil {
				return entry{}, err
			}
		case <-r.late:
			return entry{}, io.EOF
		case <-ctx.Done():
			return entry{}, ctx.Err()
		}
	}
}

// ErrNoAccess is for a journal that the user may not read.
var ErrNoAccess = errors.New("this user may not read the journal")

// failure is what the program said, as an error.
func failure(err error, said string) error {
	said = strings.TrimSpace(said)
	if strings.Contains(said, "insufficient permissions") {
		return fmt.Errorf("journalctl: %w", ErrNoAccess)
	}
	if said == "" {
		return fmt.Errorf("journalctl: %w", err)
	}
	return fmt.Errorf("journalctl: %w: %s", err, said)
}
