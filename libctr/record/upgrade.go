// SPDX-License-Identifier: Apache-2.0

package record

import (
	"encoding/json"

	"github.com/berth-containers/berth/network/attach"
)

// What older versions have written becomes what this one has. It is decoded a second time, so that a monitor, which reads its own version in
// the end, pays nothing for it.

// upgrade reads of version 1 the one helper of a network.
func (c *Supervised) upgrade(data []byte) error {
	if c.Version > 1 {
		return nil
	}
	var old struct {
		Network struct{ Helper *attach.Helper }
	}
	if err := json.Unmarshal(data, &old); err != nil {
		return err
	}
	if h := old.Network.Helper; h != nil {
		c.Network.Attachments = []attach.Attachment{{Network: c.Network.Mode, Helper: h}}
	}
	return nil
}

// upgrade reads of version 1 the one helper's process.
func (s *State) upgrade(data []byte) error {
	if s.Version > 1 {
		return nil
	}
	var old struct{ NetHelper int }
	if err := json.Unmarshal(data, &old); err != nil {
		return err
	}
	if old.NetHelper != 0 {
		s.NetHelpers = []int{old.NetHelper}
	}
	return nil
}
