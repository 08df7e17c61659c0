// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The filter that Berth compiles is, byte for byte, the one that crun would have compiled.
func TestPrecompiledFilterIsCruns(t *testing.T) {
	h, err := ReadHost()
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"default": {},
		"admin":   {CapAdd: []string{"CAP_SYS_ADMIN", "CAP_SYS_PTRACE"}},
		"profile": {Security: Security{Seccomp: "p", Profile: []byte(`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","no_such_call"],"action":"SCMP_ACT_ERRNO","errnoRet":7},{"names":["personality"],"action":"SCMP_ACT_KILL","args":[{"index":0,"value":8,"op":"SCMP_CMP_EQ"}]}]}`)}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := bundle(t)
			o.Args, o.Host, o.NoCgroup = []string{"/bin/sleep", "1"}, h, true
			s, err := Generate(o)
			if err != nil {
				t.Fatal(err)
			}
			theirs := installedFilter(t, dir, "theirs", s)
			if err := PrecompileSeccomp(s, filepath.Join(dir, "cache")); err != nil {
				t.Fatal(err)
			}
			ours, err := base64.StdEncoding.DecodeString(s.Annotations[CompiledSeccomp])
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(ours, theirs) {
				t.Errorf("crun compiles %d bytes, we %d others", len(theirs), len(ours))
			}
			s.Linux.Seccomp.Syscalls = nil // to see that the annotation is what counts
			if !bytes.Equal(installedFilter(t, dir, "ours", s), ours) {
				t.Error("crun does not take the filter from the annotation")
			}
		})
	}
}

// installedFilter creates a container and returns the filter that crun has kept for it.
func installedFilter(t *testing.T, dir, id string, s any) []byte {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, "state")
	crun := func(args ...string) {
		cmd := exec.Command("crun", append([]string{"--root", root, "--cgroup-manager=disabled"}, args...)...)
		log, err := os.Create(filepath.Join(dir, "log")) // not a pipe: the container would hold it open
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Run(); err != nil {
			out, _ := os.ReadFile(log.Name())
			t.Fatalf("crun %q: %v: %s", args, err, out)
		}
	}
	crun("create", "--bundle", dir, id)
	defer crun("delete", "--force", id)
	filter, err := os.ReadFile(filepath.Join(root, id, "seccomp.bpf"))
	if err != nil {
		t.Fatal(err)
	}
	return filter
}

func TestPrecompileSeccompKeeps(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	o := Options{Args: []string{"x"}, Host: rootHost()}
	compile := func() string {
		t.Helper()
		s, err := Generate(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := PrecompileSeccomp(s, dir); err != nil {
			t.Fatal(err)
		}
		return s.Annotations[CompiledSeccomp]
	}
	kept := func() []string {
		t.Helper()
		list, err := filepath.Glob(dir + "/*")
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	first := compile()
	files := kept()
	if len(files) != 1 || first == "" {
		t.Fatalf("kept %q", files)
	}
	for name, damage := range map[string]func(data []byte) []byte{
		"truncated": func(d []byte) []byte { return d[:len(d)/2] },
		"empty":     func(d []byte) []byte { return nil },
		"flipped":   func(d []byte) []byte { d[len(d)-1] ^= 1; return d },
		"zeroes":    func(d []byte) []byte { return make([]byte, len(d)) },
	} {
		data, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(files[0], damage(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if compile() != first {
			t.Errorf("%s: a damaged filter is used", name)
		}
	}
	for i := range keptFilters + 5 {
		if err := os.WriteFile(filepath.Join(dir, string(rune('A'+i))), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o.CapAdd = []string{"CAP_SYS_ADMIN"}
	if compile() == first {
		t.Error("the capabilities make no difference to the filter")
	}
	if n := len(kept()); n > keptFilters {
		t.Errorf("%d filters are kept, want at most %d", n, keptFilters)
	}
	o.Security.Seccomp = "unconfined"
	if compile() != "" {
		t.Error("an unconfined container gets a filter")
	}
}
