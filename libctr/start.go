package libctr

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
)

// StartOptions say how a container is started. The zero value starts it in the background.
type StartOptions struct {
	// Attach connects these streams before the container starts, so that no output is lost.
	Attach *Streams
	// Passthrough are the files that become the container's stdin, stdout and stderr when its log driver
	// is passthrough.
	Passthrough []*os.File
}

// passthrough prepares opts.Passthrough for the monitor.
func (o *StartOptions) passthrough() (*ownedFiles, error) {
	if len(o.Passthrough) != 3 {
		return new(ownedFiles), nil
	}
	return processFiles(o.Passthrough[0], o.Passthrough[1], o.Passthrough[2])
}

// Start starts a created or stopped container and returns once its process runs. With opts.Attach the
// session is to be waited for; otherwise it is nil. The error is a *StartError where the
// command could not be executed, and wraps ErrRunning where the container runs already.
func (e *Engine) Start(ctx context.Context, c *Container, opts StartOptions) (*Session, error) {
	if err := e.prepare(); err != nil {
		return nil, err
	}
	if err := e.needRunDir(c); err != nil {
		return nil, err
	}
	lock, err := waitLock(c.RunDir, 0)
	if errors.Is(err, ErrBusy) {
		// a monitor that has just reported the end is about to let go
		if e.Refresh(c) == nil && c.State.Status != record.Running && c.State.Status != record.Paused {
			lock, err = waitLock(c.RunDir, 5*time.Second)
		}
	}
	if errors.Is(err, ErrBusy) {
		return nil, fmt.Errorf("start container %q: %w", c.State.Name, ErrRunning)
	}
	if err != nil {
		return nil, fmt.Errorf("start container %q: %w", c.State.Name, err)
	}
	defer lock.Close()
	if err := e.Refresh(c); err != nil {
		return nil, err
	}
	if Alive(c.State) {
		return nil, fmt.Errorf("start container %q: %w", c.State.Name, ErrRunning)
	}
	return e.startLocked(ctx, c, lock, opts)
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
	if err := e.refreshNetwork(ctx, c, cfg); err != nil {
		return nil, err
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
		r := ctl.Request{Op: "attach", Stdin: opts.Attach.Stdin != nil, Stdout: opts.Attach.Stdout != nil, Stderr: opts.Attach.Stderr != nil}
		if _, _, err := call(ctx, conn, r); err != nil {
			return nil, err
		}
	}
	owner := cfg.AutoRemove && opts.Attach != nil
	own, err := opts.passthrough()
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
		err = fmt.Errorf("start container %q: %w", cfg.Name, err)
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

// Attach connects streams to a running container.
func (e *Engine) Attach(ctx context.Context, c *Container, streams Streams) (*Session, error) {
	conn, err := e.connect(ctx, c)
	if err != nil {
		return nil, err
	}
	r := ctl.Request{Op: "attach", Stdin: streams.Stdin != nil, Stdout: streams.Stdout != nil, Stderr: streams.Stderr != nil}
	if _, _, err := call(ctx, conn, r); err != nil {
		conn.Close()
		return nil, err
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
	if err == nil && bytes.Contains(cmdline, []byte(c.RunDir)) {
		_ = syscall.Kill(s.NetHelper, syscall.SIGTERM)
	}
}
