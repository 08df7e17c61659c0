// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/undo"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/monitor"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/berth-containers/berth/libctr/writable"
	"go.podman.io/storage"
)

// making carries a container from one stage of its creation to the next.
type making struct {
	opts CreateOptions // as the caller has given them
	settled
	img   *image.Image
	conf  *image.Config
	given givenRootfs // in place of an image
	cfg   *record.Config
	lock  *os.File
	back  undo.Stack

	id, dir, runDir string // as in cfg

	early *launched // its monitor, for a container that is to be started at once

	disk     string            // a directory on a disk, which goes with the container
	requires []*Container      // are started before it
	joins    map[string]string // see record.Supervised.Joins
	mounts   *preparing
	images   map[string]*image.Image // that are mounted, by the names they were asked for by
}

// create makes a container and returns it, with its lock held: the caller starts it with startLocked or
// lets go. Nothing is left behind where it fails.
func (e *Engine) create(ctx context.Context, opts CreateOptions, start bool) (c *Container, lock *os.File, err error) {
	m := &making{opts: opts, id: cmp.Or(opts.id, newID())}
	_, m.runDir = e.dirs(m.id, false)
	if m.settled, err = e.settle(&m.opts); err != nil {
		return nil, nil, err
	}
	if m.log.Driver == "passthrough" && !start {
		err := field.Errorf("create %s passthrough: the container would have no output to pass through", field.Name("log-driver"))
		return nil, nil, hint.Add(err, "use: %s", hint.To(hint.RunContainer))
	}
	if err := e.prepare(); err != nil {
		return nil, nil, err
	}
	if opts.Rootfs != "" {
		err = e.findRootfs(m)
	} else {
		m.img, err = e.resolveImage(ctx, m, opts.Image)
	}
	if err != nil {
		return nil, nil, err
	}
	for _, stage := range []func(context.Context, *making) error{e.mountsOfOthers, e.requirements, e.joinUserNS} {
		if err := stage(ctx, m); err != nil {
			return nil, nil, err
		}
	}
	if e.opts.CDISpecDirs != nil {
		m.cdiDirs = e.opts.CDISpecDirs
	}
	if err := e.injectCDI(m, nil); err != nil {
		return nil, nil, err
	}
	trace("image resolved")
	if opts.Rootfs == "" {
		if m.conf, err = m.img.Config(); err != nil {
			return nil, nil, err
		}
		if err := m.conf.Check(); err != nil {
			return nil, nil, fmt.Errorf("create a container of image %q: %w", opts.Image, err)
		}
	}
	if err := e.replace(ctx, m); err != nil {
		return nil, nil, err
	}
	defer m.back.OnError(&err)
	if err := e.claim(m); err != nil {
		return nil, nil, err
	}
	trace("name taken")
	if start { // it takes about as long to start up as the container to be made
		if m.early, err = e.launchMonitor(m.dir, m.lock, "--early"); err != nil {
			return nil, nil, err
		}
		m.back.Push(m.early.conn.Close)
	}
	for _, stage := range []func(context.Context, *making) error{e.describe, e.addLayer, e.planNetwork, e.noteRequired, e.generate} {
		if err := stage(ctx, m); err != nil {
			return nil, nil, fmt.Errorf("create container %q: %w", m.cfg.Name, err)
		}
	}
	if c, err = e.commit(m); err != nil {
		return nil, nil, fmt.Errorf("create container %q: %w", m.cfg.Name, err)
	}
	if err := m.mounts.release(); err != nil {
		return nil, nil, fmt.Errorf("create container %q: %w", m.cfg.Name, err)
	}
	trace("record written")
	c.early = m.early
	e.event(c.State, "create")
	return c, m.lock, nil
}

// Create makes a container. The error wraps ErrNameInUse or one of package image's; nothing is left behind then.
func (e *Engine) Create(ctx context.Context, opts CreateOptions) (*Container, error) {
	c, lock, err := e.create(ctx, opts, false)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if err := e.vouch(c.Dir); err != nil {
		return nil, errors.Join(fmt.Errorf("create container %q: %w", c.State.Name, err), e.removeAll(context.WithoutCancel(ctx), c.ID, true))
	}
	return c, e.clearPending(c.ID)
}

// Run makes a container and starts it. The container is returned also where only the start failed; one
// with AutoRemove is gone then.
func (e *Engine) Run(ctx context.Context, opts CreateOptions, start StartOptions) (*Container, *Session, error) {
	c, lock, err := e.create(ctx, opts, true)
	if err != nil {
		return nil, nil, err
	}
	vouched := make(chan error, 1)
	go func() { vouched <- e.vouch(c.Dir) }() // the disk takes its time, and so does the start
	s, err := e.startLocked(ctx, c, lock, start)
	lock.Close()
	if c.early != nil {
		err = errors.Join(err, c.early.conn.Close()) // there was an error before it was asked for anything; it ends, and lets go of the lock
	}
	if verr := <-vouched; verr != nil {
		if s != nil {
			s.conn.Close()
		}
		err = errors.Join(fmt.Errorf("create container %q: %w", c.State.Name, verr), err, e.removeAfterFailedStart(context.WithoutCancel(ctx), c))
		return nil, nil, err
	}
	if err != nil {
		if opts.AutoRemove {
			err = errors.Join(err, e.removeAfterFailedStart(context.WithoutCancel(ctx), c))
		}
		return c, nil, err
	}
	if !opts.AutoRemove {
		err = e.clearPending(c.ID)
	}
	return c, s, errors.Join(err, e.notifyHealthy(ctx, c, start))
}

// RunOnce makes a container, starts it, passes its streams on until it has ended, and removes it with its anonymous volumes. It returns the exit code. Where
// that cannot be had, since ctx has ended or the container could not be made or started, nothing of the container is left either.
func (e *Engine) RunOnce(ctx context.Context, opts CreateOptions, streams Streams) (int, error) {
	opts.AutoRemove = true
	c, session, err := e.Run(ctx, opts, StartOptions{Attach: &streams})
	if err != nil {
		return 0, err
	}
	code, err := session.Wait(ctx)
	if err == nil {
		return code, nil
	}
	removed := e.Remove(context.WithoutCancel(ctx), c, RemoveOptions{Force: true, Volumes: true})
	if errors.Is(removed, ErrNoSuchContainer) {
		removed = nil
	}
	return 0, errors.Join(err, removed)
}

// removeAfterFailedStart removes a --rm container that never ran, unless its monitor has already.
func (e *Engine) removeAfterFailedStart(ctx context.Context, c *Container) error {
	err := e.Remove(ctx, c, RemoveOptions{Force: true})
	if errors.Is(err, ErrNoSuchContainer) {
		return nil
	}
	return err
}

// ImageView returns a reader of the store's images, which needs no user namespace.
func (e *Engine) ImageView() *image.View {
	v := image.OpenView(e.imageRoot())
	v.System = e.SystemContext()
	return v
}

func (e *Engine) imageRoot() (root, driver string, additional []string) {
	additional = e.additionalStores()
	if e.storeOpts.ImageStore != "" {
		return e.storeOpts.ImageStore, e.storeOpts.GraphDriverName, append([]string{e.storeOpts.GraphRoot}, additional...)
	}
	return e.storeOpts.GraphRoot, e.storeOpts.GraphDriverName, additional
}

// resolveImage finds the image in the store, or pulls it as the policy says.
func (e *Engine) resolveImage(ctx context.Context, m *making, name string) (*image.Image, error) {
	opts := m.opts
	look := image.LookupOptions{OS: opts.Pull.Platform.OS, Architecture: opts.Pull.Platform.Architecture, Variant: opts.Pull.Platform.Variant}
	policy := m.pullPolicy
	if elsewhere(name) { // it is brought into the store first, whatever there is
		policy = image.Always
	}
	if policy == image.Missing || policy == image.Never {
		img, err := e.ImageView().Lookup(name, look)
		if err == nil || !errors.Is(err, image.ErrNotFound) {
			return img, err
		}
		if policy == image.Never {
			return nil, hint.Add(err, "pull it first with: %s", hint.To(hint.PullImage, name))
		}
	}
	if e.opts.Pull == nil {
		return nil, hint.Add(fmt.Errorf("%s: %w, and this program pulls none", name, image.ErrNotFound), "pull it first with: %s", hint.To(hint.PullImage, name))
	}
	pull := opts.Pull
	pull.Policy = policy
	pull.Progress = opts.Progress
	ids, err := e.opts.Pull(ctx, e, name, pull)
	if err != nil {
		return nil, err
	}
	view := e.ImageView()
	if img, err := view.Lookup(name, look); err == nil && slices.Contains(ids, img.ID) {
		return img, nil
	}
	return view.Lookup(ids[0], look)
}

// claim gives the container an ID, its directories, its lock and its name.
func (e *Engine) claim(m *making) error {
	id := m.id
	dir, runDir := e.dirs(id, m.opts.AutoRemove)
	making, err := e.lockPending(syscall.LOCK_SH)
	if err != nil {
		return err
	}
	defer making.Close()
	if err := e.markPending(id); err != nil {
		return storeHint(err, e.runtime)
	}
	m.back.Push(func() error { return e.clearPending(id) })
	err = os.MkdirAll(filepath.Dir(runDir), 0o700)
	if err == nil {
		err = os.Mkdir(runDir, 0o700) // it is this command's alone, whatever the ID
	}
	if err != nil {
		return storeHint(err, e.runtime)
	}
	for _, d := range []string{filepath.Join(dir, record.BundleDir, "rootfs")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return storeHint(fmt.Errorf("make %s: %w", d, err), e.storeOpts.GraphRoot)
		}
	}
	m.back.Push(func() error {
		if dir != runDir {
			return errors.Join(e.discard(e.data, dir), e.discard(e.runtime, runDir))
		}
		return e.discard(e.runtime, runDir)
	})
	lock, err := tryLock(runDir)
	if err != nil || lock == nil {
		return errors.Join(err, ErrBusy)
	}
	m.lock, m.dir = lock, dir
	m.back.Push(lock.Close)
	if dir != runDir {
		if err := os.WriteFile(filepath.Join(dir, makingFile), nil, 0o600); err != nil {
			return storeHint(err, e.storeOpts.GraphRoot)
		}
	}
	m.opts.Name = strings.TrimPrefix(m.opts.Name, "/") // as docker writes names
	m.cfg = &record.Config{Supervised: record.Supervised{ID: id, Dir: dir, RunDir: runDir, Created: time.Now(), Name: m.opts.Name, AutoRemove: m.opts.AutoRemove}}
	if m.opts.Name != "" {
		err = e.takeName(m.opts.Name, id, false) // it is on the disk when the container is
	} else {
		for range 20 { // a random name may be taken
			m.cfg.Name = randomName()
			if err = e.takeName(m.cfg.Name, id, false); !errors.Is(err, ErrNameInUse) {
				break
			}
		}
	}
	if err != nil {
		return err
	}
	m.back.Push(func() error { return e.dropName(m.cfg.Name, id) })
	return nil
}

// describe fills the record with what flags, image and configuration say.
func (e *Engine) describe(ctx context.Context, m *making) error {
	o, cfg := &m.opts, m.cfg
	img := specImage(m.conf)
	cfg.ImageID, cfg.ImageName, cfg.ImageDigest = m.img.ID, imageName(m.img, o.Image), m.img.Digest.String()
	entry, cmd, err := spec.Command(img, o.Entrypoint, o.Args)
	if err != nil {
		return hint.Add(err, "give a command: %s", o.runWith("COMMAND"))
	}
	cfg.Entrypoint, cfg.Cmd, cfg.Command = entry, cmd, append(slices.Clone(entry), cmd...)
	cfg.User = or(o.User, img.User)
	cfg.WorkingDir = or(o.WorkingDir, img.WorkingDir, "/")
	cfg.Terminal, cfg.OpenStdin, cfg.StdinOnce = o.Terminal, o.Interactive, o.Interactive
	cfg.Log, cfg.Restart, cfg.Timeout = m.log.Log, m.restart, o.Timeout
	if err := e.limitLog(&cfg.Log); err != nil {
		return err
	}
	cfg.StopSignal = int(m.stopSignal)
	if m.stopSignal == 0 && img.StopSignal != "" {
		sig, err := spec.ParseSignal(img.StopSignal)
		if err != nil {
			return fmt.Errorf("stop signal of the image: %w", err)
		}
		cfg.StopSignal = int(sig)
	}
	if cfg.StopSignal == 0 {
		cfg.StopSignal = int(syscall.SIGTERM)
	}
	cfg.StopTimeout = m.stopTimeout
	m.forSystemd()
	m.imageSeccomp()
	cfg.RemoveImage = o.RemoveImage && o.Rootfs == ""
	if err := m.pidFiles(); err != nil {
		return err
	}
	if cfg.Health, err = spec.Health(o.Health, img.Healthcheck); err != nil {
		return err
	}
	if cfg.SdNotify = m.sdNotify; cfg.SdNotify == notifyHealthy && cfg.Health == nil {
		return hint.Add(field.Errorf("%s: sdnotify policy %q requires a healthcheck to be set", field.Name("sdnotify"), notifyHealthy), "set one with %s", field.Name("health-cmd"))
	}
	if h := cfg.Health; h != nil && h.Interval > 0 && h.Interval < monitor.MinProbeInterval {
		e.log.Warn("health checks run less often than asked for", "asked", h.Interval, "interval", monitor.MinProbeInterval)
	}
	cfg.Labels = map[string]string{}
	for _, labels := range []map[string]string{m.conf.Image.Config.Labels, o.Labels} {
		for k, v := range labels {
			cfg.Labels[k] = v
		}
	}
	cfg.Annotations = m.spec.Annotations
	cfg.CapAdd, cfg.CapDrop, cfg.SecurityOpt, cfg.AppArmor = m.spec.CapAdd, m.spec.CapDrop, o.SecurityOpt, m.spec.Security.AppArmor
	cfg.ReadOnly, cfg.Privileged, cfg.Init = m.spec.ReadOnly, m.spec.Privileged, m.init
	cfg.UserNS, cfg.CreateCommand = m.userns, o.CreateCommand
	cfg.Given = record.Given{
		DNS: o.DNS, DNSSearch: o.DNSSearch, DNSOptions: o.DNSOptions, AddHosts: o.AddHosts, HostsFile: o.HostsFile, NoHosts: m.noHosts, NoHostname: m.noHostname, PublishAll: o.PublishAll,
		GroupAdd: o.GroupAdd, NoPasswd: o.Entries.None, VolumesFrom: o.VolumesFrom, Timezone: m.timezone, ChrootDirs: m.spec.ChrootDirs, Systemd: m.spec.Systemd, PrivateIPC: m.privateIPC,
	}
	if cfg.Asked, err = o.asked(); err != nil {
		return err
	}
	cfg.Data, cfg.EventsLog = e.data, e.EventsLog()
	cfg.Cleanup = append(e.callBack(), "cleanup", cfg.ID)
	return nil
}

// callBack is how a monitor calls berth on the same store.
func (e *Engine) callBack() []string {
	program, err := programPath(e.opts.Program)
	if err != nil {
		program = "berth"
	}
	argv := []string{program, "--root", e.storeOpts.GraphRoot, "--runroot", e.storeOpts.RunRoot, "--tmpdir", e.runtime,
		"--storage-driver", e.storeOpts.GraphDriverName, "--events-backend", e.eventsBackend()}
	for _, o := range e.storeOpts.GraphDriverOptions {
		argv = append(argv, "--storage-opt", o)
	}
	if e.opts.ImageStore != "" {
		argv = append(argv, "--imagestore", e.storeOpts.ImageStore)
	}
	if e.opts.TransientStore {
		argv = append(argv, "--transient-store")
	}
	return argv
}

// addLayer makes the container's layer, and keeps the image from being removed.
func (e *Engine) addLayer(ctx context.Context, m *making) error {
	layer := e.addStoredLayer
	switch {
	case m.opts.Rootfs != "":
		layer = e.addGivenRootfs
	case e.ownLayers(m):
		layer = e.addOwnLayer
	}
	err := layer(ctx, m)
	if err == nil {
		err = e.keepInMemory(m)
	}
	if err != nil {
		return storeHint(fmt.Errorf("make its layer: %w", err), e.storeOpts.GraphRoot)
	}
	return nil
}

// addStoredLayer has containers/storage make the layer.
func (e *Engine) addStoredLayer(ctx context.Context, m *making) error {
	store, err := e.Store()
	if err != nil {
		return err
	}
	trace("store opened")
	meta, err := json.Marshal(map[string]string{"image-name": m.cfg.ImageName, "image-id": m.cfg.ImageID, "name": m.cfg.Name, "created-by": "berth", "run": m.cfg.RunDir})
	if err != nil {
		return err
	}
	so := &storage.ContainerOptions{Volatile: m.opts.AutoRemove}
	if so.IDMappingOptions, err = idMapping(m.spec.UserNS); err != nil {
		return err
	}
	if so.LabelOpts, err = e.labelOpts(ctx, store, &m.spec); err != nil {
		return err
	}
	if len(so.UIDMap) > 0 || so.AutoUserNs {
		// Berth mounts what the layer holds: the library must not count on a mount that maps IDs (decisions/0013).
		if err := os.Setenv("_CONTAINERS_OVERLAY_DISABLE_IDMAP", "yes"); err != nil {
			return err
		}
	}
	sc, err := store.CreateContainer(m.cfg.ID, nil, m.img.ID, layerOf(m.cfg.ID), string(meta), so)
	if err != nil {
		return e.autoHint(err)
	}
	m.back.Push(func() error { return deleteStored(store, m.cfg.ID) })
	if so.AutoUserNs {
		so.UIDMap, so.GIDMap = sc.UIDMap, sc.GIDMap
		m.autoMaps(sc)
	}
	trace("layer made")
	if m.cfg.Rootfs, err = e.rootfs(sc.LayerID, m.opts.AutoRemove); err != nil {
		return err
	}
	m.cfg.ProcessLabel, m.cfg.MountLabel = sc.ProcessLabel(), sc.MountLabel()
	m.cfg.Rootfs = mountedWith(m.cfg.Rootfs, m.cfg.MountLabel)
	if len(so.UIDMap) > 0 {
		if err := m.ownRoot(so); err != nil {
			return err
		}
	}
	userData, err := store.ContainerDirectory(m.cfg.ID)
	if err != nil {
		return err
	}
	m.logTo(userData)
	return nil
}

// logTo has the container's log in a directory, unless another place was asked for.
func (m *making) logTo(dir string) {
	m.disk = dir
	if m.cfg.Log.Path == "" && (m.cfg.Log.Driver == "k8s-file" || m.cfg.Log.Driver == "json-file") {
		m.cfg.Log.Path = filepath.Join(dir, writable.Log)
	}
}

// generate makes the OCI bundle.
func (e *Engine) generate(ctx context.Context, m *making) error {
	cfg := m.cfg
	s := &m.spec
	runtime := func() (*RuntimeInfo, error) { return e.runtimeFor(ctx, m.conf.Image.OS, m.conf.Image.Architecture) }
	if m.opts.runtime != "" {
		runtime = func() (*RuntimeInfo, error) { return e.Runtime(ctx, m.opts.runtime) }
	}
	r, err := runtime()
	if err != nil {
		return err
	}
	cg, cgroup, err := e.cgroupsFor(cfg.ID, m.opts.Cgroups, m.opts.CgroupParent)
	if err != nil {
		return err
	}
	cfg.Cgroups, cfg.CgroupParent = m.opts.Cgroups, m.opts.CgroupParent
	if cfg.Runtime, err = e.runtimeRecord(r, cg); err != nil {
		return err
	}
	s.ProcessLabel, s.MountLabel = cfg.ProcessLabel, cfg.MountLabel
	s.Args, s.WorkingDir, s.StopSignal = cfg.Command, cfg.WorkingDir, syscall.Signal(cfg.StopSignal)
	if err := e.fitHost(s, r, cg, cgroup); err != nil {
		return err
	}
	cfg.CgroupPath = s.CgroupPath
	cfg.Memory, cfg.MemorySwap, cfg.NanoCPUs = s.Resources.Memory, s.Resources.MemorySwap, s.Resources.NanoCPUs
	if n := s.Resources.PidsLimit; n != nil {
		cfg.PidsLimit = cmp.Or(*n, -1) // see Config.PidsLimit
	}
	cfg.Ulimits = spec.MergeUlimits(s.Ulimits, s.DefaultUlimits, s.Host)
	cfg.LimitsIgnored = s.NoCgroup && s.Resources.Limited()
	if m.init {
		if s.Init, err = e.initPath(m.opts.InitPath); err != nil {
			return err
		}
	}
	root := spec.NewRootfs(e.layerDirs(m)...)
	user := cfg.User
	if s.UserNS.Mode == "keep-id" && m.opts.User == "" {
		uid, gid := s.UserNS.Kept(s.Host) // podman-run(1): keep-id runs as the caller
		user = fmt.Sprintf("%d:%d", uid, gid)
		cfg.User = user
	}
	if s.User, err = spec.LookupUser(root, user, m.opts.GroupAdd); err != nil {
		return err
	}
	if err := s.CheckUser(); err != nil {
		return err
	}
	s.Files.ContainerEnv = filepath.Join(m.dir, "containerenv")
	if err := e.addMounts(ctx, m); err != nil {
		return err
	}
	if err := e.stage(m); err != nil {
		return err
	}
	if err := m.environment(root); err != nil {
		return err
	}
	if err := e.addSecrets(ctx, m); err != nil {
		return err
	}
	cfg.NeedDir = neededDir(m.opts.WorkingDir, s.Mounts)
	if m.opts.WorkingDir == "" {
		cfg.MakeDir = m.workingDir()
	}
	e.warnSpec(s, cg)
	nestLabels(s)
	out, err := spec.Generate(*s)
	if err != nil {
		return err
	}
	if err := errors.Join(e.injectCDI(m, out), e.addHooks(ctx, m, out)); err != nil {
		return err
	}
	if r.isCrun() {
		if err := spec.PrecompileSeccomp(out, e.seccompCache()); err != nil {
			e.log.Debug("the runtime compiles the seccomp filter itself", "error", err)
		}
	}
	trace("spec made")
	if err := e.journalFields(m, out); err != nil {
		return err
	}
	data, err := json.Marshal(out)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(m.dir, record.BundleDir, "config.json"), data, 0o600, false); err != nil {
		return storeHint(err, e.storeOpts.GraphRoot)
	}
	if err := os.WriteFile(s.Files.ContainerEnv, e.containerEnv(m), 0o644); err != nil {
		return err
	}
	return m.ownFiles()
}

// addMounts joins the mounts of flags and image and prepares what they need.
func (e *Engine) addMounts(ctx context.Context, m *making) error {
	o := m.mountsOf
	o.ImageVolumes = specImage(m.conf).Volumes
	mounts, err := spec.Mounts(o)
	if err != nil {
		return err
	}
	for i, v := range mounts {
		if v.Type == "volume" && v.Name == "" {
			mounts[i].Name = m.opts.unnamed[v.Destination]
		}
	}
	var user owner
	s := &m.spec
	if user.uid, user.gid, err = s.UserNS.HostIDs(s.Host, s.User.UID, s.User.GID); err != nil {
		return err
	}
	m.mounts, err = e.prepareMounts(ctx, m.cfg, mounts, user)
	m.back.Push(m.mounts.undo)
	if err != nil {
		return err
	}
	s.Mounts = mounts
	for i, v := range mounts {
		rm := record.Mount{
			Type: v.Type, Name: v.Name, Source: v.Source, Destination: v.Destination, Options: v.Options, RW: !v.ReadOnly, Mode: v.Relabel, SubPath: v.Subpath,
		}
		if v.Overlay != nil {
			rm.Options = append(slices.Clone(v.Options), v.Overlay.Words()...)
		}
		if v.Type == "volume" {
			rm.Driver, rm.Source = "local", filepath.Join(e.volumeDir(v.Name), "_data")
		}
		if v.Type == "tmpfs" && v.Image {
			continue // of --read-only: not asked for by name
		}
		if v.Prepared() {
			b, err := e.prepared(m, &v, i)
			if err != nil {
				return fmt.Errorf("mount %s: %w", v.Destination, err)
			}
			m.cfg.Binds = append(m.cfg.Binds, b)
			mounts[i].Source = b.At // see Bind
		}
		if v.Type == "image" {
			rm.Source, rm.Name = v.Name, ""
		}
		if v.Type == "bind" {
			rm.Propagation = "rprivate"
			for _, w := range v.Options {
				if strings.HasSuffix(w, "shared") || strings.HasSuffix(w, "slave") || strings.HasSuffix(w, "private") {
					rm.Propagation = w
				}
			}
		}
		m.cfg.Mounts = append(m.cfg.Mounts, rm)
	}
	if s.Host.Rootless { // there devices are bound
		for i, d := range s.Devices {
			if !d.Given {
				continue
			}
			b := record.Bind{Source: d.Host, At: fmt.Sprintf("%s-d%d", e.bindsPath(m.cfg.ID), i), Links: hasLinks(d.Host)}
			m.cfg.Binds = append(m.cfg.Binds, b)
			s.Devices[i].Host = b.At
		}
	}
	return nil
}

// commit writes the record; the container exists when config.json does.
func (e *Engine) commit(m *making) (*Container, error) {
	cfg := m.cfg
	s := &record.State{
		ID: cfg.ID, Name: cfg.Name, ImageName: cfg.ImageName, ImageID: cfg.ImageID, Command: cfg.Command, Created: cfg.Created, Labels: cfg.Labels,
		Ports: cfg.Network.Ports, Network: cfg.Network.Names(), AutoRemove: cfg.AutoRemove, Status: record.Created,
	}
	if cfg.Health != nil {
		s.Health = &record.Health{Status: "starting"}
	}
	if err := s.Write(m.dir, false); err != nil {
		return nil, storeHint(err, e.storeOpts.GraphRoot)
	}
	if m.opts.IDFile != "" {
		path, err := filepath.Abs(m.opts.IDFile)
		if err != nil {
			return nil, field.Errorf("%s: %w", field.Name("cidfile"), err)
		}
		cfg.IDFile = path
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return nil, field.Errorf("%s: %w", field.Name("cidfile"), err)
		}
		m.back.Push(func() error { return os.Remove(path) })
		_, err = f.WriteString(cfg.ID)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, field.Errorf("%s: %w", field.Name("cidfile"), err)
		}
	}
	if err := cfg.Write(m.dir, false); err != nil {
		return nil, storeHint(err, e.storeOpts.GraphRoot)
	}
	return &Container{ID: cfg.ID, Dir: cfg.Dir, RunDir: cfg.RunDir, State: s, made: true}, nil
}

// vouch puts a container on the disk, so that it is there after a power cut, and then removes the mark that it is being made. containers/storage syncs
// its own records, not the files of a layer.
func (e *Engine) vouch(dir string) error {
	mark := filepath.Join(dir, makingFile)
	if _, err := os.Lstat(mark); errors.Is(err, fs.ErrNotExist) {
		return nil // it ends with the boot, or all is done
	}
	cfg, err := record.ReadConfig(dir)
	if err != nil {
		return err
	}
	paths, err := atomicfile.Tree(dir)
	if err != nil {
		return err
	}
	paths = slices.DeleteFunc(paths, func(p string) bool { return p == mark }) // another command may remove it
	paths = append(paths, filepath.Dir(dir), filepath.Dir(e.namePath(cfg.Name)))
	for _, b := range cfg.Binds {
		if b.Image != nil && b.Image.Writable != "" {
			own := b.Image.Writable
			paths = append(paths, own, filepath.Dir(own), filepath.Dir(filepath.Dir(own)))
		}
	}
	if own := cfg.Rootfs.Writable; own != "" {
		paths = append(paths, own, filepath.Dir(own), filepath.Dir(filepath.Dir(own)))
	} else if cfg.Rootfs.Type != "bind" {
		stored, err := storedFiles(&cfg.Rootfs)
		if err != nil {
			return err
		}
		paths = append(paths, stored...)
	}
	if err := atomicfile.Sync(paths...); err != nil {
		return storeHint(err, e.storeOpts.GraphRoot)
	}
	if err := os.Remove(mark); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // another command has vouched in this one's place
		}
		return err
	}
	return storeHint(atomicfile.Sync(dir), e.storeOpts.GraphRoot)
}

// storedFiles are the files and directories with which containers/storage makes a layer of the overlay driver.
func storedFiles(r *record.Rootfs) ([]string, error) {
	layer := filepath.Join(r.Workdir, r.Layer)
	entries, err := os.ReadDir(layer)
	if err != nil {
		return nil, err
	}
	paths := []string{layer, filepath.Join(r.Workdir, "l"), r.Workdir}
	for _, d := range entries {
		if d.Type().IsRegular() { // link, lower, lower-layers
			paths = append(paths, filepath.Join(layer, d.Name()))
		}
	}
	return paths, nil
}

func or(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}
