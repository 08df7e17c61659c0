// SPDX-License-Identifier: Apache-2.0

package spec

import (
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
	// (the caller has the same IDs inside), nomap (the caller has none inside), or maps, which no flag of a container gives.
	Mode       string
	UID, GID   *uint32                // keep-id: the caller's IDs inside; nil is as outside
	UIDs, GIDs []specs.LinuxIDMapping // maps: what Mappings returns
}

// ParseUserNS reads the value of --userns.
func ParseUserNS(value string) (UserNS, error) {
	mode, opts, given := strings.Cut(value, ":")
	u := UserNS{Mode: mode}
	switch mode {
	case "":
		u.Mode = "host"
	case "host", "nomap", "keep-id":
	case "auto", "container", "ns", "private", "pod":
		return u, hint.Add(field.Errorf("%s %s is not supported", field.Name("userns"), value), "host and keep-id are")
	default:
		return u, field.Errorf("%s %q: want host, keep-id[:uid=N,gid=N] or nomap", field.Name("userns"), value)
	}
	if !given {
		return u, nil
	}
	if mode != "keep-id" {
		return u, field.Errorf("%s %q: %s takes no options", field.Name("userns"), value, mode)
	}
	for _, o := range strings.Split(opts, ",") {
		key, number, _ := strings.Cut(o, "=")
		n, err := strconv.ParseUint(number, 10, 31)
		if err != nil {
			return u, field.Errorf("%s %q: %q: want uid=N or gid=N", field.Name("userns"), value, o)
		}
		id := uint32(n)
		switch key {
		case "uid":
			u.UID = &id
		case "gid":
			u.GID = &id
		default:
			return u, field.Errorf("%s %q: %q: want uid=N or gid=N", field.Name("userns"), value, o)
		}
	}
	return u, nil
}

// Nested tells whether the container gets a user namespace of its own.
func (u UserNS) Nested() bool { return u.Mode == "keep-id" || u.Mode == "nomap" || u.Mode == "maps" }

// Mappings returns the maps of the nested user namespace, from the container's IDs
// to those of the namespace that Berth runs in, where the caller is 0. They are
// empty where no namespace is nested.
func (u UserNS) Mappings(h Host) (uids, gids []specs.LinuxIDMapping, err error) {
	if !u.Nested() {
		return nil, nil, nil
	}
	if u.Mode == "maps" {
		return u.UIDs, u.GIDs, nil
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
	return keepID(uid, contiguous(h.UIDMap)), keepID(gid, contiguous(h.GIDMap)), nil
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
