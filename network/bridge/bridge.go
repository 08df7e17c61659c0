// SPDX-License-Identifier: Apache-2.0

// Package bridge does the work of the CNI plugins bridge, host-local, portmap, firewall and tuning in its own process, over netlink, for
// configurations that ask nothing of them but what is common. The result is the plugins': the same links, addresses, routes and leases,
// in the same files. Rules are in a table of nftables of its own, which is made from the containers that are there, as a whole.
//
// Everything here works on the network namespace of the calling thread, which is the one that has the bridges.
package bridge

import (
	"bytes"
	"encoding/json"
	"net"
	"path/filepath"
	"slices"

	"github.com/containernetworking/plugins/plugins/ipam/host-local/backend/allocator"

	"github.com/berth-containers/berth/network/attach"
)

// Network is what a configuration says.
type Network struct {
	Name   string
	ours   bool // of Berth's making, and so its to remove
	bridge plugin
	ipam   *allocator.IPAMConfig
	closed bool // no other network reaches it
	strict bool // and it reaches no other
	inward bool // it reaches nothing outside
}

// plugin has the keys of the plugins that this package knows; configurations with others are for the plugins themselves.
type plugin struct {
	Type             string          `json:"type"`
	CNIVersion       string          `json:"cniVersion"`
	Name             string          `json:"name"`
	Bridge           string          `json:"bridge"`
	IsGateway        bool            `json:"isGateway"`
	IsDefaultGateway bool            `json:"isDefaultGateway"`
	IPMasq           bool            `json:"ipMasq"`
	HairpinMode      bool            `json:"hairpinMode"`
	MTU              int             `json:"mtu"`
	IngressPolicy    string          `json:"ingressPolicy"`
	IPAM             json.RawMessage `json:"ipam"`
	Capabilities     map[string]bool `json:"capabilities"`
}

// Read returns nil where the configuration asks for more than this package does.
func Read(c *attach.CNI) *Network {
	var list struct {
		Name string
		Args struct {
			Options map[string]string `json:"podman_options"`
			Berth   *struct{ Internal bool }
		}
		Plugins []json.RawMessage
	}
	if json.Unmarshal(c.List, &list) != nil || len(list.Plugins) == 0 {
		return nil
	}
	n := &Network{Name: list.Name, strict: list.Args.Options["isolate"] == "strict"}
	n.ours = list.Args.Berth != nil
	n.inward = n.ours && list.Args.Berth.Internal
	for i, raw := range list.Plugins {
		p, err := readPlugin(raw)
		first := i == 0
		switch {
		case err != nil:
			return nil
		case first && p.Type == "bridge" && p.IngressPolicy == "":
			n.bridge = p
			if n.bridge.Bridge == "" {
				n.bridge.Bridge = "cni0"
			}
		case first, p.Bridge != "" || p.IsGateway || p.IsDefaultGateway || p.IPMasq || p.HairpinMode || p.MTU != 0 || p.IPAM != nil:
			return nil
		case p.Type == "firewall":
			if !slices.Contains([]string{"", "open", "same-bridge"}, p.IngressPolicy) {
				return nil
			}
			n.closed = p.IngressPolicy == "same-bridge"
		case p.IngressPolicy != "" || !slices.Contains([]string{"portmap", "tuning", "dnsname"}, p.Type):
			return nil
		}
	}
	var err error
	if n.ipam, err = readIPAM(n, c); err != nil {
		return nil
	}
	return n
}

func readPlugin(raw json.RawMessage) (p plugin, err error) {
	var kind struct{ Type string }
	if err := json.Unmarshal(raw, &kind); err != nil {
		return p, err
	}
	if kind.Type == "dnsname" { // names are Berth's own work, whatever it says
		return plugin{Type: kind.Type}, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err = d.Decode(&p)
	return p, err
}

// readIPAM reads the part of host-local, with its own library.
func readIPAM(n *Network, c *attach.CNI) (*allocator.IPAMConfig, error) {
	var ipam map[string]any
	if err := json.Unmarshal(n.bridge.IPAM, &ipam); err != nil {
		return nil, err
	}
	if ipam["type"] != "host-local" {
		return nil, errOther
	}
	if ipam["dataDir"] == nil {
		ipam["dataDir"] = filepath.Join(c.StateDir, "leases")
	}
	whole := map[string]any{"cniVersion": "1.0.0", "name": n.Name, "ipam": ipam}
	if len(c.IPs) > 0 {
		whole["runtimeConfig"] = map[string]any{"ips": c.IPs}
	}
	raw, err := json.Marshal(whole)
	if err != nil {
		return nil, err
	}
	conf, _, err := allocator.LoadIPAMConfig(raw, "")
	return conf, err
}

// subnets are those of the network, each once.
func (n *Network) subnets() []*net.IPNet {
	var all []*net.IPNet
	for _, set := range n.ipam.Ranges {
		for _, r := range set {
			s := net.IPNet(r.Subnet)
			if !slices.ContainsFunc(all, func(o *net.IPNet) bool { return o.String() == s.String() }) {
				all = append(all, &s)
			}
		}
	}
	return all
}
