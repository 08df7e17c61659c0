// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var t0 = time.Date(2026, 11, 21, 23, 33, 0, 5, time.UTC)

func TestWrittenForm(t *testing.T) {
	for name, tc := range map[string]struct {
		format Format
		in     []string
		want   string
	}{
		"lines":            {K8s, []string{"a\nb\n"}, "2026-11-21T23:33:00.000000005+00:00 stdout F a\n2026-11-21T23:33:00.000000005+00:00 stdout F b\n"},
		"a line in pieces": {K8s, []string{"a", "b\n"}, "2026-11-21T23:33:00.000000005+00:00 stdout P a\n2026-11-21T23:33:00.000000005+00:00 stdout F b\n"},
		"an empty line":    {K8s, []string{"\n"}, "2026-11-21T23:33:00.000000005+00:00 stdout F \n"},
		"json":             {JSON, []string{"a\"\\\t\x01\u2028\xff\n"}, `{"log":"a\"\\\t\u0001\u2028\ufffd\n","stream":"stdout","time":"2026-11-21T23:33:00.000000005Z"}` + "\n"},
		"json partial":     {JSON, []string{"a"}, `{"log":"a","stream":"stdout","time":"2026-11-21T23:33:00.000000005Z"}` + "\n"},
		"a rune in pieces": {JSON, []string{"\xe2", "\x82", "\xac\n"}, `{"log":"€\n","stream":"stdout","time":"2026-11-21T23:33:00.000000005Z"}` + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			w, err := OpenWriter(Options{Path: path, Format: tc.format})
			if err != nil {
				t.Fatal(err)
			}
			for _, in := range tc.in {
				if err := w.Write(Stdout, t0, []byte(in)); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if got, _ := os.ReadFile(path); string(got) != tc.want {
				t.Errorf("Write(%q) wrote\n%q, want\n%q", tc.in, got, tc.want)
			}
		})
	}
}

func TestARuneThatNeverEndsIsLoggedAtClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w, err := OpenWriter(Options{Path: path, Format: JSON})
	if err != nil {
		t.Fatal(err)
	}
	w.Write(Stderr, t0, []byte("x\n\xe2"))
	w.Close()
	got := readAll(t, ReadOptions{Path: path, Format: JSON})
	if want := []string{"stderr F x", "stderr P \ufffd"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func readAll(t *testing.T, opts ReadOptions) []string {
	t.Helper()
	r, err := OpenReader(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got []string
	for {
		e, err := r.Next(t.Context())
		if err == io.EOF {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		tag := "F"
		if e.Partial {
			tag = "P"
		}
		got = append(got, e.Stream.String()+" "+tag+" "+string(e.Text))
	}
}

func TestTornLineStaysAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("2026-11-21T23:33:00.00"), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := OpenWriter(Options{Path: path, Format: K8s})
	if err != nil {
		t.Fatal(err)
	}
	w.Write(Stdout, t0, []byte("whole\n"))
	w.Close()
	if got := readAll(t, ReadOptions{Path: path, Format: K8s}); len(got) != 1 || got[0] != "stdout F whole" {
		t.Errorf("got %q, want the whole line only", got)
	}
}

func TestSelection(t *testing.T) {
	dir := t.TempDir()
	for _, format := range []Format{K8s, JSON} {
		path := filepath.Join(dir, string(format))
		w, err := OpenWriter(Options{Path: path, Format: format, MaxSize: 200, MaxFile: 100})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 30 {
			at := t0.Add(time.Duration(i) * time.Second)
			w.Write(Stdout, at, []byte("par"))
			w.Write(Stderr, at, []byte(fmt.Sprintf("err %d\n", i)))
			w.Write(Stdout, at, []byte(fmt.Sprintf("tial %d\n", i)))
		}
		w.Close()
		if n, _ := oldestNumber(path); n < 10 {
			t.Fatalf("only %d rotated files", n)
		}
		line := func(i int) string {
			return fmt.Sprintf("stdout P par stderr F err %d stdout F tial %d", i, i)
		}
		for name, tc := range map[string]struct {
			opts ReadOptions
			want string
			n    int
		}{
			"all":        {ReadOptions{}, "", 90},
			"tail two":   {ReadOptions{Tail: 2}, line(29), 3},
			"tail four":  {ReadOptions{Tail: 4}, line(28) + " " + line(29), 6},
			"tail many":  {ReadOptions{Tail: 1000}, "", 90},
			"tail none":  {ReadOptions{Tail: -1}, "", 0},
			"since":      {ReadOptions{Since: t0.Add(29 * time.Second)}, line(29), 3},
			"until":      {ReadOptions{Until: t0}, line(0), 3},
			"from to":    {ReadOptions{Since: t0.Add(3 * time.Second), Until: t0.Add(3500 * time.Millisecond)}, line(3), 3},
			"after all":  {ReadOptions{Since: t0.Add(time.Hour)}, "", 0},
			"before all": {ReadOptions{Until: t0.Add(-time.Hour)}, "", 0},
		} {
			t.Run(string(format)+" "+name, func(t *testing.T) {
				tc.opts.Path, tc.opts.Format = path, format
				got := readAll(t, tc.opts)
				if len(got) != tc.n || (tc.want != "" && strings.Join(got, " ") != tc.want) {
					t.Errorf("got %d entries %q, want %d: %q", len(got), got, tc.n, tc.want)
				}
			})
		}
	}
}

func TestTailOfATornAndOfAnUnfinishedLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	k := "2026-11-21T23:33:00.000000005+00:00 stdout "
	if err := os.WriteFile(path, []byte(k+"F one\nrubbish\n"+k+"F two\n"+k+"P thr\n"+k+"P ee\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []string{"stdout F two", "stdout P thr", "stdout P ee"}
	if got := readAll(t, ReadOptions{Path: path, Format: K8s, Tail: 2}); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("Tail 2 = %q, want %q", got, want)
	}
}

func TestTailOfAFileLargerThanABlock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w, err := OpenWriter(Options{Path: path, Format: K8s})
	if err != nil {
		t.Fatal(err)
	}
	long := bytes.Repeat([]byte("x"), 150<<10)
	for i := range 5 {
		w.Write(Stdout, t0, append(long, []byte(fmt.Sprintf("%d\n", i))...))
	}
	w.Close()
	got := readAll(t, ReadOptions{Path: path, Format: K8s, Tail: 3})
	if len(got) != 3 || !strings.HasSuffix(got[0], "x2") || len(got[0]) != len("stdout F ")+150<<10+1 {
		t.Errorf("got %d lines, the first of %d bytes", len(got), len(got[0]))
	}
}

// TestFollowerLosesNoLineToRotation writes as fast as it can into tiny files and
// follows; the follower must see every line once and in order.
func TestFollowerLosesNoLineToRotation(t *testing.T) {
	for _, format := range []Format{K8s, JSON} {
		t.Run(string(format), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			done := make(chan struct{})
			r, err := OpenReader(ReadOptions{Path: path, Format: format, Follow: true, Done: done})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			const lines = 5000
			go func() {
				defer close(done)
				w, err := OpenWriter(Options{Path: path, Format: format, MaxSize: 4 << 10, MaxFile: 200})
				if err != nil {
					t.Error(err)
					return
				}
				defer w.Close()
				for i := range lines {
					if err := w.Write(Stdout, time.Now(), []byte(fmt.Sprintf("line %d\n", i))); err != nil {
						t.Error(err)
					}
				}
			}()
			for i := range lines {
				e, err := r.Next(t.Context())
				if err != nil {
					t.Fatalf("at line %d: %v", i, err)
				}
				if want := fmt.Sprintf("line %d", i); string(e.Text) != want {
					t.Fatalf("got %q, want %q", e.Text, want)
				}
			}
			if e, err := r.Next(t.Context()); err != io.EOF {
				t.Errorf("Next at the end = %q, %v; want io.EOF", e.Text, err)
			}
			if r.Skipped() != 0 {
				t.Errorf("%d lines were torn", r.Skipped())
			}
			for _, f := range must(filepath.Glob(path + "*")) {
				if st, err := os.Stat(f); err != nil || st.Size() > 4<<10 {
					t.Errorf("%s has %d bytes (%v), more than the limit", f, st.Size(), err)
				}
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestRotationKeepsAsManyFilesAsAsked(t *testing.T) {
	for _, tc := range []struct{ maxFile, want int }{{0, 2}, {1, 2}, {2, 2}, {3, 3}} {
		path := filepath.Join(t.TempDir(), "log")
		w, err := OpenWriter(Options{Path: path, Format: K8s, MaxSize: 100, MaxFile: tc.maxFile})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			w.Write(Stdout, t0, []byte(fmt.Sprintf("%d\n", i)))
		}
		w.Close()
		if got := must(filepath.Glob(path + "*")); len(got) != tc.want {
			t.Errorf("MaxFile %d left %v, want %d files", tc.maxFile, got, tc.want)
		}
		if got := readAll(t, ReadOptions{Path: path, Format: K8s}); got[len(got)-1] != "stdout F 49" {
			t.Errorf("the last line is %q", got[len(got)-1])
		}
	}
}

func TestFollowingPollsWithoutInotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	r := &Reader{opts: ReadOptions{Path: path, Format: K8s, Follow: true}, lines: &Lines{opts: LinesOptions{Path: path, Follow: true}}}
	r.lines.watch = &watcher{changed: make(chan struct{}, 1), stop: make(chan struct{})}
	go r.lines.watch.poll()
	defer r.Close()
	go func() {
		w := must(OpenWriter(Options{Path: path, Format: K8s}))
		defer w.Close()
		w.Write(Stdout, t0, []byte("late\n"))
	}()
	if e, err := r.Next(t.Context()); err != nil || string(e.Text) != "late" {
		t.Errorf("Next = %q, %v", e.Text, err)
	}
}

func TestFollowEndsWithItsContextAndWithUntil(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if _, err := OpenReader(ReadOptions{Path: path, Format: K8s}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenReader without a log = %v, want fs.ErrNotExist", err)
	}
	r := must(OpenReader(ReadOptions{Path: path, Format: K8s, Follow: true}))
	defer r.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Next(ctx); err != context.Canceled {
		t.Errorf("Next = %v, want context.Canceled", err)
	}
	u := must(OpenReader(ReadOptions{Path: path, Format: K8s, Follow: true, Until: time.Now().Add(20 * time.Millisecond)}))
	defer u.Close()
	if _, err := u.Next(t.Context()); err != io.EOF {
		t.Errorf("Next after Until = %v, want io.EOF", err)
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("a line\nand a part"), false)
	f.Add([]byte("\n\n\xff\x00"), true)
	f.Fuzz(func(t *testing.T, data []byte, json bool) {
		format := K8s
		if json {
			format = JSON
		}
		var file []byte
		for rest := data; len(rest) > 0; {
			e := Entry{Time: t0, Stream: Stderr}
			e.Text, e.Partial, rest = cutEntry(rest)
			file = format.appendEntry(file, &e)
		}
		var got []byte
		for line := range bytes.Lines(file) {
			e, err := format.decode(bytes.TrimSuffix(line, []byte("\n")))
			if err != nil {
				t.Fatalf("decode(%q): %v", line, err)
			}
			if !e.Time.Equal(t0) || e.Stream != Stderr {
				t.Fatalf("decode(%q) = %+v", line, e)
			}
			got = append(got, e.Text...)
			if !e.Partial {
				got = append(got, '\n')
			}
		}
		want := data
		if json {
			want = []byte(string([]rune(string(data)))) // invalid bytes become U+FFFD, each one
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", format, got, want)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("2026-11-21T23:33:00.000000005+00:00 stdout F x"))
	f.Add([]byte(`{"log":"x\n","stream":"stdout","time":"2026-11-21T23:33:00Z"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		for _, format := range []Format{K8s, JSON} {
			if e, err := format.decode(line); err == nil && e.Stream != Stdout && e.Stream != Stderr {
				t.Errorf("%s: decode(%q) = %+v", format, line, e)
			}
		}
	})
}
