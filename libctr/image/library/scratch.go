package library

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// scratchPrefix begins the names of the directories that hold blobs and archives
// while an image is on its way.
const scratchPrefix = "berth-image-"

// sweepAge keeps SweepScratch away from a directory that its owner has not locked yet.
const sweepAge = 10 * time.Second

// newScratch makes a directory for temporary files in base and returns the function
// that removes it. The directory is locked (flock) while its owner lives, so that those
// of killed commands can be told apart; they are removed here.
func newScratch(base string) (dir string, remove func() error, err error) {
	if err := SweepScratch(base); err != nil {
		return "", nil, err
	}
	dir, err = os.MkdirTemp(base, scratchPrefix)
	if err != nil {
		return "", nil, fmt.Errorf("make a directory for temporary files: %w", err)
	}
	lock, err := os.Open(dir)
	if err == nil {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), os.RemoveAll(dir))
	}
	return dir, func() error {
		defer lock.Close()
		return os.RemoveAll(dir)
	}, nil
}

// SweepScratch removes what killed pulls and loads of this user have left in base, a
// directory for temporary files.
func SweepScratch(base string) error {
	entries, err := os.ReadDir(base)
	if err != nil {
		return fmt.Errorf("read the directory for temporary files: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), scratchPrefix) {
			sweepOne(filepath.Join(base, e.Name()))
		}
	}
	return nil
}

// sweepOne removes dir if it is ours and nobody holds its lock.
func sweepOne(dir string) {
	f, err := os.Open(dir)
	if err != nil {
		return // another user's, or gone
	}
	defer f.Close()
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil || int(st.Uid) != os.Getuid() {
		return
	}
	if time.Since(time.Unix(st.Mtim.Unix())) < sweepAge {
		return
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		os.RemoveAll(dir)
	}
}

// spool writes r to a file in the scratch directory and returns its path. If ctx ends
// first it returns at once; the read goes on until r gives something, for a read of a
// terminal or a pipe cannot be interrupted.
func (r *Runtime) spool(ctx context.Context, in io.Reader) (string, error) {
	f, err := os.CreateTemp(r.scratch, "input-")
	if err != nil {
		return "", err
	}
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(f, in)
		done <- errors.Join(err, f.Close())
	}()
	select {
	case err := <-done:
		return f.Name(), err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
