// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Owner is a user and a group.
type Owner struct{ UID, GID uint32 }

// Writer is a directory as a Sink.
type Writer struct {
	Owner     *Owner                                         // of all that is written; nil: as the entries say
	IDs       func(uid, gid uint32) (u, g uint32, err error) // what IDs of entries are in the tree; nil: the same
	Overwrite bool                                           // put files in the place of directories, and directories in that of files
	// Harmless leaves out what could harm a host: devices, and the bits and capabilities that give a program another user's rights.
	Harmless bool

	root  *Root
	base  string // directory that entries' names are relative to
	last  parent // the directory that was written to last
	times []dirTime
}

type parent struct {
	name string
	dir  *os.File
}

type dirTime struct {
	name  string
	mtime unix.Timespec
}

// In returns what writes into the directory at a path. A directory goes where a link to one leads.
func (r *Root) In(dir string) (*Writer, error) {
	w := &Writer{root: r, base: dir}
	if r.resolve == 0 {
		// On the host nothing below it may be a link: one that the copy has brought could lead anywhere.
		top, err := r.open(dir, unix.O_DIRECTORY)
		if err != nil {
			return nil, err
		}
		w.root, w.base = below(top), ""
	}
	dirFile, err := w.root.open(w.base, unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	w.last = parent{dir: dirFile}
	return w, nil
}

// at is the path of an entry from the root.
func (w *Writer) at(name string) string {
	if w.base == "" {
		return name
	}
	return w.base + "/" + name
}

// dir opens the directory of that name, which is made where it is missing.
func (w *Writer) dir(name string) (*os.File, error) {
	if w.last.dir != nil && w.last.name == name {
		return w.last.dir, nil
	}
	dir, err := w.root.open(w.at(name), unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOENT) && name != "" {
		up, uerr := w.dir(parentOf(name))
		if uerr != nil {
			return nil, uerr
		}
		if err = unix.Mkdirat(int(up.Fd()), path.Base(name), 0o755); err != nil && err != unix.EEXIST {
			return nil, fmt.Errorf("make directory %q: %w", name, err)
		}
		if dir, err = w.root.open(w.at(name), unix.O_DIRECTORY); err == nil && w.Owner != nil {
			err = unix.Fchownat(int(dir.Fd()), "", int(w.Owner.UID), int(w.Owner.GID), unix.AT_EMPTY_PATH)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open directory %q: %w", name, err)
	}
	if w.last.dir != nil {
		w.last.dir.Close()
	}
	w.last = parent{name, dir}
	return dir, nil
}

func parentOf(name string) string {
	if dir := path.Dir(name); dir != "." {
		return dir
	}
	return ""
}

// Put implements Sink.
func (w *Writer) Put(ctx context.Context, e *Entry) error {
	name := strings.TrimPrefix(path.Clean("/"+e.Name), "/")
	if name == "" || w.Harmless && e.isDevice() {
		return nil
	}
	dir, err := w.dir(parentOf(name))
	if err != nil {
		return err
	}
	base := path.Base(name)
	if err := w.makeWay(dir, base, name, e); err != nil {
		return err
	}
	if err := w.put(ctx, dir, base, name, e); err != nil {
		return fmt.Errorf("write %q: %w", name, err)
	}
	return nil
}

func (e *Entry) isDevice() bool { return e.is(unix.S_IFCHR) || e.is(unix.S_IFBLK) }

// makeWay removes what an entry takes the place of. A directory stays what it is, and a file on which something is mounted is written over.
func (w *Writer) makeWay(dir *os.File, base, name string, e *Entry) error {
	there, err := look(int(dir.Fd()), base)
	if err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at %q: %w", name, err)
	}
	switch {
	case e.is(unix.S_IFDIR) && (there.is(unix.S_IFDIR) || w.leadsToDir(name, there)):
		return nil
	case e.is(unix.S_IFDIR):
		return w.replace(dir, base, name, "what is there is no directory")
	case there.is(unix.S_IFDIR):
		return w.replace(dir, base, name, "a directory is there")
	case there.mounted && there.is(unix.S_IFREG) && e.is(unix.S_IFREG):
		return nil
	}
	if err := remove(int(dir.Fd()), base); err != nil {
		return fmt.Errorf("replace %q: %w", name, err)
	}
	return nil
}

// seen is what is at a name.
type seen struct {
	mode    uint16
	mounted bool // something is mounted there
}

func (s seen) is(kind uint16) bool { return s.mode&unix.S_IFMT == kind }

func look(dir int, name string) (seen, error) {
	var st unix.Statx_t
	err := unix.Statx(dir, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, unix.STATX_TYPE, &st)
	return seen{st.Mode, st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0}, err
}

// remove removes a file, or a directory with all in it, but nothing that is mounted: the kernel itself keeps mounts of this process's
// namespace only.
func remove(dir int, name string) error {
	there, err := look(dir, name)
	if err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return err
	}
	if there.mounted {
		return unix.EBUSY
	}
	if !there.is(unix.S_IFDIR) {
		return unlessMissing(unix.Unlinkat(dir, name, 0))
	}
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return unlessMissing(err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	names, err := f.Readdirnames(-1)
	for _, n := range names {
		if err == nil {
			err = remove(fd, n)
		}
	}
	if err != nil {
		return err
	}
	return unlessMissing(unix.Unlinkat(dir, name, unix.AT_REMOVEDIR))
}

func unlessMissing(err error) error {
	if err == unix.ENOENT {
		return nil
	}
	return err
}

// leadsToDir reports whether there is a link that may be followed, and leads to a directory.
func (w *Writer) leadsToDir(name string, there seen) bool {
	if !there.is(unix.S_IFLNK) {
		return false
	}
	to, err := w.root.open(w.at(name), unix.O_DIRECTORY)
	if err == nil {
		to.Close()
	}
	return err == nil
}

// ErrKind is for a file in whose place a directory should go, or the other way round.
var ErrKind = fmt.Errorf("%w", unix.EEXIST)

func (w *Writer) replace(dir *os.File, base, name, why string) error {
	if !w.Overwrite {
		return fmt.Errorf("error creating %q: %s: %w", "/"+strings.TrimLeft(w.at(name), "/"), why, ErrKind)
	}
	if w.last.name == name || strings.HasPrefix(w.last.name, name+"/") {
		w.last = parent{}
	}
	if err := remove(int(dir.Fd()), base); err != nil {
		return fmt.Errorf("replace %q: %w", name, err)
	}
	return nil
}

func (w *Writer) put(ctx context.Context, dir *os.File, base, name string, e *Entry) error {
	at := int(dir.Fd())
	switch {
	case e.Link != "":
		return w.link(dir, base, e)
	case e.is(unix.S_IFREG):
		return w.regular(ctx, at, base, e)
	case e.is(unix.S_IFDIR):
		return w.directory(at, base, name, e)
	case e.is(unix.S_IFLNK):
		if err := unix.Symlinkat(e.Target, at, base); err != nil {
			return err
		}
		owner, err := w.owner(e)
		if err != nil {
			return err
		}
		if err := unix.Fchownat(at, base, int(owner.UID), int(owner.GID), unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return chownError(err, owner)
		}
		return unix.UtimesNanoAt(at, base, []unix.Timespec{e.MTime, e.MTime}, unix.AT_SYMLINK_NOFOLLOW)
	default:
		if err := unix.Mknodat(at, base, e.Mode&unix.S_IFMT|0o600, int(e.Device)); err != nil {
			return err
		}
		fd, err := unix.Openat(at, base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return w.attributes(fd, e, true)
	}
}

func (w *Writer) link(dir *os.File, base string, e *Entry) error {
	target := strings.TrimPrefix(path.Clean("/"+e.Link), "/")
	from, err := w.root.open(w.at(parentOf(target)), unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer from.Close()
	return unix.Linkat(int(from.Fd()), path.Base(target), int(dir.Fd()), base, 0)
}

func (w *Writer) regular(ctx context.Context, at int, base string, e *Entry) error {
	fd, err := unix.Openat(at, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	made := err == nil
	if err == unix.EEXIST {
		fd, err = openMounted(at, base)
	}
	if err != nil {
		return err
	}
	out := os.NewFile(uintptr(fd), base)
	err = copyContent(ctx, out, e)
	if err == nil && made {
		err = w.attributes(fd, e, true)
	}
	return errors.Join(err, out.Close())
}

// openMounted opens a regular file that something is mounted on, and empties it.
func openMounted(at int, base string) (int, error) {
	known, err := unix.Openat(at, base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(known)
	var st unix.Stat_t
	if err := unix.Fstat(known, &st); err != nil {
		return -1, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return -1, unix.EBUSY
	}
	return unix.Open(byFD(known), unix.O_WRONLY|unix.O_TRUNC|unix.O_CLOEXEC, 0)
}

// directory makes a directory, or leaves that which is there as it is.
func (w *Writer) directory(at int, base, name string, e *Entry) error {
	err := unix.Mkdirat(at, base, 0o700)
	if err == unix.EEXIST {
		return nil
	}
	if err != nil {
		return err
	}
	fd, err := unix.Openat(at, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	w.times = append(w.times, dirTime{name, e.MTime})
	return w.attributes(fd, e, false)
}

func (w *Writer) owner(e *Entry) (Owner, error) {
	if w.Owner != nil {
		return *w.Owner, nil
	}
	if w.IDs == nil {
		return Owner{e.UID, e.GID}, nil
	}
	uid, gid, err := w.IDs(e.UID, e.GID)
	return Owner{uid, gid}, err
}

func chownError(err error, to Owner) error {
	if err == unix.EINVAL || err == unix.EPERM || err == unix.EOVERFLOW {
		return fmt.Errorf("give it to user %d and group %d, which are not among the IDs that you have: %w", to.UID, to.GID, err)
	}
	return err
}

// attributes gives what a descriptor is open on its owner, mode, attributes and, if timed is set, time.
func (w *Writer) attributes(fd int, e *Entry, timed bool) error {
	owner, err := w.owner(e)
	if err != nil {
		return err
	}
	if err := unix.Fchownat(fd, "", int(owner.UID), int(owner.GID), unix.AT_EMPTY_PATH); err != nil {
		return chownError(err, owner)
	}
	mode := e.Mode & 0o7777
	if w.Harmless && !e.is(unix.S_IFDIR) {
		mode &^= unix.S_ISUID | unix.S_ISGID
	}
	file := byFD(fd)
	for name, value := range e.Xattrs {
		if w.Harmless && name == capability {
			continue
		}
		if err := unlessUnsupported(unix.Setxattr(file, name, []byte(value), 0)); err != nil {
			return fmt.Errorf("set its attribute %s: %w", name, err)
		}
	}
	if err := unix.Chmod(file, mode); err != nil {
		return err
	}
	if !timed {
		return nil
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, file, []unix.Timespec{e.MTime, e.MTime}, 0)
}

// Close gives the directories that were made their times.
func (w *Writer) Close() error {
	var all error
	for i := len(w.times) - 1; i >= 0; i-- {
		d := w.times[i]
		dir, err := w.root.open(w.at(d.name), unix.O_DIRECTORY|unix.O_NOFOLLOW)
		if err != nil {
			continue // somebody has removed it meanwhile
		}
		err = unix.UtimesNanoAt(unix.AT_FDCWD, byFD(int(dir.Fd())), []unix.Timespec{d.mtime, d.mtime}, 0)
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			all = errors.Join(all, fmt.Errorf("set the time of %q: %w", d.name, err))
		}
		dir.Close()
	}
	w.times = nil
	if w.last.dir != nil {
		w.last.dir.Close()
		w.last = parent{}
	}
	return all
}

// IsIn reports whether the directory that is written into is dir or below it.
func (w *Writer) IsIn(dir *Found) bool {
	at, err := unix.Dup(int(w.last.dir.Fd()))
	for err == nil {
		var st, up unix.Stat_t
		if unix.Fstat(at, &st) != nil {
			break
		}
		if st.Dev == dir.stat.Dev && st.Ino == dir.stat.Ino {
			unix.Close(at)
			return true
		}
		var next int
		next, err = unix.Openat(at, "..", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		unix.Close(at)
		if err == nil && (unix.Fstat(next, &up) != nil || up.Dev == st.Dev && up.Ino == st.Ino) {
			unix.Close(next)
			break
		}
		at = next
	}
	return false
}

// Remove removes a file, or a directory with all in it, of that name; that there is none is no error.
func (w *Writer) Remove(name string) error {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		return nil
	}
	parent, err := w.root.open(w.at(parentOf(name)), unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err == nil {
		defer parent.Close()
		err = remove(int(parent.Fd()), path.Base(name))
	}
	if err != nil {
		return fmt.Errorf("remove %q: %w", name, err)
	}
	return nil
}
