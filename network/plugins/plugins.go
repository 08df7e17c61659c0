// SPDX-License-Identifier: Apache-2.0

// Package plugins executes CNI plugins, with the library of the CNI specification. It is part of the program berth-net.
package plugins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/containernetworking/cni/libcni"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/coreos/go-iptables/iptables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/network/attach"
)

// network is one network, and what its plugins are told of the container.
type network struct {
	cni  *libcni.CNIConfig
	list *libcni.NetworkConfigList
	rt   *libcni.RuntimeConf
}

// Add connects the container. If one plugin fails, what those before it have done is undone.
func Add(ctx context.Context, req *attach.Request) (*attach.Joined, error) {
	n, err := load(req)
	if err != nil {
		return nil, err
	}
	raw, err := n.cni.AddNetworkList(ctx, n.list, n.rt)
	if err != nil {
		_ = n.del(context.WithoutCancel(ctx)) // each plugin is to accept that there is nothing of its own
		if strings.Contains(err.Error(), `"iptables": executable file not found`) {
			err = fmt.Errorf("%w: install it: sudo apt-get install iptables", err)
		}
		return nil, err
	}
	result, err := types100.NewResultFromResult(raw)
	if err != nil {
		return nil, fmt.Errorf("read the plugins' result: %w", err)
	}
	return joined(req, result), nil
}

// del has the plugins undo what they have done, from the last to the first. libcni ends with one that fails: those before it are called all the same.
func (n *network) del(ctx context.Context) error {
	var failed error
	for len(n.list.Plugins) > 0 {
		err := n.cni.DelNetworkList(ctx, n.list, n.rt)
		if err == nil {
			break
		}
		if failed == nil {
			failed = err
		}
		n.list.Plugins = n.list.Plugins[:len(n.list.Plugins)-1]
	}
	return failed
}

// Del undoes Add, also where Add was interrupted.
func Del(ctx context.Context, req *attach.Request) error {
	n, err := load(req)
	if err != nil {
		return err
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(n.rt.NetNS, &fs); err != nil || fs.Type != unix.NSFS_MAGIC {
		n.rt.NetNS = "" // it has ended, or its mount has with the monitor: the specification's word for that
	}
	err = n.del(ctx)
	if n.rt.NetNS == "" {
		err = errors.Join(err, forgetMasquerade(req.CNI.Container))
	}
	return err
}

// forgetMasquerade removes the rules that translate a container's addresses, which the plugin bridge leaves where the container's namespace
// has ended before.
func forgetMasquerade(container string) error {
	for _, family := range []iptables.Protocol{iptables.ProtocolIPv4, iptables.ProtocolIPv6} {
		t, err := iptables.NewWithProtocol(family)
		if err != nil {
			continue // there are none of that family
		}
		rules, err := t.List("nat", "POSTROUTING")
		if err != nil {
			continue
		}
		for i := len(rules) - 1; i > 0; i-- {
			if !strings.Contains(rules[i], container) {
				continue
			}
			f := strings.Fields(rules[i])
			if err := t.Delete("nat", "POSTROUTING", strconv.Itoa(i)); err != nil {
				return fmt.Errorf("remove the rules of container %s: %w", container, err)
			}
			if chain := f[len(f)-1]; strings.HasPrefix(chain, "CNI-") {
				if err := t.ClearAndDeleteChain("nat", chain); err != nil {
					return fmt.Errorf("remove the rules of container %s: %w", container, err)
				}
			}
		}
	}
	return nil
}

func load(req *attach.Request) (*network, error) {
	c := req.CNI
	raw, capabilities, err := prepare(c)
	if err != nil {
		return nil, err
	}
	list, err := libcni.NetworkConfFromBytes(raw)
	if err != nil {
		return nil, err
	}
	rt := &libcni.RuntimeConf{
		ContainerID: c.Container, NetNS: req.NetNS, IfName: c.Interface,
		Args:           [][2]string{{"IgnoreUnknown", "1"}},
		CapabilityArgs: map[string]any{},
	}
	if len(c.IPs) > 0 {
		if capabilities["ips"] {
			rt.CapabilityArgs["ips"] = c.IPs
		} else {
			rt.Args = append(rt.Args, [2]string{"IP", strings.Join(c.IPs, ",")})
		}
	}
	if c.MAC != "" {
		if capabilities["mac"] {
			rt.CapabilityArgs["mac"] = c.MAC
		} else {
			rt.Args = append(rt.Args, [2]string{"MAC", c.MAC})
		}
	}
	if len(c.Ports) > 0 && c.Outside == nil {
		rt.CapabilityArgs["portMappings"] = portMappings(c.Ports)
	}
	cache := filepath.Join(c.StateDir, "cache")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return nil, err
	}
	return &network{cni: libcni.NewCNIConfigWithCacheDir(c.PluginDirs, cache, nil), list: list, rt: rt}, nil
}

// prepare settles what the configuration leaves open: where leases are kept, who publishes ports. Names are Berth's own work.
// The capabilities are those that any plugin has.
func prepare(c *attach.CNI) (json.RawMessage, map[string]bool, error) {
	var list map[string]json.RawMessage
	if err := json.Unmarshal(c.List, &list); err != nil {
		return nil, nil, err
	}
	var plugins []map[string]any
	if err := json.Unmarshal(list["plugins"], &plugins); err != nil {
		return nil, nil, err
	}
	plugins = slices.DeleteFunc(plugins, func(p map[string]any) bool { return p["type"] == "dnsname" })
	capabilities := map[string]bool{}
	for _, p := range plugins {
		if ipam, ok := p["ipam"].(map[string]any); ok && ipam["type"] == "host-local" && ipam["dataDir"] == nil {
			ipam["dataDir"] = filepath.Join(c.StateDir, "leases")
		}
		if p["type"] == "tuning" && p["dataDir"] == nil {
			p["dataDir"] = filepath.Join(c.StateDir, "tuning")
		}
		has, _ := p["capabilities"].(map[string]any)
		for name, on := range has {
			capabilities[name] = capabilities[name] || on == true
		}
	}
	if len(c.Ports) > 0 && c.Outside == nil && !capabilities["portMappings"] {
		plugins = append(plugins, map[string]any{"type": "portmap", "capabilities": map[string]any{"portMappings": true}})
	}
	var err error
	if list["plugins"], err = json.Marshal(plugins); err != nil {
		return nil, nil, err
	}
	raw, err := json.Marshal(list)
	return raw, capabilities, err
}

// portMapping is an entry of the capability portMappings (CNI conventions).
type portMapping struct {
	HostPort      uint16 `json:"hostPort"`
	ContainerPort uint16 `json:"containerPort"`
	Protocol      string `json:"protocol"`
	HostIP        string `json:"hostIP,omitempty"`
}

func portMappings(ports []attach.PortMapping) []portMapping {
	var all []portMapping
	for _, p := range ports {
		all = append(all, portMapping{p.HostPort, p.ContainerPort, p.Protocol, p.HostIP})
	}
	return all
}

// joined takes from the result what is the container's.
func joined(req *attach.Request, result *types100.Result) *attach.Joined {
	j := &attach.Joined{Network: req.Network, Interface: req.CNI.Interface}
	for _, i := range result.Interfaces {
		if i.Sandbox != "" && i.Name == req.CNI.Interface {
			j.MAC = i.Mac
		}
	}
	for _, ip := range result.IPs {
		if i := ip.Interface; i != nil && *i >= 0 && *i < len(result.Interfaces) && result.Interfaces[*i].Sandbox == "" {
			continue
		}
		prefix, _ := ip.Address.Mask.Size()
		a := attach.Address{IP: ip.Address.IP.String(), Prefix: prefix}
		if ip.Gateway != nil {
			a.Gateway = ip.Gateway.String()
		}
		j.Addresses = append(j.Addresses, a)
	}
	return j
}

// Forget gives back the addresses of a container whose network has ended with its namespace, where no plugin could do anything.
func Forget(req *attach.Request) error {
	leases := filepath.Join(req.CNI.StateDir, "leases", req.Network)
	entries, err := os.ReadDir(leases)
	if err != nil {
		return nil // there are none
	}
	for _, e := range entries {
		path := filepath.Join(leases, e.Name())
		data, err := os.ReadFile(path)
		if id, _, _ := strings.Cut(strings.TrimSpace(string(data)), "\r\n"); err == nil && id == req.CNI.Container && e.Name() != "lock" {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// Sweep removes what no plugin removes when the last container has left a network of Berth's: its bridge, and the rules that keep other networks'
// packets from it.
func Sweep(req *attach.Request) error {
	var list struct {
		Args    map[string]json.RawMessage
		Plugins []struct{ Type, Bridge string }
	}
	if err := json.Unmarshal(req.CNI.List, &list); err != nil {
		return err
	}
	name := list.Plugins[0].Bridge
	if list.Args["berth"] == nil || list.Plugins[0].Type != "bridge" || name == "" {
		return nil // somebody else's, who may have more in it
	}
	link, err := netlink.LinkByName(name)
	if err != nil || link.Type() != "bridge" {
		return nil // there is none
	}
	if err := netlink.LinkDel(link); err != nil {
		return fmt.Errorf("remove bridge %s: %w", name, err)
	}
	for _, family := range []iptables.Protocol{iptables.ProtocolIPv4, iptables.ProtocolIPv6} {
		t, err := iptables.NewWithProtocol(family)
		if err != nil {
			continue // there are none of that family
		}
		for _, chain := range []string{"CNI-ISOLATION-STAGE-1", "CNI-ISOLATION-STAGE-2"} {
			rules, err := t.List("filter", chain)
			if err != nil {
				continue
			}
			for i := len(rules) - 1; i > 0; i-- { // the first line makes the chain
				if slices.Contains(strings.Fields(rules[i]), name) {
					if err := t.Delete("filter", chain, strconv.Itoa(i)); err != nil {
						return fmt.Errorf("remove the rules of bridge %s: %w", name, err)
					}
				}
			}
		}
	}
	return nil
}
