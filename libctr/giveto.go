// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/berth-containers/berth/internal/held"
	"github.com/berth-containers/berth/internal/hint"
	"go.podman.io/common/pkg/chown"
)

// GiveTo gives an open file, or a directory with all in it, to a user, whose IDs are those of the namespace that this process is in.
// Containers may be at work in it: nothing outside is changed. What belongs to the system is refused.
func GiveTo(fd int, uid, gid uint32) error { return giveTo(fd, owner{uid: uid, gid: gid}) }

// CheckGiveTo returns the error with which GiveTo refuses what belongs to the system.
func CheckGiveTo(fd int) error {
	path := "/proc/self/fd/" + strconv.Itoa(fd)
	dangerous, err := chown.DangerousHostPath(path)
	if err == nil && dangerous {
		name, _ := os.Readlink(path)
		err = hint.Add(fmt.Errorf("%s belongs to the system", name), "leave the option U out, and change owners yourself where it is wanted")
	}
	return err
}

// giveTo gives an open file, or directory with all in it, to a user. Containers may be at work in it, and put links in the place of
// directories: nothing outside is changed.
func giveTo(fd int, user owner) error {
	if err := CheckGiveTo(fd); err != nil {
		return err
	}
	return held.Give(fd, user.uid, user.gid)
}

// bindsPath begins the names of the places where a monitor mounts the sources of a container's binds while it starts it. They are not in
// RunDir: where such a directory is removed with all that is in it, nothing of the user's may be mounted, in whatever mount namespace.
func (e *Engine) bindsPath(id string) string { return filepath.Join(e.runtime, "binds", id) }

// removeBinds removes the places that a killed monitor has left.
func (e *Engine) removeBinds(id string) {
	left, _ := filepath.Glob(e.bindsPath(id) + "-*")
	for _, p := range left {
		_ = os.Remove(p) // an empty file or directory
	}
}

// hasLinks reports whether a path leads through symbolic links.
func hasLinks(path string) bool {
	real, err := filepath.EvalSymlinks(path)
	return err != nil || real != path
}
