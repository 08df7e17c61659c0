// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/berth-containers/berth/libctr/layer"
	"github.com/berth-containers/berth/libctr/monitor"
	"github.com/berth-containers/berth/libctr/record"
	"go.podman.io/storage"
)

// CheckOptions say how deep Check looks.
type CheckOptions struct {
	Repair bool // mend what is found
	Quick  bool // leave out the checks of the image store that read every layer
}

// Problem is one thing that no record owns, or that a record claims and is not there.
type Problem struct {
	What   string // a sentence: what, where
	Mended bool
	Kept   bool  // it is no problem yet, and stays
	Err    error // why it could not be mended

	mend func() error
}

// Check looks for what a killed command, a full disk or a power cut may have left: half-made
// containers, names, layers, mounts, processes and files without an owner, and damaged images. It takes the lock of
// what it touches, so that it can run beside other commands.
func (e *Engine) Check(ctx context.Context, opts CheckOptions) ([]Problem, error) {
	store, err := e.Store()
	if err != nil {
		return nil, err
	}
	if err := e.emptyTrash(); err != nil {
		return nil, err
	}
	var all []Problem
	// What one mending leaves (a name without its container) the next look finds.
	for range 4 {
		c := &checker{e: e, store: store, opts: opts, owned: map[string]bool{}}
		if err := c.look(ctx); err != nil {
			return append(all, c.found...), err
		}
		if !opts.Repair {
			return c.found, nil
		}
		again := c.mend()
		all = append(slices.DeleteFunc(all, func(p Problem) bool { return p.Kept }), c.found...)
		if !again {
			break
		}
	}
	return all, nil
}

// look takes every step of the check.
func (c *checker) look(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		c.records, c.pending, c.names, c.links, c.storage, c.layers, c.strays, c.runtimes, c.processes, c.volumes, c.files, c.namespaces, c.mounts, c.images,
	} {
		if err := step(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// mend mends what was found, and tells whether everything there was could be mended, so that another look is worth while.
func (c *checker) mend() bool {
	for i := range c.found {
		p := &c.found[i]
		if p.Kept {
			continue
		}
		if p.mend == nil {
			p.Err = errors.New("there is no safe way to mend it")
			continue
		}
		p.Err = p.mend()
		p.Mended = p.Err == nil
	}
	mended := func(p Problem) bool { return p.Mended }
	return slices.ContainsFunc(c.found, mended) && !slices.ContainsFunc(c.found, func(p Problem) bool { return !p.Mended && !p.Kept })
}

type checker struct {
	e     *Engine
	store storage.Store
	opts  CheckOptions
	owned map[string]bool // IDs with a record, or with a command at work on them
	live  []*Container
	found []Problem
}

func (c *checker) report(mend func() error, format string, args ...any) {
	c.found = append(c.found, Problem{What: fmt.Sprintf(format, args...), mend: mend})
}

// note tells of what is left alone.
func (c *checker) note(format string, args ...any) {
	c.found = append(c.found, Problem{What: fmt.Sprintf(format, args...), Kept: true})
}

// records looks at every container's directory.
func (c *checker) records(ctx context.Context) error {
	ids, err := c.e.ids()
	if err != nil {
		return err
	}
	slices.Sort(ids)
	for _, id := range ids {
		_, runDir := c.e.dirs(id, false)
		busy, err := locked(runDir)
		if err != nil {
			return err
		}
		ctr, err := c.e.load(id)
		if err == nil {
			_, err = ctr.Config()
		}
		switch {
		case err == nil:
			c.owned[id] = true
			c.live = append(c.live, ctr)
			c.state(ctx, ctr, busy)
		case busy:
			c.owned[id] = true // a command is making or removing it
		case record.IsNotExist(err) || errors.Is(err, ErrNoSuchContainer):
			if c.onlyRunDir(id) {
				c.report(func() error { return os.RemoveAll(runDir) }, "runtime directory of a container that is gone: %s", runDir)
				continue
			}
			c.owned[id] = true
			c.report(func() error { return c.e.removeUnlessBusy(ctx, id) }, "container %.12s is half-made: it has no record", id)
		default:
			c.owned[id] = true
			c.report(func() error { return c.e.removeUnlessBusy(ctx, id) }, "container %.12s has a damaged record: %v", id, err)
		}
	}
	return nil
}

// onlyRunDir tells whether nothing but an empty runtime directory is left of a container.
func (c *checker) onlyRunDir(id string) bool {
	dir, runDir := c.e.dirs(id, false)
	if _, err := os.Lstat(dir); err == nil {
		return false
	}
	_, err := os.Lstat(filepath.Join(runDir, record.BundleDir))
	return errors.Is(err, fs.ErrNotExist)
}

// state compares what a record says with what the kernel says.
func (c *checker) state(ctx context.Context, ctr *Container, busy bool) {
	s, err := record.ReadState(ctr.Dir)
	if err != nil || busy {
		return
	}
	if cfg, err := ctr.Config(); err == nil && !Alive(s) && monitor.HalfStarted(ctr.RunDir) {
		c.report(func() error { return c.e.withLock(ctr, func() error { return monitor.EndHalfStart(&cfg.Supervised) }) },
			"the start of container %s was cut short", s.Name)
	}
	claims := s.Status == record.Running || s.Status == record.Paused
	switch {
	case claims && !Alive(s):
		c.report(func() error {
			return c.e.withLock(ctr, func() error { return ctr.State.Write(ctr.Dir, !ctr.State.AutoRemove) })
		}, "container %s is recorded as %s, but its process is gone", s.Name, s.Status)
	case claims:
		c.report(func() error {
			conn, err := c.e.connect(ctx, ctr)
			if err == nil {
				conn.Close()
			}
			return err
		}, "container %s runs without a monitor", s.Name)
	}
}

func (c *checker) pending(ctx context.Context) error {
	entries, err := os.ReadDir(filepath.Join(c.e.runtime, "pending"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, d := range entries {
		if id := d.Name(); !c.owned[id] && !c.e.exists(id) {
			c.report(func() error { return c.e.clearPending(id) }, "mark of a container that is gone: %s", c.e.pendingPath(id))
		}
	}
	return err
}

func (c *checker) names(context.Context) error {
	entries, err := os.ReadDir(filepath.Join(c.e.data, "names"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	named := map[string]bool{}
	for _, d := range entries {
		path := c.e.namePath(d.Name())
		id, err := os.Readlink(path)
		if err != nil {
			continue
		}
		named[d.Name()+" "+id] = true
		if !c.owned[id] && !c.e.exists(id) {
			c.report(func() error { return c.e.dropName(d.Name(), id) }, "name %q of a container that is gone", d.Name())
		}
	}
	for _, ctr := range c.live {
		if !named[ctr.State.Name+" "+ctr.ID] {
			c.report(func() error { return c.e.takeName(ctr.State.Name, ctr.ID, true) }, "container %.12s has lost its name, %q", ctr.ID, ctr.State.Name)
		}
	}
	return nil
}

// storage compares the records with the containers that containers/storage has of ours.
func (c *checker) storage(ctx context.Context) error {
	all, err := c.store.Containers()
	if err != nil {
		return err
	}
	has := map[string]bool{}
	for _, sc := range all {
		has[sc.ID] = true
		if !strings.Contains(sc.Metadata, `"created-by":"berth"`) || c.owned[sc.ID] || c.e.exists(sc.ID) {
			continue
		}
		c.report(func() error { return c.store.DeleteContainer(sc.ID) }, "layer of container %.12s, which is gone", sc.ID)
	}
	for _, ctr := range c.live {
		if !has[ctr.ID] && c.e.exists(ctr.ID) {
			c.report(func() error { return c.e.Remove(ctx, ctr, RemoveOptions{Force: true}) }, "container %s has lost its layer", ctr.State.Name)
		}
	}
	return nil
}

// runtimes looks for containers that an OCI runtime remembers and no record owns.
func (c *checker) runtimes(ctx context.Context) error {
	dirs, err := filepath.Glob(filepath.Join(c.e.runtime, "oci-*", "*"))
	if err != nil {
		return err
	}
	dirs = slices.DeleteFunc(dirs, func(dir string) bool {
		id := filepath.Base(dir)
		return !isID(id) || c.owned[id] || c.e.exists(id)
	})
	for _, dir := range thoseThatStay(ctx, dirs) {
		c.report(func() error { return os.RemoveAll(dir) }, "state of the OCI runtime for a container that is gone: %s", dir)
	}
	return nil
}

// finishing is how long the monitor of a container that has just been removed may take to remove what is left of it: the command
// that waited for the container's end does not wait for that.
const finishing = 5 * time.Second

// thoseThatStay returns the paths that are there still when monitors have had their time. It returns at once where there is none.
func thoseThatStay(ctx context.Context, paths []string) []string {
	for end := time.Now().Add(finishing); ; {
		paths = slices.DeleteFunc(paths, func(path string) bool {
			_, err := os.Lstat(path)
			return err != nil
		})
		if len(paths) == 0 || time.Now().After(end) {
			return paths
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// processes looks for monitors and network helpers of containers that do not run.
func (c *checker) processes(context.Context) error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	prefix := filepath.Join(c.e.runtime, "containers") + "/"
	for _, d := range entries {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		cmdline, err := os.ReadFile(filepath.Join("/proc", d.Name(), "cmdline"))
		if err != nil {
			continue
		}
		argv := strings.Split(string(cmdline), "\x00")
		helper := slices.Contains([]string{"pasta", "pasta.avx2", "slirp4netns"}, filepath.Base(argv[0]))
		if !helper {
			continue
		}
		id := idBehind(string(cmdline), prefix)
		if i := idBehind(string(cmdline), "/netns/"+netnsPrefix); i != "" && c.e.ownsNetNS(i) {
			id = i
		}
		if id == "" || c.runs(id) {
			continue
		}
		c.report(func() error { return syscall.Kill(pid, syscall.SIGTERM) }, "process %d (%s) of container %.12s, which does not run", pid, filepath.Base(argv[0]), id)
	}
	return nil
}

// idBehind returns the container ID that follows prefix in s, or nothing.
func idBehind(s, prefix string) string {
	_, rest, _ := strings.Cut(s, prefix)
	if len(rest) < 64 || !isID(rest[:64]) {
		return ""
	}
	return rest[:64]
}

// ownsNetNS tells whether the file of a container's network namespace belongs to this engine's
// containers: those of the user's other stores lie in the same directory.
func (e *Engine) ownsNetNS(id string) bool {
	path := e.sharedNetNS(id)
	if path == "" {
		return false
	}
	runDir, err := os.ReadFile(path)
	_, want := e.dirs(id, false)
	return err == nil && string(runDir) == want
}

// namespaces looks for files that network namespaces of containers were mounted on which are gone.
func (c *checker) namespaces(ctx context.Context) error {
	paths, err := filepath.Glob(c.e.sharedNetNS("*"))
	if err != nil {
		return err
	}
	id := func(path string) string { return strings.TrimPrefix(filepath.Base(path), netnsPrefix) }
	paths = slices.DeleteFunc(paths, func(p string) bool {
		return !isID(id(p)) || c.owned[id(p)] || c.e.exists(id(p)) || !c.e.ownsNetNS(id(p))
	})
	for _, p := range thoseThatStay(ctx, paths) {
		c.report(func() error { return c.e.removeNetNS(id(p), nil) }, "network namespace of container %.12s, which is gone: %s", id(p), p)
	}
	return nil
}

// runs tells whether a container has a process, or a monitor that may be about to start one.
func (c *checker) runs(id string) bool {
	_, runDir := c.e.dirs(id, false)
	if busy, err := locked(runDir); err != nil || busy {
		return true
	}
	ctr, err := c.e.load(id)
	return err == nil && Alive(ctr.State)
}

// volumes looks for volumes that killed commands were making or filling. One that was ever there stays, whoever it
// was made for: its data may be wanted, and volume prune removes it.
func (c *checker) volumes(ctx context.Context) error {
	names, err := c.e.volumeNames()
	for _, name := range names {
		if lock, lerr := c.e.lockVolume(ctx, name, syscall.LOCK_EX|syscall.LOCK_NB); lerr != nil {
			continue // a command is making, filling or removing it
		} else if err := lock.Close(); err != nil {
			return err
		}
		dir := c.e.volumeDir(name)
		if _, err := os.Lstat(filepath.Join(dir, "_data")); errors.Is(err, fs.ErrNotExist) {
			c.report(func() error { return c.e.removeHalfMadeVolume(ctx, name) }, "volume %s is half-made", name)
			continue
		}
		half, err := halfFilled(dir)
		if err != nil {
			return err
		}
		for _, d := range half {
			c.report(func() error { return os.RemoveAll(d) }, "files of a command that was killed while it filled a volume: %s", d)
		}
	}
	return err
}

// files looks for temporary files of writers that were killed.
func (c *checker) files(context.Context) error {
	for _, root := range []string{c.e.data, c.e.runtime} {
		for _, pattern := range []string{".tmp-*", "containers/*/.tmp-*", "containers/*/bundle/.tmp-*"} {
			paths, err := filepath.Glob(filepath.Join(root, pattern))
			if err != nil {
				return err
			}
			for _, p := range paths {
				w := strings.Split(filepath.Base(p), "-") // .tmp-PID-N
				if pid, err := strconv.Atoi(w[1]); err == nil && syscall.Kill(pid, 0) == nil {
					continue
				}
				c.report(func() error { return os.Remove(p) }, "temporary file of a command that was killed: %s", p)
			}
		}
	}
	return nil
}

// mounts looks for mounts of ours outside the monitors' namespaces: there should be none.
func (c *checker) mounts(context.Context) error {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 5 || !strings.HasPrefix(f[4], c.e.data+"/") && !strings.HasPrefix(f[4], c.e.runtime+"/") {
			continue
		}
		c.report(nil, "mount that outlived its monitor: %s (unmount it with: umount -l %s)", f[4], f[4])
	}
	return nil
}

// images has the storage library check itself.
func (c *checker) images(ctx context.Context) error {
	opts := &storage.CheckOptions{LayerData: true, ImageData: true, ContainerData: true}
	if !c.opts.Quick {
		opts = storage.CheckMost()
	}
	r, err := layer.Check(ctx, c.store, opts)
	if err != nil {
		return fmt.Errorf("check the image store: %w", err)
	}
	repair := func() error { return errors.Join(c.store.Repair(r, &storage.RepairOptions{RemoveContainers: true})...) }
	for kind, broken := range map[string]map[string][]error{"layer": r.Layers, "image": r.Images, "container layer": r.Containers} {
		for id, errs := range broken {
			c.report(repair, "%s %.12s is damaged: %v", kind, id, errors.Join(errs...))
			repair = func() error { return nil } // the first one mends them all
		}
	}
	return nil
}

// locked tells whether somebody holds the container's lock.
func locked(runDir string) (bool, error) {
	if _, err := os.Lstat(filepath.Join(runDir, record.LockFile)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	lock, err := tryLock(runDir)
	if record.IsNotExist(err) {
		return true, nil // removed this moment
	}
	if err != nil {
		return false, err
	}
	if lock == nil {
		return true, nil
	}
	return false, lock.Close()
}

// removeUnlessBusy removes what there is of a container, if nobody holds its lock.
func (e *Engine) removeUnlessBusy(ctx context.Context, id string) error {
	dir, runDir := e.dirs(id, false)
	if _, err := os.Lstat(dir); err == nil {
		if err := os.MkdirAll(runDir, 0o700); err != nil {
			return err
		}
	}
	lock, err := tryLock(runDir)
	if record.IsNotExist(err) {
		return nil // somebody else has removed it
	}
	if err != nil || lock == nil {
		return errors.Join(err, ErrBusy)
	}
	defer lock.Close()
	return e.removeAbandoned(ctx, id, false)
}

// layers finds those that belong to no image and no container, and images that are not whole.
func (c *checker) layers(ctx context.Context) error {
	all, err := layer.Orphans(c.store)
	if err != nil {
		return err
	}
	half, err := layer.HalfImages(c.store)
	if err != nil {
		return err
	}
	sweep := sync.OnceValue(func() error { _, err := layer.Sweep(ctx, c.store); return err })
	for _, id := range half {
		c.report(sweep, "image %.12s was never finished: it has no manifest", id)
	}
	for _, o := range all {
		if o.Kept != "" {
			c.note("layer %.12s belongs to no image and no container: %s", o.ID, o.Kept)
			continue
		}
		c.report(sweep, "layer %.12s belongs to no image and no container", o.ID)
	}
	return nil
}

// strays finds the files of the store that no record names.
func (c *checker) strays(context.Context) error {
	all, err := layer.Strays(c.store)
	for _, s := range all {
		c.report(func() error { return s.Remove(c.store) }, "%s", s.What)
	}
	return err
}

// links finds the layers that others cannot name any more.
func (c *checker) links(context.Context) error {
	missing, err := c.e.missingLinks()
	if len(missing) > 0 {
		c.report(func() error { return c.e.RemakeLinks() }, "short links of %d layers are missing", len(missing))
	}
	return err
}
