// SPDX-License-Identifier: Apache-2.0

package library

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/berth-containers/berth/doctor"
	"github.com/berth-containers/berth/internal/flock"
	"github.com/berth-containers/berth/internal/leash"
	"github.com/berth-containers/berth/internal/unpack"
	"go.podman.io/image/v5/pkg/compression"
	"golang.org/x/sys/unix"
)

// scratchPrefix begins the names of the directories that hold blobs and archives
// while an image is on its way.
const scratchPrefix = "berth-image-"

// newScratch makes a directory for temporary files in base and returns the function
// that removes it. The directory is locked (flock) while its owner lives, so that those
// of killed commands can be told apart; they are removed here.
func newScratch(base string) (dir string, remove func() error, err error) {
	left, err := AbandonedScratch(base)
	if err != nil {
		return "", nil, err
	}
	for _, s := range left {
		_ = s.Remove() // system check tells of what cannot be removed
	}
	var lock *os.File
	for lock == nil {
		if dir, err = os.MkdirTemp(base, scratchPrefix); err != nil {
			return "", nil, fmt.Errorf("make a directory for temporary files: %w", err)
		}
		if lock, err = lockScratch(dir); err != nil {
			return "", nil, errors.Join(err, os.RemoveAll(dir))
		}
		if lock == nil {
			_ = os.Remove(dir) // somebody has taken it for a dead command's
		}
	}
	done := leash.AtGiveUp(func() { os.RemoveAll(dir) })
	return dir, func() error {
		defer lock.Close()
		done()
		return os.RemoveAll(dir)
	}, nil
}

// lockScratch takes a directory's lock; it returns nil where somebody else has it, or has removed the directory before it
// was locked.
func lockScratch(dir string) (*os.File, error) {
	lock, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := flock.Try(lock, unix.LOCK_EX); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	held, err := lock.Stat()
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if named, err := os.Lstat(dir); err != nil || !os.SameFile(held, named) {
		return nil, lock.Close()
	}
	return lock, nil
}

// Scratch is a directory of temporary files whose owner has died.
type Scratch struct{ Path string }

// AbandonedScratch lists what killed pulls and loads of this user have left in base, a directory for temporary files; empty is
// the one that images are copied through.
func AbandonedScratch(base string) ([]Scratch, error) {
	if base == "" {
		var err error
		if base, err = copyTmpDir(); err != nil {
			return nil, err
		}
	}
	entries, err := os.ReadDir(base)
	if err != nil {
		return nil, fmt.Errorf("read the directory for temporary files: %w", err)
	}
	var left []Scratch
	for _, e := range entries {
		s := Scratch{filepath.Join(base, e.Name())}
		if !e.IsDir() || !strings.HasPrefix(e.Name(), scratchPrefix) {
			continue
		}
		if lock := s.lock(); lock != nil {
			lock.Close()
			left = append(left, s)
		}
	}
	return left, nil
}

// lock returns nil for a directory of another user or of a living process.
func (s Scratch) lock() *os.File {
	if st, err := os.Lstat(s.Path); err != nil || int(st.Sys().(*syscall.Stat_t).Uid) != os.Getuid() {
		return nil
	}
	lock, _ := lockScratch(s.Path) // one that cannot be opened is not ours
	return lock
}

// Remove removes it, unless somebody else does so now.
func (s Scratch) Remove() error {
	lock := s.lock()
	if lock == nil {
		return nil
	}
	defer lock.Close()
	return os.RemoveAll(s.Path)
}

// spool writes what it reads to a file in the scratch directory and returns its path. If ctx ends
// first it returns at once; the read goes on until in gives something, for a read of a
// terminal or a pipe cannot be interrupted.
func (r *Runtime) spool(ctx context.Context, in io.Reader) (string, error) {
	return r.spoolWith(ctx, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
}

// spoolArchive is spool for a tar archive, plain or packed, that may be none, or have no end. It stops where that is seen, and
// before the disk is full.
func (r *Runtime) spoolArchive(ctx context.Context, in io.Reader, what string) (string, error) {
	limits, err := unpack.LimitsFromEnv()
	if err != nil {
		return "", err
	}
	return r.spoolWith(ctx, func(w io.Writer) error {
		kept := &counted{r: io.TeeReader(unpack.WithRoom(in, what, r.scratch), w)}
		plain, packed, err := compression.AutoDecompress(kept)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		o := unpack.Options{What: what, KeepHoles: true, Dir: r.scratch}
		if packed {
			// What is kept is not unpacked; but one that unpacks to too much need not be read to its end.
			o.Limits, o.Packed, o.Dir = limits, kept.count, ""
		}
		_, err = io.Copy(io.Discard, unpack.NewReader(plain, o))
		if err = errors.Join(err, plain.Close()); err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, kept)
		return err
	})
}

func (r *Runtime) spoolWith(ctx context.Context, write func(io.Writer) error) (string, error) {
	f, err := os.CreateTemp(r.scratch, "input-")
	if err != nil {
		return "", err
	}
	done := make(chan error, 1)
	go func() { done <- errors.Join(write(f), f.Close()) }()
	select {
	case err := <-done:
		return f.Name(), err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// TemporaryFiles is what is looked after of killed pulls and loads: their temporary files.
type TemporaryFiles struct{}

// Name says what it looks after.
func (TemporaryFiles) Name() string { return "temporary files" }

// Check looks for those of killed commands in the directory that images are copied through.
func (TemporaryFiles) Check(context.Context, bool) ([]doctor.Problem, error) {
	left, err := AbandonedScratch("")
	problems := make([]doctor.Problem, len(left))
	for i, s := range left {
		problems[i] = doctor.Problem{
			What:   "temporary files of a command that was killed: " + s.Path,
			Repair: func(context.Context) error { return s.Remove() },
		}
	}
	return problems, err
}
