// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"os"

	"github.com/berth-containers/berth/network/bridge"
	"github.com/berth-containers/berth/network/keeper"
	"github.com/berth-containers/berth/network/plugins"
)

// reload makes anew what a container has outside of its namespace: who has flushed the firewall, or deleted a bridge, has taken a part of that. The
// request has the addresses that it has; its interface stays, if it is there and the network is berth-net's own work. The keeper stays; one
// that was killed is replaced.
func reload() error {
	s, err := newSession()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), pluginTimeout)
	defer cancel()
	os.Remove(s.rulesFile()) // somebody may have changed a part of them
	for _, m := range s.state.Members() {
		if m.CNI.Container == s.req.CNI.Container && m.Network == s.req.Network {
			s.member.Joined = m.Joined             // names stay meanwhile
			s.member.CNI.Upstream = m.CNI.Upstream // network update may have changed it since the start
		}
	}
	if err := s.enlist(); err != nil {
		return err
	}
	if err = s.inside(func() error { return s.restore(ctx, s.member) }); err == nil {
		if err := s.tell(); err != nil {
			return err
		}
		return s.answer()
	}
	if err := plugins.Forget(s.req); err != nil {
		return err
	}
	if err := bridge.RemoveIn(s.req.NetNS, s.req.CNI.Interface); err != nil { // its other end may be in a namespace that is just ending
		return err
	}
	if err := s.connect(ctx); err != nil {
		return err // the member stays: the next reload has it again
	}
	return s.answer()
}

// errAnew is returned where everything has to be made anew.
var errAnew = errors.New("it is not connected")

// restore repairs what is there, or removes what is left of it and fails.
func (s *session) restore(ctx context.Context, m *keeper.Member) error {
	if s.own != nil && m.Joined != nil {
		if err := s.own.Restore(s.req.CNI, m.Joined); err == nil {
			if s.rootless {
				return nil
			}
			return s.own.Publish(s.req.CNI.Ports)
		}
	}
	_ = s.release(ctx) // a part of it is gone
	if s.own != nil {
		_ = s.own.Unlink(s.req.CNI)
	}
	return errAnew
}
