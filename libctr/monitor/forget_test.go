// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/berth-containers/berth/libctr/record"
)

func TestCrunNotes(t *testing.T) {
	script := filepath.Join(t.TempDir(), "crun")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexec /usr/bin/crun \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		path string
		args []string
		want string
	}{
		{"/usr/bin/crun", []string{"--root", "/run/oci", "--cgroup-manager=disabled"}, "/run/oci/one"},
		{"/usr/bin/crun", []string{"--root", "/run/oci", "--cgroup-manager=cgroupfs"}, ""},
		{"/usr/bin/crun", []string{"--root", "/run/oci"}, ""},
		{"/usr/bin/crun", []string{"--cgroup-manager=disabled"}, ""},
		{"/usr/bin/crun", []string{"--cgroup-manager=disabled", "--root"}, ""},
		{"/usr/sbin/runc", []string{"--root", "/run/oci", "--cgroup-manager=disabled"}, ""},
		{script, []string{"--root", "/run/oci", "--cgroup-manager=disabled"}, ""},
	} {
		if got := crunNotes(&record.Runtime{Path: tc.path, Args: tc.args}, "one"); got != tc.want {
			t.Errorf("crunNotes(%s %q) = %q, want %q", tc.path, tc.args, got, tc.want)
		}
	}
}
