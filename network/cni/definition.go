// SPDX-License-Identifier: Apache-2.0

// Package cni keeps the definitions of networks that containers share: CNI configuration lists, in podman's terms. What executes
// them is package plugins.
package cni

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.podman.io/common/libnetwork/types"

	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/network"
	"github.com/berth-containers/berth/network/attach"
	"github.com/berth-containers/berth/network/conflist"
)

// file is a configuration list as Berth writes it. Labels and options stand where podman's CNI networks have them.
type file struct {
	Version string   `json:"cniVersion"`
	Name    string   `json:"name"`
	Args    args     `json:"args"`
	Plugins []plugin `json:"plugins"`
}

type args struct {
	Labels  map[string]string `json:"podman_labels,omitempty"`
	Options map[string]string `json:"podman_options,omitempty"`
	Berth   own               `json:"berth"`
}

// own is what CNI has no words for.
type own struct {
	Created    time.Time `json:"created"`
	DNS        bool      `json:"dns,omitempty"`
	DNSServers []string  `json:"dnsServers,omitempty"`
	Internal   bool      `json:"internal,omitempty"`
}

// plugin has what Berth knows of the plugins that it writes and reads.
type plugin struct {
	Type         string          `json:"type"`
	Bridge       string          `json:"bridge,omitempty"`
	Master       string          `json:"master,omitempty"`
	Mode         string          `json:"mode,omitempty"`
	IsGateway    bool            `json:"isGateway,omitempty"`
	IPMasq       bool            `json:"ipMasq,omitempty"`
	HairpinMode  bool            `json:"hairpinMode,omitempty"`
	MTU          int             `json:"mtu,omitempty"`
	VLAN         int             `json:"vlan,omitempty"`
	Ingress      string          `json:"ingressPolicy,omitempty"`
	IPAM         *ipam           `json:"ipam,omitempty"`
	Capabilities map[string]bool `json:"capabilities,omitempty"`
}

type ipam struct {
	Type    string     `json:"type"`
	Subnet  string     `json:"subnet,omitempty"`
	Gateway string     `json:"gateway,omitempty"`
	Ranges  [][]irange `json:"ranges,omitempty"`
	Routes  []route    `json:"routes,omitempty"`
}

type irange struct {
	Subnet     string `json:"subnet"`
	RangeStart string `json:"rangeStart,omitempty"`
	RangeEnd   string `json:"rangeEnd,omitempty"`
	Gateway    string `json:"gateway,omitempty"`
}

type route struct {
	Dst      string  `json:"dst"`
	GW       string  `json:"gw,omitempty"`
	Priority *uint32 `json:"priority,omitempty"`
}

// ReadNetwork describes a network of a configuration.
func ReadNetwork(l *conflist.List) (types.Network, error) {
	var f file
	if err := json.Unmarshal(l.Bytes, &f); err != nil {
		return types.Network{}, fmt.Errorf("read network %s: %w", l.Name, err)
	}
	n := types.Network{
		Name: l.Name, ID: l.ID(), Driver: l.Plugins[0].Type, Created: f.Args.Berth.Created, Internal: f.Args.Berth.Internal,
		DNSEnabled: f.Args.Berth.DNS, NetworkDNSServers: f.Args.Berth.DNSServers, Labels: f.Args.Labels, Options: map[string]string{},
		IPAMOptions: map[string]string{},
	}
	maps.Copy(n.Options, f.Args.Options)
	if st, err := os.Stat(l.Path); err == nil && n.Created.IsZero() {
		n.Created = st.ModTime()
	}
	first := f.Plugins[0]
	n.NetworkInterface = first.Bridge
	if n.NetworkInterface == "" {
		n.NetworkInterface = first.Master
	}
	if first.MTU != 0 {
		n.Options[types.MTUOption] = strconv.Itoa(first.MTU)
	}
	if first.VLAN != 0 {
		n.Options[types.VLANOption] = strconv.Itoa(first.VLAN)
	}
	if first.Mode != "" {
		n.Options[types.ModeOption] = first.Mode
	}
	if first.IPAM == nil {
		n.IPAMOptions[types.Driver] = types.NoneIPAMDriver
		return n, nil
	}
	n.IPAMOptions[types.Driver] = first.IPAM.Type
	ranges := slices.Clone(first.IPAM.Ranges)
	if first.IPAM.Subnet != "" {
		ranges = append(ranges, []irange{{Subnet: first.IPAM.Subnet, Gateway: first.IPAM.Gateway}})
	}
	for _, set := range ranges {
		for _, r := range set {
			s, err := r.subnet(first.IsGateway && !n.Internal)
			if err != nil {
				return n, fmt.Errorf("read network %s: %w", l.Name, err)
			}
			n.IPv6Enabled = n.IPv6Enabled || s.Subnet.IP.To4() == nil
			n.Subnets = append(n.Subnets, s)
		}
	}
	for _, r := range first.IPAM.Routes {
		if r.GW == "" { // the default route, of which podman does not speak
			if r.Priority != nil {
				n.Options[types.MetricOption] = strconv.FormatUint(uint64(*r.Priority), 10)
			}
			continue
		}
		dst, err := types.ParseCIDR(r.Dst)
		if err != nil {
			return n, fmt.Errorf("read network %s: %w", l.Name, err)
		}
		n.Routes = append(n.Routes, types.Route{Destination: dst, Gateway: net.ParseIP(r.GW), Metric: r.Priority})
	}
	return n, nil
}

func (r irange) subnet(gateway bool) (types.Subnet, error) {
	cidr, err := types.ParseCIDR(r.Subnet)
	if err != nil {
		return types.Subnet{}, err
	}
	s := types.Subnet{Subnet: cidr, Gateway: short(net.ParseIP(r.Gateway))}
	if s.Gateway == nil && gateway {
		s.Gateway = firstIP(&cidr.IPNet)
	}
	if r.RangeStart != "" || r.RangeEnd != "" {
		s.LeaseRange = &types.LeaseRange{StartIP: short(net.ParseIP(r.RangeStart)), EndIP: short(net.ParseIP(r.RangeEnd))}
	}
	return s, nil
}

// short is an IPv4 address in four bytes.
func short(ip net.IP) net.IP {
	if four := ip.To4(); four != nil {
		return four
	}
	return ip
}

func firstIP(n *net.IPNet) net.IP {
	ip := slices.Clone(short(n.IP.Mask(n.Mask)))
	for i := len(ip) - 1; i >= 0; i-- {
		if ip[i]++; ip[i] != 0 {
			break
		}
	}
	return ip
}

// write makes a network's configuration.
func write(n *types.Network) ([]byte, error) {
	bridged := n.Driver == types.BridgeNetworkDriver || n.Driver == ""
	bridge := plugin{
		Type: types.BridgeNetworkDriver, Bridge: n.NetworkInterface, IsGateway: true, IPMasq: !n.Internal, HairpinMode: true,
		IPAM: &ipam{Type: n.IPAMOptions[types.Driver]}, Capabilities: map[string]bool{"ips": true, "mac": true},
	}
	options := "mtu, vlan, metric, isolate and no_default_route"
	if !bridged {
		bridge = plugin{Type: n.Driver, Master: n.NetworkInterface, IPAM: bridge.IPAM, Capabilities: bridge.Capabilities}
		options = "parent, mode, mtu, metric and no_default_route"
	}
	if bridge.IPAM.Type == types.NoneIPAMDriver {
		bridge.IPAM = nil
		bridge.IsGateway, bridge.IPMasq = false, false
	}
	var metric *uint32
	f := file{Version: "1.0.0", Name: n.Name, Args: args{Labels: n.Labels, Options: map[string]string{}, Berth: own{
		Created: n.Created, DNS: n.DNSEnabled, DNSServers: n.NetworkDNSServers, Internal: n.Internal,
	}}}
	ingress := "same-bridge" // as docker's: networks do not reach each other
	noDefault := n.Internal
	for key, value := range n.Options {
		var err error
		given := key
		switch bridgeOnly := slices.Contains([]string{types.VLANOption, types.IsolateOption, "com.docker.network.bridge.name"}, key); {
		case bridgeOnly && !bridged, key == types.ModeOption && bridged:
			key = "" // unknown
		}
		switch key {
		case types.ModeOption:
			modes := types.ValidMacVLANModes
			if n.Driver == types.IPVLANNetworkDriver {
				modes = types.ValidIPVLANModes
			}
			if bridge.Mode = value; !slices.Contains(modes, value) {
				err = fmt.Errorf("unknown %s mode %q: want one of %s", n.Driver, value, strings.Join(modes, ", "))
			}
		case types.MetricOption:
			var m uint64
			if m, err = strconv.ParseUint(value, 10, 32); err == nil {
				metric = new(uint32(m))
			}
		case types.MTUOption, "com.docker.network.driver.mtu":
			bridge.MTU, err = number(key, value, 65535)
		case types.VLANOption:
			bridge.VLAN, err = number(key, value, 4094)
		case types.NoDefaultRoute:
			noDefault, err = strconv.ParseBool(value)
			noDefault = noDefault || n.Internal
			f.Args.Options[key] = value
		case types.IsolateOption:
			var isolate bool
			if value != "strict" { // which CNI has no word for: package bridge reads the option
				if isolate, err = strconv.ParseBool(value); err == nil && !isolate {
					ingress = "open"
				}
			}
			f.Args.Options[key] = value
		case "com.docker.network.bridge.name": // settled before
		default:
			return nil, hint.Add(fmt.Errorf("unsupported %s network option %s", bridge.Type, given), "options are %s", options)
		}
		if err != nil {
			return nil, fmt.Errorf("network option %s: %w", key, err)
		}
	}
	v4, v6 := false, false
	for _, s := range n.Subnets {
		r := irange{Subnet: s.Subnet.String()}
		if s.Gateway != nil {
			r.Gateway = s.Gateway.String()
		}
		if l := s.LeaseRange; l != nil {
			r.RangeStart, r.RangeEnd = text(l.StartIP), text(l.EndIP)
		}
		bridge.IPAM.Ranges = append(bridge.IPAM.Ranges, []irange{r})
		v4, v6 = v4 || s.Subnet.IP.To4() != nil, v6 || s.Subnet.IP.To4() == nil
	}
	if v4 && !noDefault {
		bridge.IPAM.Routes = append(bridge.IPAM.Routes, route{Dst: "0.0.0.0/0", Priority: metric})
	}
	if v6 && !noDefault {
		bridge.IPAM.Routes = append(bridge.IPAM.Routes, route{Dst: "::/0", Priority: metric})
	}
	if bridge.IPAM == nil && len(n.Routes) > 0 {
		return nil, errors.New("routes need addresses, which ipam driver none does not give")
	}
	for _, r := range n.Routes {
		bridge.IPAM.Routes = append(bridge.IPAM.Routes, route{Dst: r.Destination.String(), GW: text(r.Gateway), Priority: r.Metric})
	}
	tuning := plugin{Type: "tuning", Capabilities: map[string]bool{"mac": true}}
	if !bridged { // the host's firewall does not see it
		f.Plugins = []plugin{bridge, tuning}
		return json.MarshalIndent(f, "", "   ")
	}
	f.Plugins = []plugin{bridge, {Type: "portmap", Capabilities: map[string]bool{"portMappings": true}},
		{Type: "firewall", Ingress: ingress}, tuning}
	return json.MarshalIndent(f, "", "   ")
}

func text(ip net.IP) string {
	if ip == nil {
		return ""
	}
	return ip.String()
}

func number(key, value string, most int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("invalid %s %s: want a number from 0 to %d", key, value, most)
	}
	return n, nil
}

// List reads all networks of a directory, and the default one. The error has what could not be read.
func List(dir string) ([]types.Network, error) {
	lists, err := conflist.All(dir)
	if !slices.ContainsFunc(lists, func(l *conflist.List) bool { return l.Name == network.DefaultNetwork }) {
		if l, err := network.FindShared(dir, network.DefaultNetwork); err == nil {
			lists = append(lists, l)
		}
	}
	var all []types.Network
	for _, l := range lists {
		n, bad := ReadNetwork(l)
		if bad != nil {
			err = errors.Join(err, bad)
			continue
		}
		all = append(all, n)
	}
	return all, err
}

func store(dir string, n *types.Network) error {
	data, err := write(n)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, n.Name+".conflist"), append(data, '\n'), 0o644, true)
}

// Interface is a container's interface in a network, in podman's terms.
func Interface(j *attach.Joined) types.NetInterface {
	var i types.NetInterface
	if mac, err := net.ParseMAC(j.MAC); err == nil {
		i.MacAddress = types.HardwareAddr(mac)
	}
	for _, a := range j.Addresses {
		ip := short(net.ParseIP(a.IP))
		if ip == nil {
			continue
		}
		address := types.NetAddress{IPNet: types.IPNet{IPNet: net.IPNet{IP: ip, Mask: net.CIDRMask(a.Prefix, 8*len(ip))}}}
		address.Gateway = short(net.ParseIP(a.Gateway))
		i.Subnets = append(i.Subnets, address)
	}
	return i
}
