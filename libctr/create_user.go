// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/idtools"
	storagetypes "go.podman.io/storage/types"
)

// idMapping has the files of a container with a user namespace of its own belong to the IDs in it.
func idMapping(u spec.UserNS) (o storagetypes.IDMappingOptions, err error) {
	if !u.Nested() {
		return o, nil
	}
	if u.Mode == "auto" {
		o.AutoUserNs = true
		o.AutoUserNsOpts = storagetypes.AutoUserNsOptions{Size: u.Size, AdditionalUIDMappings: storageMaps(u.UIDs), AdditionalGIDMappings: storageMaps(u.GIDs)}
		return o, nil
	}
	host, err := spec.ReadHost()
	if err != nil {
		return o, err
	}
	uids, gids, err := u.Mappings(host)
	if err != nil || spec.Identity(uids) && spec.Identity(gids) {
		return o, err
	}
	if _, _, err := u.HostIDs(host, 0, 0); err != nil {
		return o, nil // without subordinate IDs there is no root inside that they could belong to
	}
	o.UIDMap, o.GIDMap = storageMaps(uids), storageMaps(gids)
	return o, nil
}

func storageMaps(list []specs.LinuxIDMapping) (maps []idtools.IDMap) {
	for _, m := range list {
		maps = append(maps, idtools.IDMap{ContainerID: int(m.ContainerID), HostID: int(m.HostID), Size: int(m.Size)})
	}
	return maps
}

// ownRoot gives the directory / to the container's root. The storage library leaves it out where it gives an image's
// files to other IDs, and takes it back to ours whenever it mounts a layer itself.
func (m *making) ownRoot(so *storage.ContainerOptions) error {
	root, err := idtools.NewIDMappingsFromMaps(so.UIDMap, so.GIDMap).ToHost(idtools.IDPair{})
	if err != nil {
		return err
	}
	dir := m.cfg.Rootfs.Source
	if m.cfg.Rootfs.Type != "bind" {
		dir = filepath.Join(m.cfg.Rootfs.Workdir, m.cfg.Rootfs.Layer, "diff") // such a layer is the store's
	}
	return os.Lchown(dir, root.UID, root.GID)
}

// ownFiles gives the files that are bound into the container to its root.
func (m *making) ownFiles() error {
	s := &m.spec
	uid, gid, err := s.UserNS.HostIDs(s.Host, 0, 0)
	if err != nil || !s.UserNS.Nested() {
		return nil // there is no root inside, or it is who has made them
	}
	for _, path := range []string{s.Files.Hosts, s.Files.ResolvConf, s.Files.Hostname, s.Files.ContainerEnv} {
		if filepath.Dir(path) != m.dir {
			continue // none, or another container's
		}
		if err := os.Lchown(path, int(uid), int(gid)); err != nil {
			return err
		}
	}
	return nil
}

// workingDir is the image's working directory, if somebody else than root is to own it.
func (m *making) workingDir() *record.MakeDir {
	s := &m.spec
	need := neededDir(m.cfg.WorkingDir, s.Mounts)
	if s.User.UID == 0 && s.User.GID == 0 || need == nil || need.Root != "" || need.Path == "/" {
		return nil // the runtime makes it
	}
	if slices.ContainsFunc(m.cfg.Mounts, func(v record.Mount) bool { return within(need.Path, filepath.Clean(v.Destination)) }) {
		return nil // in a tmpfs
	}
	uid, gid, err := s.UserNS.HostIDs(s.Host, s.User.UID, s.User.GID)
	if err != nil {
		return nil
	}
	rootUID, rootGID, err := s.UserNS.HostIDs(s.Host, 0, 0)
	if err != nil {
		rootUID, rootGID = uid, gid // without subordinate IDs
	}
	return &record.MakeDir{Path: need.Path, UID: uid, GID: gid, RootUID: rootUID, RootGID: rootGID}
}

// environment makes the container's environment, and the lines that its /etc/passwd and /etc/group lack.
func (m *making) environment(root *spec.Rootfs) error {
	cfg, s, env := m.cfg, &m.spec, m.env
	env.Image, env.Terminal, env.Hostname = m.conf.Image.Config.Env, s.Terminal, cfg.Hostname
	o := spec.EntryOptions{Spec: cfg.User, User: s.User, WorkingDir: cfg.WorkingDir, Mounts: s.Mounts, PasswdEntry: m.opts.Entries.Passwd, GroupEntry: m.opts.Entries.Group}
	for _, kv := range spec.Environment(env) { // without the home of /etc/passwd
		if home, ok := strings.CutPrefix(kv, "HOME="); ok {
			o.Home = home
		}
	}
	if u := s.UserNS; u.Mode == "keep-id" && u.UID == nil && u.GID == nil && s.Host.Rootless {
		o.Kept = hostUser(s.Host.OwnerUID, s.Host.OwnerGID)
	}
	lines, home, err := spec.AddUserEntries(root, o)
	if err != nil {
		return err
	}
	for _, name := range m.opts.HostUsers {
		line, err := hostUserLine(name)
		if err != nil {
			return field.Errorf("%s %q: %w", field.Name("hostuser"), name, err)
		}
		lines.Passwd += line
	}
	if !m.opts.Entries.None || len(m.opts.HostUsers) > 0 {
		cfg.Passwd, cfg.Group = lines.Passwd, lines.Group
	}
	env.Home = or(home, s.User.Home)
	s.Env = spec.Environment(env)
	cfg.Env = s.Env
	return nil
}
