// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
)

// CloneOptions say in what a clone is not like its container.
type CloneOptions struct {
	Name      string // empty is the container's with -clone behind it, and a number where that is taken
	Image     string // empty is the container's
	Pull      image.PullOptions
	Resources spec.Resources // of which those that are set replace the container's

	Destroy bool // the container is removed
	Force   bool // with Destroy: running or not

	CreateCommand []string
	Progress      io.Writer // of a pull; nil is none
}

// Clone makes a container from the options that another one was made with, and what Update has changed of them since. It has that one's volumes, also those
// without a name; its layer, its log and its ID are its own. The error is that of Create, or one that wraps ErrRunning where the container is to be removed
// and runs: nothing is made then.
func (e *Engine) Clone(ctx context.Context, c *Container, o CloneOptions) (*Container, error) {
	if o.Destroy && !o.Force && c.Active() {
		return nil, hint.Add(about("remove", c, ErrRunning), "stop it first with: %s", hint.To(hint.StopContainer, c.State.Name))
	}
	opts, err := e.cloneOptions(ctx, c, o)
	if err != nil {
		return nil, about("clone", c, err)
	}
	clone, err := e.Create(ctx, opts)
	if err != nil {
		return nil, about("clone", c, err)
	}
	if o.Destroy {
		return clone, e.Remove(ctx, c, RemoveOptions{Force: o.Force})
	}
	return clone, nil
}

func (e *Engine) cloneOptions(ctx context.Context, c *Container, o CloneOptions) (opts CreateOptions, err error) {
	cfg, err := c.Config()
	if err != nil {
		return opts, err
	}
	if opts, err = askedOf(cfg); err != nil {
		return opts, err
	}
	opts.Name, opts.CreateCommand, opts.Pull, opts.Progress = o.Name, o.CreateCommand, o.Pull, o.Progress
	if opts.Name == "" {
		if opts.Name, err = e.cloneName(ctx, c.State.Name); err != nil {
			return opts, err
		}
	}
	switch {
	case o.Image != "":
		opts.Image, opts.Rootfs = o.Image, ""
	case opts.Rootfs == "":
		opts.Pull.Policy = image.Never
		opts.Image = cfg.ImageName
		if img, err := e.ImageView().Lookup(cfg.ImageName, image.LookupOptions{}); err != nil || img.ID != cfg.ImageID {
			opts.Image = cfg.ImageID // the name is another one's by now
		}
	}
	joinLimits(&opts.Resources, o.Resources)
	opts.LogOpts = slices.DeleteFunc(opts.LogOpts, func(opt string) bool { return strings.HasPrefix(opt, "path=") })
	opts.unnamed = e.unnamedVolumes(cfg)
	return opts, nil
}

// unnamedVolumes are those of a container that were made without a name, by where they are mounted.
func (e *Engine) unnamedVolumes(cfg *record.Config) map[string]string {
	at := map[string]string{}
	for _, m := range cfg.Mounts {
		if m.Type != "volume" {
			continue
		}
		if _, err := os.Lstat(filepath.Join(e.volumeDir(m.Name), anonymousFile)); err == nil {
			at[m.Destination] = m.Name
		}
	}
	return at
}

// cloneName is what the clone of a container is called: NAME-clone, NAME-clone1 and so on, also where the name is a clone's.
func (e *Engine) cloneName(ctx context.Context, name string) (string, error) {
	base := name
	if i := strings.LastIndex(name, "-clone"); i > 0 {
		if _, err := strconv.ParseUint("0"+name[i+len("-clone"):], 10, 32); err == nil {
			base = name[:i]
		}
	}
	for n, try := 0, base+"-clone"; ; try = base + "-clone" + strconv.Itoa(n) {
		c, err := e.Lookup(ctx, try)
		switch {
		case errors.Is(err, ErrNoSuchContainer), err == nil && c.State.Name != try:
			return try, nil
		case err != nil:
			return "", err
		}
		n++
	}
}
