// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/berth-containers/berth/internal/held"
	"github.com/berth-containers/berth/libctr"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/buildah/define"
	"go.podman.io/buildah/pkg/parse"
	"golang.org/x/sys/unix"
)

// A RUN that has a directory of the host's (-v) can make what is below it a link to anywhere, and buildah looks the paths of flags up
// again for each RUN. So this package looks up each once, before the first RUN, holds what it has found, and mounts it in a place that
// nobody else sees; buildah gets the place. See docs/decisions/0029.

// place is where a path of a flag is mounted.
type place struct{ at, path string }

// placePrefix begins the names of a session's places. They are not in its own directories, which are removed with all in them.
func (r roots) placePrefix(id string) string { return filepath.Join(r.binds, "build-"+id+"-") }

// open looks up a path of a flag, and keeps what it finds open until the session's end.
func (s *Session) open(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("%s: %w", path, err)
	}
	s.opened = append(s.opened, fd)
	return fd, nil
}

// mount mounts what is open as fd, of that path, in a place of its own.
func (s *Session) mount(fd int, path string) (string, error) {
	r := newRoots(s.engine)
	if err := os.MkdirAll(r.binds, 0o700); err != nil {
		return "", err
	}
	at := r.placePrefix(s.id) + strconv.Itoa(len(s.places))
	s.places = append(s.places, place{at, path})
	if err := held.Mount(fd, at); err != nil {
		return "", fmt.Errorf("mount %s: %w", path, err)
	}
	return at, nil
}

// hold looks up a path, and returns the place where what it has found is mounted.
func (s *Session) hold(path string) (string, error) {
	fd, err := s.open(path)
	if err != nil {
		return "", err
	}
	return s.mount(fd, path)
}

// release undoes what hold has done.
func (s *Session) release() {
	for _, p := range s.places {
		held.Unmount(p.at)
	}
	for _, fd := range s.opened {
		unix.Close(fd)
	}
	s.places, s.opened = nil, nil
}

// removePlaces removes those that a session which was killed has left: they are empty where its mounts are not.
func (r roots) removePlaces(id string) {
	left, _ := filepath.Glob(r.placePrefix(id) + "*")
	for _, p := range left {
		_ = os.Remove(p)
	}
}

// withPaths has a text of buildah's name the user's paths.
func (s *Session) withPaths(text string) string {
	for _, p := range slices.Backward(s.places) { // 10 before 1
		text = strings.ReplaceAll(text, p.at, p.path)
	}
	return text
}

// holdSources holds what -v, --device, --secret and --build-context name. It returns the places whose files are to be given to the
// user of each RUN.
func (s *Session) holdSources(b *define.BuildOptions) (give []string, err error) {
	volumes := b.TransientMounts
	b.TransientMounts = nil
	b.CommonBuildOpts.Volumes = nil // the same once more
	for _, v := range volumes {
		m, err := parse.Volume(v)
		if err == nil {
			err = s.holdVolume(&m, &give)
		}
		if err != nil {
			return nil, fmt.Errorf("--volume %s: %w", v, err)
		}
		colons := strings.NewReplacer(":", `\:`)
		v = colons.Replace(m.Source) + ":" + colons.Replace(m.Destination)
		if options := strings.Join(m.Options, ","); options != "" {
			v += ":" + options
		}
		b.TransientMounts = append(b.TransientMounts, v)
	}
	for i, d := range b.Devices {
		if !filepath.IsAbs(d) {
			continue // of CDI
		}
		if b.Devices[i], err = s.holdDevice(d); err != nil {
			return nil, fmt.Errorf("--device %s: %w", d, err)
		}
	}
	for i, v := range b.CommonBuildOpts.Secrets {
		if b.CommonBuildOpts.Secrets[i], err = s.holdSecret(v); err != nil {
			return nil, fmt.Errorf("--secret: %w", err)
		}
	}
	for name, c := range b.AdditionalBuildContexts {
		if c.IsImage || c.IsURL {
			continue
		}
		held := *c
		if held.Value, err = s.holdContext(c.Value); err != nil {
			return nil, fmt.Errorf("--build-context %s: %w", name, err)
		}
		b.AdditionalBuildContexts[name] = &held
	}
	return give, nil
}

// holdVolume has m name the place of its source, and adds that to give if the files are to be given away.
func (s *Session) holdVolume(m *specs.Mount, give *[]string) error {
	fd, err := s.open(m.Source)
	if err != nil {
		return err
	}
	owned := slices.Contains(m.Options, "U")
	if owned {
		if err := libctr.CheckGiveTo(fd); err != nil {
			return err
		}
		// buildah would change owners by path, in a tree where others may be at work.
		m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return o == "U" })
	}
	if m.Source, err = s.mount(fd, m.Source); err == nil && owned {
		*give = append(*give, m.Source)
	}
	return err
}

func (s *Session) holdDevice(v string) (string, error) {
	src, dst, access, err := parse.Device(v)
	if err != nil {
		return "", err
	}
	at, err := s.hold(src)
	return at + ":" + dst + ":" + access, err
}

// holdSecret returns a value of --secret that names an open file. A secret is read for each RUN that wants it.
func (s *Session) holdSecret(v string) (string, error) {
	parsed, err := parse.Secrets([]string{v})
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		err = fmt.Errorf("%s: %w", e.Path, e.Err)
	}
	if err != nil {
		return "", err
	}
	for id, secret := range parsed {
		if secret.SourceType != "file" {
			break
		}
		fd, err := s.open(secret.Source)
		if err != nil {
			return "", err
		}
		v = fmt.Sprintf("id=%s,type=file,src=/proc/self/fd/%d", id, fd)
	}
	return v, nil
}

func (s *Session) holdContext(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	at, err := s.hold(dir)
	if err == nil {
		var st os.FileInfo
		if st, err = os.Stat(at); err == nil && !st.IsDir() {
			err = fmt.Errorf("%s: %w", dir, unix.ENOTDIR)
		}
	}
	return at, err
}
