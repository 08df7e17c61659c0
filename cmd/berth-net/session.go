// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/berth-containers/berth/network/attach"
	"github.com/berth-containers/berth/network/bridge"
	"github.com/berth-containers/berth/network/keeper"
	"github.com/berth-containers/berth/network/plugins"
)

// pluginTimeout bounds how long the plugins of one network may take together.
const pluginTimeout = 40 * time.Second

// session is one container's part in one network, which is added or deleted.
type session struct {
	req      *attach.Request
	state    keeper.State
	member   *keeper.Member
	rootless bool
	keeper   int // its pid, 0 where there is none

	// own is the network if berth-net itself does what its plugins would do; else they are executed.
	own      *bridge.Network
	firewall *bridge.Firewall // nil where the kernel has no nftables; own is nil then
}

func newSession() (*session, error) {
	req, err := request()
	if err != nil {
		return nil, err
	}
	return &session{
		req: req, state: keeper.State{Dir: req.CNI.StateDir}, rootless: req.CNI.Outside != nil,
		member: &keeper.Member{Network: req.Network, NetNS: req.NetNS, CNI: req.CNI},
	}, nil
}

// inside calls do where the bridges are.
func (s *session) inside(do func() error) error {
	return keeper.Inside(s.keeper, s.rootless, func() error {
		if s.firewall == nil {
			if f, err := bridge.Open(s.state.Dir); err == nil {
				s.firewall, s.own = f, bridge.Read(s.req.CNI)
			}
		}
		return do()
	})
}

// hasKeeper checks whether the network needs one.
func (s *session) hasKeeper() bool { return s.rootless || s.req.CNI.DNS }

// answer tells the caller that it can go on.
func (s *session) answer() error {
	joined := s.member.Joined
	if joined == nil {
		joined = new(attach.Joined)
	}
	if err := json.NewEncoder(os.Stdout).Encode(joined); err != nil {
		return err
	}
	return os.Stdout.Close()
}

func add() error {
	s, err := newSession()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), pluginTimeout)
	defer cancel()
	if err := s.enlist(); err != nil {
		return err
	}
	if err := s.connect(ctx); err != nil {
		return errors.Join(err, s.remove(context.WithoutCancel(ctx), nil)) // also after a timeout
	}
	return s.answer()
}

// enlist writes the member down, so that the keeper stays, and starts one where the network needs it.
func (s *session) enlist() error {
	unlock, err := s.state.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	s.member.Holder = keeper.Parent()
	if err := s.state.Put(s.member); err != nil {
		return err
	}
	if !s.hasKeeper() {
		return nil
	}
	if s.keeper, err = s.state.Ensure("/proc/self/exe", s.req.CNI); err != nil {
		return errors.Join(err, s.state.Drop(s.member))
	}
	return nil
}

func (s *session) connect(ctx context.Context) error {
	err := s.inside(func() (err error) {
		if s.own == nil {
			if s.rootless { // as root that is the host's to say
				keeper.FilterBridged(true)
			}
			s.member.Joined, err = plugins.Add(ctx, s.req)
			return err
		}
		if s.member.Joined, err = s.own.Add(s.req); err != nil || s.rootless {
			return err
		}
		return s.own.Publish(s.req.CNI.Ports)
	})
	if err != nil {
		return err
	}
	s.member.Joined.Keeper = s.keeper
	return s.tell()
}

// tell has everybody know what the container has: the keeper, and the rules.
func (s *session) tell() error {
	s.member.Joined.Warnings = nil
	unlock, err := s.state.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.state.Put(s.member); err != nil {
		return err
	}
	if err := s.inside(s.rules); err != nil {
		return err
	}
	if _, err = s.state.Reload(); err != nil { // it has this member: nothing settles
		return err
	}
	if why := s.state.NotKept(s.member); why != "" {
		s.member.Joined.Warnings = []string{fmt.Sprintf("network %s: servers of published ports see the gateway's address in place of the client's: %s", s.req.Network, why)}
	}
	return nil
}

// rules makes those of the networks that are berth-net's own work, from who is connected. It requires the lock.
func (s *session) rules() error {
	if s.firewall == nil {
		return nil
	}
	path := s.rulesFile()
	before, _ := os.ReadFile(path)
	if n := s.own; n != nil && (s.rootless || len(s.req.CNI.Ports) == 0) && s.shared() && s.firewall.Has(n, string(before)) {
		return nil // one more or less changes none
	}
	var all []bridge.Container
	for _, m := range s.state.Members() {
		n := bridge.Read(m.CNI)
		if n == nil || m.Joined == nil {
			continue
		}
		c := bridge.Container{Network: n, Joined: m.Joined}
		if m.CNI.Outside == nil {
			c.Ports = m.CNI.Ports // a user's are the keeper's
		}
		all = append(all, c)
	}
	now, err := s.firewall.Apply(all, string(before))
	if err != nil {
		os.Remove(path)
		return err
	}
	if now == string(before) {
		return nil
	}
	return os.WriteFile(path, []byte(now), 0o600)
}

// rulesFile is where it is written down what the rules follow from.
func (s *session) rulesFile() string { return filepath.Join(s.state.Dir, "rules") }

// shared reports whether a container is in the session's network. It requires the lock.
func (s *session) shared() bool {
	return slices.Contains(s.state.Networks(), s.req.Network)
}

func del() error {
	s, err := newSession()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), pluginTimeout)
	defer cancel()
	if err := s.meet(); err != nil {
		return err
	}
	return s.remove(ctx, s.answer)
}

// meet finds the keeper. One that was killed is replaced if others need it.
func (s *session) meet() error {
	if s.keeper = s.state.Pid(); s.keeper != 0 || !s.hasKeeper() {
		return nil
	}
	unlock, err := s.state.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	if slices.ContainsFunc(s.state.Members(), func(o *keeper.Member) bool { return o.CNI.Container != s.req.CNI.Container }) {
		s.keeper, _ = s.state.Ensure("/proc/self/exe", s.req.CNI) // else there is nothing left to undo
	}
	return nil
}

// revive replaces a keeper that was killed, and has the caller hold the bridges. The answer has the keeper's process, 0 where the container
// is not connected any more.
func revive() error {
	s, err := newSession()
	if err != nil {
		return err
	}
	unlock, err := s.state.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	m := s.state.Written(s.member)
	if m == nil || !s.hasKeeper() {
		return s.answer()
	}
	if s.keeper, err = s.state.Ensure("/proc/self/exe", s.req.CNI); err != nil {
		return err
	}
	m.Holder = keeper.Parent()
	if err := s.state.Put(m); err != nil {
		return err
	}
	s.member.Joined = &attach.Joined{Keeper: s.keeper}
	return s.answer()
}

// remove undoes what add has done, or has begun. What others may wait for comes first: addresses, ports and names. answered is called then,
// if it is not nil; after it the interface, if its namespace stays, and the bridge, with the network's last container.
func (s *session) remove(ctx context.Context, answered func() error) error {
	gone := s.rootless && s.keeper == 0 // the bridges went with their keeper
	var err error
	if gone {
		err = plugins.Forget(s.req)
	} else {
		err = s.inside(func() error { return s.release(ctx) })
	}
	unlock, failed := s.state.Lock() // not before: plugins may take their time
	if failed != nil {
		return errors.Join(err, failed)
	}
	defer unlock()
	err = errors.Join(err, s.state.Drop(s.member))
	if s.keeper == 0 && s.hasKeeper() && len(s.state.Members()) == 0 {
		err = errors.Join(err, s.state.Clear(s.req.CNI.OutsideNS))
	}
	if gone {
		if answered != nil && err == nil {
			err = answered()
		}
		return err
	}
	err = errors.Join(err, s.inside(s.rules))
	settle, failed := s.state.Reload()
	defer settle()
	err = errors.Join(err, failed)
	if answered != nil && err == nil {
		err = answered()
	}
	return errors.Join(err, s.inside(s.sweep))
}

func (s *session) release(ctx context.Context) error {
	if s.own == nil {
		return plugins.Del(ctx, s.req)
	}
	return s.own.Release(s.req.CNI)
}

// sweep removes what is left after release and after the member is dropped.
func (s *session) sweep() error {
	last := !s.shared()
	switch {
	case s.own != nil:
		var err error
		if !s.req.Ending {
			err = s.own.Unlink(s.req.CNI)
		}
		if last {
			err = errors.Join(err, s.own.Sweep(s.state.Dir))
		}
		return err
	case last:
		return plugins.Sweep(s.req)
	}
	return nil
}
