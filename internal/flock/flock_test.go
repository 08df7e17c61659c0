// SPDX-License-Identifier: Apache-2.0

package flock

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// lockedBy starts a shell that has the lock on path, taken for it by flock(1), and runs script; it returns when the script has
// written a line.
func lockedBy(t *testing.T, path, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("bash", "-c", `exec 9>"$1"; flock -x 9; `+script, "-", path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestTryDoesNotWaitForALivingOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Try(f, unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	other := open(t, path)
	if !ownerLives(other) {
		t.Error("this process has the lock and lives")
	}
	if err := Try(other, unix.LOCK_SH); !errors.Is(err, unix.EWOULDBLOCK) {
		t.Errorf("Try of a lock that is held: %v, want EWOULDBLOCK", err)
	}
}

func TestTryWaitsForTheChildOfADeadOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	// flock(1), which takes the lock, has ended; the shell has inherited it, as a child that has not executed its program.
	cmd := lockedBy(t, path, "echo; sleep 0.3")
	defer func() { _ = cmd.Wait() }()
	f := open(t, path)
	if ownerLives(f) {
		t.Error("the process that took the lock has ended")
	}
	if err := Try(f, unix.LOCK_EX); err != nil {
		t.Errorf("Try: %v, want the lock when the child has let it go", err)
	}
}
