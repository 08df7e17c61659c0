// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"encoding/json"
	"maps"
	"time"

	"github.com/berth-containers/berth/libctr/logfile"
	"github.com/berth-containers/berth/libctr/record"
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

// event appends to the events log. It requires m.mu.
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
	_ = logfile.AppendShared(m.cfg.EventsLog, append(line, '\n'), record.MaxEventsLog) // an event is news, not a record
}
