package image

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/reexec"
)

// The storage library runs this program again to unpack layers.
func TestMain(m *testing.M) {
	if reexec.Init() {
		return
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
	if os.Geteuid() != 0 {
		t.Fatal("these tests change a containers/storage store: run them as root, or in a user namespace (berth unshare)")
	}
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

func (s *testStore) view() *View {
	v := OpenView(s.root, "vfs", nil)
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
