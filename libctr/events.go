package libctr

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

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

// EventsLog is the file that events are appended to; empty where --events-backend is none.
func (e *Engine) EventsLog() string {
	if e.opts.EventsBackend == "none" {
		return ""
	}
	return filepath.Join(e.data, "events.log")
}

const maxEventsLog = 10 << 20 // bytes; then events.log becomes events.log.1

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
	if st, err := os.Stat(path); err == nil && st.Size() > maxEventsLog {
		_ = os.Rename(path, path+".1")
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		e.log.Debug("note an event", "error", err)
		return
	}
	defer f.Close()
	_, _ = f.Write(append(line, '\n')) // O_APPEND: a line is written whole
}
