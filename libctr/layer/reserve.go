// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.podman.io/storage"
	"golang.org/x/sys/unix"
)

// reserveSize is the room that a store keeps for when its disk is full: the storage library writes a new file of records before
// it removes anything, and replaces the old one by it.
const reserveSize = 1 << 20

func reservePath(graphRoot string) string { return filepath.Join(graphRoot, "berth", "reserve") }

// Reserve takes the room, where it is not taken yet. On a disk without it, or that cannot be written, there is none.
func Reserve(graphRoot string) {
	path := reservePath(graphRoot)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	if unix.Fallocate(int(f.Fd()), 0, 0, reserveSize) != nil { // full, or a file system that cannot do it
		os.Remove(path)
	}
}

// WithRoom does work that gives back room, on a disk that is too full for it with the reserve given up. The library's memory
// of images and containers is wrong after it could not write them, so the disk is looked at before.
func WithRoom(graphRoot string, work func() error) error {
	var st unix.Statfs_t
	full := unix.Statfs(graphRoot, &st) == nil && st.Bavail*uint64(st.Bsize) < reserveSize
	if full {
		_ = os.Remove(reservePath(graphRoot)) // there may be none
	}
	err := work()
	if TooFull(err) { // a quota; or layers were removed, and there is room now to say so
		full = true
		_ = os.Remove(reservePath(graphRoot))
		err = work()
	}
	if full {
		Reserve(graphRoot)
	}
	return err
}

// TooFull reports whether an error is that of a disk or a quota without room.
func TooFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// Open opens a store whose layers' archives are made again without looking outside of the layers (see Check). What a killed command left half-made is removed by that, on a full disk with the reserve.
func Open(opts storage.StoreOptions) (store storage.Store, err error) {
	err = WithRoom(opts.GraphRoot, func() error {
		store, err = openStore(opts)
		return err
	})
	if err != nil {
		return nil, err
	}
	Reserve(opts.GraphRoot)
	return &confined{store}, nil
}

// openStore opens a store. The library first removes the temporary directories of processes that have died, and gives up where
// a child of one still writes there: it ends with its parent, but not at the same moment. The library has only a text for that.
func openStore(opts storage.StoreOptions) (storage.Store, error) {
	for tries := 1; ; tries++ {
		s, err := storage.GetStore(opts)
		if err == nil || tries == 100 || !strings.Contains(err.Error(), "recover stale temp dirs") || TooFull(err) {
			return s, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}
