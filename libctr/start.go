// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/monitor"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
)

// StartOptions say how a container is started. The zero value starts it in the background.
type StartOptions struct {
	// Attach connects these streams before the container starts, so that no output is lost.
	Attach *Streams
	// Passthrough is for a container whose log driver is passthrough; for any other it is ignored.
	Passthrough *Passthrough
	// NotifySocket is where systemd wants to hear of the start (sd_notify(3)), if the container was made so; empty is nowhere.
	NotifySocket string
	// Preserve are files that the container's first process gets as descriptors 3, 4, …. One that is started again, by its restart policy or
	// by anybody else, has them no more.
	Preserve []*os.File

	onlyMake bool            // see Init
	restore  *RestoreOptions // see Restore; nil: its command is started
}

// Passthrough are files that become the container's standard streams themselves. A nil one is /dev/null.
type Passthrough struct{ Stdin, Stdout, Stderr *os.File }

// passthrough prepares opts.Passthrough for the monitor.
func (o *StartOptions) passthrough(l record.Log) (*ownedFiles, error) {
	p := o.Passthrough
	if p == nil || l.Driver != "passthrough" {
		return new(ownedFiles), nil
	}
	return processFiles(p.Stdin, p.Stdout, p.Stderr)
}

// Start starts a created or stopped container and returns once its process runs; one that waits to be restarted is
// started at once. With opts.Attach the session is to be waited for; otherwise it is nil. The error is a *StartError where the
// command could not be executed, and wraps ErrRunning or ErrPaused where the container runs already.
func (e *Engine) Start(ctx context.Context, c *Container, opts StartOptions) (*Session, error) {
	s, err := e.start(ctx, c, opts)
	if err == nil {
		err = e.notifyHealthy(ctx, c, opts)
	}
	return s, about("start", c, err)
}

func (e *Engine) start(ctx context.Context, c *Container, opts StartOptions) (*Session, error) {
	if err := e.prepare(); err != nil {
		return nil, err
	}
	if err := e.needRunDir(c); err != nil {
		return nil, err
	}
	lock, err := tryLock(c.RunDir)
	for tries := 0; lock == nil && err == nil; tries++ {
		// its monitor, or another command
		s, merr := e.startByMonitor(ctx, c, opts)
		if !errors.Is(merr, ErrNotRunning) || tries == 3 {
			return s, merr
		}
		// a monitor that has just reported the end is about to let go
		if lock, err = waitLock(c.RunDir, 5*time.Second); errors.Is(err, ErrBusy) {
			lock, err = nil, nil
		}
	}
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if err := e.Refresh(c); err != nil {
		return nil, err
	}
	switch {
	case !Alive(c.State):
		return e.startLocked(ctx, c, lock, opts)
	case c.Initialized(): // its monitor was killed; another one takes its place
		lock.Close()
		return e.startByMonitor(ctx, c, opts)
	case c.State.Status == record.Paused:
		return nil, ErrPaused
	}
	return nil, ErrRunning
}

// Init prepares a container for its start without starting its command: its mounts, namespaces and network are there, and the OCI runtime
// has made it (runtime-spec, "create"). Start then starts it. Of the options only Passthrough counts. The error wraps ErrInitialized where
// the container runs or was made already.
func (e *Engine) Init(ctx context.Context, c *Container, opts StartOptions) error {
	return about("initialize", c, e.initialize(ctx, c, opts))
}

func (e *Engine) initialize(ctx context.Context, c *Container, opts StartOptions) error {
	if err := e.prepare(); err != nil {
		return err
	}
	if err := e.needRunDir(c); err != nil {
		return err
	}
	lock, err := e.lockEnded(c)
	if err != nil {
		return err
	}
	defer lock.Close()
	_, err = e.startLocked(ctx, c, lock, StartOptions{Passthrough: opts.Passthrough, onlyMake: true})
	return err
}

// lockEnded takes the lock of a container that has neither a process nor a monitor, with its state read again. The error wraps
// ErrInitialized where it has one.
func (e *Engine) lockEnded(c *Container) (*os.File, error) {
	for end := time.Now().Add(monitorPatience); ; time.Sleep(5 * time.Millisecond) {
		lock, err := tryLock(c.RunDir)
		if err != nil {
			return nil, err
		}
		err = e.Refresh(c)
		if err == nil && (Alive(c.State) || c.Restarting()) {
			err = ErrInitialized
		}
		if lock != nil && err == nil {
			return lock, nil
		}
		if lock != nil {
			lock.Close()
		}
		if err != nil {
			return nil, err
		}
		if time.Now().After(end) {
			return nil, ErrBusy
		}
	}
}

// startByMonitor has the monitor of a container that waits to be restarted, or was made by Init, start it. The error is
// ErrNotRunning where the monitor is about to end, and what Start says of a container that runs.
func (e *Engine) startByMonitor(ctx context.Context, c *Container, opts StartOptions) (_ *Session, err error) {
	conn, err := e.connect(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil || opts.Attach == nil {
			conn.Close()
		}
	}()
	if opts.Attach != nil {
		if err := attach(ctx, conn, opts.Attach, true); err != nil {
			return nil, err
		}
		if size := opts.Attach.Size; size != (Size{}) {
			if err := conn.SendRequest(&ctl.Request{Op: "resize", Rows: size.Rows, Cols: size.Cols}); err != nil {
				return nil, err
			}
		}
	}
	owner := opts.Attach != nil && c.State.AutoRemove
	if _, _, err := call(ctx, conn, ctl.Request{Op: "start", Owner: owner}); err != nil || opts.Attach == nil {
		return nil, err
	}
	s := &Session{conn: conn, streams: *opts.Attach, owner: owner, engine: e, ctr: c}
	s.pump()
	return s, nil
}

// attach asks the monitor for the container's streams; early says that it may wait to be restarted.
func attach(ctx context.Context, conn *ctl.Conn, s *Streams, early bool) error {
	_, _, err := call(ctx, conn, ctl.Request{Op: "attach", Early: early, Stdin: s.Stdin != nil, Stdout: s.Stdout != nil, Stderr: s.Stderr != nil})
	return err
}

// startLocked starts a container whose lock the caller holds; the monitor takes the lock over.
func (e *Engine) startLocked(ctx context.Context, c *Container, lock *os.File, opts StartOptions) (s *Session, err error) {
	cfg, err := c.Config()
	if err != nil {
		return nil, err
	}
	if !c.made {
		if err := e.endAbandoned(ctx, cfg); err != nil {
			return nil, err
		}
	}
	if err := e.startRequired(ctx, cfg); err != nil {
		return nil, err
	}
	if err := e.shareMounted(c.ID); err != nil {
		return nil, err
	}
	if err := e.splitAgain(c, cfg); err != nil {
		return nil, err
	}
	if err := e.reloadAppArmor(cfg.AppArmor); err != nil {
		return nil, err
	}
	if err := e.refreshNetwork(ctx, c, cfg); err != nil {
		return nil, err
	}
	if err := labelFiles(c.Dir, cfg.MountLabel); err != nil {
		return nil, err
	}
	if cfg.Terminal && opts.Attach != nil {
		if err := setTTYSize(c, opts.Attach.Size); err != nil {
			return nil, err
		}
	}
	if cfg.AutoRemove {
		if err := e.markPending(c.ID); err != nil {
			return nil, err
		}
	}
	if err := e.prepareNotify(c, cfg, opts.NotifySocket); err != nil {
		return nil, err
	}
	conn, pid, err := e.startMonitor(c, lock)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	trace("monitor started")
	if opts.Attach != nil {
		if err := attach(ctx, conn, opts.Attach, false); err != nil {
			return nil, err
		}
	}
	owner := cfg.AutoRemove && opts.Attach != nil
	own, err := opts.passthrough(cfg.Log)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	if own.files[0] != nil {
		files = own.files[:]
	}
	e.notify(cfg.SdNotify, opts.NotifySocket, pid, false)
	request := ctl.Request{Op: "start", Owner: owner, Preserve: len(opts.Preserve), Restore: opts.restore.request()}
	if opts.onlyMake {
		request = ctl.Request{Op: "init"}
	}
	ev, _, err := call(ctx, conn, request, append(files, opts.Preserve...)...)
	own.given()
	if err == nil && opts.restore != nil {
		opts.restore.took = time.Duration(ev.Micros) * time.Microsecond
	}
	if err != nil {
		var failed *StartError
		if errors.As(err, &failed) && failed.Code == 127 {
			err = hint.Add(err, "see what the image runs with: %s", hint.To(hint.ShowImageCommand, cfg.ImageName))
		}
		return nil, err
	}
	trace("container started")
	for _, w := range ev.Warnings {
		e.warn(errors.New(w))
	}
	e.notify(cfg.SdNotify, opts.NotifySocket, pid, true)
	if opts.Attach == nil {
		conn.Close()
		return nil, nil
	}
	s = &Session{conn: conn, streams: *opts.Attach, owner: owner, engine: e, ctr: c, own: own}
	s.pump()
	return s, nil
}

// setTTYSize writes the size that the container's terminal begins with into its OCI spec.
func setTTYSize(c *Container, size Size) error {
	if size == (Size{}) || c.made { // Create has written it
		return nil
	}
	s, err := readSpec(c.Dir)
	if err != nil || !spec.SetTTYSize(s, size.spec()) {
		return err
	}
	return writeSpec(c.Dir, s, false)
}

// splitAgain has a container of --cgroups split get its cgroup below that of this process, which may be another than at its creation.
func (e *Engine) splitAgain(c *Container, cfg *record.Config) error {
	if c.made || cfg.Cgroups != cgroupsSplit {
		return nil
	}
	_, path, err := e.cgroupsFor(c.ID, cfg.Cgroups, "")
	if err != nil || path == cfg.CgroupPath {
		return err
	}
	s, err := readSpec(c.Dir)
	if err != nil {
		return err
	}
	s.Linux.CgroupsPath, cfg.CgroupPath = path, path
	if err := writeSpec(c.Dir, s, false); err != nil {
		return err
	}
	return cfg.Write(c.Dir, !cfg.AutoRemove)
}

// neededDir is what the user's --workdir needs; an image's own is made by the runtime. Not looked for is what only the runtime mounts.
func neededDir(dir string, mounts []spec.Mount) *record.NeedDir {
	if dir = filepath.Clean(dir); !filepath.IsAbs(dir) {
		return nil
	}
	for _, at := range []string{"/proc", "/sys", "/dev"} {
		if within(dir, at) {
			return nil
		}
	}
	need := &record.NeedDir{Path: dir}
	for _, m := range mounts {
		at := filepath.Clean(m.Destination)
		if (m.Prepared() || m.Type == "volume") && within(dir, at) && len(at) > len(need.At) {
			need.Root, need.At = m.Source, at
		}
	}
	return need
}

// within checks whether path is dir or below it; both are clean.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// Attach connects streams to a running container.
func (e *Engine) Attach(ctx context.Context, c *Container, streams Streams) (*Session, error) {
	conn, err := e.connect(ctx, c)
	if err != nil {
		return nil, about("attach to", c, err)
	}
	if err := attach(ctx, conn, &streams, false); err != nil {
		conn.Close()
		return nil, about("attach to", c, err)
	}
	s := &Session{conn: conn, streams: streams, engine: e, ctr: c}
	s.pump()
	return s, nil
}

// endAbandoned ends what a container's monitor that was killed has left: a half start, what the OCI runtime knows of the container, what attaches
// its network namespace. The caller holds the container's lock.
func (e *Engine) endAbandoned(ctx context.Context, cfg *record.Config) error {
	if err := monitor.EndHalfStart(&cfg.Supervised); err != nil {
		return fmt.Errorf("end what its killed monitor had begun to start: %w", err)
	}
	e.deleteFromRuntime(ctx, cfg)
	if s, err := record.ReadState(cfg.Dir); err == nil {
		monitor.Detach(&cfg.Supervised, s)
	}
	return nil
}
