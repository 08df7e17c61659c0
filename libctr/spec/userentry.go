// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"strconv"
	"strings"

	"github.com/moby/sys/user"

	"github.com/berth-containers/berth/internal/etcfile"
)

// HostUser is the caller, as the host's /etc/passwd and /etc/group know him.
type HostUser struct {
	UID, GID           uint32
	Name, Gecos, Group string
	Home               string
}

// UserEntries are the lines that the container's /etc/passwd and /etc/group get, so that programs find a name, a home
// and a shell for who they run as. Podman's rules: with keep-id the caller is listed, and a user or group given by
// number is; but for what the image lists already, and for files that the image does not have.
type UserEntries struct{ Passwd, Group string }

// home is the home directory of the caller where it is mounted into the container, else dir.
func (h *HostUser) home(dir string, mounts []Mount) string {
	if h.Home == "" || h.Home == "/" {
		return dir
	}
	for _, m := range mounts {
		if m.Destination == h.Home || strings.HasPrefix(h.Home, m.Destination+"/") {
			return h.Home
		}
	}
	return dir
}

// EntryOptions are what AddUserEntries goes by.
type EntryOptions struct {
	Spec       string    // USER[:GROUP] that the container runs as
	User       User      // which LookupUser has found for it
	Kept       *HostUser // the caller, with keep-id; or nil
	WorkingDir string
	Home       string // HOME, where image or caller set it
	Mounts     []Mount

	// PasswdEntry and GroupEntry stand for the lines, with $USERNAME, $UID, $GID, $NAME and $HOME, or $GROUPNAME, $GID
	// and $USERLIST in them (--passwd-entry, --group-entry); empty is podman's default.
	PasswdEntry, GroupEntry string
}

// AddUserEntries returns the lines that the files of root lack, and where the user is at home if he is not listed
// in the image: empty where he is.
func AddUserEntries(root *Rootfs, o EntryOptions) (e UserEntries, home string, err error) {
	uidWord, gidWord, grouped := strings.Cut(o.Spec, ":")
	if !grouped {
		gidWord = uidWord // as podman has it
	}
	uid, uidErr := strconv.ParseUint(uidWord, 10, 32)
	gid, gidErr := strconv.ParseUint(gidWord, 10, 32)
	if o.Kept == nil && uidErr != nil && gidErr != nil {
		return e, "", nil // by name: the image lists them
	}
	users, groups, err := readUsers(root)
	if err != nil {
		return e, "", err
	}
	kept := o.Kept
	if kept != nil {
		if err := kept.addTo(&e, users, groups, o); err != nil {
			kept = nil // a name that cannot stand there: by number, below
		} else if kept.UID == o.User.UID && !users.has("", kept.UID) {
			home = etcfile.Home(o.Home, kept.home(or(o.WorkingDir, "/"), o.Mounts))
		}
	}
	if uidErr == nil && !users.has("", uint32(uid)) && (kept == nil || kept.UID != uint32(uid)) {
		home = etcfile.Home(o.Home, or(o.WorkingDir, "/"))
		if users.there {
			line, err := o.passwd(etcfile.Passwd{Name: uidWord, UID: uint32(uid), GID: o.User.GID, Gecos: "container user", Home: home})
			if err != nil {
				return e, home, err
			}
			e.Passwd += line
		}
	}
	if gidErr == nil && groups.there && !groups.has("", uint32(gid)) && (kept == nil || kept.GID != uint32(gid)) {
		line, err := o.group(etcfile.Group{Name: gidWord, GID: uint32(gid), Members: []string{uidWord}})
		if err != nil {
			return e, home, err
		}
		e.Group += line
	}
	return e, home, nil
}

// passwd is the line of /etc/passwd for a user. The user is checked in any case.
func (o *EntryOptions) passwd(p etcfile.Passwd) (string, error) {
	line, err := p.Line()
	if err != nil || o.PasswdEntry == "" {
		return line, err
	}
	uid, gid := strconv.Itoa(int(p.UID)), strconv.Itoa(int(p.GID))
	return wholeLine(strings.NewReplacer("$USERNAME", p.Name, "$UID", uid, "$GID", gid, "$NAME", p.Gecos, "$HOME", p.Home).Replace(o.PasswdEntry))
}

// group is the line of /etc/group for a group.
func (o *EntryOptions) group(g etcfile.Group) (string, error) {
	line, err := g.Line()
	if err != nil || o.GroupEntry == "" {
		return line, err
	}
	return wholeLine(strings.NewReplacer("$GROUPNAME", g.Name, "$GID", strconv.Itoa(int(g.GID)), "$USERLIST", strings.Join(g.Members, ",")).Replace(o.GroupEntry))
}

func wholeLine(text string) (string, error) {
	return text + "\n", etcfile.Line("entry", text)
}

// addTo adds the caller's own lines.
func (h *HostUser) addTo(e *UserEntries, users, groups idFile, o EntryOptions) error {
	home := etcfile.Home(o.Home, h.home(or(o.WorkingDir, "/"), o.Mounts))
	passwd, err := o.passwd(etcfile.Passwd{Name: h.Name, UID: h.UID, GID: h.GID, Gecos: h.Gecos, Home: home})
	if err != nil {
		return err
	}
	group, err := o.group(etcfile.Group{Name: h.Group, GID: h.GID, Members: []string{h.Name}})
	if err != nil {
		return err
	}
	if users.there && !users.has(h.Name, h.UID) {
		e.Passwd += passwd
	}
	if groups.there && !groups.has(h.Group, h.GID) {
		e.Group += group
	}
	return nil
}

// idFile is what /etc/passwd or /etc/group lists.
type idFile struct {
	there bool
	names map[string]bool
	ids   map[uint32]bool
}

func (f idFile) has(name string, id uint32) bool { return f.ids[id] || name != "" && f.names[name] }

func (f idFile) add(name string, id int) {
	f.names[name], f.ids[uint32(id)] = true, true
}

func readUsers(root *Rootfs) (users, groups idFile, err error) {
	for _, file := range []struct {
		path string
		to   *idFile
	}{{"/etc/passwd", &users}, {"/etc/group", &groups}} {
		data, err := optionalFile(root, file.path)
		if err != nil {
			return users, groups, err
		}
		*file.to = idFile{data != nil, map[string]bool{}, map[uint32]bool{}}
		if data == nil {
			continue
		}
		if file.to == &users {
			_, err = user.ParsePasswdFilter(reader(data), func(u user.User) bool { users.add(u.Name, u.Uid); return false })
		} else {
			_, err = user.ParseGroupFilter(reader(data), func(g user.Group) bool { groups.add(g.Name, g.Gid); return false })
		}
		if err != nil {
			return users, groups, err
		}
	}
	return users, groups, nil
}
