// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"errors"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is where paths begin.
type Root struct {
	dir     *os.File // nil: the working directory
	resolve uint64   // for openat2(2)
}

// Host has the paths of this process.
func Host() *Root { return new(Root) }

// Confined takes dir for the root directory: no path and no link leads out of it.
func Confined(dir *os.File) *Root { return &Root{dir: dir, resolve: unix.RESOLVE_IN_ROOT} }

// below has the paths below dir that lead through no link.
func below(dir *os.File) *Root {
	return &Root{dir: dir, resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
}

// open opens what a path leads to, without the right to read it.
func (r *Root) open(name string, flags uint64) (*os.File, error) {
	at := unix.AT_FDCWD
	if r.dir != nil {
		at = int(r.dir.Fd())
	}
	if name == "" {
		name = "."
	}
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC | flags, Resolve: r.resolve}
	for tries := 0; ; tries++ {
		fd, err := unix.Openat2(at, name, &how)
		// EAGAIN: something was renamed meanwhile, and the kernel cannot tell whether ".." leads out.
		if err == unix.EINTR || err == unix.EAGAIN && tries < 1000 {
			continue
		}
		if err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), name), nil
	}
}

// Found is what is at a path.
type Found struct {
	file *os.File
	stat unix.Stat_t
	Name string // the last part of where it really is; "/" for the root
}

// Close lets it go.
func (f *Found) Close() error { return f.file.Close() }

// IsDir reports whether it is a directory.
func (f *Found) IsDir() bool { return f.stat.Mode&unix.S_IFMT == unix.S_IFDIR }

// IsRegular reports whether it is a regular file.
func (f *Found) IsRegular() bool { return f.stat.Mode&unix.S_IFMT == unix.S_IFREG }

// Find looks a path up, and follows links. Its errors are those of the kernel, without the path.
func (r *Root) Find(name string) (*Found, error) {
	file, err := r.open(name, 0)
	if err != nil {
		return nil, err
	}
	f := &Found{file: file}
	if err := unix.Fstat(int(file.Fd()), &f.stat); err != nil {
		file.Close()
		return nil, err
	}
	at, err := os.Readlink(byFD(int(file.Fd())))
	if err != nil {
		file.Close()
		return nil, err
	}
	f.Name = path.Base(at)
	var top unix.Stat_t
	if r.dir != nil && unix.Fstat(int(r.dir.Fd()), &top) == nil && top.Dev == f.stat.Dev && top.Ino == f.stat.Ino {
		f.Name = "/"
	}
	return f, nil
}

// maxLinks is how many links a path may lead through, as in the kernel.
const maxLinks = 40

// Place is the directory and the name at which a file that is to be at a path is made: where a link is there, what it leads to.
func (r *Root) Place(name string) (dir, base string, err error) {
	for range maxLinks {
		dir, base = path.Split(strings.TrimRight(name, "/"))
		if base == "" || base == "." || base == ".." {
			return "", "", unix.EISDIR
		}
		parent, err := r.open(dir, unix.O_DIRECTORY)
		if err != nil {
			return "", "", err
		}
		target, err := readlinkAt(parent, base)
		parent.Close()
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) { // no link, or nothing
			return dir, base, nil
		}
		if err != nil {
			return "", "", err
		}
		if name = target; !strings.HasPrefix(target, "/") {
			name = dir + target
		}
	}
	return "", "", unix.ELOOP
}

// readlinkAt reads a link in dir, or with an empty name the link that dir itself is.
func readlinkAt(dir *os.File, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(dir.Fd()), name, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}
