// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/berth-containers/berth/internal/flock"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/berth-containers/berth/libctr/layer"
	"github.com/berth-containers/berth/rootless"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
	"golang.org/x/sys/unix"
)

// suffixWord and the session's ID are the end of the names of its working containers; buildah appends a number
// where a name is taken.
const suffixWord = "berth-build-"

// Session is one build command. Its ID is part of the names of the working containers that buildah makes, so
// that those of a dead build can be told from those of one that is at work.
type Session struct {
	id     string
	engine *libctr.Engine
	run    string // $RUNTIME/builds/ID: the lock, the OCI runtime's state, network sockets
	tmp    string // $DATA/builds/ID: what may be large; TMPDIR of this process while it builds
	lock   *os.File
	tmpdir string // TMPDIR as it was
	hadTmp bool
	path   string // PATH as it was, if it is another now; see git.go
	failed bool   // Build or Commit did
	drop   bool   // the working containers are to be removed, as after a failure
	images *library.Runtime
	layers *layer.Keeper // see store
	agents *agents       // of --ssh
	places []place       // see sources.go
	opened []int
	cgroup string // beginning of the paths of the cgroups that RUNs are in; empty where they have none of their own
}

// roots are where sessions are.
type roots struct{ run, tmp, binds string }

func newRoots(e *libctr.Engine) roots {
	return roots{run: filepath.Join(e.RuntimeDir(), "builds"), tmp: filepath.Join(e.DataDir(), "builds"), binds: filepath.Join(e.RuntimeDir(), "binds")}
}

// CacheDir holds what RUN --mount=type=cache keeps from one build to the next.
func CacheDir(e *libctr.Engine) string { return filepath.Join(e.DataDir(), "buildcache") }

// Begin starts a session, after it has removed what dead ones left. The process must be in the user
// namespace. Until End, TMPDIR of the process is the session's own directory: buildah and its children
// put everything temporary there, so that nothing stays behind of a build that is killed.
func Begin(ctx context.Context, e *libctr.Engine) (_ *Session, err error) {
	if err := e.CheckMounts(); err != nil {
		return nil, err
	}
	r := newRoots(e)
	// What cannot be removed does not keep this build from its work: system check tells of it.
	_ = r.clean(ctx, e)
	var b [6]byte
	rand.Read(b[:]) // never fails: crypto/rand.Read
	s := &Session{id: hex.EncodeToString(b[:]), engine: e}
	s.run, s.tmp = filepath.Join(r.run, s.id), filepath.Join(r.tmp, s.id)
	if err := s.takeLock(); err != nil {
		return nil, err
	}
	s.tmpdir, s.hadTmp = os.LookupEnv("TMPDIR")
	if err := s.prepare(); err != nil {
		err = fmt.Errorf("make the build's temporary directory %s: %w", s.tmp, err)
		if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
			err = hint.Add(err, "the disk is full: see %s, or df -h %s", hint.To(hint.ShowDiskUsage), r.tmp)
		}
		return nil, errors.Join(err, s.End())
	}
	return s, nil
}

func (s *Session) prepare() error {
	cache := CacheDir(s.engine)
	for _, dir := range []string{s.tmp, cache} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if err := reserve(filepath.Join(s.tmp, ballast)); err != nil {
		return err
	}
	// buildah looks for cache mounts below TMPDIR, in a directory with a name that others could guess and
	// make first if it were in /var/tmp. Ours is where nobody else can write, and lasts.
	if err := os.Symlink(cache, filepath.Join(s.tmp, "buildah-cache-"+strconv.Itoa(rootless.UID()))); err != nil {
		return err
	}
	if err := s.putGit(); err != nil {
		return err
	}
	return os.Setenv("TMPDIR", s.tmp)
}

// ballast is a file in a session's temporary directory that holds room on the disk for when it is full: the store writes a new
// file before it removes anything.
const (
	ballast     = "ballast"
	ballastSize = 1 << 20
)

func reserve(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = unix.Fallocate(int(f.Fd()), 0, 0, ballastSize)
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = nil // a file system that cannot do it
	}
	return errors.Join(err, f.Close())
}

// shortenTmp gives the temporary directory a second, shorter path, and has TMPDIR say that one: buildah makes the socket of
// an SSH agent there, and the path of a socket has 107 bytes at most (unix(7)). It is mounted in this process's namespace only.
func (s *Session) shortenTmp() error {
	short := filepath.Join(s.run, "t")
	if err := os.Mkdir(short, 0o700); err != nil {
		return fmt.Errorf("make a directory for the SSH agent: %w", err)
	}
	if err := unix.Mount(s.tmp, short, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("make a directory for the SSH agent: mount %s on %s: %w", s.tmp, short, err)
	}
	return os.Setenv("TMPDIR", short)
}

// End removes what the session made, then gives up the lock.
func (s *Session) End() error {
	if s.hadTmp {
		os.Setenv("TMPDIR", s.tmpdir)
	} else {
		os.Unsetenv("TMPDIR")
	}
	if s.path != "" {
		os.Setenv("PATH", s.path)
	}
	err := errors.Join(newRoots(s.engine).endContainers(context.Background(), s.id), s.removeCgroups())
	if s.agents != nil {
		err = errors.Join(err, s.agents.Close())
	}
	if s.images != nil {
		err = errors.Join(err, s.images.Close())
	}
	if s.failed || s.drop {
		// Where the disk is full, there is room to write down what has been removed.
		err = errors.Join(err, os.Remove(filepath.Join(s.tmp, ballast)), s.dropContainers())
	}
	if s.layers != nil {
		err = errors.Join(err, s.layers.End(context.Background()))
	}
	s.release()
	err = errors.Join(err, removeTree(s.tmp), removeSessionDir(s.run))
	return errors.Join(err, s.lock.Close())
}

// removeCgroups removes the cgroups that the OCI runtime has left: it does not wait for processes that die when it deletes a container, as
// after an interruption.
func (s *Session) removeCgroups() error {
	if !strings.HasPrefix(s.cgroup, "/") {
		return nil // systemd removes its own
	}
	const tree = "/sys/fs/cgroup"
	var left []string
	for _, root := range []string{tree, tree + "/*"} { // v2, or the hierarchies of v1
		found, err := filepath.Glob(root + s.cgroup + "-*")
		if err != nil {
			return err
		}
		left = append(left, found...)
	}
	for end := time.Now().Add(time.Second); len(left) > 0; time.Sleep(5 * time.Millisecond) {
		busy := left[:0]
		for _, path := range left {
			if err := unix.Rmdir(path); errors.Is(err, unix.EBUSY) && time.Now().Before(end) {
				busy = append(busy, path)
			} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove the cgroup of RUN %s: %w", path, err)
			}
		}
		left = busy
	}
	return nil
}

// systemContext is how images are found and fetched, as for the other commands.
func (s *Session) systemContext() (*types.SystemContext, error) {
	if s.images == nil {
		var err error
		if s.images, err = library.Open(s.engine); err != nil {
			return nil, err
		}
	}
	return s.images.SystemContext(), nil
}

// KeepPipes puts a file in place of each Containerfile that can be read only once, standard input or a pipe
// (-f <(generate)), so that more than one reader can have it. What a context from elsewhere brings must have gone
// through Contain: a FIFO of its would be waited for.
func (s *Session) KeepPipes(files []string) ([]string, error) {
	kept := slices.Clone(files)
	for i, f := range files {
		var text []byte
		var err error
		if f == "/dev/stdin" {
			text, err = io.ReadAll(os.Stdin)
		} else if st, serr := os.Stat(f); serr == nil && st.Mode()&fs.ModeNamedPipe != 0 {
			text, err = os.ReadFile(f)
		} else {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the Containerfile from %s: %w", f, err)
		}
		kept[i] = filepath.Join(s.tmp, fmt.Sprintf("Containerfile.pipe%d", i))
		if err := os.WriteFile(kept[i], text, 0o600); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// dropContainers removes the working containers. Where stages were built
// at once and one has failed, others are still at work: their RUN has been killed, and they notice it now.
func (s *Session) dropContainers() error {
	store, err := s.engine.Store()
	if err != nil {
		return err
	}
	for quiet := 0; quiet < 3; quiet++ {
		all, err := store.Containers()
		if err != nil {
			return err
		}
		var errs []error // of those that stay; the others go nevertheless
		for _, c := range all {
			if sessionOf(c) != s.id {
				continue
			}
			switch err := store.DeleteContainer(c.ID); {
			case err == nil || errors.Is(err, storage.ErrContainerUnknown):
				quiet = 0
			default:
				errs = append(errs, fmt.Errorf("remove working container %s: %w", c.Names[0], err))
			}
		}
		if len(errs) > 0 || !s.failed {
			return errors.Join(errs...)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

// store is the engine's, with a record of what would be left of this session if it were killed.
func (s *Session) store() (*layer.Keeper, error) {
	if s.layers == nil {
		store, err := s.engine.Store()
		if err != nil {
			return nil, err
		}
		s.layers = layer.Keep(store)
	}
	return s.layers, nil
}

func (s *Session) suffix() string { return suffixWord + s.id }

// removeTree removes a directory. What a build left mounted in it is unmounted first: it is the user's.
func removeTree(dir string) error {
	mounts, err := mountsBelow(dir)
	if err != nil {
		return err
	}
	for _, m := range slices.Backward(mounts) {
		if err := unix.Unmount(m, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			return fmt.Errorf("unmount %s: %w", m, err)
		}
	}
	return os.RemoveAll(dir)
}

// removeSessionDir removes what is in a session's directory, and the lock last: while there is something to find,
// others see that it is held. The caller holds it.
func removeSessionDir(run string) error {
	if err := removeAllBut(run, lockPath(run)); err != nil {
		return err
	}
	return errors.Join(os.Remove(lockPath(run)), os.Remove(run))
}

// unmountAt unmounts what is mounted on a path, if anything is.
func unmountAt(path string) error {
	err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if err == nil || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
		return nil // EINVAL: nothing is; EPERM: nor could it be
	}
	return fmt.Errorf("unmount %s: %w", path, err)
}

// mountsBelow lists the mount points in a directory, in the order they were made.
func mountsBelow(dir string) ([]string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var points []string
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		if p := unescape.Replace(f[4]); strings.HasPrefix(p, dir+"/") {
			points = append(points, p)
		}
	}
	return points, nil
}

// unescape undoes what proc_pid_mountinfo(5) says of blanks and backslashes.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// takeLock makes the session's directory and locks it.
func (s *Session) takeLock() error {
	for s.lock == nil {
		var err error
		if s.lock, err = lockSession(s.run); err != nil {
			return err
		}
	}
	return nil
}

// lockSession makes a session's directory and takes the lock in it; it returns nil if somebody else holds that, or
// has removed it this moment.
func lockSession(run string) (*os.File, error) {
	if err := os.MkdirAll(run, 0o700); err != nil {
		return nil, fmt.Errorf("make the build's directory: %w", err)
	}
	f, err := os.OpenFile(lockPath(run), os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lock the build: %w", err)
	}
	if err := flock.Try(f, unix.LOCK_EX); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, f.Close()
		}
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	held, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if named, err := os.Stat(lockPath(run)); err != nil || !os.SameFile(held, named) {
		return nil, f.Close()
	}
	return f, nil
}

func lockPath(run string) string { return filepath.Join(run, "lock") }

// alive reports whether the process of a session lives.
func (r roots) alive(id string) (bool, error) {
	f, err := os.OpenFile(lockPath(filepath.Join(r.run, id)), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = flock.Try(f, unix.LOCK_SH)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}
