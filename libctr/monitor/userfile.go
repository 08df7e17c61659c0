// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const maxUserFile = 16 << 20

// makeWorkingDir makes the image's working directory where it is missing. What cannot be made (a file is in the way) the
// runtime complains about.
func (m *Monitor) makeWorkingDir() error {
	d := m.cfg.MakeDir
	if d == nil {
		return nil
	}
	root, err := openDir(m.rootfs())
	if err != nil {
		return err
	}
	defer unix.Close(root)
	how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	parent, path := root, ""
	for name := range strings.SplitSeq(strings.Trim(d.Path, "/"), "/") {
		path += "/" + name
		next, err := unix.Openat2(root, path, how)
		if err == unix.ENOENT {
			owner := [2]uint32{d.RootUID, d.RootGID}
			if path == d.Path {
				owner = [2]uint32{d.UID, d.GID}
			}
			if next, err = makeDir(parent, name, owner); err != nil {
				return fmt.Errorf("make the working directory %s: %w", d.Path, err)
			}
		}
		if parent != root {
			unix.Close(parent)
		}
		if err != nil {
			return nil
		}
		parent = next
	}
	if parent != root {
		unix.Close(parent)
	}
	return nil
}

// linkMtab makes /etc/mtab where the image has none, as podman and docker do: programs look there for what is mounted. A container whose
// /etc cannot be written to runs without.
func (m *Monitor) linkMtab() {
	root, err := openDir(m.rootfs())
	if err != nil {
		return
	}
	defer unix.Close(root)
	etc, err := unix.Openat2(root, "etc", &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if err != nil {
		return
	}
	defer unix.Close(etc)
	var st unix.Stat_t
	if unix.Fstatat(etc, "mtab", &st, unix.AT_SYMLINK_NOFOLLOW) != unix.ENOENT || unix.Fstat(etc, &st) != nil {
		return
	}
	if unix.Symlinkat("/proc/mounts", etc, "mtab") == nil {
		_ = unix.Fchownat(etc, "mtab", int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW) // the owner of the directory is the container's root
	}
}

// makeDir makes a directory and opens it.
func makeDir(parent int, name string, owner [2]uint32) (int, error) {
	if err := unix.Mkdirat(parent, name, 0o755); err != nil {
		return -1, err
	}
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := errors.Join(unix.Fchown(fd, int(owner[0]), int(owner[1])), unix.Fchmod(fd, 0o755)); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// addUsers adds the lines of the record to the container's /etc/passwd and /etc/group, where there are such files. A
// line whose name or ID is listed already stays out: at each start but the first, and where the container has
// made it another.
func (m *Monitor) addUsers() error {
	for _, f := range []struct{ path, lines string }{{"etc/passwd", m.cfg.Passwd}, {"etc/group", m.cfg.Group}} {
		if f.lines == "" {
			continue
		}
		if err := addLines(m.rootfs(), f.path, f.lines); err != nil {
			return fmt.Errorf("add the container's user to /%s: %w", f.path, err)
		}
	}
	return nil
}

// addLines appends lines to the regular file at path below root. The image is not trusted: its links end in it.
func addLines(root, path, lines string) (err error) {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: root, Err: err}
	}
	defer unix.Close(dir)
	found, err := unix.Openat2(dir, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(found)
	var st unix.Stat_t
	if err := unix.Fstat(found, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > maxUserFile {
		return nil
	}
	f, err := os.OpenFile("/proc/self/fd/"+strconv.Itoa(found), os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	have, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	text := missingLines(string(have), lines)
	if text == "" {
		return nil
	}
	if len(have) > 0 && have[len(have)-1] != '\n' {
		text = "\n" + text
	}
	_, err = f.WriteString(text)
	return err
}

// missingLines returns those of the lines whose name and ID, the first and the third field, no line of have has.
func missingLines(have, lines string) string {
	var missing strings.Builder
	for line := range strings.Lines(lines) {
		name, id := entryKey(line)
		listed := false
		for h := range strings.Lines(have) {
			n, i := entryKey(h)
			listed = listed || n == name || i == id
		}
		if !listed {
			missing.WriteString(line)
		}
	}
	return missing.String()
}

func entryKey(line string) (name, id string) {
	fields := strings.SplitN(strings.TrimSpace(line), ":", 4)
	if len(fields) < 3 {
		return "", ""
	}
	return fields[0], fields[2]
}
