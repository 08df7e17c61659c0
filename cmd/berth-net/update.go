// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
)

// update gives a network that is in use other name servers: those of the request.
func update() error {
	s, err := newSession()
	if err != nil {
		return err
	}
	unlock, err := s.state.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	var failed []error
	for _, m := range s.state.Members() {
		if m.Network == s.req.Network {
			m.CNI.Upstream = s.req.CNI.Upstream
			failed = append(failed, s.state.Put(m))
		}
	}
	settle, err := s.state.Reload()
	defer settle()
	return errors.Join(append(failed, err, s.answer())...)
}
