// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAddLines(t *testing.T) {
	const line = "7:*:7:0:container user:/:/bin/sh\n"
	for name, c := range map[string]struct{ have, want string }{
		"empty":              {"", line},
		"others":             {"root:x:0:0::/:/bin/sh\n", "root:x:0:0::/:/bin/sh\n" + line},
		"no last line break": {"root:x:0:0::/:/bin/sh", "root:x:0:0::/:/bin/sh\n" + line},
		"there already":      {line, line},
		"its ID is listed":   {"me:x:7:7::/:/bin/sh\n", "me:x:7:7::/:/bin/sh\n"},
		"its name is listed": {"7:x:70:7::/:/bin/sh\n", "7:x:70:7::/:/bin/sh\n"},
	} {
		root := t.TempDir()
		path := filepath.Join(root, "passwd")
		if err := os.WriteFile(path, []byte(c.have), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := addLines(root, "passwd", line); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
}

// Whatever an image has in place of /etc/passwd: nothing outside it is written to, and nobody waits.
func TestAddLinesTrustsNoImage(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(outside, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, make := range map[string]func(path string) error{
		"nothing":           func(string) error { return nil },
		"an absolute link":  func(path string) error { return os.Symlink(outside, path) },
		"a link upwards":    func(path string) error { return os.Symlink("../../../../../../../.."+outside, path) },
		"a link to itself":  func(path string) error { return os.Symlink("passwd", path) },
		"a FIFO":            func(path string) error { return unix.Mkfifo(path, 0o644) },
		"a directory":       func(path string) error { return os.Mkdir(path, 0o755) },
		"a link of /proc's": func(path string) error { return os.Symlink("/proc/self/fd/1", path) },
	} {
		root := t.TempDir()
		if err := make(filepath.Join(root, "passwd")); err != nil {
			t.Fatal(err)
		}
		err := addLines(root, "passwd", "7:*:7:0::/:/bin/sh\n")
		if (err != nil) != (name == "a link to itself") {
			t.Errorf("%s: %v", name, err)
		}
		if data, _ := os.ReadFile(outside); len(data) > 0 {
			t.Fatalf("%s: written to a file outside", name)
		}
	}
}
