// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"slices"
	"time"

	"github.com/berth-containers/berth/network/attach"
)

// warnings are what the networks cannot do for this container.
func (all endpoints) warnings() []string {
	var warnings []string
	for _, j := range all.joined() {
		warnings = append(warnings, j.Warnings...)
	}
	return warnings
}

// watchKeepers replaces the process behind shared networks whenever it is killed, as long as they are attached. found says that another
// monitor has attached them: that one has held their bridges until now. It requires m.netMu.
func (m *Monitor) watchKeepers(all endpoints, found bool) {
	for _, e := range all {
		if e.Joined() == nil || e.Joined().Keeper == 0 {
			continue
		}
		lost := e.Watch()
		go func() {
			for found || lost() {
				found = false
				if lost = m.revive(e); lost == nil {
					return
				}
			}
		}()
	}
}

// revive tries until the network is there again, and returns its watch; nil if it is not wanted any more.
func (m *Monitor) revive(e *attach.Endpoint) (lost func() bool) {
	for wait := reviveFirst; ; wait = min(2*wait, reviveLast) {
		lost, err := m.tryRevive(e)
		if err == nil {
			return lost
		}
		time.Sleep(wait)
	}
}

func (m *Monitor) tryRevive(e *attach.Endpoint) (lost func() bool, err error) {
	m.netMu.Lock()
	defer m.netMu.Unlock()
	m.mu.Lock()
	attached := slices.Contains(m.endpoints, e)
	m.mu.Unlock()
	if !attached {
		return nil, nil
	}
	there, err := e.Revive()
	if err != nil || !there {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.init != nil {
		m.state.Networks = m.endpoints.joined()
		m.noteState()
	}
	return e.Watch(), nil
}

// Bounds on the wait between attempts to replace a keeper.
const (
	reviveFirst = 100 * time.Millisecond
	reviveLast  = 5 * time.Second
)
