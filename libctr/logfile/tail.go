// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"bytes"
	"io"
	"os"
)

// seekTail drops files and moves in one, so that the last Tail lines are ahead.
// Several entries can be one line; lines of two streams may be woven together.
func (r *Reader) seekTail() error {
	if r.opts.Tail == 0 || len(r.lines.files) == 0 {
		return nil
	}
	if r.opts.Tail < 0 {
		last := len(r.lines.files) - 1
		closeFiles(r.lines.files[:last])
		r.lines.files = r.lines.files[last:]
		_, err := r.lines.files[0].Seek(0, io.SeekEnd)
		return err
	}
	c := counter{format: r.opts.Format, lines: LineCounter{Want: r.opts.Tail}}
	for i := len(r.lines.files) - 1; i >= 0; i-- {
		at, done, err := c.scan(r.lines.files[i])
		if err != nil {
			return err
		}
		if done {
			closeFiles(r.lines.files[:i])
			r.lines.files = r.lines.files[i:]
			_, err := r.lines.files[0].Seek(at, io.SeekStart)
			return err
		}
	}
	return nil
}

// counter counts lines from the end of a log.
type counter struct {
	format Format
	lines  LineCounter
}

// LineCounter finds the begin of the last lines of a log among its entries, the last one first. Lines of two streams may be woven together.
type LineCounter struct {
	Want int

	have  int
	ended [Stderr + 1]bool // an entry of the stream's last line has been seen
}

// Enough counts an entry and reports whether it is the last of a line too many.
func (c *LineCounter) Enough(e Entry) bool {
	if e.Partial && c.ended[e.Stream] {
		return false
	}
	c.ended[e.Stream] = true
	c.have++
	return c.have > c.Want
}

// scan goes backwards through f and returns where the first entry of the wanted
// lines begins, if it is in f. It does not move in f.
func (c *counter) scan(f *os.File) (at int64, done bool, err error) {
	st, err := f.Stat()
	if err != nil {
		return 0, false, err
	}
	const block = 64 << 10
	var buf []byte // the file from pos to the begin of the line seen last
	for pos := st.Size(); ; {
		for {
			// A line is judged when its begin is known: a line end in front of it, or the file's begin.
			i := bytes.LastIndexByte(bytes.TrimSuffix(buf, []byte{'\n'}), '\n')
			if i < 0 && pos > 0 {
				break
			}
			if len(buf) > 0 && c.enough(bytes.TrimSuffix(buf[i+1:], []byte{'\n'})) {
				return pos + int64(len(buf)), true, nil
			}
			if i < 0 {
				return 0, false, nil
			}
			buf = buf[:i+1]
		}
		n := min(pos, block)
		pos -= n
		next := make([]byte, n, int(n)+len(buf))
		if _, err := f.ReadAt(next, pos); err != nil && err != io.EOF {
			return 0, false, err
		}
		buf = append(next, buf...)
	}
}

// enough is LineCounter.Enough for a line of the file.
func (c *counter) enough(line []byte) bool {
	e, err := c.format.decode(line)
	return err == nil && c.lines.Enough(e)
}
