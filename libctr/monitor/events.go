package monitor

import (
	"encoding/json"
	"maps"
	"time"

	"golang.org/x/sys/unix"
)

// containerEvent is a line of the events log. The words are podman's.
type containerEvent struct {
	Name       string
	ID         string
	Image      string
	Status     string
	Time       time.Time
	Type       string
	Attributes map[string]string `json:",omitempty"`
}

// event appends to the events log, in one write, so that lines of many monitors
// do not mix. It requires m.mu.
func (m *Monitor) event(status string, attributes map[string]string) {
	if m.cfg.EventsLog == "" {
		return
	}
	all := maps.Clone(m.cfg.Labels)
	if all == nil {
		all = attributes
	} else {
		maps.Copy(all, attributes)
	}
	line, err := json.Marshal(containerEvent{
		Name: m.state.Name, ID: m.cfg.ID, Image: m.cfg.ImageName, Status: status,
		Time: now(), Type: "container", Attributes: all,
	})
	if err != nil {
		return
	}
	fd, err := openFD(m.cfg.EventsLog, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT)
	if err != nil {
		return // an event is news, not a record
	}
	defer unix.Close(fd)
	unix.Write(fd, append(line, '\n'))
}
