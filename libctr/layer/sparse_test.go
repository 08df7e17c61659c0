// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
	"golang.org/x/sys/unix"
)

// sparseTree makes a directory with sparse files, and returns what is in each of them.
func sparseTree(t *testing.T) (dir string, content map[string][]byte) {
	t.Helper()
	dir, content = t.TempDir(), map[string][]byte{}
	for name, pieces := range map[string]int{"one": 1, "many": 60, "d/none": 0} {
		text := make([]byte, 4<<20)
		for i := range pieces {
			copy(text[i<<16:], bytes.Repeat([]byte(fmt.Sprint("piece ", i, " ")), 700))
		}
		if name == "one" { // in the end
			text = append(make([]byte, 4<<20-4096), bytes.Repeat([]byte("end."), 1024)...)
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(int64(len(text))); err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(text); at += 4096 {
			if !isZero(text[at : at+4096]) {
				if _, err := f.WriteAt(text[at:at+4096], int64(at)); err != nil {
					t.Fatal(err)
				}
			}
		}
		f.Close()
		content[name] = text
	}
	many := filepath.Join(dir, "many")
	if err := unix.Chmod(many, 0o4750); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(many, filepath.Join(dir, "other name")); err != nil {
		t.Fatal(err)
	}
	content["other name"] = content["many"]
	if err := os.WriteFile(filepath.Join(dir, "plain"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	content["plain"] = []byte("text")
	when := time.Unix(1234567890, 0)
	for name := range content {
		if err := os.Chtimes(filepath.Join(dir, name), when, when); err != nil {
			t.Fatal(err)
		}
	}
	return dir, content
}

func isZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

func TestHolesStayHoles(t *testing.T) {
	s := Keep(newStore(t))
	defer s.End(t.Context())
	dir, content := sparseTree(t)
	for _, format := range []string{"--format=gnu", "--format=posix --sparse-version=0.0", "--format=posix --sparse-version=0.1", "--format=posix --sparse-version=1.0", "zeros"} {
		t.Run(format, func(t *testing.T) {
			args := append(strings.Fields(format), "-S")
			if format == "zeros" {
				args = nil
			}
			data, err := exec.Command("tar", append(args, "--numeric-owner", "-C", dir, "-c", ".")...).Output()
			if err != nil {
				t.Fatal(err)
			}
			if len(data) > 1<<20 && format != "zeros" {
				t.Fatalf("tar made %d bytes: there are no holes", len(data))
			}
			sum := digest.FromBytes(data)
			l, _, err := s.PutLayer("", "", nil, "", false, &storage.LayerOptions{UncompressedDigest: sum, OriginalDigest: sum}, bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if l.UncompressedDigest != sum || l.UncompressedSize != int64(len(data)) {
				t.Errorf("the layer has digest %s and size %d, not %s and %d", l.UncompressedDigest, l.UncompressedSize, sum, len(data))
			}
			for _, store := range []storage.Store{s, s.Store.(*confined).Store} { // Berth's reading, and that of other engines
				if got, err := diffOf(store, l.ID); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%T: %d bytes of %d, %v", store, len(got), len(data), err)
				}
			}
			driver, err := s.GraphDriver()
			if err != nil {
				t.Fatal(err)
			}
			md, err := driver.Metadata(l.ID)
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range content {
				path := filepath.Join(md["UpperDir"], name)
				got, err := os.ReadFile(path)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: other content, %v", name, err)
					continue
				}
				var st, was syscall.Stat_t
				if err := syscall.Stat(path, &st); err != nil {
					t.Fatal(err)
				}
				if err := syscall.Stat(filepath.Join(dir, name), &was); err != nil {
					t.Fatal(err)
				}
				suid := format == "zeros" && was.Mode&syscall.S_ISUID != 0 // it is not touched once it is there
				if st.Blocks > was.Blocks+16 && !suid {
					t.Errorf("%s: %d blocks, and it had %d", name, st.Blocks, was.Blocks)
				}
				if st.Mode != was.Mode || st.Mtim != was.Mtim || st.Nlink != was.Nlink {
					t.Errorf("%s: mode %o, time %v, %d links: it had %o, %v, %d", name, st.Mode, st.Mtim, st.Nlink, was.Mode, was.Mtim, was.Nlink)
				}
			}
		})
	}
}

// Files with holes whose names lead outside of the layer: they are put inside, or refused, and nothing outside is touched.
func TestHolesOutside(t *testing.T) {
	s := Keep(newStore(t))
	defer s.End(t.Context())
	host, dir := t.TempDir(), t.TempDir()
	packed := bytes.Repeat([]byte("x"), 4096)
	victim := filepath.Join(host, "secret")
	if err := os.WriteFile(victim, packed, 0o600); err != nil {
		t.Fatal(err)
	}
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, packed, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(big, 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(host, filepath.Join(dir, "l")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(dir, "f")); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"l/secret", strings.Repeat("../", 20) + strings.TrimPrefix(victim, "/"), victim, "f", "l"} {
		archive := filepath.Join(t.TempDir(), "t")
		for _, args := range [][]string{{"-cf", archive, "-C", dir, "l", "f"}, {"-rf", archive, "-P", "-S", "-C", dir, "--transform=s|^big$|" + name + "|", "big"}} {
			if out, err := exec.Command("tar", args...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		data, err := os.ReadFile(archive)
		if err != nil {
			t.Fatal(err)
		}
		var l *storage.Layer
		within(t, func() { l, _, err = s.PutLayer("", "", nil, "", false, nil, bytes.NewReader(data)) })
		t.Logf("%d %q: %v", i, name, err)
		if err == nil {
			if _, err := diffOf(s, l.ID); err != nil {
				t.Logf("  its archive: %v", err)
			}
		}
		if got, err := os.ReadFile(victim); err != nil || !bytes.Equal(got, packed) {
			t.Fatalf("%q has changed a file outside: %d bytes, %v", name, len(got), err)
		}
	}
	// What was refused leaves nothing.
	left, err := filepath.Glob(filepath.Join(s.GraphRoot(), "overlay", "staging", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}
