// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A container that is at work puts links to the host's directories in the place of its own.
func TestSizeOfALayerStaysInIt(t *testing.T) {
	dir, host := t.TempDir(), t.TempDir()
	d, other := filepath.Join(dir, "d"), filepath.Join(dir, "other")
	if err := errors.Join(os.Mkdir(d, 0o755), os.WriteFile(filepath.Join(d, "f"), make([]byte, 10), 0o644), os.WriteFile(filepath.Join(host, "f"), make([]byte, 1<<20), 0o644)); err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			select {
			case <-stop:
				done <- nil
				return
			default:
				err = errors.Join(os.Rename(d, other), os.Symlink(host, d), os.Remove(d), os.Rename(other, d))
			}
		}
		done <- err
	}()
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		if n, err := filesSize(t.Context(), dir); err != nil || n > 20 { // twice, where it is moved meanwhile
			t.Errorf("%d bytes, %v", n, err)
			break
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
