// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/berth-containers/berth/internal/proc"
	"golang.org/x/sys/unix"
)

// script writes a program of /bin/sh.
func script(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHelperPid(t *testing.T) {
	for name, c := range map[string]struct {
		wrapper string
		isChild bool // what was started is what serves
	}{
		"a program":                        {"", true},
		"a wrapper that becomes it":        {"exec \"$REAL\" \"$@\"\n", true},
		"one that waits for it":            {"\"$REAL\" \"$@\"\nexit $?\n", false},
		"one that leaves it in background": {"\"$REAL\" \"$@\" &\n", false},
	} {
		// It waits without a child: one that it had just forked would have its arguments too.
		real := script(t, "real", "echo ready\nread forever <\"$FIFO\"\n")
		fifo := filepath.Join(t.TempDir(), "fifo")
		if err := unix.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		path := real
		if c.wrapper != "" {
			path = script(t, "wrapper", c.wrapper)
		}
		netns := filepath.Join(t.TempDir(), "netns")
		cmd := exec.Command(path, "--netns", netns, "last")
		cmd.Env = append(os.Environ(), "REAL="+real, "FIFO="+fifo)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, 6)); err != nil {
			t.Fatal(err)
		}
		pid := helperPid(cmd.Process.Pid, netns)
		_, _, alive := proc.Stat(pid)
		if !alive || !serves(pid, netns) || c.isChild != (pid == cmd.Process.Pid) {
			t.Errorf("%s: found %d (alive: %v); started was %d", name, pid, alive, cmd.Process.Pid)
		}
		if p, err := os.FindProcess(pid); err == nil && pid > 0 {
			_ = p.Kill()
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	if pid := findHelper("/no/such/namespace"); pid != 0 {
		t.Errorf("found %d for a namespace that nobody serves", pid)
	}
}

func TestAwaitPid(t *testing.T) {
	for text, want := range map[string]struct {
		pid  int
		said string
	}{
		"123\n":                  {123, ""},
		"a word\n\n45\n":         {45, "a word"},
		"77":                     {77, ""},
		"":                       {0, ""},
		"nothing\nat \xff all\n": {0, "nothing; at \uFFFD all"},
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteString(text); err != nil {
			t.Fatal(err)
		}
		w.Close()
		got, said, err := awaitPid(r, time.Minute)
		if got != want.pid || said != want.said || (want.pid == 0) != errors.Is(err, io.EOF) {
			t.Errorf("%q: %d, %q, %v; want %d, %q", text, got, said, err, want.pid, want.said)
		}
		r.Close()
	}
}
