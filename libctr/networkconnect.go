// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/network"
	endpoint "github.com/berth-containers/berth/network/attach"
)

// ErrNetworkMode is what the verbs on networks give for a container that has none that can be shared.
var ErrNetworkMode = errors.New("invalid network mode")

// ErrNetworkConnected is what connecting a container to a network that it has gives.
var ErrNetworkConnected = errors.New("network is already connected")

// networked is a container's connection, while it is changed.
type networked struct {
	cfg     *record.Config
	options network.Options
}

// ConnectNetwork connects a container to one more network that containers share: one that runs at once, any other from its next start on. One that does not
// run and has the network already is left as it is.
func (e *Engine) ConnectNetwork(ctx context.Context, c *Container, n network.Shared) error {
	return e.changeNetworks(c, func(held bool) error { return e.connectNetwork(ctx, c, n, held) })
}

// DisconnectNetwork takes a network from a container. force has it gone also where what was made for it cannot be undone.
func (e *Engine) DisconnectNetwork(ctx context.Context, c *Container, nameOrID string, force bool) error {
	return e.changeNetworks(c, func(held bool) error { return e.disconnectNetwork(ctx, c, nameOrID, force, held) })
}

// ReloadNetwork makes anew what the host has for the networks of a running container: bridges, rules, published ports. The container keeps its addresses.
func (e *Engine) ReloadNetwork(ctx context.Context, c *Container) error {
	cfg, err := c.Config()
	if err != nil {
		return err
	}
	if !Alive(c.State) {
		return fmt.Errorf("container %s network is not configured, refusing to reload: %w", c.ID, ErrNotRunning)
	}
	if err := checkNetworkMode(cfg); err != nil {
		return err
	}
	_, err = e.ask(ctx, c, ctl.Request{Op: "reconnect"})
	return about("reload network of", c, err)
}

func checkNetworkMode(cfg *record.Config) error {
	if cfg.Network.Mode == string(network.Bridge) {
		return nil
	}
	return hint.Add(fmt.Errorf("%q is not supported: %w", cfg.Network.Mode, ErrNetworkMode), "make the container with %s NAME, of a network of: network ls", field.Name("network"))
}

// changeNetworks has nobody else change the container's record meanwhile. held says that it does not run, and cannot be started meanwhile.
func (e *Engine) changeNetworks(c *Container, change func(held bool) error) error {
	names, err := e.lockNames()
	if err != nil {
		return err
	}
	defer names.Close()
	if err := e.needRunDir(c); err != nil {
		return err
	}
	lock, err := e.lockEnded(c)
	if errors.Is(err, ErrInitialized) {
		return change(false)
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	return change(true)
}

// networked reads how the container is connected, with the defaults of today, and refuses what cannot be connected to networks.
func (e *Engine) networked(c *Container) (*networked, error) {
	cfg, err := c.Config()
	if err != nil {
		return nil, err
	}
	if err := checkNetworkMode(cfg); err != nil {
		return nil, err
	}
	n := &networked{cfg: cfg}
	data, err := os.ReadFile(filepath.Join(c.Dir, networkFile))
	if err == nil {
		err = json.Unmarshal(data, &n.options)
	}
	if err != nil {
		return nil, fmt.Errorf("read the network options: %w", err)
	}
	n.options.Name = cfg.Name
	if err := e.NetworkDefaults(&n.options); err != nil {
		return nil, err
	}
	// Interfaces keep their names when others come and go.
	networks := n.options.Mode.Networks
	for i := range networks {
		if networks[i].Interface == "" && i < len(cfg.Network.Attachments) {
			networks[i].Interface = cfg.Network.Attachments[i].CNI.Interface
		}
	}
	return n, nil
}

// freeInterface is a name for one more interface.
func (n *networked) freeInterface() string {
	for i := 0; ; i++ {
		name := "eth" + strconv.Itoa(i)
		if !slices.ContainsFunc(n.options.Mode.Networks, func(s network.Shared) bool { return s.Interface == name }) {
			return name
		}
	}
}

// resolvConf is what the container's /etc/resolv.conf is to say; nil where that is the image's.
func (n *networked) resolvConf(ctx context.Context) ([]byte, *endpoint.Network, error) {
	o := n.options
	o.Ports = nil // the container has them, if it runs
	r, err := network.Plan(ctx, o)
	return r.ResolvConf, &r.Network, err
}

// write records how the container is connected.
func (n *networked) write(c *Container) error {
	data, err := json.Marshal(n.options)
	if err != nil {
		return err
	}
	if asked, err := askedOf(n.cfg); err == nil && len(n.options.Mode.Networks) > 0 {
		asked.Network, asked.IPs, asked.MAC, asked.Aliases = nil, nil, "", nil
		for _, s := range n.options.Mode.Networks {
			asked.Network = append(asked.Network, s.String())
		}
		if n.cfg.Asked, err = asked.asked(); err != nil {
			return err
		}
	}
	durable := c.Dir != c.RunDir
	if err := atomicfile.Write(filepath.Join(c.Dir, networkFile), data, 0o600, durable); err != nil {
		return err
	}
	return n.cfg.Write(c.Dir, durable)
}

func (e *Engine) connectNetwork(ctx context.Context, c *Container, s network.Shared, held bool) error {
	n, err := e.networked(c)
	if err != nil {
		return err
	}
	l, err := network.FindShared(n.options.NetworksDir, s.Name)
	if err != nil {
		return network.NoShared(err, n.options.NetavarkDir, s.Name)
	}
	s.Name = l.Name
	is := func(a endpoint.Attachment) bool { return a.Network == l.Name }
	if slices.ContainsFunc(n.cfg.Network.Attachments, is) {
		// Where a command was killed that has recorded it, this one finishes what that has begun.
		joined := slices.ContainsFunc(c.State.Networks, func(j record.Joined) bool { return j.Network == l.Name })
		switch {
		case held:
			return e.noteNetworks(c, n.cfg)
		case joined:
			return fmt.Errorf("container %s is already connected to network %q: %w", c.ID, l.Name, ErrNetworkConnected)
		}
		return e.tellNetworks(ctx, c, n.cfg)
	}
	before, err := e.networked(c)
	if err != nil {
		return err
	}
	oldText, _, err := n.resolvConf(ctx)
	if err != nil {
		return err
	}
	if s.Interface == "" {
		s.Interface = n.freeInterface()
	}
	n.options.Mode.Networks = append(n.options.Mode.Networks, s)
	text, planned, err := n.resolvConf(ctx)
	if err != nil {
		return err
	}
	a := planned.Attachments[len(planned.Attachments)-1]
	a.CNI.Ports = nil
	if len(n.cfg.Network.Attachments) == 0 {
		a.CNI.Ports = n.cfg.Network.Ports
	}
	n.cfg.Network.Attachments = append(n.cfg.Network.Attachments, a)
	n.cfg.Network.HostNames = planned.HostNames
	if err := n.write(c); err != nil {
		return errors.Join(err, before.write(c))
	}
	if held {
		err = e.noteNetworks(c, n.cfg)
	} else if err = e.tellNetworks(ctx, c, n.cfg); err == nil {
		err = writeResolvConf(c, oldText, text)
	}
	if err != nil {
		return errors.Join(about("connect", c, err), before.write(c))
	}
	e.noteNetwork("connect", c, l.Name)
	return nil
}

func (e *Engine) disconnectNetwork(ctx context.Context, c *Container, nameOrID string, force, held bool) error {
	n, err := e.networked(c)
	if err != nil {
		return err
	}
	name := nameOrID
	connected := func() bool {
		return slices.ContainsFunc(n.cfg.Network.Attachments, func(a endpoint.Attachment) bool { return a.Network == name })
	}
	if !connected() { // it may be an ID
		l, err := network.FindShared(n.options.NetworksDir, nameOrID)
		if err != nil {
			return err
		}
		if name = l.Name; !connected() {
			return fmt.Errorf("container %s is not connected to network %s", c.State.Name, name)
		}
	}
	oldText, _, err := n.resolvConf(ctx)
	if err != nil && !force {
		return err
	}
	// The record is the last: it has what undoes the connection.
	if !held {
		_, err := e.ask(ctx, c, ctl.Request{Op: "disconnect", Name: name, All: force})
		if err != nil && !errors.Is(err, ErrNotRunning) {
			return about("disconnect", c, err)
		}
	}
	i := slices.IndexFunc(n.cfg.Network.Attachments, func(a endpoint.Attachment) bool { return a.Network == name })
	n.options.Mode.Networks = slices.Delete(n.options.Mode.Networks, i, i+1)
	n.cfg.Network.Disconnect(name)
	if err := n.write(c); err != nil {
		return err
	}
	e.noteNetwork("disconnect", c, name)
	if held {
		return e.noteNetworks(c, n.cfg)
	}
	text, _, err := n.resolvConf(ctx)
	if err != nil {
		return err
	}
	return writeResolvConf(c, oldText, text)
}

// tellNetworks has the monitor connect a running container to what its record has.
func (e *Engine) tellNetworks(ctx context.Context, c *Container, cfg *record.Config) error {
	_, err := e.ask(ctx, c, ctl.Request{Op: "connect"})
	if errors.Is(err, errMonitorEnded) { // it was killed meanwhile: the one that takes its place knows what was begun
		_, err = e.ask(ctx, c, ctl.Request{Op: "connect"})
	}
	if errors.Is(err, ErrNotRunning) {
		return e.withLock(c, func() error { return e.noteNetworks(c, cfg) })
	}
	return err
}

// noteNetworks has the state of a container that does not run say what it is connected to. It requires the container's lock.
func (e *Engine) noteNetworks(c *Container, cfg *record.Config) error {
	if c.State.Network = cfg.Network.Names(); Alive(c.State) {
		return nil
	}
	return c.State.Write(c.Dir, c.Dir != c.RunDir)
}

// writeResolvConf replaces the container's /etc/resolv.conf where another plan has another text. In place: it is mounted.
func writeResolvConf(c *Container, before, after []byte) error {
	if after == nil || string(before) == string(after) {
		return nil
	}
	return os.WriteFile(filepath.Join(c.Dir, "resolv.conf"), after, 0o644)
}

// noteNetwork notes what happened to a container's part of a network, in podman's words.
func (e *Engine) noteNetwork(status string, c *Container, name string) {
	e.note(Event{Name: name, ID: c.ID, Status: status, Type: "network", Attributes: map[string]string{"container": c.ID}})
}
