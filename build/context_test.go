// SPDX-License-Identifier: Apache-2.0

package build

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.podman.io/buildah/define"
	"golang.org/x/sys/unix"
)

// writeAll makes files with one line, "*.log".
func writeAll(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, n := range names {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, n)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, n), []byte("*.log\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestContainFollowsNoLinkOutOfAContextFromElsewhere(t *testing.T) {
	tmp, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &Session{tmp: filepath.Join(tmp, "session")}
	dir := filepath.Join(s.tmp, "ctx")
	writeAll(t, tmp, "secret", "session/ctx/sub/inside", "session/ctx/plain")
	for name, target := range map[string]string{"out": tmp + "/secret", "in": "/sub/inside", "up": "../../../../../../../.." + tmp + "/secret", "dir": tmp} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]string{
		"plain":              dir + "/plain",
		dir + "/plain":       dir + "/plain",
		"in":                 dir + "/sub/inside",
		"out":                "",
		dir + "/out":         "",
		"up":                 "",
		"dir/secret":         "",
		"sub":                "", // a directory
		"../../secret":       "",
		tmp + "/secret":      tmp + "/secret", // the caller's own
		"http://x/y":         "http://x/y",
		s.tmp + "/elsewhere": s.tmp + "/elsewhere",
	} {
		got, err := s.Contain(dir, []string{file})
		if want == "" {
			if err == nil {
				t.Errorf("Contain(%q) = %q, want an error", file, got)
			}
			continue
		}
		if err != nil || !slices.Equal(got, []string{want}) {
			t.Errorf("Contain(%q) = %q, %v, want %q", file, got, err, want)
		}
	}
	if got, err := s.Contain(tmp, []string{dir + "/out"}); err != nil || got[0] != dir+"/out" {
		t.Errorf("Contain in a directory of the caller's = %q, %v", got, err)
	}
}

func TestReadIgnoreFile(t *testing.T) {
	dir := t.TempDir()
	read := func(files ...string) (define.BuildOptions, error) {
		o := define.BuildOptions{ContextDirectory: dir}
		return o, ReadIgnoreFile(&o, files)
	}
	o := define.BuildOptions{ContextDirectory: dir}
	if err := ReadIgnoreFile(&o, []string{"Containerfile"}); err != nil || len(o.Excludes) > 0 {
		t.Errorf("with no file: %v, %v", o.Excludes, err)
	}
	for _, name := range []string{".dockerignore", ".containerignore", "Containerfile.containerignore", "Containerfile.dockerignore"} {
		writeAll(t, dir, name) // each comes before those made until now
		o := define.BuildOptions{ContextDirectory: dir}
		if err := ReadIgnoreFile(&o, []string{"Containerfile"}); err != nil || o.IgnoreFile != filepath.Join(dir, name) || !slices.Equal(o.Excludes, []string{"*.log"}) {
			t.Errorf("with %s: %s %v, %v", name, o.IgnoreFile, o.Excludes, err)
		}
	}
	fifo := filepath.Join(dir, "F.dockerignore")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := read("F"); err == nil {
		t.Error("a FIFO has been read")
	}
	if err := os.Symlink("/dev/zero", filepath.Join(dir, "Z.dockerignore")); err != nil {
		t.Fatal(err)
	}
	if _, err := read("Z"); err != nil {
		t.Errorf("a link out of the context: %v, want it to be followed inside", err)
	}
}

func TestCopyRegularReadsNothingElse(t *testing.T) {
	dir := t.TempDir()
	writeAll(t, dir, "file")
	if err := unix.Mkfifo(dir+"/fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := copyRegular(dir+"/file", io.Discard); err != nil {
		t.Error(err)
	}
	for _, name := range []string{dir + "/fifo", dir, "/dev/zero", dir + "/none"} {
		if err := copyRegular(name, io.Discard); err == nil {
			t.Errorf("copyRegular(%s) = nil", name)
		}
	}
}
