// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "record")
	for _, durable := range []bool{false, true} {
		for _, data := range [][]byte{[]byte("one"), nil, bytes.Repeat([]byte("long"), 100_000), []byte("short")} {
			if err := Write(path, data, 0o640, durable); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("read %d bytes, %v; want %d", len(got), err, len(data))
			}
		}
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if left := names(t, dir); len(left) != 1 {
		t.Errorf("left: %q", left)
	}
}

// The new file takes the name: who has the old one open keeps its content, and a link is replaced, not followed.
func TestWriteReplaces(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "record"), filepath.Join(dir, "other")
	if err := errors.Join(os.WriteFile(other, []byte("other"), 0o600), os.Symlink(other, path)); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []byte("one"), 0o600, false); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(other); string(data) != "other" {
		t.Errorf("what the link led to says %q", data)
	}
	open, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := Write(path, []byte("two"), 0o600, false); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(fmt.Sprintf("/proc/self/fd/%d", open.Fd())); string(got) != "one" {
		t.Errorf("the old file says %q", got)
	}
}

// A reader never sees a part, or nothing, while many write.
func TestReadersSeeAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "record")
	a, b := bytes.Repeat([]byte("a"), 50_000), bytes.Repeat([]byte("b"), 90_000)
	if err := Write(path, a, 0o600, false); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for _, data := range [][]byte{a, b, a, b} {
		writers.Go(func() {
			for range 50 {
				if err := Write(path, data, 0o600, false); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, a) && !bytes.Equal(data, b) {
			t.Fatalf("read %d bytes, %v", len(data), err)
		}
	}
	if left := names(t, dir); len(left) != 1 {
		t.Errorf("left: %q", left)
	}
}

// What cannot be written leaves the old file, and nothing else.
func TestWriteThatFails(t *testing.T) {
	dir := t.TempDir()
	if err := Write(filepath.Join(dir, "none", "record"), nil, 0o600, false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into no directory: %v", err)
	}
	// A directory cannot be replaced by a file.
	taken := filepath.Join(dir, "taken")
	if err := os.Mkdir(taken, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(taken, []byte("x"), 0o600, true); err == nil {
		t.Error("a directory was replaced")
	}
	if left := names(t, dir); len(left) != 1 {
		t.Errorf("left: %q", left)
	}
}

// On a file system without room the old content stays.
func TestWriteWithoutRoom(t *testing.T) {
	if os.Getenv("BERTH_ATOMICFILE_INSIDE") == "" {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("unshare", "--map-root-user", "--mount", "--", exe, "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), "BERTH_ATOMICFILE_INSIDE=1")
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS")) {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	dir := t.TempDir()
	if err := unix.Mount("small", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }()
	path := filepath.Join(dir, "record")
	if err := Write(path, []byte("old"), 0o600, true); err != nil {
		t.Fatal(err)
	}
	for _, durable := range []bool{false, true} {
		if err := Write(path, make([]byte, 1<<20), 0o600, durable); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("written: %v", err)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != "old" {
			t.Errorf("then it says %q, %v", data, err)
		}
		if left := names(t, dir); len(left) != 1 {
			t.Errorf("left: %q", left)
		}
	}
}

// kill -9 at any moment leaves the old or the new content, and at most a temporary file that names its process.
func TestKilledWriter(t *testing.T) {
	const variable = "BERTH_ATOMICFILE_WRITES"
	if path := os.Getenv(variable); path != "" {
		for data := bytes.Repeat([]byte("b"), 300_000); ; {
			if err := Write(path, data, 0o600, true); err != nil {
				t.Fatal(err)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "record")
	want := bytes.Repeat([]byte("b"), 300_000)
	for i := range 20 {
		if err := Write(path, []byte("old"), 0o600, false); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), variable+"="+path)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i) * 2 * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		data, err := os.ReadFile(path)
		if err != nil || string(data) != "old" && !bytes.Equal(data, want) {
			t.Fatalf("killed: %d bytes, %v", len(data), err)
		}
	}
	for _, name := range names(t, filepath.Dir(path)) {
		if name != "record" && !regexp.MustCompile(`^\.tmp-[0-9]+-[0-9]+$`).MatchString(name) {
			t.Errorf("left: %q", name)
		}
	}
}

func TestTreeAndSync(t *testing.T) {
	dir := t.TempDir()
	sub := filepath.Join(dir, "a", "b")
	if err := errors.Join(os.MkdirAll(sub, 0o700), os.WriteFile(filepath.Join(sub, "file"), []byte("x"), 0o600),
		os.Symlink("/nowhere", filepath.Join(sub, "link")), unix.Mkfifo(filepath.Join(sub, "fifo"), 0o600)); err != nil {
		t.Fatal(err)
	}
	paths, err := Tree(dir) // neither follows the link nor waits for the FIFO's other end
	if want := []string{dir, filepath.Dir(sub), sub, filepath.Join(sub, "file")}; err != nil || !slices.Equal(paths, want) {
		t.Errorf("Tree = %q, %v; want %q", paths, err, want)
	}
	if err := Sync(paths...); err != nil {
		t.Error(err)
	}
	if _, err := Tree(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Tree of nothing: %v", err)
	}
	if err := Sync(sub, filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Sync of nothing: %v", err)
	}
}

// A container is put on the disk while its monitor writes its state.
func TestTreeWhileSomebodyWrites(t *testing.T) {
	dir := t.TempDir()
	end := time.Now().Add(300 * time.Millisecond)
	wrote := make(chan error)
	go func() {
		var err error
		for err == nil && time.Now().Before(end) {
			err = Write(filepath.Join(dir, "state"), []byte("x"), 0o600, false)
		}
		wrote <- err
	}()
	for time.Now().Before(end) {
		paths, err := Tree(dir)
		if err == nil {
			err = Sync(paths...)
		}
		if err != nil {
			t.Error(err)
			break
		}
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
}

func TestWriteFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, filepath.Join(dir, fmt.Sprintf("%s%d-%d", temporary, os.Getpid(), counter.Load()+1))); err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Join(dir, "file"), []byte("text"), 0o600, false); !errors.Is(err, unix.ELOOP) {
		t.Errorf("error %v, want %v", err, unix.ELOOP)
	}
	if data, err := os.ReadFile(other); err != nil || string(data) != "mine" {
		t.Errorf("the link was followed: %q, %v", data, err)
	}
}
