// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// LinesOptions say which lines are read. The zero values of all but Path are the defaults.
type LinesOptions struct {
	Path string

	Since time.Time // files written last before are left out
	Until time.Time // a following reader ends then

	// Follow makes Next wait for further lines, until Done is closed (nothing
	// more will be written) and all there is has been read.
	Follow bool
	Done   <-chan struct{}

	// Pos is the writer's Options.Pos. Lost is called, by Next, where a following reader has been so slow that
	// the writer did not wait for it any longer: bytes of the log are missing, or -1 where their number is not known.
	Pos  string
	Lost func(bytes int64)
}

// Lines reads the lines of a file that is rotated, the rotated files first.
type Lines struct {
	opts LinesOptions
	// Torn counts lines without an end in the middle of the log: torn by a full disk or a power cut.
	Torn int

	files []*os.File // still to be read, oldest first; the last is the current one
	begin int64      // of the last file, in bytes since the log began; -1 where it is not known
	lost  int64      // bytes that are missing behind the first file; -1 for an unknown number
	in    *bufio.Reader
	line  []byte // of the current file, so far
	watch *watcher
	ended bool // Done was seen closed, or Until has passed
}

// OpenLines opens the files that there are. The error is fs.ErrNotExist where there is none and
// Follow is not set.
func OpenLines(opts LinesOptions) (*Lines, error) {
	l := &Lines{opts: opts, begin: -1}
	if opts.Follow {
		l.watch = newWatcher(opts.Path)
	}
	if err := l.openFirst(); err != nil && (!opts.Follow || !errors.Is(err, fs.ErrNotExist)) {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Close frees what the reader holds.
func (l *Lines) Close() error {
	closeFiles(l.files)
	l.files = nil
	l.watch.close()
	l.watch = nil
	return nil
}

// Next returns the next line without its end; it is valid until the next call. The error is
// io.EOF at the end, and ctx.Err() if a following reader's ctx ends.
func (l *Lines) Next(ctx context.Context) ([]byte, error) {
	for {
		if len(l.files) == 0 {
			if err := l.awaitFirst(ctx); err != nil {
				return nil, err
			}
		}
		if l.in == nil {
			l.in = bufio.NewReaderSize(l.files[0], 32<<10)
		}
		part, err := l.in.ReadSlice('\n')
		l.line = append(l.line, part...)
		switch {
		case err == nil:
			line := l.line[:len(l.line)-1]
			l.line = l.line[:0]
			return line, nil
		case err == bufio.ErrBufferFull:
		case err == io.EOF:
			if err := l.atEnd(ctx); err != nil {
				return nil, err
			}
		default:
			return nil, err
		}
	}
}

// atEnd goes on to the next file, or waits for more; it returns io.EOF at the end of all.
func (l *Lines) atEnd(ctx context.Context) error {
	if len(l.files) > 1 {
		l.nextFile()
		return nil
	}
	if !l.opts.Follow {
		return io.EOF
	}
	found, err := l.openNewer()
	if err != nil || found {
		return err // what was written between the end we saw and the renaming is still to be read
	}
	return l.wait(ctx)
}

func (l *Lines) nextFile() {
	if len(l.line) > 0 {
		l.line = l.line[:0] // a torn line ends with its file
		l.Torn++
	}
	l.files[0].Close() // and with it the lock that keeps what comes behind
	l.files, l.in = l.files[1:], nil
	if l.lost != 0 && l.opts.Lost != nil {
		l.opts.Lost(l.lost)
	}
	l.lost = 0
}

// wait returns nil when there may be more to read.
func (l *Lines) wait(ctx context.Context) error {
	if l.ended {
		return io.EOF
	}
	var until <-chan time.Time
	if !l.opts.Until.IsZero() {
		timer := time.NewTimer(time.Until(l.opts.Until))
		defer timer.Stop()
		until = timer.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-l.opts.Done:
		l.ended = true // after one more look
	case <-until:
		l.ended = true
	case <-l.watch.changed:
	}
	return nil
}

// awaitFirst waits for a log that is not there yet.
func (l *Lines) awaitFirst(ctx context.Context) error {
	if !l.opts.Follow {
		return io.EOF
	}
	for {
		if err := l.openFirst(); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := l.wait(ctx); err != nil {
			return err
		}
	}
}

// openFirst opens all files. A following reader locks them: as long as it holds the lock of one, the writer
// keeps that and all newer ones (see Writer.rotate).
func (l *Lines) openFirst() error {
	for {
		c, err := openChain(l.opts.Path, nil)
		if err != nil {
			return err
		}
		if l.opts.Follow && !hold(c.files) {
			closeFiles(c.files) // rotated away before they were locked
			continue
		}
		l.files, l.begin = c.files, c.begin(l.opts.Pos)
		l.leaveOut()
		return nil
	}
}

// leaveOut closes the files that were written last before Since.
func (l *Lines) leaveOut() {
	for len(l.files) > 1 && !l.opts.Since.IsZero() {
		st, err := l.files[0].Stat()
		// The file system's clock is behind by a tick.
		if err != nil || !st.ModTime().Before(l.opts.Since.Add(-2*time.Second)) {
			return
		}
		l.files[0].Close()
		l.files = l.files[1:]
	}
}

// openNewer opens the files that came after the only one that is left, and reports whether there are any.
func (l *Lines) openNewer() (bool, error) {
	cur, err := l.files[0].Stat()
	if err != nil {
		return false, err
	}
	if now, err := os.Stat(l.opts.Path); errors.Is(err, fs.ErrNotExist) || err == nil && os.SameFile(now, cur) {
		return false, nil // also in the middle of a rotation: the writer has not begun the new file
	}
	c, err := openChain(l.opts.Path, cur)
	if err != nil || len(c.files) == 0 {
		return false, ignoreNotExist(err)
	}
	if !hold(c.files) { // rotated away before they were locked: the writer has just lost its patience
		closeFiles(c.files)
		return true, nil
	}
	begin := c.begin(l.opts.Pos)
	if !c.met { // the present file is in the log no more: others behind it may have gone too
		l.lost = -1
		if cur, err = l.files[0].Stat(); err == nil && begin >= 0 && l.begin >= 0 {
			l.lost = max(0, c.first(begin)-(l.begin+cur.Size()))
		}
	}
	l.files, l.begin = append(l.files, c.files...), begin
	return true, nil
}

// chain is a run of a log's files, as they were at one moment.
type chain struct {
	files []*os.File // oldest first; the last is the current one
	met   bool       // the file before the first is the one that the reader has
}

// begin returns where the last file begins in the log, or -1.
func (c *chain) begin(pos string) int64 {
	if len(c.files) == 0 {
		return -1
	}
	st, err := c.files[len(c.files)-1].Stat()
	if err != nil {
		return -1
	}
	return readPos(pos, st)
}

// first returns where the first file begins, if the last one begins at begin.
func (c *chain) first(begin int64) int64 {
	for _, f := range c.files[:len(c.files)-1] {
		if st, err := f.Stat(); err == nil {
			begin -= st.Size()
		}
	}
	return begin
}

// openChain opens a log's files, or only those newer than cur if that is not nil. No rotation
// happened meanwhile if the current file, opened first, is the current one still: else it opens them again.
func openChain(path string, cur fs.FileInfo) (*chain, error) {
	for tries := 0; ; tries++ {
		c, err := openOnce(path, cur)
		if err != nil {
			return nil, err
		}
		now, err := os.Stat(path)
		if tries == 1000 || len(c.files) == 0 {
			return c, nil // removed by hand, perhaps
		}
		if errors.Is(err, fs.ErrNotExist) { // in the middle of a rotation
			closeFiles(c.files)
			time.Sleep(100 * time.Microsecond)
			continue
		}
		if last, lerr := c.files[len(c.files)-1].Stat(); err == nil && lerr == nil && os.SameFile(now, last) {
			return c, nil
		}
		closeFiles(c.files)
	}
}

// openOnce opens what there is, the current file first and the oldest last, and stops at cur. A rotation renames
// the oldest file first: where it meets us, the file just opened is found once more under its next name.
func openOnce(path string, cur fs.FileInfo) (*chain, error) {
	c := new(chain)
	var newer fs.FileInfo
	open := func(name string) error {
		f, err := os.Open(name)
		if err != nil {
			return ignoreNotExist(err)
		}
		st, err := f.Stat()
		c.met = err == nil && cur != nil && os.SameFile(st, cur)
		if err != nil || c.met || newer != nil && os.SameFile(st, newer) {
			f.Close()
			return err
		}
		newer = st
		c.files = append(c.files, f)
		return nil
	}
	err := open(path)
	oldest := 0
	if err == nil && !c.met {
		oldest, err = oldestNumber(path)
	}
	// Each number up to the oldest, and one more: the one that a rotation has just emptied was not listed.
	for n := 1; n <= oldest+1 && err == nil && !c.met; n++ {
		err = open(rotated(path, n))
	}
	if err == nil && len(c.files) == 0 && cur == nil {
		err = &fs.PathError{Op: "open log", Path: path, Err: fs.ErrNotExist}
	}
	if err != nil {
		closeFiles(c.files)
		return nil, err
	}
	slices.Reverse(c.files)
	return c, nil
}

// oldestNumber returns the largest N for which PATH.N exists, or 0.
func oldestNumber(path string) (int, error) {
	names, err := filepath.Glob(globEscape(path) + ".*")
	if err != nil {
		return 0, err
	}
	oldest := 0
	for _, name := range names {
		if n, err := strconv.Atoi(name[len(path)+1:]); err == nil {
			oldest = max(oldest, n)
		}
	}
	return oldest, nil
}

func globEscape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
