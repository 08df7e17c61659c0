// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"fmt"
	"os"
	"strconv"

	"github.com/berth-containers/berth/internal/etcfile"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/moby/sys/user"
)

// hostUser is the caller with that UID and GID, as the host knows him. One whom /etc/passwd does not list (LDAP, for
// instance) has the name that his login gave him.
func hostUser(uid, gid uint32) *spec.HostUser {
	h := &spec.HostUser{UID: uid, GID: gid, Name: os.Getenv("USER"), Home: os.Getenv("HOME")}
	if h.Name == "" {
		h.Name = strconv.Itoa(int(uid))
	}
	h.Group = h.Name
	if u, err := user.LookupUid(int(uid)); err == nil {
		h.Name, h.Gecos, h.Home = u.Name, u.Gecos, u.Home
	}
	if g, err := user.LookupGid(int(gid)); err == nil {
		h.Group = g.Name
	}
	return h
}

// hostUserLine is the line of the host's /etc/passwd of a user, by name or number.
func hostUserLine(name string) (string, error) {
	u, err := user.LookupUser(name)
	if uid, nerr := strconv.Atoi(name); err != nil && nerr == nil {
		u, err = user.LookupUid(uid)
	}
	if err != nil {
		return "", err
	}
	line := fmt.Sprintf("%s:*:%d:%d:%s:%s:%s", u.Name, u.Uid, u.Gid, u.Gecos, u.Home, or(u.Shell, "/bin/sh"))
	return line + "\n", etcfile.OneLine(line)
}
