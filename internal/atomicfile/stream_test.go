// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

func TestStream(t *testing.T) {
	failed := errors.New("the disk is full")
	for name, tc := range map[string]struct {
		make func(t *testing.T, dir string) // what is there before
		err  error
		want string // content of the file "to" then; empty is none
	}{
		"new":                  {want: "new"},
		"replaced":             {make: file("to"), want: "new"},
		"a link":               {make: link("real", "to"), want: "new"},
		"a link to nothing":    {make: func(t *testing.T, dir string) { symlink(t, "none", filepath.Join(dir, "to")) }, want: "new"},
		"fails":                {err: failed},
		"fails over a file":    {make: file("to"), err: failed, want: "old"},
		"fails through a link": {make: link("real", "to"), err: failed, want: "old"},
		"not even the first":   {make: file("to"), err: io.ErrShortWrite, want: "old"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if tc.make != nil {
				tc.make(t, dir)
			}
			before := len(names(t, dir))
			to := filepath.Join(dir, "to")
			err := Stream(to, 0o600, func(w io.Writer) error {
				_, err := io.WriteString(w, "new")
				return errors.Join(err, tc.err)
			})
			if !errors.Is(err, tc.err) || (err == nil) != (tc.err == nil) {
				t.Errorf("Stream = %v, want %v", err, tc.err)
			}
			data, _ := os.ReadFile(to)
			if string(data) != tc.want {
				t.Errorf("content %q, want %q", data, tc.want)
			}
			if after := names(t, dir); tc.err != nil && len(after) != before {
				t.Errorf("left: %q", after)
			}
		})
	}
}

func file(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("old"), 0o640); err != nil {
			t.Fatal(err)
		}
	}
}

func link(to, name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		file(to)(t, dir)
		symlink(t, to, filepath.Join(dir, name))
	}
}

func symlink(t *testing.T, to, name string) {
	t.Helper()
	if err := os.Symlink(to, name); err != nil {
		t.Fatal(err)
	}
}

func TestStreamToWhatIsNoFile(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := Stream("/dev/fd/"+strconv.Itoa(int(w.Fd())), 0o600, func(w io.Writer) error { _, err := io.WriteString(w, "through"); return err }); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if data, _ := io.ReadAll(r); string(data) != "through" {
		t.Errorf("the pipe got %q", data)
	}
}
