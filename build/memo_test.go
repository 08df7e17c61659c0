// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"go.podman.io/buildah/define"
)

func TestHashContextSeesEveryChange(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	hash := func() []byte {
		t.Helper()
		sum, _, err := hashContext(dir, []string{"ignored", "*.log", "!keep.log"})
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	write("a", "1")
	write("sub/b", "1")
	write("ignored/x", "1")
	before := hash()
	if !bytes.Equal(before, hash()) {
		t.Fatal("the hash of an unchanged context has changed")
	}
	write("ignored/x", "22")
	write("new.log", "1")
	if !bytes.Equal(before, hash()) {
		t.Error("the hash has changed with an ignored file")
	}
	for name, change := range map[string]func(){
		"new file":      func() { write("sub/c", "") },
		"content":       func() { write("a", "222") },
		"kept file":     func() { write("keep.log", "1") },
		"mode":          func() { os.Chmod(filepath.Join(dir, "a"), 0o600) },
		"symbolic link": func() { os.Symlink("a", filepath.Join(dir, "link")) },
		"removal":       func() { os.Remove(filepath.Join(dir, "sub/b")) },
		"rename":        func() { os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "a2")) },
	} {
		before := hash()
		change()
		if bytes.Equal(before, hash()) {
			t.Errorf("%s: the hash is the same", name)
		}
	}
}

func TestTextsThatFetchSomethingHaveNoMemo(t *testing.T) {
	for text, want := range map[string]bool{
		"FROM a\nRUN curl https://example.org/x":    true,
		"FROM a\nCOPY . /":                          true,
		"FROM a AS b\nFROM b":                       true,
		"FROM a\nADD x.tar /":                       true,
		"FROM a\nADD https://example.org/x /":       false,
		"FROM a\nADD \\\n  https://example.org/x /": false,
		"FROM a\nADD git@example.org:x.git /":       false,
		"FROM a\nARG U\nADD $U /":                   false,
		"FROM oci:dir":                              false,
		"FROM --platform=linux/arm64 dir:x":         false,
		"FROM a\nCOPY --from=docker-archive:x / /":  false,
		"from oci-archive:x":                        false,
	} {
		file := filepath.Join(t.TempDir(), "Containerfile")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		k := &memoKeeper{opts: &Options{Files: []string{file}}}
		texts, err := k.texts()
		if err != nil || (texts != nil) != want {
			t.Errorf("%q: memo %v, error %v; want %v", text, texts != nil, err, want)
		}
	}
}

func TestReadsOwn(t *testing.T) {
	for _, tt := range []struct {
		text, name string
		want       bool
	}{
		{"FROM debian", "app", false},
		{"FROM app", "app", true},
		{"FROM localhost/app:latest", "app", true},
		{"FROM debian\nCOPY --from=registry.example/team/app@sha256:0 / /", "team/app", true},
		{"ARG B\nFROM $B", "app", true},
		{"FROM debian\nRUN --mount=type=bind,from=app,target=/a true", "app:2", true},
	} {
		file := filepath.Join(t.TempDir(), "Containerfile")
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		k := &memoKeeper{opts: &Options{Files: []string{file}, BuildOptions: define.BuildOptions{Output: tt.name}}}
		if got := k.readsOwn(k.ownNames()); got != tt.want {
			t.Errorf("%q -t %s: %v, want %v", tt.text, tt.name, got, tt.want)
		}
	}
}
