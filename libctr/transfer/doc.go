// SPDX-License-Identifier: Apache-2.0

// Package transfer copies files between directory trees and tar archives, none of which is trusted: a container may change its tree
// while it is read or written. Files are known by descriptors; what a name leads to is found in the tree's own root, and what is no
// regular file or directory is never opened. See docs/decisions/0052.
package transfer

import (
	"context"
	"io"
	"strconv"

	"golang.org/x/sys/unix"
)

// Entry is a file on its way.
type Entry struct {
	Name     string // with slashes, below where all of them go
	Mode     uint32 // as stat(2) has it: type and permissions
	UID, GID uint32
	Size     int64 // of a regular file
	MTime    unix.Timespec
	Device   uint64            // of a device
	Target   string            // of a symbolic link
	Link     string            // Name of an earlier entry that is the same file; empty: none
	Xattrs   map[string]string // security.capability and user.*
	Content  io.Reader         // of a regular file; an *os.File keeps its holes
}

func (e *Entry) is(kind uint32) bool { return e.Mode&unix.S_IFMT == kind }

// Source is where files come from. It gives each of them to put, directories before what is in them, and stops at the first error.
type Source interface {
	Each(ctx context.Context, put func(*Entry) error) error
}

// Sink is where files go. Close completes them.
type Sink interface {
	Put(ctx context.Context, e *Entry) error
	Close() error
}

// Copy copies all of a source.
func Copy(ctx context.Context, from Source, to Sink) error {
	if err := from.Each(ctx, func(e *Entry) error { return to.Put(ctx, e) }); err != nil {
		return err
	}
	return to.Close()
}

// byFD is a path of the file that a descriptor is open on.
func byFD(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
