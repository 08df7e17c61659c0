// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"errors"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
)

// pause freezes the container's processes.
func (m *Monitor) pause() error {
	if !m.dumping.TryLock() {
		return errDumping
	}
	defer m.dumping.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.runningUnpaused(); err != nil {
		return err
	}
	if m.state.Status == record.Stopping {
		return m.errNotRunning()
	}
	if m.cfg.CgroupPath == "" {
		return hint.Add(errors.New("it has no cgroup, which is what freezes processes"),
			"rootless containers have one with cgroup v2 and a systemd user session (loginctl enable-linger); root's always do")
	}
	if err := m.runtimeCommand("pause", m.cfg.ID); err != nil {
		return err
	}
	m.state.Status = record.Paused
	m.noteState()
	m.event("pause", nil)
	return nil
}

func (m *Monitor) unpause() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.running(); err != nil {
		return err
	}
	if m.state.Status != record.Paused {
		return &ctl.RequestError{Text: "it is not paused", Code: 125, Kind: "not-paused"}
	}
	if err := m.runtimeCommand("resume", m.cfg.ID); err != nil {
		return err
	}
	m.state.Status = record.Running
	m.noteState()
	m.event("unpause", nil)
	return nil
}
