// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/berth-containers/berth/internal/field"
)

// IDMaps are the values of --uidmap and --gidmap: [FLAGS]CONTAINER_ID:[@]FROM_ID[:AMOUNT]. FLAGS are +, which adds to the maps that there are by
// default, and u or g, which keep a map of one kind from counting for the other where that has none. FROM_ID is an ID of the namespace that
// Berth runs in, @FROM_ID one of the host's.
type IDMaps struct{ UIDs, GIDs []string }

// idMap is one of them.
type idMap struct {
	specs.LinuxIDMapping
	extend, onlyUID, onlyGID bool
}

// Parse returns the maps of the user namespace. outerUID and outerGID find an ID of the host's in the namespace that Berth runs in.
func (o IDMaps) Parse(h Host, outerUID, outerGID func(uint32) (uint32, bool)) (u UserNS, err error) {
	uids, err := parseIDMaps("uidmap", o.UIDs, outerUID)
	if err != nil {
		return u, err
	}
	gids, err := parseIDMaps("gidmap", o.GIDs, outerGID)
	if err != nil {
		return u, err
	}
	if len(o.GIDs) == 0 {
		gids, err = parseIDMaps("uidmap", o.UIDs, outerGID)
		gids = slices.DeleteFunc(gids, func(m idMap) bool { return m.onlyUID })
	} else if len(o.UIDs) == 0 {
		uids, err = parseIDMaps("gidmap", o.GIDs, outerUID)
		uids = slices.DeleteFunc(uids, func(m idMap) bool { return m.onlyGID })
	}
	if err != nil {
		return u, err
	}
	u.Mode = "maps"
	if u.UIDs, err = joinMaps(uids, h.UIDMap); err != nil {
		return u, field.Errorf("%s: %w", field.Name("uidmap"), err)
	}
	if u.GIDs, err = joinMaps(gids, h.GIDMap); err != nil {
		return u, field.Errorf("%s: %w", field.Name("gidmap"), err)
	}
	return u, nil
}

func parseIDMaps(name field.Name, values []string, outer func(uint32) (uint32, bool)) (list []idMap, err error) {
	for _, v := range values {
		m, err := parseIDMap(v, outer)
		if err != nil {
			return nil, field.Errorf("%s %q: %w", name, v, err)
		}
		list = append(list, m)
	}
	return list, nil
}

func parseIDMap(value string, outer func(uint32) (uint32, bool)) (m idMap, err error) {
	rest := strings.TrimLeft(value, "+ug")
	for _, flag := range value[:len(value)-len(rest)] {
		switch flag {
		case '+':
			m.extend = true
		case 'u':
			m.onlyUID = true
		case 'g':
			m.onlyGID = true
		}
	}
	parts := strings.Split(rest, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return m, errors.New("want CONTAINER_ID:FROM_ID[:AMOUNT]")
	}
	from, host := strings.CutPrefix(parts[1], "@")
	parts[1] = from
	if len(parts) == 2 {
		parts = append(parts, "1")
	}
	for i, to := range []*uint32{&m.ContainerID, &m.HostID, &m.Size} {
		n, err := strconv.ParseUint(parts[i], 10, 32)
		if err != nil {
			return m, errors.New("want CONTAINER_ID:FROM_ID[:AMOUNT], in numbers")
		}
		*to = uint32(n)
	}
	if m.Size == 0 || m.ContainerID+m.Size < m.ContainerID || m.HostID+m.Size < m.HostID {
		return m, errors.New("the amount is not possible")
	}
	if !host {
		return m, nil
	}
	first, ok := outer(m.HostID)
	last, lastOK := outer(m.HostID + m.Size - 1)
	if !ok || !lastOK || last-first != m.Size-1 {
		return m, errors.New("these IDs of the host are not this user's")
	}
	m.HostID = first
	return m, nil
}

// joinMaps joins maps. Those that add to the default, in which every ID there is stands for itself, take their IDs from it.
func joinMaps(list []idMap, available []IDRange) ([]specs.LinuxIDMapping, error) {
	var joined []specs.LinuxIDMapping
	if !slices.ContainsFunc(list, func(m idMap) bool { return !m.extend }) {
		joined = identity(available)
	}
	for _, m := range list {
		if m.extend {
			joined = without(joined, m.LinuxIDMapping, func(m specs.LinuxIDMapping) uint32 { return m.ContainerID })
			joined = without(joined, m.LinuxIDMapping, func(m specs.LinuxIDMapping) uint32 { return m.HostID })
		}
		for _, j := range joined {
			if overlap(j.ContainerID, j.Size, m.ContainerID, m.Size) || overlap(j.HostID, j.Size, m.HostID, m.Size) {
				return nil, errors.New("two maps have the same ID")
			}
		}
		if !mapped(available, m.HostID) || !mapped(available, m.HostID+m.Size-1) {
			return nil, errors.New("the ID " + strconv.Itoa(int(m.HostID)) + " is not there to be mapped")
		}
		joined = append(joined, m.LinuxIDMapping)
	}
	slices.SortFunc(joined, func(a, b specs.LinuxIDMapping) int { return int(int64(a.ContainerID) - int64(b.ContainerID)) })
	return joined, nil
}

func overlap(a, n, b, m uint32) bool {
	return uint64(a) < uint64(b)+uint64(m) && uint64(b) < uint64(a)+uint64(n)
}

// without takes the IDs of m, on the side that id names, out of the list.
func without(list []specs.LinuxIDMapping, m specs.LinuxIDMapping, id func(specs.LinuxIDMapping) uint32) (rest []specs.LinuxIDMapping) {
	first, end := uint64(id(m)), uint64(id(m))+uint64(m.Size)
	for _, l := range list {
		from, to := uint64(id(l)), uint64(id(l))+uint64(l.Size)
		if from < first {
			part := l
			part.Size = uint32(min(to, first) - from)
			rest = append(rest, part)
		}
		if to > end {
			skip := uint32(max(from, end) - from)
			rest = append(rest, specs.LinuxIDMapping{ContainerID: l.ContainerID + skip, HostID: l.HostID + skip, Size: l.Size - skip})
		}
	}
	return rest
}
