// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/record"
)

// linkNamespaces has the paths of the namespaces that the container shares with others lead to those that these have now:
// they get new ones whenever they are started.
func (m *Monitor) linkNamespaces() error {
	for kind, id := range m.cfg.Joins {
		s, err := m.stateOf(id)
		if err != nil {
			return fmt.Errorf("join the %s namespace of container %.12s: %w", kind, id, err)
		}
		if !initAlive(s) {
			err := fmt.Errorf("join the %s namespace of container %q: it is not running", kind, s.Name)
			return hint.Add(err, "start that first with: %s", hint.To(hint.StartContainer, s.Name))
		}
		link := record.JoinPath(m.cfg.RunDir, kind)
		if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.Symlink(fmt.Sprintf("/proc/%d/ns/%s", s.Pid, kind), link); err != nil {
			return fmt.Errorf("join the %s namespace of container %q: %w", kind, s.Name, err)
		}
	}
	return nil
}

// stateOf reads the state of another container; see Supervised.Dir for the two places of it.
func (m *Monitor) stateOf(id string) (*record.State, error) {
	s, err := record.ReadState(filepath.Join(m.cfg.Data, "containers", id))
	if record.IsNotExist(err) {
		s, err = record.ReadState(filepath.Join(filepath.Dir(m.cfg.RunDir), id))
	}
	return s, err
}
