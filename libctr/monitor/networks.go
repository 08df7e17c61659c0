// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"errors"
	"fmt"
	"slices"

	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/network/attach"
)

// connect attaches the networks that the record has and the container has not. Where it fails, the container has those that it had.
func (m *Monitor) connect() error {
	m.netMu.Lock()
	defer m.netMu.Unlock()
	cfg, err := record.ReadSupervised(m.cfg.Dir)
	if err != nil {
		return err
	}
	have, there, err := m.namespace()
	if err != nil {
		return err
	}
	if !there {
		return m.connected(cfg.Network.Attachments, nil) // the next start attaches them
	}
	var all, made endpoints
	for _, a := range cfg.Network.Attachments {
		i := slices.IndexFunc(have, func(e *attach.Endpoint) bool { return e.Attachment().Network == a.Network })
		if i >= 0 && (have[i].Joined() != nil || a.CNI == nil) {
			all = append(all, have[i])
			continue
		}
		if i >= 0 {
			_ = have[i].Leave() // a monitor was killed while it was attaching it
		}
		e, err := m.runner().Attach(a, attach.Namespace{Path: m.cfg.NetNSPath()})
		if err != nil {
			for _, e := range made {
				err = errors.Join(err, e.Leave())
			}
			return err
		}
		all, made = append(all, e), append(made, e)
	}
	m.watchKeepers(made, false)
	return m.connected(cfg.Network.Attachments, all)
}

// disconnect detaches a network; with force, also where what it has made cannot be undone.
func (m *Monitor) disconnect(name string, force bool) error {
	m.netMu.Lock()
	defer m.netMu.Unlock()
	have, there, err := m.namespace()
	if err != nil {
		return err
	}
	n := attach.Network{Attachments: m.attachments}
	heir := n.Disconnect(name)
	var left endpoints
	for _, e := range have {
		if e.Attachment().Network != name {
			left = append(left, e)
			continue
		}
		if err := e.Leave(); err != nil && !force {
			return err
		}
		e.Detach()
		e.AwaitEnd(endTimeout, true)
	}
	if there && heir != nil {
		for _, e := range left {
			if e.Attachment().Network == heir.Network {
				err = e.Rejoin(heir.CNI.Ports)
			}
		}
	}
	return errors.Join(m.connected(n.Attachments, left), err)
}

// reconnect makes anew what is outside of the container for its networks.
func (m *Monitor) reconnect() error {
	m.netMu.Lock()
	defer m.netMu.Unlock()
	have, there, err := m.namespace()
	if err != nil || !there {
		return err
	}
	var errs []error
	for _, e := range have {
		if c := e.Attachment().CNI; c != nil {
			errs = append(errs, e.Rejoin(c.Ports))
		}
	}
	return errors.Join(append(errs, m.connected(m.attachments, have))...)
}

// namespace returns what attaches the container's network namespace, and whether that is there now. It requires m.netMu.
func (m *Monitor) namespace() (have endpoints, there bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		return nil, false, m.errNotRunning()
	}
	switch m.cfg.Network.NetNS {
	case "new":
		there = true
	case "runtime":
		there = m.init != nil && !m.init.hasExited()
	default:
		return nil, false, fmt.Errorf("its network %s is not Berth's to change", m.cfg.Network.Mode)
	}
	return m.endpoints, there, nil
}

// connected records what the container is connected to. It requires m.netMu.
func (m *Monitor) connected(a []attach.Attachment, all endpoints) error {
	m.attachments = a
	m.mu.Lock()
	m.endpoints = all
	m.state.Network = (&attach.Network{Mode: m.cfg.Network.Mode, Attachments: a}).Names()
	m.state.Networks = all.joined()
	err := m.writeState()
	m.mu.Unlock()
	return errors.Join(err, m.writeHosts(all.joined()))
}
