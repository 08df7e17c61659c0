// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/monitor"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
	"golang.org/x/sys/unix"
)

// A volume with a type or a device is a mount: of a directory (type=none, o=bind), a tmpfs, nfs, or whatever else mount(8) can mount. Its
// containers' monitors mount it (docs/decisions/0051).

// mounted reports whether the volume is a mount.
func (m *volumeMeta) mounted() bool {
	return m.Driver == "" && (m.Options["type"] != "" || m.Options["device"] != "")
}

// words are its mount options, without those that say that it is a bind.
func (m *volumeMeta) words() []string {
	return slices.DeleteFunc(strings.Split(m.Options["o"], ","), func(w string) bool { return w == "" || w == "bind" || w == "rbind" || w == "noquota" })
}

// bind reports whether the volume is a directory of the host's.
func (m *volumeMeta) bind() bool {
	words := strings.Split(m.Options["o"], ",")
	return m.Options["type"] == "bind" || slices.Contains(words, "bind") || slices.Contains(words, "rbind")
}

func (m *volumeMeta) checkMount() error {
	device := m.Options["device"]
	if m.bind() {
		if !filepath.IsAbs(device) {
			return field.Errorf("%s device=%s: a bind wants an absolute path", field.Name("opt"), device)
		}
		known := []string{"ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec"}
		for _, w := range m.words() {
			if !slices.Contains(known, w) {
				return field.Errorf("%s o=%s: a bind takes %s", field.Name("opt"), w, strings.Join(known, ", "))
			}
		}
		return nil
	}
	if m.Options["type"] == "" || m.Options["type"] == "none" {
		return field.Errorf("%s device=%s: a type is missing, or o=bind", field.Name("opt"), device)
	}
	if strings.ContainsAny(m.Options["type"]+device, "\x00\n") || strings.HasPrefix(device, "-") {
		return field.Errorf("%s device=%q: that is none", field.Name("opt"), device)
	}
	return nil
}

// mountedVolume has a mount take the volume's place that it names: a bind of a directory, or what the monitor mounts.
func (p *preparing) mountedVolume(m *spec.Mount, meta *volumeMeta) error {
	if slices.Contains(meta.words(), "ro") {
		m.ReadOnly = true
	}
	if meta.bind() {
		m.Source, m.Hosted, m.Pinned = meta.Options["device"], true, !meta.Links
		for _, w := range meta.words() {
			if w != "ro" && w != "rw" {
				m.Options = append(m.Options, w)
			}
		}
		return p.useDirectory(m)
	}
	if v := p.monitors(m.Name); v != nil { // at a second place
		return p.useMounted(m, v, meta)
	}
	program, err := exec.LookPath("mount")
	if err != nil {
		return fmt.Errorf("mount the volume: %w", err)
	}
	args := []string{program, "-t", meta.Options["type"]}
	words := meta.words()
	if meta.Size > 0 {
		words = append(words, fmt.Sprintf("size=%d", meta.Size))
	}
	if len(words) > 0 {
		args = append(args, "-o", strings.Join(words, ","))
	}
	device := meta.Options["device"]
	if device == "" {
		device = meta.Options["type"]
	}
	return p.useMounted(m, p.addVolume(record.Volume{Name: m.Name, Args: append(args, "--", device)}), meta)
}

// monitors is the volume of that name which the container's monitor mounts already; nil is none.
func (p *preparing) monitors(name string) *record.Volume {
	if i := slices.IndexFunc(p.cfg.Volumes, func(v record.Volume) bool { return v.Name == name }); i >= 0 {
		return &p.cfg.Volumes[i]
	}
	return nil
}

// addVolume has the monitor mount a volume.
func (p *preparing) addVolume(v record.Volume) *record.Volume {
	v.At, v.Users = fmt.Sprintf("%s-v%d", p.e.bindsPath(p.id), len(p.cfg.Volumes)), p.e.volumeUsersDir(v.Name)
	p.cfg.Volumes = append(p.cfg.Volumes, v)
	return &p.cfg.Volumes[len(p.cfg.Volumes)-1]
}

// useMounted has a mount be of what the monitor mounts, and the monitor do there what a volume's first use does.
func (p *preparing) useMounted(m *spec.Mount, v *record.Volume, meta *volumeMeta) error {
	m.Source = v.At
	if v.Destination == "" && !m.Prepared() {
		v.Destination = m.Destination
	}
	if m.Chown {
		v.GiveTo = &record.Owner{UID: p.user.uid, GID: p.user.gid}
	}
	home := p.e.volumeDir(m.Name)
	first, err := readFirstUse(home)
	if err != nil || !first.Copy || !m.Copy || v.From != "" || m.Subpath != "" || slices.Contains(meta.words(), "ro") {
		return err
	}
	v.From = m.Destination
	if meta.Driver == "" && meta.Options["type"] == "tmpfs" {
		v.Furnish = !slices.ContainsFunc(meta.words(), func(w string) bool {
			return strings.HasPrefix(w, "uid=") || strings.HasPrefix(w, "gid=") || strings.HasPrefix(w, "mode=")
		})
	} else {
		v.Until = filepath.Join(home, firstUseFile)
	}
	return nil
}

// useDirectory prepares a volume that is a directory of the host's for a container. While it is empty it takes the files of the image's directory,
// as any volume does, but keeps its owner and mode: they are the host's.
func (p *preparing) useDirectory(m *spec.Mount) error {
	if err := p.relabel(m); err != nil {
		return err
	}
	home := p.e.volumeDir(m.Name)
	first, err := readFirstUse(home)
	if err != nil || !first.Copy && !m.Chown {
		return err
	}
	files, err := p.e.openVolume(m.Name)
	if err != nil {
		return err
	}
	defer files.Close()
	if first.Copy && m.Copy && !m.ReadOnly {
		if err := p.fill(files, m); err != nil {
			return fmt.Errorf("copy the image's files into it: %w", err)
		}
		first.Copy = false
		if err := first.write(home); err != nil {
			return err
		}
	}
	if m.Chown {
		return giveTo(int(files.Fd()), p.user)
	}
	return nil
}

// fill copies the image's files into an empty directory, all of them or none.
func (p *preparing) fill(dir *os.File, m *spec.Mount) error {
	if names, err := dir.Readdirnames(1); len(names) > 0 || err != io.EOF {
		return err
	}
	img := p.e.filesIn(p.root)
	path := seenByChildren(dir)
	if _, err := img.copyUp(m.Destination, path, true); err != nil {
		left, _ := os.ReadDir(path + "/")
		for _, d := range left {
			err = errors.Join(err, os.RemoveAll(filepath.Join(path, d.Name())))
		}
		return err
	}
	return nil
}

// volumeUsersDir is where the containers that run with a volume that is a mount leave word of it.
func (e *Engine) volumeUsersDir(name string) string { return filepath.Join(e.runtime, "volumes", name) }

// forgetVolumeUsers removes what containers have left of a volume that none has any more.
func (e *Engine) forgetVolumeUsers(name string) error { return os.RemoveAll(e.volumeUsersDir(name)) }

// ledThroughLinks reports whether the part of a path that exists leads through symbolic links.
func ledThroughLinks(path string) bool {
	for {
		if _, err := os.Lstat(path); err == nil || path == "/" {
			return hasLinks(path)
		}
		path = filepath.Dir(path)
	}
}

// openVolume opens the directory of a volume's files. What has become a link since the volume was made is not followed: a container can have
// made it.
func (e *Engine) openVolume(name string) (*os.File, error) {
	dir, err := e.VolumePath(name)
	if err != nil {
		return nil, err
	}
	meta, err := readVolumeMeta(e.volumeDir(name))
	if err != nil {
		return nil, fmt.Errorf("volume %q: %w", name, err)
	}
	source, err := monitor.OpenSource(record.Bind{Source: filepath.Clean(dir), Links: meta.Links || !meta.bind(), Volume: name})
	if err != nil {
		return nil, hint.With(fmt.Errorf("volume %q: %w", name, err), hint.Of(err))
	}
	defer unix.Close(source)
	fd, err := unix.Openat(source, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("volume %q: open %s: %w", name, dir, err)
	}
	return os.NewFile(uintptr(fd), dir), nil
}

// VolumePath is the directory of a volume's files; there is none of one that only its containers have mounted.
func (e *Engine) VolumePath(name string) (string, error) {
	v, err := e.Volume(name)
	if err != nil {
		return "", err
	}
	meta := volumeMeta{Options: v.Options}
	if v.Driver != "local" {
		meta.Driver = v.Driver
	}
	switch {
	case meta.plugin():
		return "", hint.Add(fmt.Errorf("volume %q is of volume plugin %s, which mounts it for its containers alone", name, v.Driver), "use %s", hint.To(hint.RunContainer))
	case !meta.mounted():
		return v.Mountpoint, nil
	case meta.bind():
		return meta.Options["device"], nil
	}
	return "", hint.Add(fmt.Errorf("volume %q is a %s, which only its containers have mounted", name, meta.Options["type"]), "use %s", hint.To(hint.RunContainer))
}
