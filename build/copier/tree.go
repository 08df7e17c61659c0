// SPDX-License-Identifier: Apache-2.0

package copier

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// kind is what there is at a path.
type kind int

const (
	nothing kind = iota
	directory
	link
	other
)

// tree is a root file system, known by a descriptor: names are looked up in it whatever the root of this process is. What is
// about to be written into it counts as being there.
type tree struct {
	fd   int
	made map[string]made
}

// made is what a stream puts somewhere.
type made struct {
	kind   kind
	target string // of a link
	below  string // where a link's / is
}

func openTree(dir string) (*tree, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return &tree{fd: fd, made: map[string]made{}}, nil
}

// look tells what is at a path none of whose directories is a link.
func (t *tree) look(name string) (made, error) {
	if name == "" {
		return made{kind: directory}, nil
	}
	if m, ok := t.made[name]; ok {
		return m, nil
	}
	var st unix.Stat_t
	err := unix.Fstatat(t.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return made{}, nil
	case err != nil:
		return made{}, &fs.PathError{Op: "stat", Path: "/" + name, Err: err}
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return made{kind: directory}, nil
	case unix.S_IFLNK:
		buf := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(t.fd, name, buf)
		if err != nil {
			return made{}, &fs.PathError{Op: "readlink", Path: "/" + name, Err: err}
		}
		return made{kind: link, target: string(buf[:n])}, nil
	}
	return made{kind: other}, nil
}

const maxLinks = 255 // as in the kernel, path_resolution(7) says 40; containerd's RootPath says 255

// resolve returns where a path leads to, with all links followed inside of the tree, as if it were a root. What is not there
// stays as it is written. The empty path is the root.
func (t *tree) resolve(name string) (string, error) {
	done, links := "", 0
	rest := strings.Split(path.Clean("/" + name)[1:], "/")
	for len(rest) > 0 {
		word := rest[0]
		rest = rest[1:]
		switch word {
		case "", ".":
			continue
		case "..":
			if done = path.Dir(done); done == "." {
				done = ""
			}
			continue
		}
		next := path.Join(done, word)
		m, err := t.look(next)
		if err != nil {
			return "", err
		}
		if m.kind != link {
			done = next
			continue
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "follow the links of", Path: "/" + name, Err: unix.ELOOP}
		}
		target := m.target
		if m.below != "" { // a link of an archive: it cannot lead out of where that is unpacked
			target = "/" + path.Join(m.below, path.Clean("/"+relativeTo(done, m.below, target)))
		}
		if strings.HasPrefix(target, "/") {
			done = ""
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return done, nil
}

// relativeTo is a link's target, as a path from the directory below which it has to stay.
func relativeTo(dir, below, target string) string {
	if strings.HasPrefix(target, "/") {
		return target
	}
	return path.Join("/", strings.TrimPrefix(dir, below), target)
}

// open opens a file, whose path is resolved inside of the tree.
func (t *tree) open(name string) (*os.File, error) {
	fd, err := unix.Openat2(t.fd, name, &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK, Resolve: unix.RESOLVE_IN_ROOT})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: "/" + name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}
