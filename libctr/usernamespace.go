// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/moby/sys/user"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/idtools"
	"golang.org/x/sys/unix"
)

// userMaps are the maps of --uidmap, --gidmap, --subuidname and --subgidname; nil where none is given.
func userMaps(o *CreateOptions, h spec.Host) (*spec.UserNS, error) {
	maps := spec.IDMaps{UIDs: o.UIDMaps, GIDs: o.GIDMaps}
	for _, s := range []struct {
		name  field.Name
		value string
		file  string
		to    *[]string
	}{{"subuidname", o.SubUIDName, "/etc/subuid", &maps.UIDs}, {"subgidname", o.SubGIDName, "/etc/subgid", &maps.GIDs}} {
		if s.value == "" {
			continue
		}
		if len(*s.to) > 0 {
			return nil, field.Errorf("%s and the maps of IDs exclude each other", s.name)
		}
		ranges, err := user.ParseSubIDFileFilter(s.file, func(e user.SubID) bool { return e.Name == s.value })
		if err == nil && len(ranges) == 0 {
			err = fmt.Errorf("%s has no range of %q", s.file, s.value)
		}
		if err != nil {
			return nil, field.Errorf("%s: %w", s.name, err)
		}
		next := int64(0)
		for _, r := range ranges {
			*s.to = append(*s.to, fmt.Sprintf("%d:@%d:%d", next, r.SubID, r.Count))
			next += r.Count
		}
	}
	if len(maps.UIDs)+len(maps.GIDs) == 0 {
		return nil, nil
	}
	switch o.UserNS {
	case "", "private":
	default:
		return nil, field.Errorf("%s and %s cannot be used together", field.Name("userns"), field.Name("uidmap"))
	}
	u, err := maps.Parse(h, innerID("/proc/self/uid_map"), innerID("/proc/self/gid_map"))
	return &u, err
}

// innerID finds an ID of the parent's in the user namespace of this process.
func innerID(path string) func(uint32) (uint32, bool) {
	maps, err := readIDMap(path)
	return func(id uint32) (uint32, bool) {
		for _, m := range maps {
			if err == nil && id >= m.HostID && id-m.HostID < m.Size {
				return m.ContainerID + id - m.HostID, true
			}
		}
		return 0, false
	}
}

// readIDMap reads a map of a process. What stands for HostID is the ID in the namespace of this process, or, in its own, in the parent's.
func readIDMap(path string) (list []specs.LinuxIDMapping, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(data)) {
		var m specs.LinuxIDMapping
		if _, err := fmt.Sscan(line, &m.ContainerID, &m.HostID, &m.Size); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		list = append(list, m)
	}
	return list, nil
}

// joinUserNS finds the maps of a user namespace that the container joins.
func (e *Engine) joinUserNS(ctx context.Context, m *making) (err error) {
	u := &m.spec.UserNS
	switch u.Mode {
	case "container":
		other, err := e.Lookup(ctx, u.Container)
		if err != nil {
			return field.Errorf("%s container:%s: %w", field.Name("userns"), u.Container, err)
		}
		data, err := os.ReadFile(filepath.Join(other.Dir, record.BundleDir, "config.json"))
		if err != nil {
			return err
		}
		var oci specs.Spec
		if err := json.Unmarshal(data, &oci); err != nil {
			return fmt.Errorf("read the OCI spec of container %q: %w", other.State.Name, err)
		}
		if oci.Linux == nil || len(oci.Linux.UIDMappings) == 0 {
			*u, m.userns = spec.UserNS{Mode: "host"}, "" // Berth's own, as the other has it
			return nil
		}
		u.Path, u.UIDs, u.GIDs = m.join("user", other), oci.Linux.UIDMappings, oci.Linux.GIDMappings
	case "ns":
		process, err := processIn(u.Path)
		if err == nil && process == "" {
			*u, m.userns = spec.UserNS{Mode: "host"}, ""
			return nil
		}
		if err == nil {
			u.UIDs, err = readIDMap(process + "/uid_map")
		}
		if err == nil {
			u.GIDs, err = readIDMap(process + "/gid_map")
		}
		if err != nil {
			return field.Errorf("%s ns:%s: %w", field.Name("userns"), u.Path, err)
		}
	}
	return nil
}

// processIn finds a process in a user namespace; it is empty for this process's own.
func processIn(path string) (string, error) {
	var want, own unix.Stat_t
	if err := unix.Stat(path, &want); err != nil {
		return "", &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if err := unix.Stat("/proc/self/ns/user", &own); err != nil || own.Ino == want.Ino && own.Dev == want.Dev {
		return "", err
	}
	entries, err := os.ReadDir("/proc")
	for _, d := range entries {
		if _, err := strconv.Atoi(d.Name()); err != nil {
			continue
		}
		var st unix.Stat_t
		dir := filepath.Join("/proc", d.Name())
		if unix.Stat(dir+"/ns/user", &st) == nil && st.Ino == want.Ino && st.Dev == want.Dev {
			return dir, nil
		}
	}
	return "", errors.Join(err, errors.New("no process is in that namespace: its IDs cannot be told"))
}

// autoMaps are the IDs that the store has given to a container.
func (m *making) autoMaps(sc *storage.Container) {
	u := spec.UserNS{Mode: "maps"}
	for _, s := range []struct {
		from []idtools.IDMap
		to   *[]specs.LinuxIDMapping
	}{{sc.UIDMap, &u.UIDs}, {sc.GIDMap, &u.GIDs}} {
		for _, r := range s.from {
			*s.to = append(*s.to, specs.LinuxIDMapping{ContainerID: uint32(r.ContainerID), HostID: uint32(r.HostID), Size: uint32(r.Size)})
		}
	}
	m.spec.UserNS = u
}

// autoHint says what can be done where there are no IDs left.
func (e *Engine) autoHint(err error) error {
	if err == nil || !strings.Contains(err.Error(), "not enough") && !strings.Contains(err.Error(), "subuid") {
		return err
	}
	if !e.Rootless() {
		return hint.Add(err, "add a range for the user %q to /etc/subuid and /etc/subgid, as in: containers:2147483647:2147483648, or ask for fewer IDs with %s auto:size=N", or(e.storeOpts.RootAutoNsUser, "containers"), field.Name("userns"))
	}
	return hint.Add(err, "add ranges to /etc/subuid and /etc/subgid, ask for fewer with %s auto:size=N, or remove containers that have IDs of their own", field.Name("userns"))
}

// stage chooses where the root file system is mounted for a container in which the caller has no ID: the directories above the bundle are
// closed to everybody else. Any directory will do that all can reach, and in which nothing is that the monitor needs.
func (e *Engine) stage(m *making) error {
	s := &m.spec
	if s.UserNS.MapsCaller(s.Host) {
		return nil
	}
	needed := []string{e.storeOpts.GraphRoot, e.storeOpts.RunRoot, e.runtime, e.storeOpts.ImageStore, m.cfg.Dir, m.cfg.RunDir, m.cfg.Runtime.Path, m.cfg.Rootfs.Program, m.cfg.Rootfs.Source, m.cfg.Cleanup[0]}
	needed = append(needed, e.additionalStores()...)
	for _, b := range m.cfg.Binds {
		needed = append(needed, b.Source)
		if b.Overlay != nil {
			needed = append(needed, b.Overlay.Upper, b.Overlay.Work)
		}
	}
	for _, dir := range []string{"/mnt", "/media", "/srv", "/opt", "/root", "/boot"} {
		if st, err := os.Lstat(dir); err != nil || !st.IsDir() || slices.ContainsFunc(needed, func(p string) bool { return within(real(p), dir) }) {
			continue
		}
		m.cfg.Stage = dir
		s.Rootfs = filepath.Join(dir, "rootfs")
		return nil
	}
	return hint.Add(errors.New("there is no directory in which the container's users can reach its root file system"), "make one with: sudo mkdir /mnt")
}

// real is a path without links, as far as it is there.
func real(path string) string {
	if r, err := filepath.EvalSymlinks(path); err == nil {
		return r
	}
	return path
}
