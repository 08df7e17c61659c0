// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
)

// UserNS is the value of --userns.
type UserNS struct {
	// Mode is host (Berth's own user namespace, in which root is the caller), keep-id
	// (the caller has the same IDs inside), nomap (the caller has none inside), auto (IDs that no other container has), private (those of
	// uidmap and gidmap), container, ns, or maps: those that UIDs and GIDs say.
	Mode       string
	UID, GID   *uint32                // keep-id: the caller's IDs inside; nil is as outside
	Size       uint32                 // keep-id and auto: how many IDs there are inside; 0 is as many as there are, or as the image needs
	UIDs, GIDs []specs.LinuxIDMapping // maps: what Mappings returns; auto: IDs that are mapped besides
	Path       string                 // ns: an existing one; wins over Container
	Container  string                 // that of another container: the caller turns it into Path, and into its maps
}

// ParseUserNS reads the value of --userns.
func ParseUserNS(value string) (UserNS, error) {
	mode, opts, given := strings.Cut(value, ":")
	u := UserNS{Mode: mode}
	bad := func(format string, args ...any) (UserNS, error) {
		return u, field.Errorf("%s %q: %s", field.Name("userns"), value, fmt.Sprintf(format, args...))
	}
	switch mode {
	case "":
		u.Mode = "host"
	case "host", "nomap", "keep-id", "auto", "private":
	case "container", "ns":
		u.Container, u.Path = opts, opts
		if mode == "container" {
			u.Path = ""
		} else {
			u.Container = ""
		}
		if opts == "" || mode == "ns" && !filepath.IsAbs(opts) {
			return bad("want container:NAME or ns:PATH")
		}
		return u, nil
	default:
		return bad("want host, keep-id[:uid=N,gid=N,size=N], auto[:size=N,uidmapping=MAP,gidmapping=MAP], nomap, container:NAME, ns:PATH or private")
	}
	if !given {
		return u, nil
	}
	if mode != "keep-id" && mode != "auto" {
		return bad("%s takes no options", mode)
	}
	for o := range strings.SplitSeq(opts, ",") {
		key, text, _ := strings.Cut(o, "=")
		switch mode + " " + key {
		case "auto uidmapping", "auto gidmapping":
			m, err := autoMapping(text)
			if err != nil {
				return bad("%q: %v", o, err)
			}
			if key == "uidmapping" {
				u.UIDs = append(u.UIDs, m)
			} else {
				u.GIDs = append(u.GIDs, m)
			}
		case "keep-id uid", "keep-id gid", "keep-id size", "auto size":
			n, err := strconv.ParseUint(text, 10, 31)
			if err != nil || key == "size" && n == 0 {
				return bad("%q: want a number", o)
			}
			id := uint32(n)
			switch key {
			case "uid":
				u.UID = &id
			case "gid":
				u.GID = &id
			case "size":
				u.Size = id
			}
		default:
			return bad("%q: %s has no such option", o, mode)
		}
	}
	return u, nil
}

// autoMapping reads CONTAINER_ID:HOST_ID:SIZE.
func autoMapping(text string) (m specs.LinuxIDMapping, err error) {
	var n [3]uint64
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return m, errors.New("want CONTAINER_ID:HOST_ID:SIZE")
	}
	for i, p := range parts {
		if n[i], err = strconv.ParseUint(p, 10, 32); err != nil {
			return m, errors.New("want CONTAINER_ID:HOST_ID:SIZE")
		}
	}
	return specs.LinuxIDMapping{ContainerID: uint32(n[0]), HostID: uint32(n[1]), Size: uint32(n[2])}, nil
}

// Nested reports whether the container gets a user namespace of its own.
func (u UserNS) Nested() bool { return u.Mode != "" && u.Mode != "host" }

// Mappings returns the maps of the nested user namespace, from the container's IDs
// to those of the namespace that Berth runs in, where the caller is 0. They are
// empty where no namespace is nested.
func (u UserNS) Mappings(h Host) (uids, gids []specs.LinuxIDMapping, err error) {
	if !u.Nested() {
		return nil, nil, nil
	}
	switch u.Mode {
	case "maps", "ns", "container":
		return u.UIDs, u.GIDs, nil
	case "auto", "private":
		return nil, nil, fmt.Errorf("the IDs of %s %s are not known yet", field.Name("userns"), u.Mode)
	}
	if u.Mode == "nomap" {
		if !h.Rootless {
			return nil, nil, field.Errorf("%s nomap is for rootless containers: root has no IDs of its own to keep apart", field.Name("userns"))
		}
		uids, gids = nomap(contiguous(h.UIDMap)), nomap(contiguous(h.GIDMap))
		if len(uids) == 0 || len(gids) == 0 {
			return nil, nil, hint.Add(field.Errorf("%s nomap: there are no subordinate IDs", field.Name("userns")), "add ranges for this user to /etc/subuid and /etc/subgid")
		}
		return uids, gids, nil
	}
	if !h.Rootless { // podman-run(1): root's own mapping in a namespace of its own
		return identity(h.UIDMap), identity(h.GIDMap), nil
	}
	uid, gid := u.Kept(h)
	uidCount, gidCount := contiguous(h.UIDMap), contiguous(h.GIDMap)
	if u.Size > 0 {
		uidCount, gidCount = min(uidCount, u.Size), min(gidCount, u.Size)
	}
	return keepID(uid, uidCount), keepID(gid, gidCount), nil
}

// Kept returns who the caller is inside a user namespace made by keep-id: the user that the container runs as
// where no other is given.
func (u UserNS) Kept(h Host) (uid, gid uint32) {
	uid, gid = h.OwnerUID, h.OwnerGID
	if u.UID != nil {
		uid = *u.UID
	}
	if u.GID != nil {
		gid = *u.GID
	}
	return uid, gid
}

func identity(ranges []IDRange) (m []specs.LinuxIDMapping) {
	for _, r := range ranges {
		m = append(m, specs.LinuxIDMapping{ContainerID: r.First, HostID: r.First, Size: r.Count})
	}
	return m
}

// HostIDs returns what a user and a group of the container are in the namespace that Berth runs in: the owner
// that files have to be given there.
func (u UserNS) HostIDs(h Host, uid, gid uint32) (hostUID, hostGID uint32, err error) {
	if !u.Nested() {
		return uid, gid, nil
	}
	uids, gids, err := u.Mappings(h)
	if err != nil {
		return 0, 0, err
	}
	hostUID, ok1 := mapID(uids, uid)
	hostGID, ok2 := mapID(gids, gid)
	if !ok1 || !ok2 {
		return 0, 0, field.Errorf("%s %s: the container has no user and group %d:%d", field.Name("userns"), u.Mode, uid, gid)
	}
	return hostUID, hostGID, nil
}

func mapID(ranges []specs.LinuxIDMapping, id uint32) (uint32, bool) {
	for _, m := range ranges {
		if id >= m.ContainerID && id-m.ContainerID < m.Size {
			return m.HostID + id - m.ContainerID, true
		}
	}
	return 0, false
}

// Identity reports whether every ID is the same inside as in the namespace that Berth runs in.
func Identity(ranges []specs.LinuxIDMapping) bool {
	return !slices.ContainsFunc(ranges, func(m specs.LinuxIDMapping) bool { return m.ContainerID != m.HostID })
}

// keepID maps id to 0, and gives the other n-1 IDs of the parent to the lowest ones inside.
func keepID(id, n uint32) []specs.LinuxIDMapping {
	var m []specs.LinuxIDMapping
	below := min(id, n-1)
	if below > 0 {
		m = append(m, specs.LinuxIDMapping{ContainerID: 0, HostID: 1, Size: below})
	}
	m = append(m, specs.LinuxIDMapping{ContainerID: id, HostID: 0, Size: 1})
	if above := n - 1 - below; above > 0 {
		m = append(m, specs.LinuxIDMapping{ContainerID: id + 1, HostID: below + 1, Size: above})
	}
	return m
}

func nomap(n uint32) []specs.LinuxIDMapping {
	if n < 2 {
		return nil
	}
	return []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1, Size: n - 1}}
}

// contiguous counts the IDs that are mapped from 0 on without a gap; at least the caller's own.
func contiguous(ranges []IDRange) uint32 {
	n := uint32(0)
	for again := true; again; {
		again = false
		for _, r := range ranges {
			if n >= r.First && n-r.First < r.Count {
				n, again = r.First+r.Count, true
			}
		}
	}
	return max(n, 1)
}

// MapsCaller reports whether the caller, who is 0 where Berth runs, has an ID inside.
func (u UserNS) MapsCaller(h Host) bool {
	uids, _, err := u.Mappings(h)
	return err != nil || !u.Nested() || slices.ContainsFunc(uids, func(m specs.LinuxIDMapping) bool { return m.HostID == 0 && m.Size > 0 })
}

// split parts the maps where a range of the parent's ends: the kernel takes no map that goes across (user_namespaces(7)).
func split(list []specs.LinuxIDMapping, parent []IDRange) (parts []specs.LinuxIDMapping) {
	for _, m := range list {
		for m.Size > 0 {
			part := m
			for _, r := range parent {
				if m.HostID >= r.First && m.HostID-r.First < r.Count {
					part.Size = min(m.Size, r.Count-(m.HostID-r.First))
				}
			}
			parts = append(parts, part)
			m.ContainerID, m.HostID, m.Size = m.ContainerID+part.Size, m.HostID+part.Size, m.Size-part.Size
		}
	}
	return parts
}
