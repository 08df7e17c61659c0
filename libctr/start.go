// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// StartOptions say how a container is started. The zero value starts it in the background.
type StartOptions struct {
	// Attach connects these streams before the container starts, so that no output is lost.
	Attach *Streams
	// Passthrough is for a container whose log driver is passthrough; for any other it is ignored.
	Passthrough *Passthrough
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
	if Alive(c.State) {
		if c.State.Status == record.Paused {
			return nil, ErrPaused
		}
		return nil, ErrRunning
	}
	return e.startLocked(ctx, c, lock, opts)
}

// startByMonitor has the monitor of a container that waits to be restarted do so at once. The error is
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
	}
	if _, _, err := call(ctx, conn, ctl.Request{Op: "start"}); err != nil || opts.Attach == nil {
		return nil, err
	}
	s := &Session{conn: conn, streams: *opts.Attach, engine: e, ctr: c}
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
		e.deleteFromRuntime(ctx, cfg) // of a start whose monitor was killed
		e.endNetHelper(c)
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
	conn, err := e.startMonitor(c, lock)
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
	_, _, err = call(ctx, conn, ctl.Request{Op: "start", Owner: owner}, files...)
	own.given()
	if err != nil {
		var failed *StartError
		if errors.As(err, &failed) && failed.Code == 127 {
			err = hint.Add(err, "see what the image runs with: berth image inspect --format '{{.Config.Entrypoint}} {{.Config.Cmd}}' %s", cfg.ImageName)
		}
		return nil, err
	}
	trace("container started")
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
	path := filepath.Join(c.Dir, record.BundleDir, "config.json")
	data, err := os.ReadFile(path)
	s := new(specs.Spec)
	if err == nil {
		err = json.Unmarshal(data, s)
	}
	if err != nil {
		return fmt.Errorf("read the container's OCI spec: %w", err)
	}
	if !spec.SetTTYSize(s, size.spec()) {
		return nil
	}
	if data, err = json.Marshal(s); err != nil {
		return err
	}
	return atomicfile.Write(path, data, 0o600, false)
}

// neededDir is what the user's --workdir needs; an image's own is made by the runtime. Not looked for is what only the runtime mounts.
func neededDir(dir string, mounts []record.Mount) *record.NeedDir {
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
		if (m.Type == "bind" || m.Type == "volume") && within(dir, at) && len(at) > len(need.At) {
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

// endNetHelper ends the pasta or slirp4netns of a start whose monitor was killed.
func (e *Engine) endNetHelper(c *Container) {
	s, err := record.ReadState(c.Dir)
	if err != nil || s.NetHelper <= 0 || s.BootID != BootID() {
		return
	}
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.NetHelper))
	if err == nil && bytes.Contains(cmdline, []byte(c.ID)) {
		_ = syscall.Kill(s.NetHelper, syscall.SIGTERM)
	}
}
