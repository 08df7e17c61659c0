// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Tree is a file or a directory with all in it, as a Source.
type Tree struct {
	Top            *Found
	As             string                              // name that it gets; empty: only what is in the directory is copied
	Skip           []string                            // names in the directory that are left out
	SkipUnreadable bool                                // leave out what may not be read
	IDs            func(uid, gid uint32) (u, g uint32) // what the copy is told for the tree's IDs; nil: the same

	inodes map[inode]string // names of files that have several
}

type inode struct{ dev, ino uint64 }

// Each implements Source.
func (t *Tree) Each(ctx context.Context, put func(*Entry) error) error {
	t.inodes = map[inode]string{}
	return t.visit(ctx, t.Top.file, t.As, put)
}

// visit copies what file, which may not be read with it, is open on.
func (t *Tree) visit(ctx context.Context, file *os.File, name string, put func(*Entry) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		return err
	}
	e := &Entry{Name: name, Mode: st.Mode, UID: st.Uid, GID: st.Gid, MTime: st.Mtim}
	if t.IDs != nil {
		e.UID, e.GID = t.IDs(st.Uid, st.Gid)
	}
	if !e.is(unix.S_IFDIR) && st.Nlink > 1 {
		id := inode{st.Dev, st.Ino}
		if e.Link = t.inodes[id]; e.Link == "" {
			t.inodes[id] = name
		}
	}
	var err error
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		err = t.regular(file, e, st.Size, put)
	case unix.S_IFDIR:
		return t.directory(ctx, file, e, put)
	case unix.S_IFLNK:
		if e.Target, err = readlinkAt(file, ""); err == nil {
			err = put(e)
		}
	case unix.S_IFSOCK: // belongs to whoever listens on it
	default:
		e.Device = st.Rdev
		err = put(e)
	}
	return err
}

func (t *Tree) regular(file *os.File, e *Entry, size int64, put func(*Entry) error) error {
	if e.Link != "" {
		return put(e)
	}
	// It is a regular file: opening it again waits for nobody, and does nothing to a device.
	in, err := os.OpenFile(byFD(int(file.Fd())), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return t.unreadable(e, err)
	}
	defer in.Close()
	e.Size, e.Content = size, in
	if e.Xattrs, err = xattrs(int(in.Fd())); err != nil {
		return readError(e, err)
	}
	return put(e)
}

func (t *Tree) directory(ctx context.Context, file *os.File, e *Entry, put func(*Entry) error) error {
	dir, err := os.OpenFile(byFD(int(file.Fd())), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return t.unreadable(e, err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return readError(e, err)
	}
	slices.Sort(names)
	if e.Name != "" {
		if e.Xattrs, err = xattrs(int(dir.Fd())); err != nil {
			return readError(e, err)
		}
		if err := put(e); err != nil {
			return err
		}
	}
	for _, n := range names {
		if e.Name == t.As && slices.Contains(t.Skip, n) {
			continue
		}
		fd, err := unix.Openat(int(dir.Fd()), n, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err == unix.ENOENT {
			continue // removed meanwhile
		}
		if err != nil {
			return readError(&Entry{Name: path.Join(e.Name, n)}, err)
		}
		child := os.NewFile(uintptr(fd), n)
		err = t.visit(ctx, child, path.Join(e.Name, n), put)
		child.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// unreadable is the error for what could not be opened, or nil where that is to be left out.
func (t *Tree) unreadable(e *Entry, err error) error {
	if t.SkipUnreadable && errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return readError(e, err)
}

func readError(e *Entry, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err // the path is that of a descriptor
	}
	return fmt.Errorf("read %q: %w", e.Name, err)
}

// carried reports whether an extended attribute is copied: those that a user sets, and the capabilities of a program. What the
// file system itself uses stays behind.
func carried(name string) bool {
	return name == capability || strings.HasPrefix(name, "user.") && !strings.HasPrefix(name, "user.overlay.") && !strings.HasPrefix(name, "user.fuseoverlayfs.")
}

const capability = "security.capability"

// xattrs reads the extended attributes that are copied.
func xattrs(fd int) (map[string]string, error) {
	n, err := unix.Flistxattr(fd, nil)
	if err != nil || n == 0 {
		return nil, unlessUnsupported(err)
	}
	list := make([]byte, n)
	if n, err = unix.Flistxattr(fd, list); err != nil {
		return nil, err
	}
	var found map[string]string
	for name := range strings.SplitSeq(string(list[:n]), "\x00") {
		if !carried(name) {
			continue
		}
		value := make([]byte, 64<<10) // the most that Linux takes
		n, err := unix.Fgetxattr(fd, name, value)
		if err != nil {
			if err == unix.ENODATA {
				continue
			}
			return nil, err
		}
		if found == nil {
			found = map[string]string{}
		}
		found[name] = string(value[:n])
	}
	return found, nil
}

func unlessUnsupported(err error) error {
	if err == unix.ENOTSUP || err == unix.EPERM {
		return nil
	}
	return err
}
