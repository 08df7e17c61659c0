// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/logfile"
	"github.com/berth-containers/berth/libctr/record"
)

// Event is one line of the events log; the words are podman's.
type Event struct {
	Name       string            `json:"Name,omitempty"`
	ID         string            `json:"ID,omitempty"`
	Image      string            `json:"Image,omitempty"`
	Status     string            `json:"Status"`
	Time       time.Time         `json:"Time"`
	Type       string            `json:"Type"`
	Attributes map[string]string `json:"Attributes,omitempty"`
}

// EventsLog is the file that events are appended to; empty where there is none.
func (e *Engine) EventsLog() string {
	if e.eventsBackend() == "none" {
		return ""
	}
	return filepath.Join(e.data, "events.log")
}

// EventOptions say which events a reader returns. The zero value is all that the log has.
type EventOptions struct {
	Since, Until time.Time // the zero time is no bound
	// Follow has Next wait for what comes, until Until.
	Follow bool
	// Lost is called where a following reader was so slow that the log was rotated twice meanwhile.
	Lost func()
}

// EventReader reads the events log.
type EventReader struct {
	opts  EventOptions
	lines *logfile.Lines // nil where there is no log
}

// Events opens the events log, with the older file that a rotation has left.
func (e *Engine) Events(opts EventOptions) (*EventReader, error) {
	path := e.EventsLog()
	if path == "" {
		return nil, hint.Add(field.Errorf("there is no log of events with %s none", field.Name("events-backend")), "use --events-backend file")
	}
	lines, err := logfile.OpenLines(logfile.LinesOptions{
		Path: path, Since: opts.Since, Until: opts.Until, Follow: opts.Follow,
		Lost: func(int64) {
			if opts.Lost != nil {
				opts.Lost()
			}
		},
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open the events log: %w", err)
	}
	return &EventReader{opts, lines}, nil
}

// Next returns the next event. The error is io.EOF behind the last, and ctx.Err() if ctx ends while it waits.
func (r *EventReader) Next(ctx context.Context) (Event, error) {
	for r.lines != nil {
		line, err := r.lines.Next(ctx)
		if err != nil {
			return Event{}, err
		}
		var ev Event
		// A line that a full disk has torn is none. Those of several writers are only nearly in order.
		if json.Unmarshal(line, &ev) != nil || ev.Time.Before(r.opts.Since) || !r.opts.Until.IsZero() && ev.Time.After(r.opts.Until) {
			continue
		}
		return ev, nil
	}
	return Event{}, io.EOF
}

// Close frees what the reader holds.
func (r *EventReader) Close() error {
	if r.lines == nil {
		return nil
	}
	return r.lines.Close()
}

// eventsBackend is file or none: the option, else containers.conf's events_logger, of which only none differs from file.
func (e *Engine) eventsBackend() string {
	if e.opts.EventsBackend != "" {
		return e.opts.EventsBackend
	}
	if conf, err := e.conf(); err == nil && conf.Engine.EventsLogger == "none" {
		return "none"
	}
	return "file"
}

// event notes what happened to a container. That it cannot be noted is no reason to fail.
func (e *Engine) event(s *record.State, status string) {
	path := e.EventsLog()
	if path == "" {
		return
	}
	line, err := json.Marshal(Event{Name: s.Name, ID: s.ID, Image: s.ImageName, Status: status, Time: time.Now(), Type: "container", Attributes: s.Labels})
	if err != nil {
		return
	}
	if err := logfile.AppendShared(path, append(line, '\n'), record.MaxEventsLog); err != nil {
		e.log.Debug("note an event", "error", err)
	}
}
