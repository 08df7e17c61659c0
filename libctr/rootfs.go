// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/rootless"
	"golang.org/x/sys/unix"
)

// rootfs describes how the layer of a container is mounted. The overlay driver's directories are read
// as containers/storage lays them out: LAYER/diff, LAYER/work, and LAYER/lower with short links to
// the layers below it, highest first.
func (e *Engine) rootfs(layer string, volatile bool) (record.Rootfs, error) {
	r := record.Rootfs{Layer: layer}
	if e.storeOpts.GraphDriverName == "vfs" {
		r.Type, r.Source = "bind", filepath.Join(e.storeOpts.GraphRoot, "vfs/dir", layer)
		return r, nil
	}
	home := filepath.Join(e.storeOpts.GraphRoot, "overlay")
	lowers, err := e.lowers(home, layer)
	if errors.Is(err, fs.ErrNotExist) {
		if merr := e.RemakeLinks(); merr != nil {
			return r, merr
		}
		lowers, err = e.lowers(home, layer)
	}
	if err != nil {
		return r, fmt.Errorf("read the layers below %s: %w", layer, err)
	}
	r.Type, r.Workdir, r.Program = "overlay", home, e.driverOption("mount_program")
	if r.Program != "" {
		r.Type = "fuse"
	}
	opts := []string{"lowerdir=" + lowers, "upperdir=" + layer + "/diff", "workdir=" + layer + "/work"}
	if more := e.driverOption("mountopt"); more != "" {
		opts = append(opts, more)
	}
	if r.Type == "overlay" {
		if e.Rootless() || !rootless.FirstUserNS() {
			opts = append(opts, "userxattr") // overlayfs.rst, "User xattr": trusted.* needs the first user namespace
		}
		if volatile {
			opts = append(opts, "volatile")
		}
	}
	r.Options = strings.Join(opts, ",")
	return r, nil
}

// lowers are the directories below the layer's own, the uppermost first. A layer whose files were given to other IDs
// (--userns) has them in diff1, diff2 … beside an empty diff; that of a container has them where the image lies in a
// read-only store. They are written as containers/storage writes them, ID/diff1 and l/NAME/../diff1, which is short.
func (e *Engine) lowers(home, layer string) (string, error) {
	list := shifted(home, layer)
	data, err := os.ReadFile(filepath.Join(home, layer, "lower"))
	if errors.Is(err, fs.ErrNotExist) {
		return strings.Join(append(list, layer+"/empty"), ":"), nil // an image without layers
	}
	if err != nil {
		return "", err
	}
	for l := range strings.SplitSeq(strings.TrimSpace(string(data)), ":") {
		dir := filepath.Join(home, l)
		if unix.Access(dir, unix.F_OK) != nil {
			found := false
			for _, store := range e.additionalStores() {
				if p := filepath.Join(store, "overlay", l); unix.Access(p, unix.F_OK) == nil {
					l, found = p, true
					break
				}
			}
			if !found {
				return "", fmt.Errorf("%s is missing: %w", dir, fs.ErrNotExist)
			}
		}
		list = append(list, l)
		list = append(list, shifted(home, l+"/..")...)
	}
	return strings.Join(list, ":"), nil
}

// shifted are the directories diff1, diff2 … in the layer's directory dir, which is absolute or relative to home.
func shifted(home, dir string) (list []string) {
	for n := 1; ; n++ {
		d := fmt.Sprintf("%s/diff%d", dir, n)
		path := d
		if !filepath.IsAbs(d) {
			path = home + "/" + d // not cleaned: ".." is the parent of what the link leads to
		}
		if unix.Access(path, unix.F_OK) != nil {
			return list
		}
		list = append(list, d)
	}
}

// withoutLink is the whole path of a directory in mount options, which may begin with a short link.
func withoutLink(home, dir string) string {
	if filepath.IsAbs(dir) {
		return filepath.Clean(dir)
	}
	if name, ok := strings.CutPrefix(dir, "l/"); ok {
		name, rest, _ := strings.Cut(name, "/")
		if target, err := os.Readlink(filepath.Join(home, "l", name)); err == nil {
			return filepath.Join(home, "l", target, rest)
		}
	}
	return filepath.Join(home, dir)
}

// driverOption finds NAME in the storage options, written NAME=, .NAME= or overlay.NAME=.
func (e *Engine) driverOption(name string) string {
	for _, o := range e.storeOpts.GraphDriverOptions {
		k, v, _ := strings.Cut(o, "=")
		if k == name || k == "."+name || k == "overlay."+name || k == "overlay2."+name {
			return v
		}
	}
	return ""
}

// additionalStores are the read-only image stores of storage.conf.
func (e *Engine) additionalStores() []string {
	var dirs []string
	for _, o := range e.storeOpts.GraphDriverOptions {
		if _, v, ok := strings.Cut(o, "imagestore="); ok {
			dirs = append(dirs, strings.Split(v, ",")...)
		}
	}
	return dirs
}
