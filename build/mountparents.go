// SPDX-License-Identifier: Apache-2.0

package build

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	bcopier "go.podman.io/buildah/copier"
	"go.podman.io/storage"
)

// mountParents is the store as a build sees it whose RUN --mount leaves the directories above a mount point as they are.
//
// For a mount point that the image lacks, buildah (1.44, run_common.go, createMountTargets) makes directories and removes them
// after RUN. So that their parents, which overlayfs copies into the layer for that, do not make it another layer, it writes
// them down in the working container's directory, and leaves them out of the layer when it commits. It does so as well where RUN
// has changed something below them: the layer then has files without their directories, which belong to root with the
// mode 755 wherever it is unpacked (buildah#6747). This store strikes such parents from what buildah has written down, each
// time before it is read, but for those that are root's with the mode 755.
type mountParents struct{ storage.Store }

// pulledUpDir is buildah's containerPulledUpDir, in a working container's directory.
const pulledUpDir = "commit-pulled-up"

func (m *mountParents) ContainerDirectory(id string) (string, error) {
	dir, err := m.Store.ContainerDirectory(id)
	if err != nil {
		return dir, err
	}
	files, err := filepath.Glob(filepath.Join(dir, pulledUpDir, "*"))
	if err != nil || len(files) == 0 {
		return dir, err
	}
	c, err := m.Store.Container(id)
	if err != nil {
		return dir, err
	}
	t := newParents(filepath.Join(m.GraphRoot(), "overlay"), c.LayerID)
	for _, f := range files {
		if err := t.strike(f); err != nil {
			return dir, fmt.Errorf("read the parents of mount points: %w", err)
		}
	}
	return dir, nil
}

// parents are the parents of mount points in the layer of a working container.
type parents struct {
	upper  string   // the layer's directory
	lowers []string // those below it, the uppermost first
	noted  map[string]bcopier.EnsureParentPath
}

func newParents(home, layer string) *parents {
	p := &parents{upper: filepath.Join(home, layer, "diff")}
	lower, _ := os.ReadFile(filepath.Join(home, layer, "lower")) // none: an image without layers, or another driver
	for l := range strings.SplitSeq(strings.TrimSpace(string(lower)), ":") {
		p.lowers = append(p.lowers, filepath.Join(home, l))
	}
	return p
}

// strike removes from the list in file the directories below which the layer will have anything.
func (p *parents) strike(file string) error {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var noted []bcopier.EnsureParentPath
	if json.Unmarshal(data, &noted) != nil {
		return nil // being written: a RUN at the same time has not ended
	}
	p.noted = map[string]bcopier.EnsureParentPath{}
	for _, n := range noted {
		p.noted[cleanPath(n.Path)] = n
	}
	left := slices.DeleteFunc(slices.Clone(noted), func(n bcopier.EnsureParentPath) bool {
		return !impliedAnyway(n) && p.keepsBelow(cleanPath(n.Path))
	})
	if len(left) == len(noted) {
		return nil
	}
	if data, err = json.Marshal(left); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o600)
}

func cleanPath(path string) string { return strings.Trim(filepath.Clean("/"+path), "/") }

// impliedAnyway reports whether a directory is what a layer without it is unpacked to. Such a one is left out as buildah does it, so
// that another builder of the same file makes the same layer.
func impliedAnyway(n bcopier.EnsureParentPath) bool {
	return n.Mode != nil && n.Owner != nil && n.Mode.Perm() == 0o755 && *n.Mode&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky) == 0 &&
		n.Owner.UID == 0 && n.Owner.GID == 0
}

// keepsBelow reports whether the layer will have something below dir.
func (p *parents) keepsBelow(dir string) bool {
	entries, err := os.ReadDir(filepath.Join(p.upper, dir))
	if err != nil {
		return false // the layer does not have it
	}
	return slices.ContainsFunc(entries, func(d fs.DirEntry) bool {
		path := filepath.Join(dir, d.Name())
		return !d.IsDir() || !p.leftOut(path) || p.keepsBelow(path)
	})
}

// leftOut reports whether buildah leaves a directory of the layer out: it is on the list, and nothing has changed it.
func (p *parents) leftOut(path string) bool {
	n, listed := p.noted[path]
	if !listed || !sameDirectory(filepath.Join(p.upper, path), n) {
		return false
	}
	for _, l := range p.lowers {
		below := filepath.Join(l, path)
		if _, err := os.Lstat(below); err == nil {
			return sameDirectory(below, n)
		}
	}
	return false
}

// sameDirectory compares as buildah does, with times as an archive of a layer has them: whole seconds.
func sameDirectory(path string, n bcopier.EnsureParentPath) bool {
	st, err := os.Lstat(path)
	if err != nil || !st.IsDir() || n.ModTime == nil || n.Mode == nil || n.Owner == nil {
		return false
	}
	sys := st.Sys().(*syscall.Stat_t)
	return st.ModTime().Truncate(time.Second).Equal(*n.ModTime) && st.Mode().Perm() == n.Mode.Perm() &&
		int(sys.Uid) == n.Owner.UID && int(sys.Gid) == n.Owner.GID
}
