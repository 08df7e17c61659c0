// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAddUserEntries(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh")
	write("etc/group", "root:x:0:\napp:x:1000:\n")
	me := &HostUser{UID: 4000, GID: 4001, Name: "me", Gecos: "My Name,,,", Group: "we", Home: "/home/me"}
	odd := &HostUser{UID: 4000, GID: 4001, Name: "dom\\me x", Group: "we"}
	for name, c := range map[string]struct {
		o             EntryOptions
		passwd, group string
		home          string
	}{
		"nobody said":            {},
		"by name":                {o: EntryOptions{Spec: "app:app"}},
		"listed":                 {o: EntryOptions{Spec: "1000:1000"}},
		"a new number":           {o: EntryOptions{Spec: "7"}, passwd: "7:*:7:0:container user:/:/bin/sh\n", group: "7:x:7:7\n", home: "/"},
		"at home in the workdir": {o: EntryOptions{Spec: "7", WorkingDir: "/srv"}, passwd: "7:*:7:0:container user:/srv:/bin/sh\n", group: "7:x:7:7\n", home: "/srv"},
		"HOME":                   {o: EntryOptions{Spec: "7", Home: "/h"}, passwd: "7:*:7:0:container user:/h:/bin/sh\n", group: "7:x:7:7\n", home: "/h"},
		"a HOME of two lines":    {o: EntryOptions{Spec: "7", Home: "/h\nx:x:0:0::/:/bin/sh"}, passwd: "7:*:7:0:container user:/:/bin/sh\n", group: "7:x:7:7\n", home: "/"},
		"a new group":            {o: EntryOptions{Spec: "app:8"}, group: "8:x:8:app\n"},
		"keep-id":                {o: EntryOptions{Spec: "4000:4001", Kept: me}, passwd: "me:*:4000:4001:My Name,,,:/:/bin/sh\n", group: "we:x:4001:me\n", home: "/"},
		"keep-id, home mounted": {o: EntryOptions{Spec: "4000:4001", Kept: me, Mounts: []Mount{{Destination: "/home"}}},
			passwd: "me:*:4000:4001:My Name,,,:/home/me:/bin/sh\n", group: "we:x:4001:me\n", home: "/home/me"},
		"keep-id, another mounted": {o: EntryOptions{Spec: "4000:4001", Kept: me, Mounts: []Mount{{Destination: "/home/me2"}}},
			passwd: "me:*:4000:4001:My Name,,,:/:/bin/sh\n", group: "we:x:4001:me\n", home: "/"},
		"keep-id, run as root":    {o: EntryOptions{Spec: "0", Kept: me}, passwd: "me:*:4000:4001:My Name,,,:/:/bin/sh\n", group: "we:x:4001:me\n"},
		"keep-id of a listed one": {o: EntryOptions{Spec: "1000:1000", Kept: &HostUser{UID: 1000, GID: 1000, Name: "me", Group: "we"}}},
		"keep-id, name cannot stand there": {o: EntryOptions{Spec: "4000:4001", Kept: odd},
			passwd: "4000:*:4000:4001:container user:/:/bin/sh\n", group: "4001:x:4001:4000\n", home: "/"},
		"both": {o: EntryOptions{Spec: "7:8", Kept: me}, passwd: "me:*:4000:4001:My Name,,,:/:/bin/sh\n7:*:7:8:container user:/:/bin/sh\n", group: "we:x:4001:me\n8:x:8:7\n", home: "/"},
	} {
		c.o.User, _ = LookupUser(NewRootfs(root), c.o.Spec, nil)
		got, home, err := AddUserEntries(NewRootfs(root), c.o)
		if err != nil || got.Passwd != c.passwd || got.Group != c.group || home != c.home {
			t.Errorf("%s: %q, home %q, %v; want %q, %q, %q", name, got, home, err, c.passwd, c.group, c.home)
		}
	}
	// no files, no lines; the user is at home all the same
	got, home, err := AddUserEntries(NewRootfs(t.TempDir()), EntryOptions{Spec: "7", WorkingDir: "/srv", Kept: me})
	if err != nil || got != (UserEntries{}) || home != "/srv" {
		t.Errorf("without files: %q, %q, %v", got, home, err)
	}
}
