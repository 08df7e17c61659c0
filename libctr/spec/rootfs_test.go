// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tree makes files below a new directory: "-> target" is a symbolic link, "whiteout", "opaque",
// "fifo" and "null" are what they say, anything else is contents.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, what := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		target, isLink := strings.CutPrefix(what, "-> ")
		switch {
		case isLink:
			err = os.Symlink(target, path)
		case what == "whiteout":
			err = unix.Mknod(path, unix.S_IFCHR, 0)
		case what == "null":
			err = unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))) // /dev/zero
		case what == "fifo":
			err = unix.Mkfifo(path, 0o666)
		case what == "opaque":
			if err = os.MkdirAll(path, 0o755); err == nil {
				err = unix.Setxattr(path, "trusted.overlay.opaque", []byte("y"), 0)
			}
		default:
			err = os.WriteFile(path, []byte(what), 0o644)
		}
		if errors.Is(err, unix.EPERM) && os.Geteuid() != 0 {
			t.Skip("only root can make device files and trusted attributes")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRootfsMergesLayers(t *testing.T) {
	top := tree(t, map[string]string{"etc/passwd": "top", "etc/gone": "whiteout", "hidden": "opaque", "file": "a file", "lnk": "-> etc", "abs": "-> /low/../etc/passwd", ".wh.fusegone": ""})
	low := tree(t, map[string]string{"etc/passwd": "low", "etc/group": "group", "etc/gone": "x", "hidden/x": "x", "file/x": "x", "lnk/x": "x", "low/y": "y", "fusegone": "x", "dir/z": "z"})
	r := NewRootfs(top, low)
	for path, want := range map[string]string{"/etc/passwd": "top", "etc/group": "group", "/lnk/group": "group", "/abs": "top", "/low/y": "y", "//etc/./../etc//group": "group", "/dir/z": "z"} {
		if got, err := r.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", path, got, err, want)
		}
	}
	for _, path := range []string{"/etc/gone", "/hidden/x", "/lnk/x", "/fusegone", "/none/x", "/etc/none"} {
		if got, err := r.ReadFile(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %q, %v; want that it does not exist", path, got, err)
		}
	}
	for _, path := range []string{"/file/x", "/etc", "/"} {
		if got, err := r.ReadFile(path); err == nil {
			t.Errorf("%s: %q, want an error", path, got)
		}
	}
}

// What ReadFile finds in layers is what the kernel's overlayfs shows.
func TestRootfsAgreesWithOverlayfs(t *testing.T) {
	top := tree(t, map[string]string{"a/b": "-> ../c/d", "c": "opaque", "c/d": "1", "e": "whiteout", "f/g": "-> /a/b"})
	mid := tree(t, map[string]string{"a/x": "mid", "c/d": "2", "c/y": "2", "e/z": "2", "h/i": "2"})
	low := tree(t, map[string]string{"a/x": "low", "a/w": "low", "h": "3", "f/k": "low", "e/z": "3"})
	mnt := t.TempDir()
	if err := unix.Mount("overlay", mnt, "overlay", unix.MS_RDONLY, "lowerdir="+top+":"+mid+":"+low); err != nil {
		t.Fatal("needs root and overlayfs: ", err)
	}
	defer unix.Unmount(mnt, unix.MNT_DETACH)
	r := NewRootfs(top, mid, low)
	for _, path := range []string{"a/b", "a/x", "a/w", "c/d", "c/y", "e/z", "e", "h", "h/i", "f/k", "none"} {
		want, wantErr := os.ReadFile(filepath.Join(mnt, path))
		got, err := r.ReadFile(path)
		if string(got) != string(want) || (err == nil) != (wantErr == nil) {
			t.Errorf("%s: %q, %v; overlayfs has %q, %v", path, got, err, want, wantErr)
		}
	}
}

func TestRootfsReadsOnlyTheImage(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("evil:x:0:0::/:\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	up := strings.Repeat("../", 20)
	for name, files := range map[string]map[string]string{
		"absolute link":  {"etc/passwd": "-> " + secret},
		"relative link":  {"etc/passwd": "-> " + up + secret},
		"link directory": {"etc": "-> " + up + filepath.Dir(secret), "x": ""},
		"proc":           {"etc/passwd": "-> /proc/self/environ"},
		"loop":           {"etc/passwd": "-> passwd"},
		"fifo":           {"etc/passwd": "fifo"},
		"endless device": {"etc/passwd": "null"},
		"directory":      {"etc/passwd/x": "x"},
	} {
		r := NewRootfs(tree(t, files))
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, path := range []string{"/etc/passwd", "/etc/secret", "/etc/" + up + secret} {
				if got, err := r.ReadFile(path); err == nil {
					t.Errorf("%s: CVE-2024-9676: %s of the image gives %q", name, path, got)
				}
			}
		}()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			t.Fatalf("%s: reading does not end", name)
		}
	}
}

func TestRootfsLeaksNoDescriptors(t *testing.T) {
	r := NewRootfs(tree(t, map[string]string{"a/b/c/d": "x", "a/l": "-> ../a/b/c/d", "a/e": "-> e"}), tree(t, map[string]string{"a/b/x": "x"}))
	count := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := count()
	for _, path := range []string{"/a/b/c/d", "/a/l", "/a/e", "/a/b/x", "/a/b", "/none", "/a/b/c/d/e", "/a/../../a/b/x"} {
		r.ReadFile(path)
	}
	if after := count(); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func TestLookupUser(t *testing.T) {
	passwd := "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/home/web:/bin/sh\n# c\nbroken\n"
	group := "root:x:0:\nweb:x:34:\nlog:x:35:other,web\nadm:x:36:web,root\n"
	r := NewRootfs(tree(t, map[string]string{"etc/passwd": passwd, "etc/group": group}))
	for in, tc := range map[string]struct {
		add  []string
		want User
		err  string
	}{
		"":           {want: User{Home: "/root", Groups: []uint32{36}}},
		"root":       {want: User{Home: "/root", Groups: []uint32{36}}},
		"web":        {want: User{UID: 33, GID: 34, Home: "/home/web", Groups: []uint32{35, 36}}},
		"33":         {want: User{UID: 33, GID: 34, Home: "/home/web", Groups: []uint32{35, 36}}},
		"web:log":    {want: User{UID: 33, GID: 35, Home: "/home/web"}},
		"4000":       {want: User{UID: 4000, Home: "/"}},
		"4000:5000":  {want: User{UID: 4000, GID: 5000, Home: "/"}},
		"web:":       {add: []string{"log", "77"}, want: User{UID: 33, GID: 34, Home: "/home/web", Groups: []uint32{35, 36}, Added: []uint32{35, 77}}},
		"0:0":        {add: []string{"keep-groups"}, want: User{Home: "/root", KeepGroups: true}},
		"nobody":     {err: `user "nobody"`},
		"web:none":   {err: `user "web:none"`},
		"-1":         {err: `user "-1"`},
		"4294967295": {err: `user "4294967295"`},
		"1:1":        {add: []string{"keep-groups", "log"}, err: "excludes any other"},
		"2:2":        {add: []string{"none"}, err: "--group-add"},
	} {
		got, err := LookupUser(r, in, tc.add)
		check(t, in, got, tc.want, err, tc.err)
	}
	// FROM scratch: numbers do without the files.
	got, err := LookupUser(NewRootfs(t.TempDir()), "5:6", nil)
	check(t, "scratch", got, User{UID: 5, GID: 6, Home: "/"}, err, "")
	// A name cannot be made to mean root by a line break or a colon.
	for _, in := range []string{"web\nroot", "a:b:c", "root:x:0"} {
		if u, err := LookupUser(r, in, nil); err == nil && u.UID == 0 {
			t.Errorf("user %q is root", in)
		}
	}
}
