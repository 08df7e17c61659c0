// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"go.podman.io/storage/drivers/quota"
)

// A volume's limits are a project quota of the file system, which XFS with the mount option prjquota has, and root alone may set. That of a tmpfs is
// an option of its mount.

// errNoQuota is in podman's words.
var errNoQuota = errors.New("volume options size and inodes not supported. Filesystem does not support Project Quota")

// checkLimits says which limits a volume cannot have.
func (m *volumeMeta) checkLimits() error {
	if m.mounted() && m.Options["type"] == "tmpfs" {
		for _, w := range m.words() {
			if strings.HasPrefix(w, "inodes=") {
				m.Inodes = 1
			}
		}
		if m.Inodes > 0 {
			return hint.Add(errors.New("volume option inodes not supported on tmpfs filesystem"), "limit the files of a tmpfs with: %s o=nr_inodes=1000", field.Name("opt"))
		}
	}
	switch limited := m.Size > 0 || m.Inodes > 0; {
	case limited && m.noQuota:
		return errors.New("volume options size and inodes cannot be used without quota")
	case limited && m.mounted() && m.Options["type"] != "tmpfs":
		return hint.Add(errNoQuota, "a volume with a type takes what its file system knows, in: %s o=…", field.Name("opt"))
	}
	return nil
}

// limitVolume gives the empty directory of a new volume its limits. The library finds a free project by looking at all directories of volumes, so
// one command at a time does this.
func (e *Engine) limitVolume(ctx context.Context, dir string, meta volumeMeta) error {
	if meta.Size == 0 && meta.Inodes == 0 || meta.mounted() {
		return nil
	}
	home := filepath.Dir(dir)
	lock, err := os.Open(home)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := flock(ctx, lock, syscall.LOCK_EX); err != nil {
		return err
	}
	// A device file that the library makes to call quotactl(2), and would leave.
	defer os.Remove(filepath.Join(home, "backingFsBlockDev"))
	control, err := quota.NewControl(home)
	if err != nil {
		return hint.Add(errNoQuota, "root can set them where the store is on XFS that is mounted with prjquota; bound a tmpfs with: %s type=tmpfs and o=size=10m", field.Name("opt"))
	}
	return control.SetQuota(dir, quota.Quota{Size: meta.Size, Inodes: meta.Inodes})
}
