// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestFreezerOf(t *testing.T) {
	const scope = "/user.slice/crun-abc.scope"
	for name, tc := range map[string]struct{ cgroup, text, want string }{
		"a path":                         {"/berth/abc", "", "/berth/abc"},
		"none":                           {"", "3:freezer:/x\n", ""},
		"systemd's":                      {"user.slice:crun:abc", "4:cpu,cpuacct:/other\n3:freezer:" + scope + "\n1:name=systemd:" + scope + "\n", scope},
		"with another controller":        {"user.slice:crun:abc", "3:memory,freezer:" + scope + "\n", scope},
		"below it":                       {"user.slice:crun:abc", "3:freezer:" + scope + "/of/its/own\n", scope},
		"below one that it named so too": {"user.slice:crun:abc", "3:freezer:" + scope + "/x/crun-abc.scope\n", scope},
		"elsewhere":                      {"user.slice:crun:abc", "3:freezer:/user.slice/crun-abcd.scope\n", ""},
		"version 2":                      {"user.slice:crun:abc", "0::" + scope + "\n", ""},
		"it has ended":                   {"user.slice:crun:abc", "", ""},
	} {
		if got := freezerOf(tc.cgroup, tc.text); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestThaw(t *testing.T) {
	freezer := t.TempDir()
	states := map[string]string{"a.scope": "THAWED", "a.scope/own/deep": "THAWED", "b.scope": "FROZEN"}
	for dir := range states {
		if err := errors.Join(os.MkdirAll(filepath.Join(freezer, dir), 0o755), os.WriteFile(filepath.Join(freezer, dir, "freezer.state"), []byte("FROZEN"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	thaw(freezer, "")
	thaw(freezer, "/a.scope")
	for dir, want := range states {
		if got, err := os.ReadFile(filepath.Join(freezer, dir, "freezer.state")); err != nil || string(got) != want {
			t.Errorf("%s: %s, %v; want %s", dir, got, err, want)
		}
	}
}
