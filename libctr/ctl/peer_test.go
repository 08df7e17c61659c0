// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

const envDial = "BERTH_TEST_DIAL"

// TestMain is also the client of TestAcceptsNobodyInAContainer.
func TestMain(m *testing.M) {
	dir := os.Getenv(envDial)
	if dir == "" {
		os.Exit(m.Run())
	}
	conn, _, err := connect(dir, 0)
	if err == nil {
		var e *Event
		if e, _, err = conn.Event(context.Background()); err == nil {
			os.Stdout.WriteString(e.Event)
		}
	}
	if err != nil {
		os.Stdout.WriteString(err.Error())
	}
}

func TestAcceptsNobodyInAContainer(t *testing.T) {
	dir := t.TempDir()
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
		}
	}()
	for _, in := range []struct {
		flags uintptr
		want  string
	}{{0, "hello"}, {syscall.CLONE_NEWPID | syscall.CLONE_NEWUSER, "no request from a container"}} {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), envDial+"="+dir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: in.flags}
		if in.flags != 0 { // the same user outside, and root inside: as in a rootless container
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), in.want) {
			t.Errorf("a client with namespaces %#x hears %q, %v; want %q", in.flags, out, err, in.want)
		}
	}
}
