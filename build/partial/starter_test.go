// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const starterDir = "../../contrib/parts"

// starter is the starter set of contrib/parts.
func starter(t testing.TB) memLibrary {
	t.Helper()
	l := memLibrary{}
	dirs, err := filepath.Glob(filepath.Join(starterDir, "*", "Containerfile"))
	if err != nil || len(dirs) < 20 {
		t.Fatalf("the starter set has %d parts (%v), want 20 at least", len(dirs), err)
	}
	for _, d := range dirs {
		dir := filepath.Dir(d)
		p, err := ReadPart(os.DirFS(dir), dir)
		if err != nil {
			t.Fatal(err)
		}
		l[p.Meta.Name] = []*Part{p}
	}
	return l
}

// starterBases are the images that the starter set is tested on.
func starterBases() fakeBases {
	platforms := []string{"linux/amd64", "linux/arm64"}
	base := func(id, version, libc string, like ...string) *Base {
		return &Base{Digest: digestOf([]byte(id)), OS: &OSRelease{ID: id, Version: version, Like: like, Libc: libc}, Platforms: platforms,
			Config: BaseConfig{Env: map[string]string{"PATH": path1}}}
	}
	return fakeBases{
		"docker.io/library/debian:12-slim": base("debian", "12", "glibc"),
		"docker.io/library/ubuntu:24.04":   base("ubuntu", "24.04", "glibc", "debian"),
		"docker.io/library/alpine:3.20":    base("alpine", "3.20.3", "musl"),
		"docker.io/library/fedora:41":      base("fedora", "41", "glibc"),
	}
}

// required are values for the parameters without a default.
var required = map[string]string{"std/pip-install": " file=/srv/requirements.txt", "std/apt-mirror": " url=http://mirror.example.org/"}

func TestStarterSetComposesOnItsBases(t *testing.T) {
	lib := starter(t)
	for name, parts := range lib {
		p := parts[0]
		dir := filepath.Join(starterDir, leaf(name))
		readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
		if err != nil {
			t.Error(err)
		}
		for _, param := range sortedKeys(p.Meta.Params) {
			if !strings.Contains(string(readme), "`"+param+"`") {
				t.Errorf("%s: README.md does not tell of the parameter %s", name, param)
			}
		}
		if p.Meta.Check == nil && name != "std/apt-mirror" {
			t.Errorf("%s has no check", name)
		}
		list, err := os.ReadFile(filepath.Join(dir, "test", "bases"))
		if err != nil {
			t.Error(err)
		}
		for base := range strings.Lines(string(list)) {
			base = strings.TrimSpace(base)
			src := "FROM " + base + "\n"
			if name == "std/pip-install" {
				src += "#: use std/python\n"
			}
			src += "#: use " + name + required[name] + "\n"
			r := mustCompose(t, lib, src, func(o *Options) { o.Bases = starterBases() })
			decode(t, r.Text)
			os := strings.FieldsFunc(base, func(c rune) bool { return c == '/' || c == ':' })[2]
			golden(t, filepath.Join("parts", leaf(name)+"."+os), r.Body)
		}
	}
}

func TestStarterSetFitsTogether(t *testing.T) {
	src := "FROM docker.io/library/debian:12-slim AS build\n#: use std/build-essential\n#: use std/go-toolchain\n#: use std/jdk as dev\n" +
		"FROM docker.io/library/debian:12-slim\n#: option packages=merged\n#: use std/apt-mirror url=http://mirror.example.org\n#: use std/nodejs\n#: use std/python\n#: use std/pip-install file=/r.txt\n" +
		"#: use std/tz\n#: use std/locale\n#: use std/app-user\n#: use std/git\n#: use std/pg-client\n#: use std/tini\n#: use std/healthcheck-http\n#: use std/debug-tools\n#: use std/harden\n#: use std/jdk\nCMD [\"x\"]\n"
	r := mustCompose(t, starter(t), src, func(o *Options) { o.Bases = starterBases() })
	decode(t, r.Text)
	golden(t, "together.containerfile", r.Body)
}
