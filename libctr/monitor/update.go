// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"reflect"

	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
)

// limit has the OCI runtime give the running container the limits in RunDir/resources.json.
func (m *Monitor) limit() error {
	m.mu.Lock()
	_, err := m.running()
	made := m.made
	m.mu.Unlock()
	if err != nil && !made {
		return err
	}
	return m.runtimeCommand("update", "--resources", m.runPath(ctl.ResourcesFile), m.cfg.ID)
}

// reload reads again what of the record may change while the container runs: its restart policy and its health check.
func (m *Monitor) reload() error {
	cfg, err := record.ReadSupervised(m.cfg.Dir)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.policy = cfg.Restart
	if reflect.DeepEqual(m.health, cfg.Health) { // the next check is due when it was
		return nil
	}
	m.stopHealth()
	m.health = cfg.Health
	switch {
	case !m.hasHealthcheck():
		m.state.Health = nil
	case m.init == nil || m.made: // begins with the next start
	case m.state.Health == nil:
		m.startHealth()
	default:
		m.scheduleProbes()
	}
	m.noteState()
	return nil
}
