// SPDX-License-Identifier: Apache-2.0

package library

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/berth-containers/berth/libctr/image"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/reexec"
)

// The storage library runs this program again to unpack layers. An ordinary user's tests run in
// a user namespace, as the commands that change a store do.
func TestMain(m *testing.M) {
	if reexec.Init() {
		return
	}
	if os.Geteuid() != 0 {
		self, err := os.Executable()
		argv := append([]string{"unshare", "--map-root-user", "--map-auto", "--mount", "--", self}, os.Args[1:]...)
		path := ""
		if err == nil {
			path, err = exec.LookPath(argv[0])
		}
		if err == nil {
			// As rootless.Setup does: the libraries look for these.
			env := append(os.Environ(), "_CONTAINERS_USERNS_CONFIGURED=done", fmt.Sprintf("_CONTAINERS_ROOTLESS_UID=%d", os.Getuid()), fmt.Sprintf("_CONTAINERS_ROOTLESS_GID=%d", os.Getgid()))
			err = syscall.Exec(path, argv, env)
		}
		fmt.Fprintln(os.Stderr, "enter a user namespace:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// testStore is a real store with the vfs driver, which needs root but no mounts.
type testStore struct {
	root string
	sys  *types.SystemContext
	rt   *Runtime
	lib  storage.Store
}

func newTestStore(t *testing.T) *testStore {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	s := &testStore{root: filepath.Join(dir, "root")}
	s.sys = &types.SystemContext{
		SystemRegistriesConfPath:    writeFile(t, dir, "registries.conf", `unqualified-search-registries = ["reg.example", "docker.io"]`+"\n"),
		SystemRegistriesConfDirPath: filepath.Join(dir, "conf.d"),
		UserShortNameAliasConfPath:  filepath.Join(dir, "aliases.conf"),
		SignaturePolicyPath:         writeFile(t, dir, "policy.json", defaultPolicy),
		AuthFilePath:                writeFile(t, dir, "auth.json", "{}"),
	}
	var err error
	s.lib, err = storage.GetStore(storage.StoreOptions{GraphRoot: s.root, RunRoot: filepath.Join(dir, "run"), GraphDriverName: "vfs"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := s.lib.Shutdown(true); err != nil {
			t.Error(err)
		}
	})
	if s.rt, err = NewRuntime(s.lib, s.sys); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.rt.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *testStore) view() *image.View {
	v := image.OpenView(s.root, "vfs", nil)
	v.System = s.sys
	return v
}

// add imports an image with one file that holds content, and gives it names.
func (s *testStore) add(t *testing.T, content string, names ...string) string {
	t.Helper()
	id, err := s.rt.Import(t.Context(), tarFile(t, content), ImportOptions{Message: "made by a test", Changes: []string{"LABEL content=" + content}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := s.rt.Tag(id, name); err != nil {
			t.Fatal(err)
		}
	}
	return id[len("sha256:"):]
}

// tarFile returns a tar archive with one file.
func tarFile(t *testing.T, content string) string {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, dir, "file", content)
	path := filepath.Join(dir, "archive.tar")
	cmd := exec.Command("tar", "-C", dir, "-cf", path, "file")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("tar: %v: %s", err, &stderr)
	}
	return path
}

func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
