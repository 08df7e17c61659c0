// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/moby/sys/user"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
)

// User is who the container's first process runs as, in the container's own IDs.
type User struct {
	UID, GID uint32
	Groups   []uint32 // supplementary groups of the image's /etc/group
	Added    []uint32 // --group-add
	Home     string
	// KeepGroups leaves the caller's supplementary groups in place (--group-add keep-groups; crun only).
	KeepGroups bool
}

// LookupUser reads USER[:GROUP] (-u, or the image's User; empty is root), in names or
// numbers, by the /etc/passwd and /etc/group of root. A number need not be listed
// there. add are the values of --group-add.
func LookupUser(root *Rootfs, spec string, add []string) (User, error) {
	passwd, err := optionalFile(root, "/etc/passwd")
	if err != nil {
		return User{}, err
	}
	group, err := optionalFile(root, "/etc/group")
	if err != nil {
		return User{}, err
	}
	found, err := user.GetExecUser(spec, &user.ExecUser{Home: "/"}, reader(passwd), reader(group))
	if err != nil {
		return User{}, hint.Add(fmt.Errorf("user %q: %w", spec, err), "names must be in the image's /etc/passwd and /etc/group; numbers need not")
	}
	u := User{UID: uint32(found.Uid), GID: uint32(found.Gid), Home: found.Home, Groups: groupIDs(found.Sgids)}
	if i := slices.Index(add, "keep-groups"); i >= 0 {
		if len(add) > 1 {
			return u, field.Errorf("%s keep-groups excludes any other %s", field.Name("group-add"), field.Name("group-add"))
		}
		u.KeepGroups = true
		return u, nil
	}
	if len(add) > 0 {
		ids, err := user.GetAdditionalGroups(add, reader(group))
		if err != nil {
			return u, field.Errorf("%s %q: %w", field.Name("group-add"), add, err)
		}
		u.Added = groupIDs(ids)
	}
	return u, nil
}

func optionalFile(root *Rootfs, path string) ([]byte, error) {
	data, err := root.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// reader makes nil of what is not there: that is how package user is told.
func reader(data []byte) io.Reader {
	if data == nil {
		return nil
	}
	return bytes.NewReader(data)
}

func groupIDs(ids []int) []uint32 {
	var list []uint32
	for _, id := range ids {
		list = append(list, uint32(id))
	}
	slices.Sort(list)
	return slices.Compact(list)
}
