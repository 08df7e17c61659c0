// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree makes a hierarchy of cgroups v2: files by path below its root. A directory that ends in "!" is read-only.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, text := range files {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestControllersOfVersion2(t *testing.T) {
	for name, c := range map[string]struct {
		files   map[string]string
		cgroups cgroups
		want    string
	}{
		"the real root hands everything down": {
			map[string]string{"cgroup.controllers": "cpu memory pids\n", "cgroup.subtree_control": "memory\n", "cgroup.procs": "1\n2\n"},
			cgroups{manager: "cgroupfs", v2: true, parent: "/"}, "cpu memory pids",
		},
		"the root of a container, with processes in it, hands down what is enabled": {
			map[string]string{"cgroup.type": "domain\n", "cgroup.controllers": "cpu memory pids\n", "cgroup.subtree_control": "cpu\n", "cgroup.procs": "1\n"},
			cgroups{manager: "cgroupfs", v2: true, parent: "/"}, "cpu",
		},
		"without processes it hands everything down": {
			map[string]string{"cgroup.type": "domain\n", "cgroup.controllers": "cpu memory\n", "cgroup.subtree_control": "", "cgroup.procs": ""},
			cgroups{manager: "cgroupfs", v2: true, parent: "/"}, "cpu memory",
		},
		"a threaded one hands down what is enabled": {
			map[string]string{"a/cgroup.type": "domain threaded\n", "a/cgroup.controllers": "cpu memory\n", "a/cgroup.subtree_control": "cpu\n", "a/cgroup.procs": ""},
			cgroups{manager: "cgroupfs", v2: true, parent: "/a"}, "cpu",
		},
		"nothing":  {nil, cgroups{manager: "cgroupfs", v2: true, parent: "/"}, ""},
		"disabled": {map[string]string{"cgroup.controllers": "cpu\n"}, cgroups{manager: "disabled", v2: true}, ""},
		"version 1": {
			map[string]string{"memory/cgroup.procs": "", "pids/cgroup.procs": "", "cpu/cgroup.procs": "", "systemd/cgroup.procs": ""},
			cgroups{manager: "cgroupfs"}, "cpu memory pids",
		},
	} {
		c.cgroups.root = tree(t, c.files)
		if got := strings.Join(c.cgroups.controllers(false), " "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestWritableParent(t *testing.T) {
	root := tree(t, map[string]string{"cgroup.procs": "", "a/cgroup.procs": "", "a/b/cgroup.procs": "", "c/d/cgroup.procs": ""})
	c := cgroups{root: root, v2: true, manager: "cgroupfs"}
	for _, want := range []struct {
		own          string
		rootless     bool
		parent, path string
	}{
		{"/a/b", false, "/", "/berth/ID"},
		{"/a/b", true, "/a", "/a/berth-ID"},
		{"/c/d", true, "/c/d", "/c/d/berth-ID"}, // /c has no cgroup.procs that can be written
		{"/", true, "/", "/berth-ID"},
		{"/elsewhere/x", true, "", ""},
	} {
		c.parent = c.writableParent(want.own, want.rootless)
		if c.parent != want.parent || c.parent != "" && c.path("ID", want.rootless) != want.path {
			t.Errorf("own %s, rootless %v: parent %q, path %q; want %q, %q", want.own, want.rootless, c.parent, c.path("ID", want.rootless), want.parent, want.path)
		}
	}
}
