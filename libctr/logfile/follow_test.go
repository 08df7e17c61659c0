// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// numbered writes lines that are numbers, as text of some length.
type numbered struct {
	t *testing.T
	w *Writer
	n int
}

func (l *numbered) write(lines int) {
	l.t.Helper()
	for range lines {
		if err := l.w.Write(Stdout, t0.Add(time.Duration(l.n)*time.Second), []byte(fmt.Sprintf("%06d and some more text\n", l.n))); err != nil {
			l.t.Fatal(err)
		}
		l.n++
	}
}

// next reads one entry and returns its number, or -1 at the end.
func next(t *testing.T, r *Reader) int {
	t.Helper()
	e, err := r.Next(t.Context())
	if err == io.EOF {
		return -1
	}
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(e.Text), " ")
	return must(strconv.Atoi(text))
}

// wantAll fails unless the reader returns exactly the lines from first to the one before last.
func wantAll(t *testing.T, r *Reader, first, last int) {
	t.Helper()
	for i := first; i < last; i++ {
		if got := next(t, r); got != i {
			t.Fatalf("got line %d, want %d", got, i)
		}
	}
	if got := next(t, r); got != -1 {
		t.Errorf("got line %d behind the last", got)
	}
}

// TestRotationWaitsForFollowers has the writer far ahead of followers that stand still.
func TestRotationWaitsForFollowers(t *testing.T) {
	const before, after = 500, 1500
	for name, tc := range map[string]struct {
		opts      ReadOptions
		maxFile   int
		followers int
		reads     int // entries that each follower takes before it stands still
		first     int // the number of its first entry; -1 is whatever is the oldest
		newWriter bool
	}{
		"from the begin of what there is": {first: -1, followers: 1},
		"in the middle of a file":         {first: -1, followers: 1, reads: 7},
		"at the end":                      {opts: ReadOptions{Tail: -1}, first: before, followers: 1},
		"tail":                            {opts: ReadOptions{Tail: 3}, first: before - 3, followers: 1, reads: 1},
		"since":                           {opts: ReadOptions{Since: t0.Add((before - 2) * time.Second)}, first: before - 2, followers: 1, reads: 1},
		"several followers":               {opts: ReadOptions{Tail: 5}, first: before - 5, followers: 3, reads: 2},
		"many files are kept":             {opts: ReadOptions{Tail: -1}, first: before, followers: 1, maxFile: 5},
		"another writer takes over":       {opts: ReadOptions{Tail: 1}, first: before - 1, followers: 1, newWriter: true},
	} {
		for _, format := range []Format{K8s, JSON} {
			t.Run(name+", "+string(format), func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, "log")
				opts := Options{Path: path, Format: format, MaxSize: 1 << 10, MaxFile: tc.maxFile, Pos: filepath.Join(dir, "pos")}
				w := &numbered{t: t, w: must(OpenWriter(opts))}
				w.write(before)
				var readers []*Reader
				done := make(chan struct{})
				first := make([]int, tc.followers)
				for i := range tc.followers {
					ro := tc.opts
					ro.Path, ro.Format, ro.Follow, ro.Done, ro.Pos = path, format, true, done, opts.Pos
					ro.Lost = func(n int64) { t.Errorf("%d bytes are lost", n) }
					r := must(OpenReader(ro))
					defer r.Close()
					readers = append(readers, r)
					first[i] = tc.first
					for range tc.reads {
						got := next(t, r)
						if first[i] >= 0 && got != first[i] {
							t.Fatalf("got line %d, want %d", got, first[i])
						}
						first[i] = got + 1
					}
				}
				w.write(after / 2)
				if tc.newWriter {
					w.w.Close()
					w.w = must(OpenWriter(opts))
				}
				w.write(after - after/2)
				close(done)
				for i, r := range readers {
					if first[i] < 0 {
						first[i] = next(t, r) + 1
					}
					wantAll(t, r, first[i], before+after)
					r.Close()
				}
				// Nobody follows any more: the files are as large, and as many, as they are to be.
				w.write(after)
				w.w.Close()
				files := must(filepath.Glob(path + "*"))
				if len(files) != max(tc.maxFile, 2) {
					t.Errorf("the log is in %q", files)
				}
				for _, f := range files {
					if st, err := os.Stat(f); err != nil || st.Size() > opts.MaxSize {
						t.Errorf("%s has %d bytes (%v), more than the limit", f, st.Size(), err)
					}
				}
			})
		}
	}
}

// TestWhatAFollowerMissedIsTold goes past the bound of what is kept for a follower that stands still.
func TestWhatAFollowerMissedIsTold(t *testing.T) {
	for _, pos := range []string{"pos", ""} {
		t.Run("with "+pos, func(t *testing.T) {
			dir := t.TempDir()
			opts := Options{Path: filepath.Join(dir, "log"), Format: K8s, MaxSize: 1 << 10}
			if pos != "" {
				opts.Pos = filepath.Join(dir, pos)
			}
			w := &numbered{t: t, w: must(OpenWriter(opts))}
			w.w.slack = 8 << 10
			w.write(1)
			size := w.w.size // all lines are as long
			done := make(chan struct{})
			at, lost := -1, int64(0)
			last := 0
			r := must(OpenReader(ReadOptions{Path: opts.Path, Format: K8s, Follow: true, Done: done, Pos: opts.Pos, Lost: func(n int64) { at, lost = last, n }}))
			defer r.Close()
			w.write(5000)
			close(done)
			read := 0
			for n := next(t, r); n >= 0; n = next(t, r) {
				switch {
				case n == last+1 || read == 0:
				case at != last:
					t.Fatalf("line %d comes behind %d, and nothing was said", n, last)
				case pos != "" && lost != int64(n-last-1)*size, pos == "" && lost != -1:
					t.Errorf("told of %d lost bytes, lines %d to %d of %d bytes are missing", lost, last+1, n-1, size)
				}
				last = n
				read++
			}
			if last != 5000 || at < 0 {
				t.Errorf("the last line is %d; told of a loss behind %d", last, at)
			}
			w.w.Close()
			for _, f := range must(filepath.Glob(opts.Path + "*")) {
				if st, err := os.Stat(f); err != nil || st.Size() > 32<<10 {
					t.Errorf("%s has %d bytes (%v), more than the bound", f, st.Size(), err)
				}
			}
		})
	}
}

// TestFollowersThatComeAndGoDuringRotation starts followers while a writer rotates as fast as it can.
func TestFollowersThatComeAndGoDuringRotation(t *testing.T) {
	dir := t.TempDir()
	opts := Options{Path: filepath.Join(dir, "log"), Format: K8s, MaxSize: 512, Pos: filepath.Join(dir, "pos")}
	w := &numbered{t: t, w: must(OpenWriter(opts))}
	const rounds, lines = 30, 400
	var wg sync.WaitGroup
	done := make(chan struct{})
	for i := range rounds {
		wg.Go(func() {
			r, err := OpenReader(ReadOptions{Path: opts.Path, Format: K8s, Follow: true, Done: done, Tail: i%3 - 1, Pos: opts.Pos,
				Lost: func(n int64) { t.Errorf("follower %d: %d bytes are lost", i, n) }})
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			last := -1
			for n := next(t, r); n >= 0; n = next(t, r) {
				if last >= 0 && n != last+1 {
					t.Errorf("follower %d: line %d comes behind %d", i, n, last)
				}
				if last = n; i%4 == 0 && n%300 == 0 {
					return // as if it were killed
				}
			}
			if last >= 0 && last != rounds*lines-1 { // none where it came when all was written
				t.Errorf("follower %d: the last line is %d", i, last)
			}
		})
		w.write(lines)
	}
	close(done)
	wg.Wait()
	w.w.Close()
}
