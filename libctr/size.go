// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/berth-containers/berth/libctr/image"
	"golang.org/x/sys/unix"
)

// Size returns how many bytes the container's own layer has, and how many it has with those of its image. A container with
// --rootfs has no layer. The process must be in the user namespace to read all of it.
func (e *Engine) Size(ctx context.Context, c *Container) (own, all int64, err error) {
	if c.size != nil { // a listing is sorted by it
		return c.size.own, c.size.all, nil
	}
	cfg, err := c.Config()
	if err != nil {
		return 0, 0, err
	}
	dir, err := e.openLayer(ctx, c, cfg)
	if dir == nil && err == nil {
		return 0, 0, nil
	}
	if err == nil {
		defer dir.Close()
		own, err = filesSize(ctx, fmt.Sprintf("/proc/self/fd/%d", dir.Fd()))
	}
	if err != nil {
		return 0, 0, fmt.Errorf("add up the files of container %s: %w", cfg.Name, err)
	}
	img, err := e.ImageView().Lookup(cfg.ImageID, image.LookupOptions{})
	if err != nil {
		return own, own, nil // the image has been removed by force
	}
	base, err := img.Size()
	if err != nil {
		return 0, 0, err
	}
	if e.storeOpts.GraphDriverName == "vfs" { // whose layers hold what is below them
		own = max(0, own-base)
	}
	return own, own + base, nil
}

// filesSize adds up the sizes of the regular files below dir, as podman does for a layer. The container may put links in the place of directories
// meanwhile: nothing outside of dir is looked at.
func filesSize(ctx context.Context, dir string) (int64, error) {
	var size int64
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil && name != "." && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, unix.EIO) {
			return nil // removed or replaced meanwhile
		}
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !d.Type().IsRegular() || strings.HasPrefix(d.Name(), ".wh.") {
			return nil
		}
		if st, err := d.Info(); err == nil {
			size += st.Size()
		}
		return nil
	})
	return size, err
}
