// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"bytes"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/etcfile"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
	"golang.org/x/sys/unix"
)

// specImage takes from an image's config what matters for running it.
func specImage(c *image.Config) spec.Image {
	i := c.Image.Config
	s := spec.Image{Entrypoint: i.Entrypoint, Cmd: i.Cmd, Env: i.Env, User: i.User, WorkingDir: i.WorkingDir, StopSignal: i.StopSignal,
		Volumes: slices.Sorted(maps.Keys(i.Volumes))}
	if h := c.Healthcheck; h != nil {
		s.Healthcheck = &record.Healthcheck{Test: h.Test, Interval: h.Interval, Timeout: h.Timeout, StartPeriod: h.StartPeriod, StartInterval: h.StartInterval, Retries: h.Retries}
	}
	return s
}

// imageName is what ps shows: the full name the image was found by, or one of its names.
func imageName(img *image.Image, asked string) string {
	if img.Resolved != "" {
		return img.Resolved
	}
	if len(img.Names) > 0 {
		return img.Names[0]
	}
	return asked
}

// layerDirs are the directories of the image's layers, the uppermost first, as spec.NewRootfs wants them.
func (e *Engine) layerDirs(m *making) []string {
	if t := m.cfg.Rootfs.Type; t == "bind" || t == record.GivenRootfs {
		return []string{m.cfg.Rootfs.Source}
	}
	home := m.cfg.Rootfs.Workdir
	var dirs []string
	for o := range strings.SplitSeq(m.cfg.Rootfs.Options, ",") {
		lower, ok := strings.CutPrefix(o, "lowerdir=")
		if !ok {
			continue
		}
		for p := range strings.SplitSeq(lower, ":") {
			if !filepath.IsAbs(p) {
				p = home + "/" + p // not cleaned: see lowers
			}
			dirs = append(dirs, p)
		}
	}
	return dirs
}

// initPath finds the program that --init makes PID 1: the flag's, containers.conf's, or one that is installed.
func (e *Engine) initPath(given string) (string, error) {
	if given == "" {
		conf, err := e.conf()
		if err != nil {
			return "", err
		}
		given, _ = conf.FindInitBinary() // none: those below
	}
	for _, p := range []string{given, "/usr/libexec/podman/catatonit", "/usr/bin/catatonit", "/usr/bin/tini-static"} {
		if p != "" && unix.Access(p, unix.X_OK) == nil {
			return p, spec.CheckInit(p)
		}
	}
	if p, err := exec.LookPath("catatonit"); err == nil {
		return p, nil
	}
	return "", hint.Add(field.Errorf("%s: no init program is installed", field.Name("init")), "install one with: sudo apt-get install catatonit, or name one with %s", field.Name("init-path"))
}

// containerEnv is the content of /run/.containerenv: who runs the container, from which image, of which layers.
func (e *Engine) containerEnv(m *making) []byte {
	var b bytes.Buffer
	rootless := 0
	if e.Rootless() {
		rootless = 1
	}
	for _, kv := range [][2]string{
		{"engine", "berth"}, {"name", m.cfg.Name}, {"id", m.cfg.ID}, {"image", m.cfg.ImageName}, {"imageid", m.cfg.ImageID}, {"imagedigest", m.cfg.ImageDigest},
		{"runtime", m.cfg.Runtime.Name}, {"driver", e.storeOpts.GraphDriverName}, {"network", m.cfg.Network.Mode}, {"layers", m.layers()}, {"mounts", m.destinations()},
	} {
		fmt.Fprintf(&b, "%s=%s\n", kv[0], etcfile.Quoted(kv[1]))
	}
	fmt.Fprintf(&b, "rootless=%d\n", rootless)
	return b.Bytes()
}

func (m *making) layers() string {
	var ids []string
	for _, d := range m.conf.RootFS.DiffIDs {
		ids = append(ids, d.String())
	}
	return strings.Join(ids, ",")
}

func (m *making) destinations() string {
	var dst []string
	for _, v := range m.cfg.Mounts {
		dst = append(dst, v.Destination)
	}
	return strings.Join(dst, ",")
}
