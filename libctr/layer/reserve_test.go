// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.podman.io/storage"
	"golang.org/x/sys/unix"
)

// setImmutable sets or clears the flag that keeps everybody from removing a file (ioctl_iflags(2)).
func setImmutable(t *testing.T, path string, on bool) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const immutable = 0x10
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		if on {
			flags |= immutable
		} else {
			flags &^= immutable
		}
		err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags)
	}
	if err != nil {
		t.Skipf("the file system has no immutable files: %v", err)
	}
}

// A child of a killed command writes to the command's temporary directory until it dies: the directory cannot be removed, and a
// moment later it can.
func TestOpenWaitsForTheChildrenOfAKilledCommand(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: the overlay driver makes device nodes")
	}
	dir := t.TempDir()
	opts := storage.StoreOptions{
		GraphRoot: filepath.Join(dir, "graph"), RunRoot: filepath.Join(dir, "run"),
		GraphDriverName: "overlay", GraphDriverOptions: []string{"overlay.skip_mount_home=true"},
	}
	stale := filepath.Join(opts.GraphRoot, "overlay", "tempdirs", "temp-dir-1")
	file := filepath.Join(stale, "0-addition", "file")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{file, filepath.Join(filepath.Dir(stale), "lock-1")} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	setImmutable(t, file, true)
	defer func() {
		if _, err := os.Stat(file); err == nil {
			setImmutable(t, file, false)
		}
	}()
	if s, err := storage.GetStore(opts); err == nil {
		s.Free()
		t.Fatal("the storage library opens the store: this test does not test what it is to test")
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		time.Sleep(100 * time.Millisecond)
		setImmutable(t, file, false)
	}()
	s, err := Open(opts)
	<-ended
	if err != nil {
		t.Fatal(err)
	}
	s.Free()
	if _, err := os.Stat(stale); err == nil {
		t.Error("the temporary directory is left")
	}
}
