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
}

// Reader reads a log, its rotated files first.
type Reader struct {
	opts ReadOptions
	// Skipped counts lines that were no entries: torn by a full disk or a power cut.
	Skipped int

	files []*os.File // still to be read, oldest first; the last is the current one
	in    *bufio.Reader
	line  []byte // of the current file, so far
	watch *watcher
	ended bool // Done was seen closed, or Until has passed
}

// OpenReader opens the log. The error is fs.ErrNotExist where there is none and
// Follow is not set.
func OpenReader(opts ReadOptions) (*Reader, error) {
	if err := opts.Format.check(); err != nil {
		return nil, err
	}
	r := &Reader{opts: opts}
	if opts.Follow {
		r.watch = newWatcher(opts.Path)
	}
	files, err := openAll(opts.Path, nil)
	if err != nil && (!opts.Follow || !errors.Is(err, fs.ErrNotExist)) {
		r.Close()
		return nil, err
	}
	r.files = files
	if err := r.seekTail(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Close frees what the reader holds.
func (r *Reader) Close() error {
	for _, f := range r.files {
		f.Close()
	}
	r.files = nil
	r.watch.close()
	return nil
}

// Next returns the next entry, which is valid until the next call. The error is
// io.EOF at the end, and ctx.Err() if a following reader's ctx ends.
func (r *Reader) Next(ctx context.Context) (Entry, error) {
	for {
		line, err := r.nextLine(ctx)
		if err != nil {
			return Entry{}, err
		}
		e, err := r.opts.Format.decode(line)
		if err != nil {
			r.Skipped++
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

// nextLine returns a line without its end, from whichever file has it.
func (r *Reader) nextLine(ctx context.Context) ([]byte, error) {
	for {
		if len(r.files) == 0 {
			if err := r.awaitFirst(ctx); err != nil {
				return nil, err
			}
		}
		if r.in == nil {
			r.in = bufio.NewReaderSize(r.files[0], 32<<10)
		}
		part, err := r.in.ReadSlice('\n')
		r.line = append(r.line, part...)
		switch {
		case err == nil:
			line := r.line[:len(r.line)-1]
			r.line = r.line[:0]
			return line, nil
		case err == bufio.ErrBufferFull:
		case err == io.EOF:
			if err := r.atEnd(ctx); err != nil {
				return nil, err
			}
		default:
			return nil, err
		}
	}
}

// atEnd goes on to the next file, or waits for more; it returns io.EOF at the end of all.
func (r *Reader) atEnd(ctx context.Context) error {
	if len(r.files) > 1 {
		r.nextFile()
		return nil
	}
	if !r.opts.Follow {
		return io.EOF
	}
	next, err := following(r.files[0], r.opts.Path)
	if err != nil {
		return err
	}
	if len(next) > 0 {
		// What was written between the end we saw and the renaming is still to be read.
		part, err := io.ReadAll(r.files[0])
		if err != nil {
			return err
		}
		r.files = append(r.files, next...)
		if len(part) > 0 {
			r.in = bufio.NewReader(io.MultiReader(strings.NewReader(string(part)), r.files[0]))
			return nil
		}
		r.nextFile()
		return nil
	}
	return r.wait(ctx)
}

func (r *Reader) nextFile() {
	if len(r.line) > 0 {
		r.line = r.line[:0] // a torn line ends with its file
		r.Skipped++
	}
	r.files[0].Close()
	r.files, r.in = r.files[1:], nil
}

// wait returns nil when there may be more to read.
func (r *Reader) wait(ctx context.Context) error {
	if r.ended {
		return io.EOF
	}
	var until <-chan time.Time
	if !r.opts.Until.IsZero() {
		timer := time.NewTimer(time.Until(r.opts.Until))
		defer timer.Stop()
		until = timer.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.opts.Done:
		r.ended = true // after one more look
	case <-until:
		r.ended = true
	case <-r.watch.changed:
	}
	return nil
}

// awaitFirst waits for a log that is not there yet.
func (r *Reader) awaitFirst(ctx context.Context) error {
	if !r.opts.Follow {
		return io.EOF
	}
	for {
		files, err := openAll(r.opts.Path, nil)
		if err == nil {
			r.files = files
			return nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := r.wait(ctx); err != nil {
			return err
		}
	}
}

// openAll opens a log's files, oldest first, or only those newer than cur if that is not nil. No rotation
// happened meanwhile if the current file, opened first, is the current one still: else it opens them again.
func openAll(path string, cur fs.FileInfo) ([]*os.File, error) {
	for tries := 0; ; tries++ {
		files, err := openOnce(path, cur)
		if err != nil {
			return nil, err
		}
		slices.Reverse(files)
		now, err := os.Stat(path)
		if tries == 1000 || len(files) == 0 {
			return files, nil // removed by hand, perhaps
		}
		if errors.Is(err, fs.ErrNotExist) { // in the middle of a rotation
			closeFiles(files)
			time.Sleep(100 * time.Microsecond)
			continue
		}
		if last, lerr := files[len(files)-1].Stat(); err == nil && lerr == nil && os.SameFile(now, last) {
			return files, nil
		}
		closeFiles(files)
	}
}

// openOnce opens what there is, the current file first and the oldest last, and stops at cur. A rotation renames
// the oldest file first: where it meets us, the file just opened is found once more under its next name.
func openOnce(path string, cur fs.FileInfo) ([]*os.File, error) {
	var files []*os.File
	var newer fs.FileInfo
	open := func(name string) (stop bool, err error) {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return true, err
		}
		st, err := f.Stat()
		met := err == nil && cur != nil && os.SameFile(st, cur)
		if err != nil || met || newer != nil && os.SameFile(st, newer) {
			f.Close()
			return err != nil || met, err
		}
		newer = st
		files = append(files, f)
		return false, nil
	}
	stop, err := open(path)
	oldest := 0
	if !stop {
		oldest, err = oldestNumber(path)
	}
	// Each number up to the oldest, and one more: the one that a rotation has just emptied was not listed.
	for n := 1; n <= oldest+1 && err == nil && !stop; n++ {
		stop, err = open(rotated(path, n))
	}
	if err == nil && len(files) == 0 && cur == nil {
		err = &fs.PathError{Op: "open log", Path: path, Err: fs.ErrNotExist}
	}
	if err != nil {
		closeFiles(files)
		return nil, err
	}
	return files, nil
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

// following opens the files that came after cur, which the reader holds open (so
// that its inode number is not used again). None means that cur is the current one still.
func following(cur *os.File, path string) ([]*os.File, error) {
	me, err := cur.Stat()
	if err != nil {
		return nil, err
	}
	if now, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || (err == nil && os.SameFile(now, me)) {
		return nil, nil // also in the middle of a rotation: the writer has not begun the new file
	}
	files, err := openAll(path, me) // all that there are, if cur has been rotated away
	return files, ignoreNotExist(err)
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
