// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestSharedFile has many writers rotate a file while it is followed, from its begin and from the middle.
func TestSharedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.log")
	const writers, lines, maxSize = 8, 300, 2 << 10
	done := make(chan struct{})
	follow := func() *Lines {
		return must(OpenLines(LinesOptions{Path: path, Follow: true, Done: done, Lost: func(n int64) { t.Errorf("%d bytes are lost", n) }}))
	}
	check := func(l *Lines, whole bool) {
		defer l.Close()
		var seen [writers]int
		for {
			line, err := l.Next(t.Context())
			if err == io.EOF {
				break
			}
			var w, n int
			if _, serr := fmt.Sscanf(string(line), "writer %d line %d.", &w, &n); err != nil || serr != nil || strings.Count(string(line), "writer") != 1 {
				t.Errorf("read %q, %v", line, err)
				return
			}
			if n != seen[w]+1 && (whole || seen[w] != 0) {
				t.Errorf("line %d of writer %d comes behind %d", n, w, seen[w])
			}
			seen[w] = n
		}
		for w, n := range seen {
			if n != lines && whole {
				t.Errorf("the last line of writer %d is %d", w, n)
			}
		}
	}
	var writing, reading sync.WaitGroup
	if err := AppendShared(path, nil, maxSize); err != nil {
		t.Fatal(err)
	}
	first := follow() // it stands still until it is read below
	for w := range writers {
		writing.Go(func() {
			for n := 1; n <= lines; n++ {
				if err := AppendShared(path, fmt.Appendf(nil, "writer %d line %d.\n", w, n), maxSize); err != nil {
					t.Error(err)
				}
				if w == 0 && n == lines/2 {
					l := follow()
					reading.Go(func() { check(l, false) })
				}
			}
		})
	}
	reading.Go(func() { check(first, true) })
	writing.Wait()
	close(done)
	reading.Wait()
	for range 200 { // nobody follows any more
		if err := AppendShared(path, []byte("writer 0 line 0.\n"), maxSize); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range must(filepath.Glob(path + "*")) {
		if st, err := os.Stat(f); err != nil || st.Size() > maxSize+100 {
			t.Errorf("%s has %d bytes (%v), more than the limit", f, st.Size(), err)
		}
	}
}
