// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
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
	if i.root.Type == "bind" || i.root.Type == record.GivenRootfs {
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
	var lower, upper, xattr string
	for o := range strings.SplitSeq(root.Options, ",") {
		if v, ok := strings.CutPrefix(o, "lowerdir="); ok {
			lower = v
		}
		if v, ok := strings.CutPrefix(o, "upperdir="); ok {
			upper = v
		}
		if o == "userxattr" {
			xattr = ",userxattr"
		}
	}
	if !strings.Contains(lower, ":") {
		lower += ":" + upper // which is empty yet
	}
	if root.Type == "fuse" {
		if err := i.leash(); err != nil {
			return err
		}
		return mountFuse(root.Program, root.Workdir, "lowerdir="+lower, mnt)
	}
	return in(root.Workdir, func() error { // the options' paths are relative to it
		return unix.Mount("overlay", mnt, "overlay", unix.MS_RDONLY, "lowerdir="+lower+xattr)
	})
}

// mountFuse has a program mount what options say; it stays until that is unmounted.
func mountFuse(program, workdir, options, at string) error {
	cmd := exec.Command(program, "-o", options, at)
	cmd.Dir, cmd.Env = workdir, monitor.Environ(os.Environ())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run %s: %w: %s", program, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// in calls work with dir as the working directory, which stays what it is for the rest of the process: work runs in a thread that has
// one of its own, and ends with it.
func in(dir string, work func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_FS)
		if err == nil {
			err = unix.Chdir(dir)
		}
		if err != nil {
			done <- fmt.Errorf("go to %s: %w", dir, err)
			return
		}
		done <- work()
	}()
	return <-done
}
