// SPDX-License-Identifier: Apache-2.0

package project

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"go.podman.io/image/v5/types"
)

// put makes a file below dir, with the directories above it, and returns its path.
func put(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// engine is one on an empty store.
func engine(t *testing.T) *libctr.Engine {
	t.Helper()
	dir := t.TempDir()
	e, err := libctr.Open(t.Context(), libctr.Options{GraphRoot: filepath.Join(dir, "root"), RunRoot: filepath.Join(dir, "run"), StorageDriver: "vfs"})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestReadConf(t *testing.T) {
	for name, tc := range map[string]struct {
		user, project string
		aliases       string // name=prefix, with DIR for the project's directory
		allow         []string
		err           string
	}{
		"nothing":                      {aliases: ""},
		"a registry":                   {project: "[aliases]\nstd = 'registry.example.org/parts'\n", aliases: "std=registry.example.org/parts"},
		"a folder of the project":      {project: "[aliases]\nown = './parts'\n", aliases: "own=DIR/parts"},
		"the project's before user's":  {user: "[aliases]\nstd='a.example/x'\n", project: "[aliases]\nstd='b.example/x'\n", aliases: "std=b.example/x"},
		"the user's list before the p": {user: "[sources]\nallow=['a.example']\n", project: "[sources]\nallow=['b.example']\n", allow: []string{"a.example"}},
		"an empty list allows nothing": {user: "[sources]\nallow=[]\n", project: "[sources]\nallow=['b.example']\n", allow: []string{}},
		"an alias with a dot":          {project: "[aliases]\n'a.b' = './x'\n", err: `alias "a.b": an alias is one word`},
		"an alias called localhost":    {project: "[aliases]\nlocalhost = './x'\n", err: `alias "localhost"`},
		"a word is no source":          {project: "[aliases]\nstd = 'parts'\n", err: `"parts" is no source of parts; write a folder as ./parts`},
		"an unknown key":               {project: "[sources]\ndeny = []\n", err: "sources.deny is not known"},
		"no TOML":                      {project: "[aliases\n", err: "partials.conf: toml"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, home := t.TempDir(), t.TempDir()
			t.Setenv("XDG_CONFIG_HOME", home)
			if tc.user != "" {
				put(t, home, "containers/partials.conf", tc.user)
			}
			if tc.project != "" {
				put(t, dir, "partials.conf", tc.project)
			}
			c, err := ReadConf(dir)
			if tc.err != "" || err != nil {
				if !strings.Contains(errText(err), tc.err) || tc.err == "" {
					t.Fatalf("error %v, want one with %q", err, tc.err)
				}
				return
			}
			var aliases []string
			for name, prefix := range c.Aliases {
				aliases = append(aliases, name+"="+strings.ReplaceAll(prefix, dir, "DIR"))
			}
			if strings.Join(aliases, " ") != tc.aliases {
				t.Errorf("aliases %q, want %q", aliases, tc.aliases)
			}
			if (c.Allow == nil) != (tc.allow == nil) || strings.Join(c.Allow, " ") != strings.Join(tc.allow, " ") {
				t.Errorf("allow %#v, want %#v", c.Allow, tc.allow)
			}
		})
	}
}

func TestNamesOfFiles(t *testing.T) {
	for _, tc := range []struct {
		file, text string
		source     bool
		eject      string
	}{
		{"d/Containerfile", "FROM a\n", false, "d/Containerfile"},
		{"d/Containerfile", "FROM a\n#: use x/y\n", true, "d/Containerfile"},
		{"d/partials.yaml", "base: a\n", true, "d/Containerfile"},
		{"partials.yml", "", true, "Containerfile"},
	} {
		if got := IsSource(tc.file, []byte(tc.text)); got != tc.source {
			t.Errorf("IsSource(%q, %q) = %v", tc.file, tc.text, got)
		}
		if got := EjectTarget(tc.file); got != tc.eject {
			t.Errorf("EjectTarget(%q) = %q, want %q", tc.file, got, tc.eject)
		}
	}
}

func TestHinted(t *testing.T) {
	for code, want := range map[string]string{
		"P021": "see the versions with: list the versions of std/x",
		"P050": "update the lock of F",
		"P051": "if the change is known to be good, take it with: update the lock of F",
		"P053": "settle the source first, then: rm F.lock && update the lock of F",
		"P001": "",
	} {
		err := Hinted(partial.Errorf(code, "std/x has no version"), "F")
		if got := hint.Of(err).String(); got != want {
			t.Errorf("%s: hint %q, want %q", code, got, want)
		}
	}
	if err := errors.New("other"); Hinted(err, "F") != err { //nolint:errorlint // the same one
		t.Error("an error that is none of the catalogue's has become another")
	}
}

func TestSystemContext(t *testing.T) {
	no, yes := false, true
	e := engine(t)
	for name, tc := range map[string]struct {
		o    image.RegistryOptions
		want types.SystemContext
	}{
		"nothing is said": {image.RegistryOptions{}, types.SystemContext{}},
		"tls-verify no":   {image.RegistryOptions{TLSVerify: &no}, types.SystemContext{DockerInsecureSkipTLSVerify: types.OptionalBoolTrue, DockerDaemonInsecureSkipTLSVerify: true}},
		"tls-verify yes":  {image.RegistryOptions{TLSVerify: &yes}, types.SystemContext{DockerInsecureSkipTLSVerify: types.OptionalBoolFalse}},
		"creds":           {image.RegistryOptions{Creds: "me:pass:word"}, types.SystemContext{DockerAuthConfig: &types.DockerAuthConfig{Username: "me", Password: "pass:word"}}},
		"creds of a user": {image.RegistryOptions{Creds: "me"}, types.SystemContext{}},
		"files":           {image.RegistryOptions{CertDir: "/c", AuthFile: "/a"}, types.SystemContext{DockerCertPath: "/c", AuthFilePath: "/a"}},
	} {
		got, want := systemContext(Options{Engine: e, Registry: tc.o}), *e.SystemContext()
		want.DockerInsecureSkipTLSVerify, want.DockerDaemonInsecureSkipTLSVerify = tc.want.DockerInsecureSkipTLSVerify, tc.want.DockerDaemonInsecureSkipTLSVerify
		want.DockerAuthConfig, want.DockerCertPath, want.AuthFilePath = tc.want.DockerAuthConfig, tc.want.DockerCertPath, tc.want.AuthFilePath
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: got %+v, want %+v", name, *got, want)
		}
	}
}

const note = `# /// partial
# name: test/note
# version: 1.0.0
# summary: A file.
# ///
ARG BASE
FROM ${BASE} AS base
FROM base AS install
COPY <<EOF /note
of a part
EOF
`

func TestBasesOfAPart(t *testing.T) {
	withBase := strings.Replace(note, "ARG BASE", "ARG BASE=debian:12", 1)
	for name, tc := range map[string]struct {
		part, list string
		given      []string
		want       string
	}{
		"what is given":         {withBase, "a\n", []string{"x", "y"}, "x y"},
		"the file":              {withBase, "# two\na\n\n b \n", nil, "a b"},
		"the default":           {withBase, "", nil, "debian:12"},
		"a file without a line": {withBase, "# none\n", nil, "debian:12"},
		"none at all":           {note, "", nil, "error: there is no base to test on"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, dir, "Containerfile", tc.part)
			put(t, dir, "README.md", "A file.\n")
			if tc.list != "" {
				put(t, dir, "test/bases", tc.list)
			}
			part, err := partial.NewPart("Containerfile", tc.part, nil)
			if err != nil {
				t.Fatal(err)
			}
			list, err := TestBases(part, dir, tc.given)
			got := strings.Join(list, " ")
			if err != nil {
				got = "error: " + err.Error()
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestImportedFeatureIsWritten(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "part")
	put(t, from, "devcontainer-feature.json", `{"id": "note", "version": "1.2.3", "name": "Note", "description": "Writes a file."}`)
	put(t, from, "install.sh", "#!/bin/sh\necho x >/note\n")
	put(t, from, "README.md", "not taken\n")
	if err := os.Chmod(filepath.Join(from, "install.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := ImportFeature(from, "test/note", to); err != nil {
		t.Fatal(err)
	}
	if p, err := ReadPart(to); err != nil || p.Meta.Name != "test/note" || p.Meta.Version != "1.2.3" {
		t.Errorf("the part that was written: %v", err)
	}
	st, err := os.Stat(filepath.Join(to, "files/install.sh"))
	if err != nil || st.Mode().Perm()&0o100 == 0 {
		t.Errorf("install.sh: %v", err)
	}
	if _, err := Lint(to); err != nil {
		t.Errorf("lint: %v", err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(from, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := ImportFeature(from, "test/note", to); !errors.Is(err, &partial.Error{Code: "P070"}) {
		t.Errorf("a link in the Feature: %v", err)
	}
	if _, err := ImportFeature(t.TempDir(), "test/note", to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no Feature: %v", err)
	}
}

// A source, its lock, and what the verbs make of them. Nothing here needs an image.
func TestLifeOfASource(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	dir := t.TempDir()
	put(t, dir, "parts/note/README.md", "A file.\n")
	put(t, dir, "parts/note/Containerfile", note)
	put(t, dir, "parts/word/README.md", "A file.\n")
	put(t, dir, "parts/word/Containerfile", strings.ReplaceAll(note, "note", "word"))
	source := put(t, dir, "Containerfile", "FROM scratch\n#: use ./parts/note\n")
	if err := os.Chmod(source, 0o640); err != nil {
		t.Fatal(err)
	}
	o := Options{Engine: engine(t), File: source}
	open := func() *Project {
		p, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		return p
	}
	locked := o
	locked.Locked = true
	if _, err := Compose(t.Context(), locked); !errors.Is(err, &partial.Error{Code: "P050"}) {
		t.Errorf("without a lock, which may not change: %v", err)
	}
	r, err := Compose(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if names := r.PartNames(); len(names) != 1 || names[0] != "test/note" {
		t.Errorf("parts %v", names)
	}
	if _, err := Compose(t.Context(), locked); err != nil {
		t.Errorf("with the lock that was written: %v", err)
	}
	if wrote, err := open().WriteLock(r); wrote || err != nil {
		t.Errorf("the same lock is written again: %v, %v", wrote, err)
	}
	if f, err := Verify(t.Context(), o); err != nil || f.Err() != nil {
		t.Errorf("verify: %v, %v", err, f.Err())
	}

	// Lines come and go, with the lock; the source keeps its mode.
	if _, line, err := open().Add(t.Context(), "./parts/word", ""); err != nil || line != 4 {
		t.Errorf("add: line %d, %v", line, err)
	}
	if text := read(t, source); !strings.HasSuffix(text, "FROM scratch\n#: use ./parts/note\n#: use ./parts/word\n") {
		t.Errorf("after add: %q", text)
	}
	if st, err := os.Stat(source); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("after add: %v, %v", st.Mode(), err)
	}
	if l := open().Lock(); len(l.Parts) != 2 {
		t.Errorf("after add the lock has %d parts", len(l.Parts))
	}
	if _, _, err := open().Add(t.Context(), "./parts/nothing", ""); err == nil || strings.Contains(read(t, source), "nothing") {
		t.Errorf("add of what is not there: %v", err)
	}
	if _, err := open().Remove(t.Context(), "word"); err != nil {
		t.Errorf("remove: %v", err)
	}
	if l := open().Lock(); len(l.Parts) != 1 {
		t.Errorf("after remove the lock has %d parts", len(l.Parts))
	}

	// The part gets a new version.
	put(t, dir, "parts/note/Containerfile", strings.Replace(note, "1.0.0", "1.1.0", 1))
	if f, err := Verify(t.Context(), o); err != nil || f.Err() == nil {
		t.Errorf("verify, with a part that is another: %v, %v", err, f.Err())
	}
	update := o
	update.Update, update.Only = true, []string{"nothing"}
	p, err := Open(update)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Update(t.Context(), ""); !errors.Is(err, &partial.Error{Code: "P022"}) {
		t.Errorf("update of a part that is not used: %v", err)
	}
	p.opts.Only = []string{"note"}
	u, err := p.Update(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if len(u.Changes) != 1 || u.Changes[0].Old != "1.0.0" || u.Changes[0].New != "1.1.0" {
		t.Errorf("changes %+v", u.Changes)
	}
	if l := open().Lock(); l.Parts[0].Version != "1.0.0" {
		t.Error("the lock is written before Write")
	}
	if err := u.Write(); err != nil || open().Lock().Parts[0].Version != "1.1.0" {
		t.Errorf("write the update: %v", err)
	}

	// The composed file in the place of the source.
	if r, err = open().Compose(t.Context()); err != nil {
		t.Fatal(err)
	}
	target, digest, err := Eject(o, r)
	if err != nil || target != source || partial.DigestOf(read(t, source)) != digest || strings.Contains(read(t, source), "#: use") {
		t.Errorf("eject: %q, %q, %v", target, digest, err)
	}
	if l := open().Lock(); l.Ejected != digest {
		t.Errorf("the lock of what was ejected says %q", l.Ejected)
	}
}

func TestSourceWithoutALock(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	dir := t.TempDir()
	put(t, dir, "parts/note/README.md", "A file.\n")
	put(t, dir, "parts/note/Containerfile", note)
	o := Options{Engine: engine(t), File: put(t, dir, "Containerfile", "FROM scratch\n#: use ./parts/note\n"), Once: true}
	if _, err := Compose(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(o.LockFile()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a lock is written: %v", err)
	}
	o.Locked = true
	if _, err := Compose(t.Context(), o); !strings.Contains(errText(err), "is not a file that has a lock") {
		t.Errorf("with a lock that must not change: %v", err)
	}
}

func TestRecords(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	e, dir := engine(t), t.TempDir()
	p, err := OpenDir(Options{Engine: e, File: filepath.Join(dir, "web.Containerfile")}, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if r, err := p.KeptRecord("sha256:abc", "id"); r != nil || err != nil {
		t.Errorf("what was never kept: %v, %v", r, err)
	}
	r := &partial.Result{Text: "FROM scratch\n", Digest: "sha256:abc", Lock: &partial.Lock{}}
	if err := p.KeepRecord(r, []byte("source"), "sha256:before"); err != nil {
		t.Fatal(err)
	}
	k, err := readKept(e, "sha256:abc")
	if err != nil || k.Version != 1 || string(k.Source) != "source" || k.SourceName != "web.Containerfile" || k.Previous != "sha256:before" {
		t.Fatalf("kept %+v, %v", k, err)
	}
	// What is known of images, and of the one before, stays.
	k.Images = map[string]keptImage{"id": {Layers: []byte(`[1]`)}}
	if err := write(e, "sha256:abc", k); err != nil {
		t.Fatal(err)
	}
	if err := keepRecord(e, r, "other", []byte("again")); err != nil {
		t.Fatal(err)
	}
	k, err = readKept(e, "sha256:abc")
	if err != nil || string(k.Source) != "again" || k.Previous != "sha256:before" || string(k.Images["id"].Layers) != "[1]" {
		t.Errorf("kept again: %+v, %v", k, err)
	}

	// A record that no image has the digest of goes once it is old: a build writes it before its image is there.
	if _, freed, err := p.Prune(false, nil); err != nil || freed != 0 {
		t.Errorf("prune of a new record: %d bytes, %v", freed, err)
	}
	old := time.Now().Add(-2 * atWork)
	if err := os.Chtimes(recordFile(e, "sha256:abc"), old, old); err != nil {
		t.Fatal(err)
	}
	if _, freed, err := p.Prune(false, nil); err != nil || freed == 0 {
		t.Errorf("prune of an old record: %d bytes, %v", freed, err)
	}
	if k, err := readKept(e, "sha256:abc"); k != nil || err != nil {
		t.Errorf("after prune: %v, %v", k, err)
	}
	put(t, filepath.Dir(recordFile(e, "")), "bad.json", "{")
	if _, err := readKept(e, "sha256:bad"); err == nil {
		t.Error("a damaged record is read")
	}
}
