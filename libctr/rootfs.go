package libctr

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/berth-containers/berth/libctr/record"
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
		if e.Rootless() {
			opts = append(opts, "userxattr") // overlayfs.rst, "User xattr": trusted.* needs the first user namespace
		}
		if volatile {
			opts = append(opts, "volatile")
		}
	}
	r.Options = strings.Join(opts, ",")
	return r, nil
}

func (e *Engine) lowers(home, layer string) (string, error) {
	data, err := os.ReadFile(filepath.Join(home, layer, "lower"))
	if errors.Is(err, fs.ErrNotExist) {
		return layer + "/empty", nil // an image without layers
	}
	if err != nil {
		return "", err
	}
	lowers := strings.Split(strings.TrimSpace(string(data)), ":")
	for i, l := range lowers {
		if unix.Access(filepath.Join(home, l), unix.F_OK) == nil {
			continue
		}
		found := false
		for _, store := range e.additionalStores() {
			if p := filepath.Join(store, "overlay", l); unix.Access(p, unix.F_OK) == nil {
				lowers[i], found = p, true
				break
			}
		}
		if !found {
			return "", fmt.Errorf("%s is missing: %w", filepath.Join(home, l), fs.ErrNotExist)
		}
	}
	return strings.Join(lowers, ":"), nil
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
