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
	"strconv"
	"strings"
	"time"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/filter"
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

	ContainerExitCode *int   `json:"ContainerExitCode,omitempty"` // of died; else nil
	HealthStatus      string `json:"health_status,omitempty"`     // of health_status
	Error             string `json:"Error,omitempty"`             // of pull-error
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
	// Filters narrow them, each KEY=VALUE. Values of one key are alternatives, keys must all match:
	//
	//	container  the name, or the beginning of the ID
	//	image      a part of the image's name, or the beginning of its ID
	//	volume     the name of a volume
	//	pod        a pod, of which there are none
	//	event      what happened, such as start
	//	type       what it happened to: container, secret, volume
	//	label      KEY or KEY=VALUE
	Filters []string
	// Follow has Next wait for what comes, until Until.
	Follow bool
	// Lost is called where a following reader was so slow that the log was rotated twice meanwhile.
	Lost func()
}

// EventReader reads the events log.
type EventReader struct {
	opts  EventOptions
	match func(*Event) bool
	lines *logfile.Lines // nil where there is no log
}

// Events opens the events log, with the older file that a rotation has left. A filter that cannot be read, and that there
// is no log, are FieldErrors.
func (e *Engine) Events(opts EventOptions) (*EventReader, error) {
	match, err := filter.Parse(opts.Filters, filter.Known(EventFilterKeys(), eventFilter))
	if err != nil {
		return nil, err
	}
	path := e.EventsLog()
	if path == "" {
		return nil, hint.Add(field.Errorf("there is no log of events with %s none", field.Name("events-backend")), "use %s file", field.Name("events-backend"))
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
	return &EventReader{opts, match, lines}, nil
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
		if !r.match(&ev) {
			continue
		}
		ev.complete()
		return ev, nil
	}
	return Event{}, io.EOF
}

// complete fills in the fields that repeat what attributes say.
func (ev *Event) complete() {
	if code, err := strconv.Atoi(ev.Attributes["containerExitCode"]); err == nil && ev.Status == "died" {
		ev.ContainerExitCode = &code
	}
	if ev.Status == "health_status" {
		ev.HealthStatus = ev.Attributes["health_status"]
	}
}

// EachEvent calls do with each event that Events' reader returns, until there is no more, do returns an error, or ctx ends.
// The error is do's, or what the log could not be read for; it is nil behind the last event.
func (e *Engine) EachEvent(ctx context.Context, opts EventOptions, do func(Event) error) error {
	r, err := e.Events(opts)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		ev, err := r.Next(ctx)
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = do(ev)
		}
		if err != nil {
			return err
		}
	}
}

// EventFilterKeys are the keys of EventOptions.Filters.
func EventFilterKeys() []string {
	return []string{"container", "event", "image", "label", "pod", "type", "volume"}
}

// eventFilter returns how the values of a key are read; nil for a key that there is not.
func eventFilter(key string) filter.Key[*Event] {
	var test func(ev *Event, value string) bool
	switch key {
	case "container":
		test = func(ev *Event, value string) bool {
			return ev.Type == "container" && (ev.Name == value || strings.HasPrefix(ev.ID, value))
		}
	case "image":
		test = func(ev *Event, value string) bool {
			return strings.Contains(ev.Image, value) || ev.Type == "image" && (strings.Contains(ev.Name, value) || strings.HasPrefix(ev.ID, value))
		}
	case "volume":
		test = func(ev *Event, value string) bool { return ev.Type == "volume" && ev.Name == value }
	case "pod": // there are none yet
		test = func(*Event, string) bool { return false }
	case "event":
		test = func(ev *Event, value string) bool { return ev.Status == value }
	case "type":
		test = func(ev *Event, value string) bool { return ev.Type == value }
	case "label":
		test = func(ev *Event, value string) bool {
			k, v, hasValue := strings.Cut(value, "=")
			got, ok := ev.Attributes[k]
			return ok && (!hasValue || got == v)
		}
	default:
		return nil
	}
	return func(value string) (func(*Event) bool, error) {
		return func(ev *Event) bool { return test(ev, value) }, nil
	}
}

// NoteImage notes what happened to an image; err is why it failed, if it did.
func (e *Engine) NoteImage(status, id, name string, err error) {
	ev := Event{Name: name, ID: id, Status: status, Type: "image"}
	if err != nil {
		ev.Error = err.Error()
	}
	e.note(ev)
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
	e.note(Event{Name: s.Name, ID: s.ID, Image: s.ImageName, Status: status, Type: "container", Attributes: s.Labels})
}

// note adds an event of this moment to the log, as event does.
func (e *Engine) note(ev Event) {
	path := e.EventsLog()
	if path == "" {
		return
	}
	ev.Time = time.Now()
	line, err := json.Marshal(ev)
	if err != nil {
		return
	}
	if err := logfile.AppendShared(path, append(line, '\n'), record.MaxEventsLog); err != nil {
		e.log.Debug("note an event", "error", err)
	}
}
