// SPDX-License-Identifier: Apache-2.0

package ctl_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/libctr/ctl"
)

func TestGivable(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	socket := os.NewFile(uintptr(fds[0]), "socket")
	defer socket.Close()
	defer unix.Close(fds[1])
	closed, _, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	open := func(path string) *os.File {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	for name, tc := range map[string]struct {
		f    *os.File
		want bool
	}{
		"pipe, to read":     {r, true},
		"pipe, to write":    {w, true},
		"socket":            {socket, true},
		"/dev/null":         {open(os.DevNull), true},
		"/dev/zero":         {open("/dev/zero"), false},
		"file":              {open(filepath.Join(dir, "file")), false},
		"named like a pipe": {open(filepath.Join(dir, "pipe:[1]")), false},
		"named pipe":        {open(fifo), false}, // its owner is seen in the directory
		"closed":            {closed, false},
		"none":              {nil, false},
	} {
		if got := ctl.Givable(tc.f); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
