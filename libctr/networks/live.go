// SPDX-License-Identifier: Apache-2.0

package networks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/network"
	"github.com/berth-containers/berth/network/attach"
	"github.com/berth-containers/berth/network/cni"
)

// Update adds and drops name servers of a network, also for the containers that run in it.
func Update(ctx context.Context, e *libctr.Engine, nameOrID string, add, drop []string) error {
	dir, err := e.NetworksDir()
	if err != nil {
		return err
	}
	l, _, err := cni.Update(dir, nameOrID, add, drop)
	if err != nil {
		return err
	}
	a, err := plan(ctx, e, l.Name, "network-update", nil)
	if err != nil {
		return err
	}
	return attach.Ask("update", attach.Request{Network: l.Name, CNI: a}, new(attach.Joined))
}

// plan is how a container would be connected to a network now.
func plan(ctx context.Context, e *libctr.Engine, name, id string, ports []attach.PortMapping) (*attach.CNI, error) {
	o := network.Options{Mode: network.Mode{Kind: network.Bridge, Networks: []network.Shared{{Name: name}}}, Rootless: e.Rootless(), ID: id, Ports: ports}
	if err := e.NetworkDefaults(&o); err != nil {
		return nil, err
	}
	r, err := network.Plan(ctx, o)
	if err != nil {
		return nil, err
	}
	return r.Network.Attachments[0].CNI, nil
}

// Answer is an address that a network's DNS gives for a name.
type Answer struct {
	Network   string
	Container string // its name
	IP        string
}

// ErrNoSuchName is what resolving a name gives that no container has.
var ErrNoSuchName = errors.New("no running container has this name")

// Resolve returns what the DNS of a network answers for a name of a container; that of each network where none is given.
func Resolve(ctx context.Context, e *libctr.Engine, name, nameOrID string) ([]Answer, error) {
	only := ""
	if nameOrID != "" {
		dir, err := e.NetworksDir()
		if err != nil {
			return nil, err
		}
		l, err := network.FindShared(dir, nameOrID)
		if err != nil {
			return nil, err
		}
		only = l.Name
	}
	all, err := e.List(ctx)
	if err != nil {
		return nil, err
	}
	short := strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(name, "."), "."+network.DNSDomain))
	var answers []Answer
	for _, c := range all {
		if !libctr.Alive(c.State) || len(c.State.Networks) == 0 {
			continue
		}
		cfg, err := c.Config()
		if err != nil {
			continue // it is being removed
		}
		for _, a := range cfg.Network.Attachments {
			if a.CNI == nil || !a.CNI.DNS || only != "" && a.Network != only ||
				!slices.ContainsFunc(a.CNI.Names, func(n string) bool { return strings.ToLower(n) == short }) {
				continue
			}
			for _, j := range c.State.Networks {
				if j.Network != a.Network {
					continue
				}
				for _, ip := range j.Addresses {
					answers = append(answers, Answer{a.Network, c.State.Name, ip.IP})
				}
			}
		}
	}
	if len(answers) == 0 {
		in := ""
		if only != "" {
			in = " in network " + only
		}
		return nil, fmt.Errorf("%s%s: %w", name, in, ErrNoSuchName)
	}
	return answers, nil
}
