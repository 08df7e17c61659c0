// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/rootless"
	"golang.org/x/sys/unix"
)

// checkDirs refuses directories that another user has made in wait for this one, or could change while they are in use: the
// sockets, locks and records in them would be his. What is not there yet will be made with mode 0700.
func (e *Engine) checkDirs() error {
	if run := os.Getenv("XDG_RUNTIME_DIR"); run != "" && rootless.IsRootless() && !rootless.Entered() { // else the constructor has
		if err := checkDir(run, unix.Stat, 0, unix.S_ISVTX); err != nil {
			err = fmt.Errorf("XDG_RUNTIME_DIR: %w", err)
			var st unix.Stat_t
			if unix.Stat(run, &st) == nil && int(st.Uid) == os.Geteuid() && st.Mode&unix.S_IFMT == unix.S_IFDIR { // WSL makes such a one
				return hint.Add(err, `make it yours alone with: chmod 700 "$XDG_RUNTIME_DIR"`)
			}
			return hint.Add(err, "set XDG_RUNTIME_DIR to a directory of your own with mode 0700, or unset it")
		}
	}
	for _, dir := range []string{e.storeOpts.RunRoot, e.storeOpts.GraphRoot} {
		// A volume of a container (an emptyDir, say) has the owner and the mode that somebody else has given it.
		if err := checkDir(dir, unix.Stat, os.Geteuid(), unix.S_ISVTX); err != nil && !isMount(dir) {
			return ownHint(err, dir)
		}
	}
	for _, dir := range []string{e.runtime, e.data} {
		if err := checkDir(dir, unix.Lstat, os.Geteuid(), 0); err != nil {
			return ownHint(err, dir)
		}
	}
	return nil
}

func ownHint(err error, dir string) error {
	return hint.Add(err, "look at it with: ls -ld %s; if it is yours, chown it to yourself and chmod go-w it, else choose another with %s and %s", dir, field.Name("root"), field.Name("runroot"))
}

// checkDir returns an error where dir is there and is not a directory of this user's, or of another's, that no one else may
// write to; with the bit sticky in its mode they may.
func checkDir(dir string, stat func(string, *unix.Stat_t) error, other int, sticky uint32) error {
	var st unix.Stat_t
	if stat(dir, &st) != nil {
		return nil // whoever needs it says what is wrong
	}
	shared := st.Mode & 0o002
	if st.Mode&0o020 != 0 && int(st.Gid) != os.Getegid() {
		shared |= 0o020
	}
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFLNK:
		return fmt.Errorf("%s is a symbolic link", dir)
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return fmt.Errorf("%s is not a directory", dir)
	case int(st.Uid) != os.Geteuid() && int(st.Uid) != other:
		return fmt.Errorf("the directory %s belongs to another user", dir)
	case shared != 0 && st.Mode&sticky == 0:
		return fmt.Errorf("other users may write to the directory %s", dir)
	}
	return nil
}

// isMount reports whether something is mounted on dir.
func isMount(dir string) bool {
	var here, above unix.Stat_t
	return unix.Stat(dir, &here) == nil && unix.Stat(filepath.Dir(dir), &above) == nil && here.Dev != above.Dev
}

// storeConfHint is for what the storage library says of its configuration.
func storeConfHint(err error) error {
	text := err.Error()
	if errors.Is(err, unix.ENOENT) && strings.Contains(text, os.Getenv("XDG_RUNTIME_DIR")) || strings.Contains(text, "writeable only by the current user") {
		return hint.Add(err, "set XDG_RUNTIME_DIR to a directory of your own with mode 0700; what another user has made in your place, root may remove")
	}
	return hint.Add(err, "see storage.conf(5); the file in use is named by CONTAINERS_STORAGE_CONF, or is in /etc/containers or ~/.config/containers")
}
