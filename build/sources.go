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

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/held"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/rootless"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/buildah/define"
	"go.podman.io/buildah/pkg/parse"
	"go.podman.io/common/pkg/config"
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

// newPlace returns a place that nothing is at yet.
func (s *Session) newPlace(path string) (string, error) {
	r := newRoots(s.engine)
	if err := os.MkdirAll(r.binds, 0o700); err != nil {
		return "", err
	}
	at := r.placePrefix(s.id) + strconv.Itoa(len(s.places))
	s.places = append(s.places, place{at, path})
	return at, nil
}

// mount mounts what is open as fd, of that path, in a place of its own.
func (s *Session) mount(fd int, path string) (string, error) {
	at, err := s.newPlace(path)
	if err != nil {
		return "", err
	}
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

// confVolumes takes the volumes for all containers out of containers.conf, as far as buildah reads it in this process, and returns them.
func confVolumes() ([]string, error) {
	c, err := config.Default()
	if err != nil {
		return nil, fmt.Errorf("read containers.conf: %w", err)
	}
	volumes := c.Volumes()
	c.Containers.Volumes.Set(nil)
	return volumes, nil
}

// holdSources holds what -v, --device, --secret and --build-context name, and volumes in containers.conf. It returns the places whose files are to be given to the
// user of each RUN.
func (s *Session) holdSources(b *define.BuildOptions) (give []string, err error) {
	inConf, err := confVolumes()
	if err != nil {
		return nil, err
	}
	volumes := append(inConf, b.TransientMounts...)
	b.TransientMounts = nil
	b.CommonBuildOpts.Volumes = nil // the same once more
	for i, v := range volumes {
		m, err := parse.Volume(v)
		if err == nil {
			err = s.holdVolume(&m, &give)
		}
		if err != nil && i < len(inConf) {
			return nil, fmt.Errorf("volumes in containers.conf: %s: %w", v, err)
		}
		if err != nil {
			return nil, field.Errorf("%s %s: %w", field.Name("volume"), v, err)
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
			return nil, field.Errorf("%s %s: %w", field.Name("device"), d, err)
		}
	}
	for i, v := range b.CommonBuildOpts.Secrets {
		if b.CommonBuildOpts.Secrets[i], err = s.holdSecret(v); err != nil {
			return nil, field.Errorf("%s: %w", field.Name("secret"), err)
		}
	}
	for name, c := range b.AdditionalBuildContexts {
		if c.IsImage || c.IsURL {
			continue
		}
		held := *c
		if held.Value, err = s.holdContext(c.Value); err != nil {
			return nil, field.Errorf("%s %s: %w", field.Name("build-context"), name, err)
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
	overlaid := slices.Contains(m.Options, "O")
	upper, work := overlayDirs(m)
	owned := slices.Contains(m.Options, "U")
	if owned {
		if err := libctr.CheckGiveTo(fd); err != nil {
			return err
		}
		// buildah would change owners by path, in a tree where others may be at work.
		m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return o == "U" })
	}
	if overlaid && (upper != "" || work != "") {
		m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return o == "O" })
		m.Source, err = s.mountOverlay(fd, m.Source, upper, work)
	} else {
		m.Source, err = s.mount(fd, m.Source)
	}
	if err == nil && owned {
		*give = append(*give, m.Source)
	}
	return err
}

// overlayDirs takes the options that name an overlay's own directories out of those of a volume.
func overlayDirs(m *specs.Mount) (upper, work string) {
	m.Options = slices.DeleteFunc(m.Options, func(o string) bool {
		if dir, ok := strings.CutPrefix(o, "upperdir="); ok {
			upper = dir
			return true
		}
		if dir, ok := strings.CutPrefix(o, "workdir="); ok {
			work = dir
			return true
		}
		return false
	})
	return upper, work
}

// mountOverlay mounts an overlay with directories of the user's over what is open as lower, in a place of its own. buildah would have the OCI
// runtime mount it for each RUN, by paths: it can only name what is in the runtime's mount namespace.
func (s *Session) mountOverlay(lower int, path, upper, work string) (string, error) {
	if upper == "" || work == "" {
		return "", errors.New("upperdir= needs workdir=, and workdir= needs upperdir=")
	}
	options := "lowerdir=/proc/self/fd/" + strconv.Itoa(lower)
	for _, d := range []struct{ name, path string }{{"upperdir", upper}, {"workdir", work}} {
		fd, err := s.open(d.path)
		if err != nil {
			return "", fmt.Errorf("%s=%w", d.name, err)
		}
		options += "," + d.name + "=/proc/self/fd/" + strconv.Itoa(fd)
	}
	if os.Getuid() != 0 || rootless.UID() != 0 {
		options += ",userxattr"
	}
	at, err := s.newPlace(path)
	if err != nil {
		return "", err
	}
	if err := os.Mkdir(at, 0o700); err != nil {
		return "", err
	}
	if err := unix.Mount("overlay", at, "overlay", 0, options); err != nil {
		return "", fmt.Errorf("mount an overlay of %s with upperdir=%s,workdir=%s: %w", path, upper, work, err)
	}
	return at, nil
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
