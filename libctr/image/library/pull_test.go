// SPDX-License-Identifier: Apache-2.0

package library

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/test/badregistry"
)

// startRegistry serves a badregistry over plain HTTP and returns its address.
func startRegistry(t *testing.T) (string, *badregistry.Registry) {
	t.Helper()
	r := &badregistry.Registry{}
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String(), r
}

func plainHTTP() image.PullOptions {
	no := false
	return image.PullOptions{RegistryOptions: image.RegistryOptions{TLSVerify: &no}, Policy: image.Always, RetryDelay: time.Millisecond}
}

func TestPull(t *testing.T) {
	s := newTestStore(t)
	addr, _ := startRegistry(t)
	for _, repo := range []string{"ok", "flaky"} {
		ids, err := s.rt.Pull(t.Context(), addr+"/"+repo, plainHTTP())
		if err != nil || len(ids) != 1 {
			t.Fatalf("Pull(%s) = %v, %v", repo, ids, err)
		}
		img := lookup(t, s, addr+"/"+repo+":latest")
		if img.ID != ids[0] {
			t.Errorf("Pull(%s) returned %s, the store has %s", repo, ids[0], img.ID)
		}
		c, err := img.Config()
		if err != nil || c.Image.Config.Labels["repository"] != repo {
			t.Errorf("Config of %s = %+v, %v", repo, c, err)
		}
	}
	opts := plainHTTP()
	opts.Creds = "user:secret"
	if _, err := s.rt.Pull(t.Context(), addr+"/unauthorized", opts); err != nil {
		t.Errorf("Pull with --creds: %v", err)
	}
	opts.AllTags = true
	if ids, err := s.rt.Pull(t.Context(), addr+"/ok", opts); err != nil || len(ids) != 3 {
		t.Errorf("Pull of all tags = %v, %v; want 3", ids, err)
	}
}

func TestPullFaults(t *testing.T) {
	s := newTestStore(t)
	addr, _ := startRegistry(t)
	before := storeFiles(t, s)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	for name, tc := range map[string]struct{ image, hint, text string }{
		"unauthorized":  {addr + "/unauthorized", "log in " + addr, "unauthorized"},
		"404":           {addr + "/missing", "check the spelling", "manifest unknown"},
		"404 page":      {addr + "/html404", "check the spelling", ""},
		"truncated":     {addr + "/truncated", "broke off", "unexpected EOF"},
		"wrong digest":  {addr + "/wrongdigest", "not what its manifest promises", ""},
		"wrong config":  {addr + "/wrongconfig", "not what its manifest promises", ""},
		"down":          {closed + "/x", "nothing listens", "connection refused"},
		"no such host":  {"no-such-host.invalid/x", "cannot be resolved", ""},
		"bad reference": {"UPPER/case", "in small letters", ""},
		"bad tag":       {"x:y:z", "in small letters", ""},
		"broken":        {addr + "/broken", "", "500"},
		"not a tar":     {addr + "/badlayer", "", ""},
	} {
		opts := plainHTTP()
		zero := uint(0)
		opts.Retries = &zero
		_, err := s.rt.Pull(t.Context(), tc.image, opts)
		if err == nil {
			t.Errorf("%s: Pull(%s) gave no error", name, tc.image)
			continue
		}
		var hinted *hint.Error
		if errors.As(err, &hinted) != (tc.hint != "") || (hinted != nil && !strings.Contains(hinted.Hint.String(), tc.hint)) {
			t.Errorf("%s: hint %+v, want %q (error %v)", name, hinted, tc.hint, err)
		}
		if !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: error %q does not say %q", name, err, tc.text)
		}
	}
	if after := storeFiles(t, s); after != before {
		t.Errorf("failed pulls left files in the store:\n%s\nbefore:\n%s", after, before)
	}
}

// storeFiles lists what images and layers are made of, and the temporary files.
func storeFiles(t *testing.T, s *testStore) string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"vfs-images/*", "vfs/dir/*", "vfs-layers/*"} {
		found, err := filepath.Glob(filepath.Join(s.root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			switch filepath.Base(f) {
			case "images.json", "layers.json", "images.lock", "layers.lock", "tmp", "volatile-layers.json":
			default:
				all = append(all, f)
			}
		}
	}
	found, err := filepath.Glob(filepath.Join(s.rt.scratch, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(append(all, found...), "\n")
}

func TestPullPlainHTTPNeedsConsent(t *testing.T) {
	s := newTestStore(t)
	addr, _ := startRegistry(t)
	_, err := s.rt.Pull(t.Context(), addr+"/ok", image.PullOptions{Policy: image.Always})
	var hinted *hint.Error
	if !errors.As(err, &hinted) || !strings.Contains(hinted.Hint.String(), "tls-verify=false") {
		t.Errorf("Pull over plain HTTP = %v, hint %+v", err, hinted)
	}
}

func TestPullInterrupted(t *testing.T) {
	s := newTestStore(t)
	addr, _ := startRegistry(t)
	before := storeFiles(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := s.rt.Pull(ctx, addr+"/slow", plainHTTP())
	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("interrupted Pull = %v", err)
	}
	if after := storeFiles(t, s); after != before {
		t.Errorf("an interrupted pull left files:\n%s", after)
	}
}

func TestPullPolicies(t *testing.T) {
	s := newTestStore(t)
	addr, _ := startRegistry(t)
	name := addr + "/ok"
	opts := plainHTTP()
	opts.Policy = image.Never
	if _, err := s.rt.Pull(t.Context(), name, opts); !errors.Is(err, image.ErrNotFound) {
		t.Errorf("Pull never = %v, want ErrNotFound", err)
	}
	for _, p := range []image.Policy{image.Missing, image.Newer, image.Always, image.Never} {
		opts.Policy = p
		if ids, err := s.rt.Pull(t.Context(), name, opts); err != nil || len(ids) != 1 {
			t.Errorf("Pull %s = %v, %v", p, ids, err)
		}
	}
	// Nobody listens at an image's registry any more: missing and newer take the local image.
	local := "127.0.0.1:1/gone:latest"
	if err := s.rt.Tag(name, local); err != nil {
		t.Fatal(err)
	}
	for p, ok := range map[image.Policy]bool{image.Missing: true, image.Newer: true, image.Never: true, image.Always: false} {
		opts.Policy = p
		if _, err := s.rt.Pull(t.Context(), local, opts); (err == nil) != ok {
			t.Errorf("Pull %s without registry: %v, want success %v", p, err, ok)
		}
	}
}

func TestShortNameWithoutRegistries(t *testing.T) {
	s := newTestStore(t)
	writeFile(t, filepath.Dir(s.sys.SystemRegistriesConfPath), "none.conf", "unqualified-search-registries = []\n")
	s.rt.sys.SystemRegistriesConfPath = filepath.Join(filepath.Dir(s.sys.SystemRegistriesConfPath), "none.conf")
	rt, err := NewRuntime(s.lib, &s.rt.sys)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	_, err = rt.Pull(t.Context(), "shortname", image.PullOptions{})
	var hinted *hint.Error
	if !errors.As(err, &hinted) || !strings.Contains(hinted.Hint.String(), "docker.io/library/shortname") {
		t.Errorf("Pull of a short name = %v, hint %+v", err, hinted)
	}
}

func TestBuiltin(t *testing.T) {
	s := newTestStore(t)
	for _, name := range []string{"hello", "localhost/hello:latest", "hello:latest"} {
		ids, err := s.rt.Pull(t.Context(), name, image.PullOptions{})
		if err != nil || len(ids) != 1 {
			t.Fatalf("Pull(%s) = %v, %v", name, ids, err)
		}
		if img := lookup(t, s, name); img.ID != ids[0] || img.Resolved != image.BuiltinName {
			t.Errorf("Lookup(%s) = %s %q, want %s", name, img.ID, img.Resolved, ids[0])
		}
	}
	if _, ok := image.Builtin("hello-world"); ok {
		t.Error("Builtin(hello-world) is there")
	}
	opts := image.PullOptions{Policy: image.Never}
	if _, errs := s.rt.Remove(t.Context(), []string{"hello"}, RemoveOptions{}); len(errs) > 0 {
		t.Fatal(errs)
	}
	if _, err := s.rt.Pull(t.Context(), "hello", opts); !errors.Is(err, image.ErrNotFound) {
		t.Errorf("Pull never of hello = %v, want ErrNotFound", err)
	}
}

// Without policy.json and registries.conf anywhere, images are accepted and docker.io is searched.
func TestDefaults(t *testing.T) {
	s := newTestStore(t)
	empty := t.TempDir()
	t.Setenv("HOME", empty)
	t.Setenv("XDG_CONFIG_HOME", empty)
	sys := *s.sys
	sys.SignaturePolicyPath, sys.SystemRegistriesConfPath, sys.SystemRegistriesConfDirPath = "", "", ""
	sys.RootForImplicitAbsolutePaths = empty
	rt, err := NewRuntime(s.lib, &sys)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	addr, _ := startRegistry(t)
	if _, err := rt.Pull(t.Context(), addr+"/ok", plainHTTP()); err != nil {
		t.Errorf("Pull without policy.json: %v", err)
	}
	if got := rt.registry("debian"); got != "docker.io" {
		t.Errorf("without registries.conf debian is looked for on %s", got)
	}
	writeFile(t, empty, "policy.json", "{broken")
	if err := os.MkdirAll(filepath.Join(empty, "containers"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(empty, "containers"), "policy.json", `{"default":[{"type":"reject"}]}`)
	sys.RootForImplicitAbsolutePaths = ""
	rt2, err := NewRuntime(s.lib, &sys)
	if err != nil {
		t.Fatal(err)
	}
	defer rt2.Close()
	if _, err := rt2.Pull(t.Context(), addr+"/ok", plainHTTP()); err == nil || !strings.Contains(err.Error(), "reject") {
		t.Errorf("Pull against a policy that rejects all = %v", err)
	}
}
