// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/held"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
)

// Whoever can write to a directory above the source of a bind can make the source a link to anywhere, another container among
// them. So a source is looked up once for each start: what is found is held by a descriptor, and mounted at a place that
// nobody but the monitor and its children sees. The OCI spec names that place.

// holdBinds mounts the sources of the container's binds where the OCI spec says.
func (m *Monitor) holdBinds() error {
	m.releaseBinds() // of a start that was killed
	if len(m.cfg.Binds) > 0 {
		if err := os.MkdirAll(filepath.Dir(m.cfg.Binds[0].At), 0o700); err != nil {
			return err
		}
	}
	for _, b := range m.cfg.Binds {
		if err := m.holdBind(b); err != nil {
			text := fmt.Errorf("mount %s: %w", b.Source, err)
			var hinted *hint.Error
			if errors.As(err, &hinted) {
				return hint.With(&ctl.RequestError{Text: text.Error(), Code: 126}, hinted.Hint)
			}
			return &ctl.RequestError{Text: text.Error(), Code: 126}
		}
	}
	return nil
}

func (m *Monitor) holdBind(b record.Bind) error {
	source, done, err := m.findBind(b)
	if err != nil {
		return err
	}
	defer done()
	if b.Overlay != nil {
		return m.mountOverlayOn(source, b)
	}
	return held.Mount(source, b.At)
}

// findBind opens what is to be mounted, until done is called.
func (m *Monitor) findBind(b record.Bind) (source int, done func(), err error) {
	whole := func() {}
	if b.Image != nil {
		at := b.At + imageSuffix
		whole = func() { held.Unmount(at) }
		if err := os.Mkdir(at, 0o700); err != nil {
			return -1, nil, err
		}
		if err = m.mountOn(*b.Image, at); err == nil {
			source, err = openDir(at)
		}
	} else {
		source, err = OpenSource(b)
	}
	if err == nil && b.Subpath != "" {
		dir := source
		source, err = unix.Openat2(dir, b.Subpath, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
		unix.Close(dir)
		if err != nil {
			err = fmt.Errorf("subpath %q: %w", b.Subpath, err)
		}
	}
	if err != nil {
		whole()
		return -1, nil, err
	}
	return source, func() { unix.Close(source); whole() }, nil
}

// Places beside At: of a whole image, while a part of it, or all, is mounted at At; and of what a program is to mount an overlay on.
const (
	imageSuffix = "-image"
	lowerSuffix = "-lower"
)

// mountOverlayOn mounts an overlay on top of what source is open on.
func (m *Monitor) mountOverlayOn(source int, b record.Bind) error {
	var st unix.Stat_t
	if err := unix.Fstat(source, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return fmt.Errorf("an overlay needs a directory: %w", unix.ENOTDIR)
	}
	o := *b.Overlay
	if o.Dir != "" {
		if err := newOverlay(&o, &st); err != nil {
			return err
		}
	}
	if err := os.Mkdir(b.At, 0o700); err != nil {
		return err
	}
	return overlayOn(source, b.At, &o, func(r record.Rootfs, at string) error { return m.mountOn(r, at) })
}

// overlayOn mounts an overlay on top of what source is open on, at an existing directory.
func overlayOn(source int, at string, o *record.Overlay, mount func(record.Rootfs, string) error) error {
	// The kernel follows descriptors, so no text of a path can be read as another option.
	r := record.Rootfs{Type: "overlay"}
	dirs := []string{"/proc/self/fd/" + strconv.Itoa(source)}
	if o.Program != "" {
		lower := at + lowerSuffix
		if err := held.Mount(source, lower); err != nil {
			return err
		}
		r.Type, r.Program = "fuse", o.Program
		dirs = []string{lower, o.Upper, o.Work}
	} else {
		for _, path := range []string{o.Upper, o.Work} {
			fd, err := OpenSource(record.Bind{Source: path})
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			defer unix.Close(fd)
			dirs = append(dirs, "/proc/self/fd/"+strconv.Itoa(fd))
		}
	}
	for i, key := range []string{"lowerdir=", "upperdir=", "workdir="} {
		dirs[i] = key + strings.NewReplacer(",", `\,`, ":", `\:`, `\`, `\\`).Replace(dirs[i])
	}
	if o.UserXattr {
		dirs = append(dirs, "userxattr")
	}
	r.Options = strings.Join(dirs, ",")
	return mount(r, at)
}

// MountGiven mounts a root file system that is a directory of the user's. What has to be mounted by a program, fuse mounts.
func MountGiven(r record.Rootfs, at string, fuse func(record.Rootfs, string) error) error {
	source, err := OpenSource(record.Bind{Source: r.Source, Links: r.Links})
	if err != nil {
		return err
	}
	defer unix.Close(source)
	if len(r.UIDs) > 0 {
		return held.MountMapped(source, at, r.UIDs, r.GIDs)
	}
	if r.Overlay == nil {
		return unix.Mount("/proc/self/fd/"+strconv.Itoa(source), at, "", unix.MS_BIND|unix.MS_REC, "")
	}
	if r.Overlay.Program != "" {
		defer held.Unmount(at + lowerSuffix) // the program keeps it
	}
	return overlayOn(source, at, r.Overlay, func(r record.Rootfs, at string) error {
		if r.Type == "fuse" {
			return fuse(r, at)
		}
		return MountOverlayHere(r.Options, at)
	})
}

// newOverlay makes the two directories of an overlay that ends with the container's run; what it has made looks as the source does.
func newOverlay(o *record.Overlay, source *unix.Stat_t) error {
	if err := os.RemoveAll(o.Dir); err != nil { // of an earlier run
		return err
	}
	o.Upper, o.Work = filepath.Join(o.Dir, "upper"), filepath.Join(o.Dir, "work")
	for _, dir := range []string{o.Dir, o.Upper, o.Work} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	if err := os.Lchown(o.Upper, int(source.Uid), int(source.Gid)); err != nil {
		return err
	}
	return unix.Chmod(o.Upper, source.Mode&0o7777)
}

// releaseBinds undoes holdBinds; what the container has mounted stays.
func (m *Monitor) releaseBinds() {
	for _, b := range m.cfg.Binds {
		held.Unmount(b.At)
		if b.Image != nil {
			held.Unmount(b.At + imageSuffix)
		}
		if b.Overlay != nil && b.Overlay.Program != "" {
			held.Unmount(b.At + lowerSuffix)
		}
	}
}

// OpenSource opens the source of a bind, without the right to read it. No link is followed that was not there when the container
// was made.
func OpenSource(b record.Bind) (int, error) {
	if b.Links {
		return unix.Open(b.Source, unix.O_PATH|unix.O_CLOEXEC, 0)
	}
	dir, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	path := ""
	for name := range strings.SplitSeq(strings.Trim(b.Source, "/"), "/") {
		if name == "" { // the root
			break
		}
		path += "/" + name
		next, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		unix.Close(dir)
		if err != nil {
			return -1, err
		}
		var st unix.Stat_t
		if err = unix.Fstat(next, &st); err == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
			err = becameLink(path, b.Volume)
		}
		if err != nil {
			unix.Close(next)
			return -1, err
		}
		dir = next
	}
	return dir, nil
}

func becameLink(path, volume string) error {
	made := "the container"
	if volume != "" {
		made = "volume " + volume
	}
	return hint.Add(fmt.Errorf("%s has become a symbolic link since %s was made", path, made),
		"if that is as it should be, make %s again; a container that can write to the directory above can have done it", made)
}

// bindRoot is where the source of a bind is to be looked at: as it was found for this start.
func (m *Monitor) bindRoot(source string) string {
	for _, b := range m.cfg.Binds {
		if b.Source == source {
			return b.At
		}
	}
	return source
}
