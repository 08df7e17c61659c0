// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
	units "github.com/docker/go-units"
)

// ErrNoSuchVolume and ErrVolumeInUse come wrapped from the methods on volumes.
var (
	ErrNoSuchVolume = errors.New("no such volume")
	ErrVolumeInUse  = errors.New("volume is being used")
	ErrVolumeExists = error(volumeExists{})
)

// volumeExists is an fs.ErrExist in podman's words.
type volumeExists struct{}

func (volumeExists) Error() string { return "volume already exists" }

func (volumeExists) Unwrap() error { return fs.ErrExist }

// Volume is a local volume. The names in JSON are podman's.
type Volume struct {
	Name       string
	Driver     string
	Mountpoint string
	CreatedAt  time.Time
	Labels     map[string]string
	Scope      string
	Status     map[string]any `json:",omitempty"` // of a plugin
	Options    map[string]string
	UID        int `json:",omitempty"` // that it was made for
	GID        int `json:",omitempty"`
	Anonymous  bool
	MountCount uint // running containers that have it; see CountMounts
	// What it takes at its next use, see docs/decisions/0014.
	NeedsCopyUp bool `json:",omitempty"`
	NeedsChown  bool `json:",omitempty"`
	// Of podman's own; Berth has none of them.
	Timeout    uint   `json:",omitempty"`
	StorageID  string `json:",omitempty"`
	LockNumber uint32
}

// Volumes returns every volume, by name.
func (e *Engine) Volumes() ([]Volume, error) {
	names, err := e.volumeNames()
	var list []Volume
	for _, name := range names {
		if v, err := e.Volume(name); err == nil {
			list = append(list, v)
		}
	}
	return list, err
}

// volumeNames lists the directories of volumes, of half-made ones too.
func (e *Engine) volumeNames() (names []string, err error) {
	entries, err := os.ReadDir(filepath.Join(e.data, "volumes"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, d := range entries {
		names = append(names, d.Name())
	}
	return names, nil
}

// removeHalfMadeVolume removes what a killed command has left of a volume that it was making.
func (e *Engine) removeHalfMadeVolume(ctx context.Context, name string) error {
	lock, err := e.lockVolume(ctx, name, syscall.LOCK_EX)
	if err != nil {
		return err
	}
	defer lock.Close()
	if _, err := os.Lstat(filepath.Join(e.volumeDir(name), "_data")); err == nil {
		return nil // another command has made it
	}
	return e.discard(e.data, e.volumeDir(name))
}

// Volume finds a volume. The error wraps ErrNoSuchVolume.
func (e *Engine) Volume(name string) (Volume, error) {
	if spec.ValidName(name) {
		dir := e.volumeDir(name)
		data := filepath.Join(dir, "_data")
		if st, err := os.Lstat(data); err == nil {
			v := Volume{Name: name, Driver: "local", Mountpoint: data, Scope: "local", Labels: map[string]string{}, Options: map[string]string{}}
			_, anon := os.Lstat(filepath.Join(dir, anonymousFile))
			v.Anonymous = anon == nil
			meta, err := readVolumeMeta(dir)
			if err != nil {
				return Volume{}, fmt.Errorf("volume %q: %w", name, err)
			}
			first, err := readFirstUse(dir)
			if err != nil {
				return Volume{}, fmt.Errorf("volume %q: %w", name, err)
			}
			v.NeedsCopyUp, v.NeedsChown = first.Copy, first.Owner
			if meta.Driver != "" {
				v.Driver = meta.Driver
			}
			maps.Copy(v.Labels, meta.Labels)
			maps.Copy(v.Options, meta.Options)
			v.UID, v.GID = int(deref(meta.UID)), int(deref(meta.GID))
			if v.CreatedAt = meta.Created; v.CreatedAt.IsZero() {
				v.CreatedAt = st.ModTime() // made by an older Berth
			}
			return v, nil
		}
	}
	return Volume{}, hint.Add(fmt.Errorf("no volume with name %q found: %w", name, ErrNoSuchVolume), "list the volumes with: %s", hint.To(hint.ListVolumes))
}

const (
	anonymousFile = "anonymous"
	metaFile      = "volume.json"
)

// volumeMeta is what is kept of a volume beside its data.
type volumeMeta struct {
	Created time.Time         `json:"created"`
	Labels  map[string]string `json:"labels,omitempty"`
	Driver  string            `json:"driver,omitempty"`  // image; empty is local
	Options map[string]string `json:"options,omitempty"` // as given
	UID     *uint32           `json:"uid,omitempty"`     // nil: who uses it first
	GID     *uint32           `json:"gid,omitempty"`
	Size    uint64            `json:"size,omitempty"`   // bytes it may take; 0 is no limit
	Inodes  uint64            `json:"inodes,omitempty"` // files and directories it may have; 0 is no limit
	NoCopy  bool              `json:"nocopy,omitempty"` // takes no files of an image
	Links   bool              `json:"links,omitempty"`  // the device of a bind led through symbolic links when the volume was made, and may do so

	known     bool                               // its plugin has it
	noQuota   bool                               // none is to be set
	fill      func(dir string) (imageDir, error) // puts files into the new volume, and says whose and how its directory is to be; nil is none
	container string                             // that an anonymous one is made for
}

func readVolumeMeta(dir string) (m volumeMeta, err error) {
	data, err := os.ReadFile(filepath.Join(dir, metaFile))
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	return m, err
}

// VolumeOptions are those of CreateVolume.
type VolumeOptions struct {
	Labels   map[string]string
	Driver   string            // local, image, or empty, which is local
	Options  map[string]string // of image: image, its name. Of local: type, device, o: as mount(8) has them; without a type or device o is uid=N, gid=N, size=N, inodes=N, noquota, copy, nocopy
	UID, GID *uint32           // who it belongs to; nil is who uses it first, or the image's directory. The process must be in the user namespace
}

// meta checks the options, and is what is kept of them.
func (o VolumeOptions) meta() (m volumeMeta, err error) {
	m = volumeMeta{Labels: o.Labels, Options: o.Options, UID: o.UID, GID: o.GID}
	if value, ok := o.Labels[WarnLabel]; ok {
		if _, err := parseWarnAt(value); err != nil {
			return m, err
		}
	}
	switch o.Driver {
	case "", "local":
	case imageDriver:
		m.Driver = imageDriver
		return m, o.checkImage()
	default:
		if m.UID != nil || m.GID != nil {
			return m, field.Errorf("%s and %s are for volumes without a plugin", field.Name("uid"), field.Name("gid"))
		}
		m.Driver = o.Driver
		return m, nil
	}
	for key, value := range o.Options {
		switch key {
		case "o":
			for word := range strings.SplitSeq(value, ",") {
				if m.mounted() {
					continue // the file system's own
				}
				if err := m.option(word); err != nil {
					return m, err
				}
			}
		case "type", "device":
		case "uid", "gid", "size", "inodes", "noquota", "copy", "nocopy":
			if err := m.option(strings.TrimSuffix(key+"="+value, "=")); err != nil {
				return m, err
			}
		default:
			return m, field.Errorf("%s %s: invalid mount option %s for driver 'local'", field.Name("opt"), key, key)
		}
	}
	if err := m.checkLimits(); err != nil || !m.mounted() {
		return m, err
	}
	if m.UID != nil || m.GID != nil {
		return m, field.Errorf("%s and %s are for directories: give what the file system takes, as in %s o=uid=1000", field.Name("uid"), field.Name("gid"), field.Name("opt"))
	}
	if err := m.checkMount(); err != nil {
		return m, err
	}
	return m, nil
}

// option reads a word of the option o.
func (m *volumeMeta) option(word string) error {
	key, value, _ := strings.Cut(word, "=")
	switch key {
	case "uid", "gid":
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			return field.Errorf("%s o=%s: not a number of a user or group", field.Name("opt"), word)
		}
		id := uint32(n)
		if key == "uid" {
			m.UID = &id
		} else {
			m.GID = &id
		}
		return nil
	case "":
		return nil
	case "noquota":
		m.noQuota = true
		return nil
	case "copy", "nocopy":
		m.NoCopy = key == "nocopy"
		return nil
	case "size":
		n, err := units.FromHumanSize(value)
		if err != nil || n <= 0 {
			return field.Errorf("%s o=%s: not a size, such as 10G", field.Name("opt"), word)
		}
		m.Size = uint64(n)
		return nil
	case "inodes":
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil || n == 0 {
			return field.Errorf("%s o=%s: not a number of inodes", field.Name("opt"), word)
		}
		m.Inodes = n
		return nil
	}
	return field.Errorf("%s o=%s: without a type the options are uid=, gid=, size=, inodes=, noquota, copy and nocopy", field.Name("opt"), word)
}

// CreateVolume makes an empty volume; an empty name is a random one. The first container that has it mounted may fill
// it. The error wraps ErrVolumeExists, which is an fs.ErrExist, where there is one of that name.
func (e *Engine) CreateVolume(ctx context.Context, name string, o VolumeOptions) (Volume, error) {
	meta, err := o.meta()
	if err != nil {
		return Volume{}, err
	}
	if name == "" {
		name = newID()
	}
	if err := checkVolumeName(name); err != nil {
		return Volume{}, err
	}
	if meta.Driver == imageDriver {
		if meta.fill, err = e.filesOf(o.Options["image"]); err != nil {
			return Volume{}, err
		}
	}
	lock, made, err := e.lockOrMakeVolume(ctx, name, meta)
	if err != nil {
		return Volume{}, storeHint(fmt.Errorf("create volume %q: %w", name, err), e.storeOpts.GraphRoot)
	}
	defer lock.Close()
	v, err := e.Volume(name)
	switch {
	case err == nil && !made:
		err = fmt.Errorf("volume with name %s already exists: %w", name, ErrVolumeExists)
	case err == nil:
		e.note(Event{Type: "volume", Status: "create", Name: name, Attributes: v.Labels})
	}
	return v, err
}

// lockOrMakeVolume takes the lock of a volume for this command alone. It makes the volume where it is missing.
func (e *Engine) lockOrMakeVolume(ctx context.Context, name string, meta volumeMeta) (lock *os.File, made bool, err error) {
	dir := e.volumeDir(name)
	for lock == nil {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, false, err
		}
		if lock, err = e.lockVolume(ctx, name, syscall.LOCK_EX); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, false, err
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "_data")); err == nil {
		return lock, false, nil
	}
	if meta.plugin() && !meta.known {
		err = e.makeInPlugin(name, &meta)
	}
	if err != nil {
		return nil, false, errors.Join(err, os.RemoveAll(dir), lock.Close())
	}
	if err := e.limitVolume(ctx, dir, meta); err != nil {
		return nil, false, errors.Join(err, os.RemoveAll(dir), lock.Close())
	}
	if err := fillNewVolume(dir, meta); err != nil {
		return nil, false, errors.Join(err, os.RemoveAll(dir), lock.Close())
	}
	return lock, true, nil
}

// fillNewVolume makes what a volume consists of; it exists when _data does.
func fillNewVolume(dir string, meta volumeMeta) error {
	if meta.container != "" {
		if err := os.WriteFile(filepath.Join(dir, anonymousFile), []byte(meta.container), 0o600); err != nil {
			return err
		}
	}
	meta.Created = time.Now()
	meta.Links = meta.bind() && ledThroughLinks(meta.Options["device"])
	record, err := json.Marshal(meta)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(dir, metaFile), record, 0o600, false); err != nil {
		return err
	}
	first := newFirstUse()
	first.Copy = !meta.NoCopy && meta.Driver != imageDriver
	first.Owner, first.UID, first.GID = meta.UID == nil && meta.GID == nil && !meta.mounted() && meta.Driver == "", deref(meta.UID), deref(meta.GID)
	if err := first.write(dir); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(dir, "new-")
	if err != nil {
		return err
	}
	if err := os.Chmod(tmp, first.Mode); err != nil { // whatever the umask is
		return err
	}
	if err := relabelVolume(tmp); err != nil {
		return err
	}
	if meta.fill != nil {
		found, err := meta.fill(tmp)
		if err != nil {
			return err
		}
		if err := setOwner(tmp, firstUse{UID: found.uid, GID: found.gid, Mode: found.mode}); err != nil {
			return err
		}
	}
	if err := volumeOwner(tmp, meta); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, "_data"))
}

// VolumeUsers names the containers that a volume is mounted in.
func (e *Engine) VolumeUsers(ctx context.Context, name string) ([]*Container, error) {
	all, err := e.List(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(c *Container) bool {
		cfg, err := c.Config()
		return err != nil || !slices.ContainsFunc(cfg.Mounts, func(m record.Mount) bool { return m.Type == "volume" && m.Name == name })
	}), nil
}

// usedVolumes are the names of the volumes that containers have.
func (e *Engine) usedVolumes(ctx context.Context) (map[string]bool, error) {
	all, err := e.List(ctx)
	used := map[string]bool{}
	for _, c := range all {
		cfg, err := c.Config()
		if err != nil {
			continue // removed this moment, or damaged: system check tells
		}
		for _, m := range cfg.Mounts {
			if m.Type == "volume" {
				used[m.Name] = true
			}
		}
	}
	return used, err
}

// RemoveVolumeOptions are those of RemoveVolume.
type RemoveVolumeOptions struct {
	Force   bool           // remove the containers that have it first
	Timeout *time.Duration // for their stop; nil is the container's own
}

// RemoveVolume removes a volume. The error wraps ErrVolumeInUse where containers have it, unless opts.Force is set.
func (e *Engine) RemoveVolume(ctx context.Context, name string, opts RemoveVolumeOptions) error {
	if _, err := e.Volume(name); err != nil {
		return err
	}
	if opts.Force {
		users, err := e.VolumeUsers(ctx, name)
		if err != nil {
			return err
		}
		for _, c := range users {
			if err := e.Remove(ctx, c, RemoveOptions{Force: true, Timeout: opts.Timeout}); err != nil {
				return err
			}
		}
	}
	return e.removeVolume(ctx, name, "")
}

// removeVolume removes a volume that no container but id has. It waits for commands that make containers with it.
func (e *Engine) removeVolume(ctx context.Context, name, id string) error {
	meta, err := readVolumeMeta(e.volumeDir(name))
	if err != nil || !meta.plugin() {
		return e.forgetVolume(ctx, name, id)
	}
	return e.forgetVolumeAfter(ctx, name, id, func() error {
		c, err := e.pluginOf(name, &meta)
		if err != nil {
			return err
		}
		return c.Remove(name)
	})
}

func (e *Engine) forgetVolume(ctx context.Context, name, id string) error {
	return e.forgetVolumeAfter(ctx, name, id, func() error { return nil })
}

// forgetVolumeAfter removes what there is of a volume that no container but id has, if before succeeds.
func (e *Engine) forgetVolumeAfter(ctx context.Context, name, id string, before func() error) error {
	lock, err := e.lockVolume(ctx, name, syscall.LOCK_EX)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no volume with name %q found: %w", name, ErrNoSuchVolume)
	}
	if err != nil {
		return fmt.Errorf("remove volume %q: %w", name, err)
	}
	defer lock.Close()
	users, err := e.VolumeUsers(ctx, name)
	if err != nil {
		return err
	}
	var names []string
	for _, c := range users {
		if c.ID != id {
			names = append(names, c.ID)
		}
	}
	if len(names) > 0 {
		return hint.Add(fmt.Errorf("volume %s is being used by the following container(s): %s: %w", name, strings.Join(names, ", "), ErrVolumeInUse), "remove the containers first, or use: %s", hint.To(hint.ForceRemoveVolume, name))
	}
	if err := before(); err != nil {
		return err
	}
	if err := errors.Join(e.forgetVolumeUsers(name), e.discard(e.data, e.volumeDir(name))); err != nil {
		return err
	}
	e.note(Event{Name: name, Status: "remove", Type: "volume"})
	return nil
}
