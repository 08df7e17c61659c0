// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/berth-containers/berth/doctor"
	"github.com/berth-containers/berth/libctr/layer"
	"github.com/berth-containers/berth/libctr/monitor"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/writable"
	netattach "github.com/berth-containers/berth/network/attach"
	"go.podman.io/storage"
)

// CheckOptions say what a repair may do.
type CheckOptions struct {
	RemoveContainers bool          // remove containers, whoever made them, of which a layer or the image is damaged
	LayerAge         time.Duration // how old a layer must be that belongs to nothing, to be nobody's; 0 is layer.OldAge
}

// ErrDamagedInUse is why a repair leaves a damaged image or layer: CheckOptions do not let it remove the containers that have it.
var ErrDamagedInUse = errors.New("containers have it")

// Subsystems are what `system check` looks at of the engine: containers, volumes, secrets and images. They require the user namespace.
func (e *Engine) Subsystems(o CheckOptions) []doctor.Subsystem {
	if o.LayerAge == 0 {
		o.LayerAge = layer.OldAge
	}
	return []doctor.Subsystem{containerCheck{e}, volumeCheck{e}, secretCheck{e}, imageCheck{e, o}}
}

// containerCheck looks for what a killed command, a full disk or a power cut may have left of containers: half-made ones, names, layers,
// mounts, processes and files without an owner.
type containerCheck struct{ e *Engine }

func (containerCheck) Name() string { return "containers" }

func (c containerCheck) Check(ctx context.Context, _ bool) ([]doctor.Problem, error) {
	store, err := c.e.Store()
	if err != nil {
		return nil, err
	}
	if err := c.e.emptyTrash(); err != nil {
		return nil, err
	}
	look := &checker{e: c.e, store: store, owned: map[string]bool{}}
	for _, step := range []func(context.Context) error{
		look.records, look.pending, look.others, look.names, look.storage, look.runtimes, look.processes, look.files, look.namespaces, look.networks, look.mounts,
	} {
		if err := step(ctx); err != nil {
			return look.found, err
		}
		if err := ctx.Err(); err != nil {
			return look.found, err
		}
	}
	return look.found, nil
}

// problems collects what a check finds.
type problems struct{ found []doctor.Problem }

// report adds a problem; repair is nil where nothing can be done safely.
func (p *problems) report(repair func(context.Context) error, format string, args ...any) {
	p.found = append(p.found, doctor.Problem{What: fmt.Sprintf(format, args...), Repair: repair})
}

// note adds what is left alone.
func (p *problems) note(format string, args ...any) {
	p.found = append(p.found, doctor.Problem{What: fmt.Sprintf(format, args...), Kept: true})
}

// checker is one look at the containers.
type checker struct {
	problems
	e     *Engine
	store storage.Store
	owned map[string]bool // IDs with a record, or with a command at work on them
	live  []*Container

	elsewhere map[string]bool // IDs with a layer, and a record that this RUNROOT does not have: --rm containers of another
}

// others finds the containers of other RUNROOTs on this store.
func (c *checker) others(context.Context) error {
	c.elsewhere = map[string]bool{}
	images, err := c.e.writable().Images()
	if err != nil {
		return err
	}
	for _, image := range images {
		users, err := c.e.writable().Users(image)
		if err != nil {
			return err
		}
		for _, id := range users {
			c.elsewhere[id] = true // of those that have ended strayLayers tells, and the next look takes their names
		}
	}
	stored, err := c.store.Containers()
	if err != nil {
		return err
	}
	for _, sc := range stored {
		var meta struct{ Run string }
		if json.Unmarshal([]byte(sc.Metadata), &meta) != nil || meta.Run == "" {
			continue
		}
		if _, err := os.Lstat(meta.Run); err == nil {
			c.elsewhere[sc.ID] = true
		}
	}
	return nil
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
				c.report(func(context.Context) error { return os.RemoveAll(runDir) }, "runtime directory of a container that is gone: %s", runDir)
				continue
			}
			c.owned[id] = true
			c.report(func(ctx context.Context) error { return c.e.removeUnlessBusy(ctx, id) }, "container %.12s is half-made: it has no record", id)
		default:
			c.owned[id] = true
			c.report(func(ctx context.Context) error { return c.e.removeUnlessBusy(ctx, id) }, "container %.12s has a damaged record: %v", id, err)
		}
	}
	return nil
}

// onlyRunDir reports whether nothing but an empty runtime directory is left of a container.
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
		c.report(func(context.Context) error {
			return c.e.withLock(ctr, func() error { return monitor.EndHalfStart(&cfg.Supervised) })
		},
			"the start of container %s was cut short", s.Name)
	}
	claims := s.Status.HasProcess()
	switch {
	case claims && !Alive(s):
		c.report(func(context.Context) error {
			return c.e.withLock(ctr, func() error { return ctr.State.Write(ctr.Dir, !ctr.State.AutoRemove) })
		}, "container %s is recorded as %s, but its process is gone", s.Name, s.Status)
	case claims:
		c.report(func(ctx context.Context) error {
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
			c.report(func(context.Context) error { return c.e.clearPending(id) }, "mark of a container that is gone: %s", c.e.pendingPath(id))
		}
	}
	return err
}

func (c *checker) names(context.Context) error {
	lock, err := c.e.lockNames() // no container is being renamed
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	defer lock.Close()
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
		if !c.owned[id] && !c.e.exists(id) && !c.elsewhere[id] {
			c.report(func(context.Context) error { return c.e.dropName(d.Name(), id) }, "name %q of a container that is gone", d.Name())
			continue
		}
		if ctr, err := c.e.load(id); err == nil && ctr.State.Name != d.Name() {
			c.report(func(context.Context) error { return c.e.dropStaleName(d.Name(), id) }, "name %q of container %.12s, which is called %q: a rename was cut short", d.Name(), id, ctr.State.Name)
		}
	}
	for _, ctr := range c.live {
		if c.e.Refresh(ctr) == nil && !named[ctr.State.Name+" "+ctr.ID] {
			c.report(func(context.Context) error { return c.e.takeName(ctr.State.Name, ctr.ID, true) }, "container %.12s has lost its name, %q", ctr.ID, ctr.State.Name)
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
		if writable.IsPin(sc.Metadata) {
			if sound, err := c.e.pinned(sc.ImageID); err == nil && !sound {
				c.report(func(context.Context) error { return c.e.pin(sc.ImageID) }, "the record that keeps image %.12s is damaged", sc.ImageID)
			}
			continue
		}
		if !strings.Contains(sc.Metadata, `"created-by":"berth"`) || c.owned[sc.ID] || c.e.exists(sc.ID) || c.elsewhere[sc.ID] {
			continue
		}
		c.report(func(context.Context) error { return c.store.DeleteContainer(sc.ID) }, "layer of container %.12s, which is gone", sc.ID)
	}
	for _, ctr := range c.live {
		cfg, err := ctr.Config()
		if err != nil {
			continue
		}
		image, own := cfg.ImageID, cfg.Rootfs.Writable
		pinned := has[writable.Pin(image)]
		lost := !has[ctr.ID]
		if own != "" {
			_, err := os.Lstat(filepath.Join(own, writable.Upper))
			lost = err != nil
		}
		if cfg.Rootfs.Type == record.GivenRootfs { // of no image
			_, err := os.Lstat(own)
			pinned, lost = true, err != nil
		}
		if own != "" && !pinned {
			_, err := c.store.Image(image)
			lost = lost || errors.Is(err, storage.ErrImageUnknown) // and the layers below with it
		}
		switch {
		case lost && c.e.exists(ctr.ID):
			c.report(func(ctx context.Context) error { return c.e.Remove(ctx, ctr, RemoveOptions{Force: true, orphan: true}) }, "container %s has lost its layers", ctr.State.Name)
		case own != "" && !pinned && c.e.exists(ctr.ID):
			c.report(func(context.Context) error { return c.e.pin(image) }, "another engine may remove image %.12s of container %s", image, ctr.State.Name)
			has[writable.Pin(image)] = true
		}
	}
	if err := c.halfPins(has); err != nil {
		return err
	}
	return c.strayLayers()
}

// halfPins finds the layers of pins whose maker was killed before the pin was in the store. A pin that somebody needs is found as one that is missing.
func (c *checker) halfPins(has map[string]bool) error {
	images, err := c.e.writable().Images()
	if err != nil {
		return err
	}
	for _, image := range images {
		users, err := c.e.writable().Users(image)
		if err != nil {
			return err
		}
		if len(users) > 0 || has[writable.Pin(image)] || !c.store.Exists(writable.Layer(image)) {
			continue
		}
		c.report(func(context.Context) error { _, err := layer.Unpin(c.store, image); return err }, "half a record that was to keep image %.12s", image)
	}
	return nil
}

// strayLayers finds the layers of containers that are gone.
func (c *checker) strayLayers() error {
	strays, err := c.e.strayLayers()
	for _, path := range strays {
		c.report(func(context.Context) error { return c.e.discard(c.e.data, path) }, "layer of a container that is gone: %s", path)
	}
	return err
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
		c.report(func(context.Context) error { return os.RemoveAll(dir) }, "state of the OCI runtime for a container that is gone: %s", dir)
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
		netns := netattach.Served(pid)
		if netns == "" {
			if !slices.Contains([]string{"pasta", "pasta.avx2", "slirp4netns"}, filepath.Base(argv[0])) {
				continue
			}
			netns = string(cmdline) // which has it
		}
		id := idBehind(netns, prefix)
		if i := idBehind(netns, "/netns/"+netnsPrefix); i != "" && c.e.ownsNetNS(i) {
			id = i
		}
		if id == "" || c.runs(id) {
			continue
		}
		c.report(func(context.Context) error { return syscall.Kill(pid, syscall.SIGTERM) }, "process %d (%s) of container %.12s, which does not run", pid, filepath.Base(argv[0]), id)
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

// ownsNetNS reports whether the file of a container's network namespace belongs to this engine's
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
		c.report(func(context.Context) error { return c.e.removeNetNS(id(p), nil) }, "network namespace of container %.12s, which is gone: %s", id(p), p)
	}
	return nil
}

// runs reports whether a container has a process, or a monitor that may be about to start one.
func (c *checker) runs(id string) bool {
	_, runDir := c.e.dirs(id, false)
	if busy, err := locked(runDir); err != nil || busy {
		return true
	}
	ctr, err := c.e.load(id)
	return err == nil && Alive(ctr.State)
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
				c.report(func(context.Context) error { return os.Remove(p) }, "temporary file of a command that was killed: %s", p)
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

// locked reports whether somebody holds the container's lock.
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
