// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A container is at work in a directory that is given to another's user: it makes a directory in it a link to the host's.
func TestGiveToStaysInTheDirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	top := t.TempDir()
	dir, host := filepath.Join(top, "dir"), filepath.Join(top, "host")
	files := 200
	for _, d := range []string{dir + "/sub", host} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range files {
			if err := os.WriteFile(filepath.Join(d, strconv.Itoa(i)), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Symlink(host, dir+"/link"); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var swapper sync.WaitGroup
	swapper.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, dir+"/sub", unix.AT_FDCWD, dir+"/link", unix.RENAME_EXCHANGE)
			}
		}
	})
	for i := range 50 {
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		user := owner{uint32(1000 + i), 1000}
		if err := giveTo(fd, user); err != nil && !errors.Is(err, syscall.ENOTDIR) && !errors.Is(err, syscall.ELOOP) {
			t.Logf("round %d: %v", i, err) // what is swapped under it may be an error
		}
		unix.Close(fd)
	}
	close(stop)
	swapper.Wait()
	for i := range files {
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(host, strconv.Itoa(i)), &st); err != nil || st.Uid != 0 || st.Gid != 0 {
			t.Fatalf("file %d of the host's belongs to %d:%d, %v", i, st.Uid, st.Gid, err)
		}
	}
}
