// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Rootfs reads files of a root file system without mounting it: from the
// directories of its layers, the uppermost first, by the rules of overlayfs. A
// mounted or copied root file system is the case of one layer.
//
// The image is not trusted. Every path is walked component by component from
// directory descriptors, symbolic links are resolved inside the root file system
// (an absolute target begins at its root, ".." ends there), and only regular
// files of a bounded size are read (CVE-2024-9676: /etc/passwd as a link to a
// file of the host; a FIFO or a device in its place).
type Rootfs struct{ layers []string }

// NewRootfs returns the root file system made of these directories, the uppermost first.
func NewRootfs(layers ...string) *Rootfs { return &Rootfs{layers: layers} }

const (
	maxFile  = 16 << 20
	maxLinks = 40 // path_resolution(7)
)

// level is a directory of the merged tree: the layers' directories that make it up, the
// uppermost first. A level without a descriptor is a directory that is not there.
type level []int

func (l level) close() {
	for _, fd := range l {
		unix.Close(fd)
	}
}

// ReadFile reads the regular file at path. The error is fs.ErrNotExist where there
// is none, and it never tells of a file outside the root file system.
func (r *Rootfs) ReadFile(path string) ([]byte, error) {
	data, err := r.read(path)
	if err != nil {
		return nil, fmt.Errorf("read %s of the image: %w", path, err)
	}
	return data, nil
}

func (r *Rootfs) read(path string) ([]byte, error) {
	root, err := r.open()
	if err != nil {
		return nil, err
	}
	stack := []level{root}
	defer func() {
		for _, l := range stack {
			l.close()
		}
	}()
	todo := strings.Split(path, "/")
	for links := 0; len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			if len(stack) > 1 {
				stack[len(stack)-1].close()
				stack = stack[:len(stack)-1]
			}
			continue
		}
		next, file, link, err := stack[len(stack)-1].lookup(name)
		switch {
		case err != nil:
			return nil, err
		case link != "":
			if links++; links > maxLinks {
				return nil, unix.ELOOP
			}
			if link[0] == '/' {
				for _, l := range stack[1:] {
					l.close()
				}
				stack = stack[:1]
			}
			todo = append(strings.Split(link, "/"), todo...)
		case file != nil:
			defer file.Close()
			if len(todo) > 0 {
				return nil, unix.ENOTDIR
			}
			return readBounded(file)
		default:
			stack = append(stack, next)
		}
	}
	return nil, unix.EISDIR
}

func readBounded(f *os.File) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		return nil, fmt.Errorf("larger than %d bytes", maxFile)
	}
	return data, err
}

func (r *Rootfs) open() (level, error) {
	var l level
	for _, dir := range r.layers {
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			l.close()
			return nil, &fs.PathError{Op: "open layer", Path: dir, Err: err}
		}
		l = append(l, fd)
	}
	return l, nil
}

// lookup finds name, which is one component, in the merged directory: it returns the
// directory's level, or the opened regular file, or the target of the symbolic link.
func (l level) lookup(name string) (dir level, file *os.File, link string, err error) {
	defer func() {
		if err != nil {
			dir.close()
		}
	}()
	for _, fd := range l {
		var st unix.Stat_t
		switch err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); {
		case errors.Is(err, unix.ENOENT):
			if unix.Faccessat(fd, ".wh."+name, unix.F_OK, unix.AT_SYMLINK_NOFOLLOW) == nil { // fuse-overlayfs without mknod
				return found(dir)
			}
			continue
		case err != nil:
			return dir, nil, "", err
		}
		kind := st.Mode & unix.S_IFMT
		switch {
		case kind == unix.S_IFCHR && st.Rdev == 0: // a whiteout
			return found(dir)
		case len(dir) > 0 && kind != unix.S_IFDIR: // hidden by the directory above it
			return found(dir)
		case kind == unix.S_IFLNK:
			link, err := readlinkat(fd, name)
			return nil, nil, link, err
		case kind == unix.S_IFREG:
			file, data, err := openRegular(fd, name)
			if err != nil || data {
				return nil, file, "", err
			}
			file.Close() // metacopy: the contents are in a layer below
		case kind == unix.S_IFDIR:
			sub, err := unix.Openat(fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
			if err != nil {
				return dir, nil, "", err
			}
			dir = append(dir, sub)
			if opaque(sub) {
				return found(dir)
			}
		default:
			return nil, nil, "", errors.New("not a regular file")
		}
	}
	return found(dir)
}

func found(dir level) (level, *os.File, string, error) {
	if len(dir) == 0 {
		return nil, nil, "", fs.ErrNotExist
	}
	return dir, nil, "", nil
}

// openRegular opens name, and reports whether it holds its contents itself.
func openRegular(dir int, name string) (f *os.File, data bool, err error) {
	// O_NONBLOCK: should the file have become a FIFO since it was looked at, do not wait for a writer.
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, false, err
	}
	f = os.NewFile(uintptr(fd), name)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		f.Close()
		return nil, false, errors.Join(err, errors.New("not a regular file"))
	}
	return f, !hasXattr(fd, "metacopy"), nil
}

func opaque(dir int) bool {
	return hasXattr(dir, "opaque") || unix.Faccessat(dir, ".wh..wh..opq", unix.F_OK, unix.AT_SYMLINK_NOFOLLOW) == nil
}

// hasXattr asks for an attribute of overlayfs, which is user.* where an unprivileged user mounted it.
func hasXattr(fd int, name string) bool {
	var value [64]byte
	for _, prefix := range []string{"trusted.overlay.", "user.overlay.", "user.fuseoverlayfs."} {
		if n, err := unix.Fgetxattr(fd, prefix+name, value[:]); err == nil && (name != "opaque" || n == 1 && value[0] == 'y') {
			return true
		}
	}
	return false
}

func readlinkat(fd int, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, name, buf)
	if err == nil && n == 0 {
		err = fs.ErrNotExist
	}
	return string(buf[:max(n, 0)]), err
}
