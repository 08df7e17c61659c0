// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
				return hint.Add(&ctl.RequestError{Text: text.Error(), Code: 126}, "%s", hinted.Hint)
			}
			return &ctl.RequestError{Text: text.Error(), Code: 126}
		}
	}
	return nil
}

func (m *Monitor) holdBind(b record.Bind) error {
	source, err := openSource(b)
	if err != nil {
		return err
	}
	defer unix.Close(source)
	return held.Mount(source, b.At)
}

// releaseBinds undoes holdBinds; what the container has mounted stays.
func (m *Monitor) releaseBinds() {
	for _, b := range m.cfg.Binds {
		held.Unmount(b.At)
	}
}

// openSource opens the source of a bind, without the right to read it. No link is followed that was not there when the container
// was made.
func openSource(b record.Bind) (int, error) {
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
			err = hint.Add(fmt.Errorf("%s has become a symbolic link since the container was made", path),
				"if that is as it should be, make the container anew; a container that can write to the directory above can have done it")
		}
		if err != nil {
			unix.Close(next)
			return -1, err
		}
		dir = next
	}
	return dir, nil
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
