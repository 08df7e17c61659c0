// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/berth-containers/berth/libctr"
)

// patience is how long a build that has been cancelled may take to clean up before it is killed. Its process gives itself less.
const patience = 20 * time.Second

// Run does a whole build: it fetches the context, composes the sources that have parts, builds, and sends the image where the request
// says. The build has a process of its own, a child of this one (Options.Program of the engine), so that any number of builds may go on at once; when
// ctx ends, so does that process with all that it has started, and what it has made so far is removed. Run returns once there is nothing left of it. An
// error of an instruction is a *StepError; an interrupted build's error wraps the cause of ctx's end.
func Run(ctx context.Context, e *libctr.Engine, r Request) (Result, error) {
	if _, err := r.flags(); err != nil {
		return Result{}, err
	}
	return inWorker(ctx, e, &order{Engine: e.Options(), Build: &r}, &r)
}

// Commit makes an image of a container, as Session.Commit does, in a process of its own, as Run's. It returns the image's ID.
func Commit(ctx context.Context, e *libctr.Engine, container string, o CommitOptions) (string, error) {
	r, err := inWorker(ctx, e, &order{Engine: e.Options(), Commit: &commitOrder{container, o}}, &Request{Stderr: o.Progress})
	return r.Image, err
}

// inWorker has a process do what is ordered, with the streams of a request.
func inWorker(ctx context.Context, e *libctr.Engine, o *order, r *Request) (Result, error) {
	if ctx.Err() != nil {
		return Result{}, fmt.Errorf("build: %w", context.Cause(ctx))
	}
	p, err := startWorker(e, o, r)
	if err != nil {
		return Result{}, fmt.Errorf("start a process for the build: %w", err)
	}
	var kill atomic.Pointer[time.Timer]
	stop := context.AfterFunc(ctx, func() {
		kill.Store(time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() }))
		p.order.Close()
	})
	end, err := p.follow(r.Progress)
	stop()
	if t := kill.Load(); t != nil {
		t.Stop()
	}
	switch {
	case err == nil && end.Error == nil:
		return end.Result, nil
	case ctx.Err() != nil:
		return Result{}, fmt.Errorf("build: %w", context.Cause(ctx))
	case err != nil:
		return Result{}, err
	}
	return Result{}, end.Error.decode()
}

// worker is the process of a build.
type worker struct {
	cmd    *exec.Cmd
	order  *os.File // closed: the build is to end
	events *os.File
	log    tailWriter
	sent   sync.WaitGroup
}

func startWorker(e *libctr.Engine, o *order, r *Request) (_ *worker, err error) {
	cmd, err := e.HelperCommand("build-worker")
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	theirOrder, ourOrder, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirOrder.Close()
	ourEvents, theirEvents, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, ourOrder.Close())
	}
	defer theirEvents.Close()

	p := &worker{cmd: cmd, order: ourOrder, events: ourEvents}
	p.log.to = r.Stderr
	cmd.Dir = r.Dir
	cmd.Env = append(cmd.Env, r.Env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = r.Stdin, r.Stdout, &p.log
	cmd.ExtraFiles = []*os.File{theirOrder, theirEvents}  // orderFD, eventsFD
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what a terminal sends is for this process, which then cancels the build
	cmd.WaitDelay = time.Second                           // for a Stdin that nobody ends
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, ourOrder.Close(), ourEvents.Close())
	}
	p.sent.Go(func() { _, _ = ourOrder.Write(append(data, '\n')) }) // one that cannot be sent is a process that has ended
	return p, nil
}

// follow shows the events until the process has ended, and returns the last line of them. The pipe of the events closes when the process and its keeper
// (package leash) have ended, and with them everything that they have started.
func (p *worker) follow(progress Progress) (*ending, error) {
	var last *ending
	dec := json.NewDecoder(p.events)
	for {
		var line struct {
			Event
			Result Result
			Error  *wireError
		}
		if err := dec.Decode(&line); err != nil {
			break // the end, which may be in the middle of a line
		}
		if line.Kind == ended {
			last = &ending{Result: line.Result, Error: line.Error}
		} else if progress != nil {
			progress.Show(line.Event)
		}
	}
	p.order.Close()
	p.sent.Wait()
	err := p.cmd.Wait()
	p.events.Close()
	if last != nil {
		return last, nil
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	if said := p.log.text(); said != "" {
		return nil, fmt.Errorf("the build's process ended: %w: %s", err, said)
	}
	return nil, fmt.Errorf("the build's process ended: %w", err)
}

// tailWriter passes on what is written, and keeps the end of it.
type tailWriter struct {
	to io.Writer // nil: nobody

	mu   sync.Mutex
	last []byte
}

const keptLog = 4096

func (w *tailWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.last = append(w.last, p...)
	w.last = w.last[max(0, len(w.last)-keptLog):]
	w.mu.Unlock()
	if w.to != nil {
		_, _ = w.to.Write(p) // who reads no more does not stop the build
	}
	return len(p), nil
}

func (w *tailWriter) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.TrimSpace(string(bytes.ToValidUTF8(w.last, nil)))
}
