// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/spec"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// ExecOptions describe a process that is to run in a container.
type ExecOptions struct {
	Args       []string
	Env        []string // NAME=value, on top of the container's
	User       string   // USER[:GROUP]; empty is the container's
	WorkingDir string   // empty is the container's
	Terminal   bool
	Detach     bool // do not wait; the process has no streams
	Privileged bool // every capability of the container's bounding set

	// The process gets these files themselves, without a terminal; nil is /dev/null. With a terminal they are
	// copied to and from it.
	Stdin, Stdout, Stderr *os.File
	Preserve              []*os.File // passed on as descriptors 3, 4, …
	Size                  Size       // that the terminal begins with
	Resize                <-chan Size
	DetachKeys            []byte
}

// Exec runs a process in a running container and returns its exit code once it has ended; with Detach, 0 once it
// runs. The error is a *StartError where the command cannot be executed, and wraps ErrNotRunning where the container
// does not run.
func (e *Engine) Exec(ctx context.Context, c *Container, opts ExecOptions) (int, error) {
	code, err := e.exec(ctx, c, opts)
	if errors.Is(err, ErrDetached) {
		return code, err
	}
	return code, about("exec in", c, err)
}

func (e *Engine) exec(ctx context.Context, c *Container, opts ExecOptions) (int, error) {
	if err := e.awaitStart(ctx, c); err != nil {
		return 0, err
	}
	process, err := e.execProcess(c, opts)
	if err != nil {
		return 0, err
	}
	data, err := json.Marshal(process)
	if err != nil {
		return 0, err
	}
	conn, err := e.connect(ctx, c)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	r := ctl.Request{Op: "exec", Process: data, Detach: opts.Detach, Preserve: len(opts.Preserve)}
	var files []*os.File
	var own *ownedFiles
	if !opts.Terminal && !opts.Detach {
		if own, err = processFiles(opts.Stdin, opts.Stdout, opts.Stderr); err != nil {
			return 0, err
		}
		defer own.close()
		files = own.files[:]
	}
	_, got, err := call(ctx, conn, r, append(files, opts.Preserve...)...)
	if err != nil {
		return 0, err
	}
	if opts.Detach {
		return 0, nil
	}
	if opts.Terminal {
		if len(got) != 1 {
			return 0, errors.New("exec: the monitor sent no terminal")
		}
		return runTerminal(ctx, conn, got[0], opts)
	}
	own.given()
	code, err := awaitExec(ctx, conn)
	own.drain()
	return code, err
}

// awaitStart returns once the container runs: at once, or when the start that is under way is over. The error is
// ErrNotRunning where there is none.
func (e *Engine) awaitStart(ctx context.Context, c *Container) error {
	for end := time.Now().Add(monitorPatience); ; time.Sleep(10 * time.Millisecond) {
		if c.State.Status.HasProcess() {
			return nil
		}
		lock, err := tryLock(c.RunDir)
		if err != nil || lock != nil || c.Restarting() {
			if lock != nil {
				lock.Close()
			}
			return ErrNotRunning
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Now().After(end) {
			return ErrStarting
		}
		if err := e.Refresh(c); err != nil {
			return err
		}
	}
}

func awaitExec(ctx context.Context, conn *ctl.Conn) (int, error) {
	ev, _, err := conn.Event(ctx)
	if errors.Is(err, io.EOF) {
		return 0, errors.New("the container's monitor was killed; how the command ended is not known")
	}
	if err != nil {
		return 0, answerError(ctx, err)
	}
	return ev.ExitCode, nil
}

// runTerminal copies between the caller's streams and the process's terminal, whose only master end this is.
func runTerminal(ctx context.Context, conn *ctl.Conn, pty *os.File, opts ExecOptions) (int, error) {
	defer pty.Close()
	done := make(chan struct{})
	defer close(done)
	if opts.Resize != nil {
		go func() {
			for {
				select {
				case s := <-opts.Resize:
					_ = unix.IoctlSetWinsize(int(pty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: s.Rows, Col: s.Cols})
				case <-done:
					return
				}
			}
		}()
	}
	detached := make(chan struct{})
	if opts.Stdin != nil {
		go func() {
			buf := make([]byte, ctl.MaxData)
			keys := &detachFilter{keys: opts.DetachKeys}
			for {
				n, err := opts.Stdin.Read(buf)
				out, leave := keys.filter(buf[:n])
				if _, werr := pty.Write(out); werr != nil {
					return
				}
				if leave {
					close(detached)
					return
				}
				if err != nil {
					_, _ = pty.Write([]byte{4}) // ^D: a terminal's end of file
					return
				}
			}
		}()
	}
	copied := make(chan struct{})
	go func() {
		_, _ = io.Copy(opts.Stdout, pty) // ends with EIO when the process and its children have closed the terminal
		close(copied)
	}()
	type result struct {
		code int
		err  error
	}
	ended := make(chan result, 1)
	go func() {
		code, err := awaitExec(ctx, conn)
		ended <- result{code, err}
	}()
	select {
	case <-detached:
		return 0, ErrDetached
	case r := <-ended:
		select {
		case <-copied:
		case <-ctx.Done():
		}
		return r.code, r.err
	}
}

// execProcess makes the process object from the container's own.
func (e *Engine) execProcess(c *Container, opts ExecOptions) (*specs.Process, error) {
	s, err := c.spec()
	if err != nil {
		return nil, err
	}
	o := spec.ExecOptions{Args: opts.Args, Env: opts.Env, WorkingDir: opts.WorkingDir, Terminal: opts.Terminal, TTYSize: opts.Size.spec(), Privileged: opts.Privileged}
	if o.Host, err = spec.ReadHost(); err != nil {
		return nil, err
	}
	if opts.User != "" {
		// the files as the container has them now, through its root directory
		u, err := spec.LookupUser(spec.NewRootfs(fmt.Sprintf("/proc/%d/root", c.State.Pid)), opts.User, nil)
		if err != nil {
			return nil, err
		}
		o.User = &u
	}
	return spec.Exec(s, o)
}
