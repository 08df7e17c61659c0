// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/berth-containers/berth/internal/hint"
)

// RequestError is what a monitor answered instead of doing what it was asked.
type RequestError struct {
	Text string
	Code int    // exit code for the CLI, never 0
	Kind string // see Event
}

func (e *RequestError) Error() string { return e.Text }

// Err returns nil, or a *RequestError with the event's hint where the event is an error.
func (e *Event) Err() error {
	if e.Event != "error" {
		return nil
	}
	var err error = &RequestError{Text: e.Error, Code: e.Code, Kind: e.Kind}
	if e.Code == 0 {
		err.(*RequestError).Code = 125
	}
	return hint.With(err, e.Hint)
}

// DecodeEvent reads the event in a packet.
func DecodeEvent(p Packet) (*Event, error) {
	e := new(Event)
	if err := json.Unmarshal(p.JSON, e); err != nil {
		return nil, fmt.Errorf("decode the monitor's answer: %w", err)
	}
	return e, nil
}

// Call sends a request and waits for its answer, or until ctx ends. An error
// event is returned as a *RequestError, with a hint where it has one. Files in
// the answer are the caller's. Streams must not have been attached before.
func (c *Conn) Call(ctx context.Context, r *Request, files ...*os.File) (*Event, []*os.File, error) {
	if err := c.SendRequest(r, files...); err != nil {
		return nil, nil, err
	}
	return c.Event(ctx)
}

// Event waits for the next event, or until ctx ends, and drops stream data.
func (c *Conn) Event(ctx context.Context) (*Event, []*os.File, error) {
	stop := context.AfterFunc(ctx, func() { c.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		p, err := c.Recv()
		if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, nil, err
		}
		if p.JSON == nil {
			continue
		}
		e, err := DecodeEvent(p)
		if err == nil {
			err = e.Err()
		}
		if err != nil {
			closeAll(p.Files)
			return e, nil, err
		}
		return e, p.Files, nil
	}
}
