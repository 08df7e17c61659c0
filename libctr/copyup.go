// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/berth-containers/berth/internal/unpack"
	"github.com/berth-containers/berth/libctr/monitor"
	"github.com/berth-containers/berth/libctr/record"
	securejoin "github.com/cyphar/filepath-securejoin"
	"go.podman.io/storage/pkg/archive"
	"go.podman.io/storage/pkg/chrootarchive"
	"golang.org/x/sys/unix"
)

// imageFiles are the files of a container's image, as volumes take them.
type imageFiles struct {
	root  record.Rootfs
	leash func() error // called before a program is started that has to end with this one
}

// imageDir is what copyUp has found in the image.
type imageDir struct {
	found    bool // there is a directory
	copied   bool // there was something in it, which was copied
	uid, gid uint32
	mode     fs.FileMode
}

// copyUp looks at the image's directory at path, and copies what is in it into dir, if content is set. The layer is
// mounted read-only in this process's own mount namespace for as long as it takes.
func (i imageFiles) copyUp(path, dir string, content bool) (found imageDir, err error) {
	mnt, unmount, err := i.mount()
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, unmount()) }()
	src, err := securejoin.SecureJoin(mnt, path) // the image's links stay inside it
	if err != nil {
		return found, err
	}
	st, err := os.Stat(src)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !st.IsDir() {
		return found, nil
	}
	if err != nil {
		return found, err
	}
	sys := st.Sys().(*syscall.Stat_t)
	found = imageDir{found: true, uid: sys.Uid, gid: sys.Gid, mode: fileMode(sys.Mode)}
	entries, err := os.ReadDir(src)
	if err != nil || len(entries) == 0 || !content {
		return found, err
	}
	tar, err := chrootarchive.Tar(src, &archive.TarOptions{}, mnt)
	if err != nil {
		return found, err
	}
	defer tar.Close()
	limits, err := unpack.LimitsFromEnv()
	if err != nil {
		return found, err
	}
	found.copied = true
	bounded := unpack.NewReader(tar, unpack.Options{Limits: limits, What: "copy of " + path, Dir: dir})
	if err := chrootarchive.UntarUncompressed(bounded, dir, &archive.TarOptions{}); err != nil {
		return found, cmp.Or(bounded.Err(), err)
	}
	return found, nil
}

// mount makes the image's files appear in a directory, until unmount is called.
func (i imageFiles) mount() (dir string, unmount func() error, err error) {
	if i.root.Type == "bind" {
		return i.root.Source, func() error { return nil }, nil
	}
	mnt, err := os.MkdirTemp("", "berth-rootfs-")
	if err != nil {
		return "", nil, err
	}
	if err := i.mountLowers(mnt); err != nil {
		return "", nil, errors.Join(err, os.Remove(mnt))
	}
	return mnt, func() error { return errors.Join(unix.Unmount(mnt, unix.MNT_DETACH), os.Remove(mnt)) }, nil
}

func (i imageFiles) mountLowers(mnt string) error {
	root := &i.root
	// the lower directories alone need no work directory; a second one is wanted by overlayfs for a read-only mount
	var lower, xattr string
	for o := range strings.SplitSeq(root.Options, ",") {
		if v, ok := strings.CutPrefix(o, "lowerdir="); ok {
			lower = v
		}
		if o == "userxattr" {
			xattr = ",userxattr"
		}
	}
	if !strings.Contains(lower, ":") {
		lower += ":" + root.Layer + "/diff"
	}
	if root.Type == "fuse" {
		if err := i.leash(); err != nil {
			return err
		}
		cmd := exec.Command(root.Program, "-o", "lowerdir="+lower, mnt)
		cmd.Dir, cmd.Env = root.Workdir, monitor.Environ(os.Environ()) // it stays until the image is unmounted
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("mount the image with %s: %w: %s", root.Program, err, strings.TrimSpace(string(out)))
		}
		return nil
	}
	here, err := os.Open(".")
	if err != nil {
		return err
	}
	defer here.Close()
	if err := os.Chdir(root.Workdir); err != nil { // the options' paths are relative to it
		return err
	}
	defer func() { _ = here.Chdir() }()
	return unix.Mount("overlay", mnt, "overlay", unix.MS_RDONLY, "lowerdir="+lower+xattr)
}
