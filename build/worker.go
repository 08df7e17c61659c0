// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image/library"
	"golang.org/x/sys/unix"
)

// The descriptors that Run's process begins with, besides the standard ones.
const (
	orderFD  = 3
	eventsFD = 4
)

// Work is the process that Run starts: it does the build that it is told of, and tells how it went. Archives that go to - are written to
// stdout. When Run is to end, or the process that called it has ended, this process is sent SIGTERM, by itself: whoever calls Work ends ctx then, and what
// the process has started. An error is one of Work itself, not of the build.
func Work(ctx context.Context, stdout io.Writer) error {
	// The keeper (package leash), which was started before, has inherited the events, and closes them when everything has ended.
	for _, fd := range []int{orderFD, eventsFD} {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
			return errors.New("only the library starts this command: see build.Run")
		}
	}
	in, events := os.NewFile(orderFD, "order"), json.NewEncoder(os.NewFile(eventsFD, "events"))
	var o order
	dec := json.NewDecoder(in)
	if err := dec.Decode(&o); err != nil {
		return fmt.Errorf("read what to build: %w", err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		_ = unix.Kill(os.Getpid(), unix.SIGTERM)
	}()
	result, err := o.work(ctx, stdout, events)
	return events.Encode(ending{Kind: ended, Result: result, Error: encodeError(err)})
}

func (o *order) work(ctx context.Context, stdout io.Writer, events *json.Encoder) (Result, error) {
	o.Engine.Pull = library.Pull // a scanner has a container
	e, err := libctr.Open(ctx, o.Engine)
	if err != nil {
		return Result{}, err
	}
	if o.Commit != nil {
		return o.Commit.work(ctx, e)
	}
	if o.Build == nil {
		return Result{}, errors.New("nothing is ordered")
	}
	flags, err := o.Build.flags()
	if err != nil {
		return Result{}, err
	}
	var args []string
	if o.Build.Context != "" {
		args = []string{o.Build.Context}
	}
	return flags.Build(ctx, e, args, Console{Progress: eventLines{events}, Stdout: stdout})
}

func (o *commitOrder) work(ctx context.Context, e *libctr.Engine) (r Result, err error) {
	c, err := e.Lookup(ctx, o.Container)
	if err != nil {
		return r, err
	}
	s, err := Begin(ctx, e)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.End()) }()
	r.Image, err = s.Commit(ctx, c, o.Options)
	return r, err
}

// eventLines writes events for Run.
type eventLines struct{ *json.Encoder }

func (l eventLines) Show(e Event) { _ = l.Encode(e) }
func (eventLines) Close()         {}
