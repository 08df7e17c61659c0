// SPDX-License-Identifier: Apache-2.0

// Package networks has the engine's verbs on networks that containers share: create, list, inspect, remove. What a network is,
// packages network/cni and network/conflist say; what connects a container to one, network/attach.
package networks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.podman.io/common/libnetwork/types"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/label"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/network"
	"github.com/berth-containers/berth/network/cni"
	"github.com/berth-containers/berth/network/conflist"
)

// ErrInUse is what removing a network that containers have gives.
var ErrInUse = errors.New("network is being used")

// ErrNotFound is what a name gives that no network has.
var ErrNotFound = conflist.ErrNotFound

// Network is a network, as podman's `network inspect` shows it.
type Network struct {
	types.Network
	// Containers are those that run in it, by ID.
	Containers map[string]Member `json:"containers"`
}

// Member is a container in a network.
type Member struct {
	Name       string                        `json:"name"`
	Interfaces map[string]types.NetInterface `json:"interfaces,omitempty"`
}

// Create defines a network, and fills in what n leaves open. With ignore, one that is there already is taken as it is.
func Create(e *libctr.Engine, n *types.Network, ignore bool) error {
	dir, err := e.NetworksDir()
	if err != nil {
		return err
	}
	conf, err := e.Config()
	if err != nil {
		return err
	}
	if e.Rootless() && (n.Driver == types.MacVLANNetworkDriver || n.Driver == types.IPVLANNetworkDriver) {
		return fmt.Errorf("driver %s is root's: a user's networks are in a namespace that has none of the host's interfaces", n.Driver)
	}
	podmans, _ := foreign(e, nil)
	err = cni.Create(dir, n, podmans, conf.Network.DefaultSubnetPools)
	if ignore && errors.Is(err, types.ErrNetworkExists) {
		l, err := network.FindShared(dir, n.Name)
		if err != nil {
			return err
		}
		*n, err = cni.ReadNetwork(l)
		return err
	}
	return err
}

// List returns the networks that pass all filters, in the order of their names. The error names definitions that cannot be read; the
// networks beside them are good.
func List(ctx context.Context, e *libctr.Engine, filters []string) ([]types.Network, error) {
	match, err := Filter(filters)
	if err != nil {
		return nil, err
	}
	dir, err := e.NetworksDir()
	if err != nil {
		return nil, err
	}
	all, problems := cni.List(dir)
	podmans, err := foreign(e, all)
	all, problems = append(all, podmans...), errors.Join(problems, err)
	var used map[string][]*libctr.Container
	if slices.ContainsFunc(filters, func(f string) bool { return strings.HasPrefix(f, "dangling") }) {
		if used, err = users(ctx, e); err != nil {
			return nil, err
		}
	}
	all = slices.DeleteFunc(all, func(n types.Network) bool { return !match(&n, used) })
	slices.SortFunc(all, func(a, b types.Network) int { return strings.Compare(a.Name, b.Name) })
	return all, problems
}

// FilterKeys are the keys of List's filters.
func FilterKeys() []string { return []string{"dangling", "driver", "id", "label", "name", "until"} }

// Filter reads filters, KEY=VALUE. Values of one key are alternatives, but for label.
func Filter(filters []string) (func(n *types.Network, used map[string][]*libctr.Container) bool, error) {
	byKey := map[string][]func(*types.Network, map[string][]*libctr.Container) bool{}
	for _, f := range filters {
		key, value, ok := strings.Cut(f, "=")
		if !ok {
			return nil, fmt.Errorf("invalid filter %q: want KEY=VALUE", f)
		}
		var one func(*types.Network, map[string][]*libctr.Container) bool
		switch key {
		case "name":
			one = func(n *types.Network, _ map[string][]*libctr.Container) bool { return strings.Contains(n.Name, value) }
		case "id":
			one = func(n *types.Network, _ map[string][]*libctr.Container) bool { return strings.HasPrefix(n.ID, value) }
		case "driver":
			one = func(n *types.Network, _ map[string][]*libctr.Container) bool { return n.Driver == value }
		case "label":
			key = f // all have to be there
			one = func(n *types.Network, _ map[string][]*libctr.Container) bool { return label.Match(n.Labels, value) }
		case "until":
			until, err := libctr.ParseTime(value)
			if err != nil {
				return nil, fmt.Errorf("filter until: %w", err)
			}
			one = func(n *types.Network, _ map[string][]*libctr.Container) bool { return n.Created.Before(until) }
		case "dangling":
			if value != "true" && value != "false" {
				return nil, fmt.Errorf("filter dangling: want true or false, not %q", value)
			}
			one = func(n *types.Network, used map[string][]*libctr.Container) bool {
				return (len(used[n.Name]) == 0 && n.Name != network.DefaultNetwork) == (value == "true")
			}
		default:
			return nil, hint.Add(fmt.Errorf("invalid filter %q", key), "keys are %s", strings.Join(FilterKeys(), ", "))
		}
		byKey[key] = append(byKey[key], one)
	}
	return func(n *types.Network, used map[string][]*libctr.Container) bool {
		for _, alternatives := range byKey {
			if !slices.ContainsFunc(alternatives, func(one func(*types.Network, map[string][]*libctr.Container) bool) bool { return one(n, used) }) {
				return false
			}
		}
		return true
	}, nil
}

// users are the containers of each network, by the network's name.
func users(ctx context.Context, e *libctr.Engine) (map[string][]*libctr.Container, error) {
	all, err := e.List(ctx)
	if err != nil {
		return nil, err
	}
	used := map[string][]*libctr.Container{}
	for _, c := range all {
		for _, name := range libctr.NetworkNames(c.State) {
			used[name] = append(used[name], c)
		}
	}
	return used, nil
}

// Inspect describes one network, by its name or ID.
func Inspect(ctx context.Context, e *libctr.Engine, nameOrID string) (Network, error) {
	dir, err := e.NetworksDir()
	if err != nil {
		return Network{}, err
	}
	l, err := network.FindShared(dir, nameOrID)
	if errors.Is(err, ErrNotFound) {
		if n, ok := findForeign(e, nameOrID); ok {
			return Network{n, map[string]Member{}}, nil
		}
	}
	if err != nil {
		return Network{}, err
	}
	n := Network{Containers: map[string]Member{}}
	if n.Network, err = cni.ReadNetwork(l); err != nil {
		return n, err
	}
	all, err := e.List(ctx)
	if err != nil {
		return n, err
	}
	for _, c := range all {
		if !libctr.Alive(c.State) {
			continue
		}
		for _, j := range c.State.Networks {
			if j.Network == n.Name {
				n.Containers[c.ID] = Member{Name: c.State.Name, Interfaces: interfaces(c.State, n.Name)}
			}
		}
	}
	return n, nil
}

func interfaces(s *record.State, name string) map[string]types.NetInterface {
	all := map[string]types.NetInterface{}
	for _, j := range s.Networks {
		if j.Network != name {
			continue
		}
		all[j.Interface] = cni.Interface(&j)
	}
	return all
}

// Remove removes a network; force removes the containers that have it first, which get timeout to end (nil is their own).
func Remove(ctx context.Context, e *libctr.Engine, nameOrID string, force bool, timeout *time.Duration) (name string, err error) {
	dir, err := e.NetworksDir()
	if err != nil {
		return "", err
	}
	l, err := network.FindShared(dir, nameOrID)
	if err != nil {
		return "", err
	}
	if l.Name == network.DefaultNetwork {
		return "", fmt.Errorf("default network %s cannot be removed: invalid argument", l.Name)
	}
	used, err := users(ctx, e)
	if err != nil {
		return "", err
	}
	if in := used[l.Name]; len(in) > 0 {
		if !force {
			return "", hint.Add(fmt.Errorf("%q has associated containers with it. Use -f to forcibly delete containers and pods: %w", l.Name, ErrInUse),
				"remove it with its containers: %s", hint.To(hint.ForceRemoveNetwork, l.Name))
		}
		for _, c := range in {
			if err := e.Remove(ctx, c, libctr.RemoveOptions{Force: true, Timeout: timeout, Depend: true}); err != nil && !errors.Is(err, libctr.ErrNoSuchContainer) {
				return "", err
			}
		}
	}
	return l.Name, cni.Remove(dir, l)
}

// Prune removes the networks that no container has and that pass all filters, and calls removed for each.
func Prune(ctx context.Context, e *libctr.Engine, filters []string, removed func(name string)) error {
	list, err := List(ctx, e, filters)
	if err != nil && list == nil {
		return err
	}
	used, err := users(ctx, e)
	if err != nil {
		return err
	}
	var errs []error
	for _, n := range list {
		if n.Name == network.DefaultNetwork || len(used[n.Name]) > 0 {
			continue
		}
		if _, err := Remove(ctx, e, n.Name, false, nil); err != nil {
			if !errors.Is(err, ErrInUse) {
				errs = append(errs, err)
			}
			continue
		}
		removed(n.Name)
	}
	return errors.Join(errs...)
}
