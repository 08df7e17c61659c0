// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/rootless"
	"golang.org/x/sys/unix"
)

// rootfs describes how the layer of a container is mounted. The overlay driver's directories are read
// as containers/storage lays them out: LAYER/diff, LAYER/work, and LAYER/lower with short links to
// the layers below it, highest first.
func (e *Engine) rootfs(layer string, volatile bool) (record.Rootfs, error) {
	if e.storeOpts.GraphDriverName == "vfs" {
		return record.Rootfs{Layer: layer, Type: "bind", Source: filepath.Join(e.storeOpts.GraphRoot, "vfs/dir", layer)}, nil
	}
	return e.rootfsOn(filepath.Join(e.storeOpts.GraphRoot, "overlay"), layer, layer, volatile)
}

// rootfsOn mounts the directory own, absolute or relative to home, with its diff and work, on what is below a layer of the overlay driver in home. Where
// own is empty there is nothing to write to, and the layer itself is what is seen.
func (e *Engine) rootfsOn(home, layer, own string, volatile bool) (record.Rootfs, error) {
	r := record.Rootfs{Layer: layer}
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
	r.Type, r.Workdir, r.Program = "overlay", home, e.mountProgram()
	if r.Program != "" {
		r.Type = "fuse"
	}
	opts := []string{"lowerdir=" + lowers, "upperdir=" + own + "/diff", "workdir=" + own + "/work"}
	if own == "" {
		opts = []string{"lowerdir=" + layer + "/diff:" + lowers}
	}
	more, err := e.mountOptions(r.Program)
	if err != nil {
		return r, err
	}
	opts = append(opts, more...)
	if r.Type == "overlay" && volatile {
		opts = append(opts, "volatile")
	}
	r.Options = strings.Join(opts, ",")
	return r, nil
}

// rootfsOfImage describes the root file system of an image, with nothing on top of it.
func (e *Engine) rootfsOfImage(img *image.Image) (record.Rootfs, error) {
	dirs, err := img.LayerDirs()
	if err != nil {
		return record.Rootfs{}, err
	}
	if len(dirs) == 0 {
		return record.Rootfs{}, fmt.Errorf("image %.12s has no layers", img.ID)
	}
	if e.storeOpts.GraphDriverName == "vfs" {
		return record.Rootfs{Layer: img.TopLayer, Type: "bind", Source: dirs[0]}, nil
	}
	home, layer := filepath.Split(filepath.Dir(dirs[0])) // not always in this store
	return e.rootfsOn(filepath.Clean(home), layer, "", false)
}

// mountOptions are what layers are mounted with besides their directories, by a program or by the kernel: mountopt of storage.conf, and what the kernel wants
// of an ordinary user.
func (e *Engine) mountOptions(program string) (opts []string, err error) {
	if more := e.driverOption("mountopt"); more != "" {
		opts = strings.Split(more, ",")
	}
	if program != "" || !e.Rootless() && rootless.FirstUserNS() {
		return opts, nil
	}
	if slices.Contains(opts, "redirect_dir=on") {
		err := errors.New("the store's mountopt has redirect_dir=on, which the kernel lets only root mount with")
		return nil, hint.Add(err, "take redirect_dir=on out of mountopt in %s", storageConfFile())
	}
	// A storage.conf for all users may have metacopy; the kernel refuses it together with userxattr, and containers/storage leaves it out as well.
	opts = slices.DeleteFunc(opts, func(o string) bool { return o == "metacopy=on" })
	return append(opts, "userxattr"), nil // overlayfs.rst, "User xattr": trusted.* needs the first user namespace
}

// CheckMounts reports why no layer can be mounted with the options of storage.conf, where that is known.
func (e *Engine) CheckMounts() error {
	if e.storeOpts.GraphDriverName == "vfs" {
		return nil
	}
	_, err := e.mountOptions(e.mountProgram())
	return err
}

// mountProgram is what mounts layers in place of the kernel: the option's, or fuse-overlayfs where it has been used in this store before.
// containers/storage notes that, and keeps to it (drivers/overlay, SupportsNativeOverlay): what was deleted is written down in another way then.
func (e *Engine) mountProgram() string {
	if program := e.driverOption("mount_program"); program != "" {
		return program
	}
	used, err := os.ReadFile(filepath.Join(e.storeOpts.GraphRoot, "overlay/.has-mount-program"))
	if err != nil || strings.TrimSpace(string(used)) != "true" {
		return ""
	}
	program, err := exec.LookPath("fuse-overlayfs")
	if err != nil {
		return "" // as the library does without it
	}
	return program
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
