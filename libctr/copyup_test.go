// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/berth-containers/berth/libctr/record"
	"go.podman.io/storage/pkg/reexec"
	"golang.org/x/sys/unix"
)

// TestMain lets the storage library's helpers start: they are this program under another name.
func TestMain(m *testing.M) {
	if reexec.Init() {
		return
	}
	os.Exit(m.Run())
}

// What a volume takes from an image that only root can make: devices, attributes, capabilities, files of others.
func TestCopyUpKeepsEverything(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make the files; test/volumes.bats has the rest")
	}
	image, volume := t.TempDir(), t.TempDir()
	src := filepath.Join(image, "data")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(src, 0o700))
	must(os.WriteFile(filepath.Join(src, "file"), []byte("text"), 0o640))
	must(os.Lchown(filepath.Join(src, "file"), 12, 34))
	must(unix.Setxattr(filepath.Join(src, "file"), "user.note", []byte("kept"), 0))
	capability := []byte{1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} // v2, effective: CAP_NET_BIND_SERVICE
	must(unix.Setxattr(filepath.Join(src, "file"), "security.capability", capability, 0))
	must(os.Link(filepath.Join(src, "file"), filepath.Join(src, "hard")))
	must(os.Symlink("/etc/passwd", filepath.Join(src, "link")))
	must(unix.Mkfifo(filepath.Join(src, "fifo"), 0o600))
	must(unix.Mknod(filepath.Join(src, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	must(unix.Mknod(filepath.Join(src, "disk"), unix.S_IFBLK|0o600, int(unix.Mkdev(7, 99))))
	must(os.Mkdir(filepath.Join(src, "sub"), 0o755))
	must(unix.Setxattr(filepath.Join(src, "sub"), "user.dir", []byte("too"), 0))
	must(os.Chmod(filepath.Join(src, "sub"), 0o750|os.ModeSetgid|os.ModeSticky))

	found, err := imageFiles{root: record.Rootfs{Type: "bind", Source: image}}.copyUp("/data", volume, true)
	must(err)
	if !found.found || !found.copied || found.mode != 0o700 {
		t.Errorf("found %+v", found)
	}
	entries, err := os.ReadDir(src)
	must(err)
	for _, d := range entries {
		want, got := lstat(t, filepath.Join(src, d.Name())), lstat(t, filepath.Join(volume, d.Name()))
		if got.Mode != want.Mode || got.Uid != want.Uid || got.Gid != want.Gid || got.Rdev != want.Rdev || got.Nlink != want.Nlink || got.Mtim.Sec != want.Mtim.Sec {
			t.Errorf("%s: %+v, want %+v", d.Name(), got, want)
		}
	}
	for _, x := range []struct {
		file, name string
		want       []byte
	}{{"file", "user.note", []byte("kept")}, {"hard", "user.note", []byte("kept")}, {"file", "security.capability", capability}, {"sub", "user.dir", []byte("too")}} {
		got := make([]byte, 64)
		n, err := unix.Getxattr(filepath.Join(volume, x.file), x.name, got)
		if err != nil || !bytes.Equal(got[:max(n, 0)], x.want) {
			t.Errorf("attribute %s of %s is %q, %v; want %q", x.name, x.file, got[:max(n, 0)], err, x.want)
		}
	}
	if lstat(t, filepath.Join(volume, "file")).Ino != lstat(t, filepath.Join(volume, "hard")).Ino {
		t.Error("the file's two names are two files")
	}
	if target, err := os.Readlink(filepath.Join(volume, "link")); err != nil || target != "/etc/passwd" {
		t.Errorf("the link leads to %q, %v", target, err)
	}
}

func lstat(t *testing.T, path string) (st syscall.Stat_t) {
	t.Helper()
	if err := syscall.Lstat(path, &st); err != nil {
		t.Error(err)
	}
	return st
}

// A path of the image never leads out of it.
func TestCopyUpStaysInTheImage(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the copy is made in a chroot, by root or in the user namespace; test/volumes.bats has the latter")
	}
	outside, image := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"abs": outside, "up": "../../../../../../../../.." + outside} {
		if err := os.Symlink(target, filepath.Join(image, name)); err != nil {
			t.Fatal(err)
		}
		volume := t.TempDir()
		if _, err := (imageFiles{root: record.Rootfs{Type: "bind", Source: image}}).copyUp("/"+name, volume, true); err != nil {
			t.Fatal(err)
		}
		if entries, _ := os.ReadDir(volume); slices.ContainsFunc(entries, func(d os.DirEntry) bool { return d.Name() == "secret" }) {
			t.Errorf("%s: a file from outside the image is in the volume", name)
		}
	}
}
